# Every target does its own set-up; nothing needs to be installed first. See `make help`.
.PHONY: help up down build lint unit apiserver-test fault-test e2e test
.DEFAULT_GOAL := help
SHELL := bash

# What the tools print on stderr is progress; on stdout, a result.
NODE = PATH="$$(tools/node.sh):$$PATH"

help: ## Show this list
	@echo 'Murmuration: fleets of validators that learn together, on Kubernetes.'
	@echo
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'
	@echo
	@echo '  CLUSTER=current   use the cluster of the present kubeconfig context (up, down)'
	@echo '  IMAGE=name:tag    use an image that the cluster can pull (up)'
	@echo '  KEEP=1            keep the cluster "murmuration-e2e" for the next run (test, e2e)'

up: ## From nothing to a fleet that has learned: cluster, operator, validators
	@tools/up.sh up

down: ## Remove what `make up` made, and nothing else
	@tools/up.sh down

build: ## Compile src/ to dist/
	@tools/build.sh

lint: ## Check style and types
	@tools/deps.sh
	@$(NODE) npx biome check .
	@$(NODE) npx tsc -p tsconfig.json --noEmit

unit: ## Run the unit tests
	@tools/deps.sh
	@$(NODE) npx vitest run --project unit

apiserver-test: ## Run the tests against a real kube-apiserver and etcd
	@tools/deps.sh
	@KUBEBUILDER_ASSETS="$$(tools/get.sh envtest)" && export KUBEBUILDER_ASSETS && $(NODE) npx vitest run --project apiserver

fault-test: ## Run the short form of the fault bench: broken networks, crashes, random specs
	@tools/deps.sh
	@KUBEBUILDER_ASSETS="$$(tools/get.sh envtest)" && export KUBEBUILDER_ASSETS && $(NODE) npx vitest run --project fault

e2e: ## Run the end-to-end tests on a kind cluster of their own
	@tools/test.sh e2e

test: ## Run everything: types, lint, unit, API server, faults, end to end
	@tools/test.sh
