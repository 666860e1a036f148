#!/usr/bin/env bash
# up.sh up|down: gets ready what the command line program itself needs, then hands
# over to it. What it will ask for later starts here already, in the background,
# since on a fresh machine that is minutes of fetching and compiling.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

if [[ $1 == up && ${CLUSTER:-kind} != current ]]; then
  setsid "$TOOLS/ahead.sh" > "$CACHE/log/ahead.log" 2>&1 < /dev/null &
fi
"$TOOLS/deps.sh"
"$TOOLS/build.sh"
bin=$("$TOOLS/node.sh")
PATH=$bin:$PATH exec node "$REPO/dist/cli/main.js" "$@"
