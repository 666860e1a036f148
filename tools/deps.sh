#!/usr/bin/env bash
# Brings node_modules in step with package-lock.json; does nothing when it is.
# Scripts are off: the one package that has some downloads what we do not use.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

stamp=$REPO/node_modules/.in-step-with
want="$(key "$REPO/package-lock.json" "$REPO/package.json") node $NODE_VERSION"

in_step() { [[ -f $stamp && $(cat "$stamp") == "$want" ]]; }

install() {
  in_step && return
  local bin
  bin=$("$TOOLS/node.sh")
  cd "$REPO"
  PATH=$bin:$PATH patiently "fetching npm packages" "$CACHE/log/npm-ci.log" \
    npm ci --ignore-scripts --no-audit --no-fund ||
    die "npm ci failed in $REPO." "If package.json was changed by hand, run: npm install --package-lock-only"
  printf '%s\n' "$want" > "$stamp"
}

in_step || once "deps-$(printf '%s' "$REPO" | sha256sum | cut -c1-8)" install
