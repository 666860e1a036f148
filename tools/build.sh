#!/usr/bin/env bash
# Compiles src/ to dist/, unless dist/ is made from just these files.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

stamp=$REPO/dist/.made-from
want=$(key "$REPO/src" "$REPO/tsconfig.json" "$REPO/tsconfig.build.json" "$REPO/package-lock.json")

made() { [[ -f $stamp && $(cat "$stamp") == "$want" ]]; }

build() {
  made && return
  local bin
  "$TOOLS/deps.sh"
  bin=$("$TOOLS/node.sh")
  cd "$REPO"
  say "compiling src/"
  rm -rf dist.part
  PATH=$bin:$PATH npx tsc -p tsconfig.build.json --outDir dist.part >&2 ||
    die "src/ does not compile, see above." "Mend it, or look with: make lint"
  printf '%s\n' "$want" > dist.part/.made-from
  rm -rf dist
  mv dist.part dist
}

made || once "build-$(printf '%s' "$REPO" | sha256sum | cut -c1-8)" build
