#!/usr/bin/env bash
# Prints a folder that holds node, npm and npx of Node 24 or newer: the one on PATH
# when it is new enough, else the npm package that carries it, in the cache.
# npm itself must run under Node 24: an older one silently picks older releases of
# packages whose `engines` it satisfies.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

on_path() {
  local node
  node=$(command -v node) && command -v npm > /dev/null && command -v npx > /dev/null &&
    at_least 24.0.0 "$("$node" --version)" && dirname "$node"
}

home=$CACHE/node-$NODE_VERSION

# Without any npm there is nothing to fetch Node with.
install() {
  [[ -x $home/bin/npm ]] && return
  if ! command -v npm > /dev/null; then
    die "Node 24 is missing, and npm to fetch it with is missing too." \
      "Install Node 24 or newer (any way you like), or: apt-get install npm" "then run this again."
  fi
  local arch platform aside=$home.part
  case $(uname -m) in aarch64 | arm64) arch=arm64 ;; *) arch=x64 ;; esac
  case $(uname -s) in Darwin) platform=darwin ;; *) platform=linux ;; esac
  rm -rf "$aside"
  mkdir -p "$aside/bin"
  patiently "fetching Node $NODE_VERSION" "$CACHE/log/node.log" \
    npm install --prefix "$aside" --no-save --no-audit --no-fund --ignore-scripts --no-package-lock \
    "node-$platform-$arch@$NODE_VERSION" npm@11 ||
    die "Node $NODE_VERSION could not be fetched with npm." "Install Node 24 or newer and run this again."
  ln -s "../node_modules/node-$platform-$arch/bin/node" "$aside/bin/node"
  ln -s ../node_modules/npm/bin/npm-cli.js "$aside/bin/npm"
  ln -s ../node_modules/npm/bin/npx-cli.js "$aside/bin/npx"
  rm -rf "$home"
  mv "$aside" "$home"
}

# --own: the one in the cache, whatever is on PATH; images are made with it
if [[ ${1:-} != --own ]] && on_path; then exit 0; fi
once "node" install
printf '%s\n' "$home/bin"
