#!/usr/bin/env bash
# Brings node_modules in step with package-lock.json; does nothing when it is.
# Scripts are off: the one package that has some downloads what we do not use.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

cd "$REPO"
stamp=node_modules/.in-step-with
want="$(key "$REPO/package-lock.json" "$REPO/package.json") node $NODE_VERSION"

in_step() { [[ -f $stamp && $(cat "$stamp") == "$want" ]]; }

npm_ci() { npm ci --ignore-scripts --no-audit --no-fund; }

install() {
  in_step && return
  local bin
  bin=$("$TOOLS/node.sh")
  export PATH=$bin:$PATH
  if ! node "$TOOLS/in-step.cjs"; then
    patiently "fetching npm packages" "$CACHE/log/npm-ci.log" npm_ci ||
      die "npm ci failed in $REPO." "If package.json was changed by hand: npm install --package-lock-only"
  fi
  printf '%s\n' "$want" > "$stamp"
}

in_step || once "deps-$(printf '%s' "$REPO" | sha256sum | cut -c1-8)" install
