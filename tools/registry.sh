#!/usr/bin/env bash
# registry.sh pull IMAGE: pulls IMAGE when a registry answers within a few seconds.
# registry.sh reachable: is there an image registry at all? Remembered for an hour,
# since finding out that there is none takes those seconds.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

patience=8 # seconds until the first sign that a pull has begun
verdict=$CACHE/registry

remembered() { [[ -n $(find "$verdict" -mmin -60 2> /dev/null) ]]; }

pull() {
  local log pid status=0 waited=0
  if remembered && [[ $(cat "$verdict") == no ]]; then return 1; fi
  "$TOOLS/docker.sh" start > /dev/null
  log=$CACHE/log/pull-$(basename "${1%%[:@]*}").log
  docker pull "$1" > "$log" 2>&1 &
  pid=$!
  while kill -0 "$pid" 2> /dev/null; do
    sleep 0.5
    waited=$((waited + 1))
    if ! grep -qE 'Pulling|Digest|exists' "$log"; then
      if ((waited > patience * 2)); then kill "$pid" 2> /dev/null || true; fi
    elif ((waited % 20 == 0)); then
      say "pulling $1 ($((waited / 2)) s)"
    fi
  done
  wait "$pid" || status=$?
  if ((status == 0)); then echo yes > "$verdict"; else echo no > "$verdict"; fi
  return "$status"
}

case ${1:-} in
  pull) pull "$2" ;;
  reachable)
    if remembered; then [[ $(cat "$verdict") == yes ]]; else pull "$KIND_NODE_IMAGE"; fi
    ;;
  *) die "usage: tools/registry.sh pull IMAGE | reachable" ;;
esac
