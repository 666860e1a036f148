#!/usr/bin/env bash
# Starts what a first `make up` or `make test` will need, ahead of being asked: the
# daemon, the node image, the base of our images. Those who ask later wait for the
# same builds and show their progress. Nothing here is an error; the one who asks
# meets it again and says it.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Modules are fetched while packages are installed; both wait for the network.
if command -v go > /dev/null && ! compgen -G "$CACHE/go-*/kube" > /dev/null && ! command -v kind > /dev/null; then
  (cd "$TOOLS/go" && GOFLAGS=-mod=readonly go list -deps ./cmd/... tool > /dev/null 2>&1) &
fi
"$TOOLS/docker.sh" start > /dev/null || exit 0
"$TOOLS/node-image.sh" > /dev/null &
"$TOOLS/image.sh" base &
wait
