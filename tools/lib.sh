# shellcheck shell=bash
# Sourced by the scripts in this folder: where things are kept, how progress and
# errors are said, and how a thing is built once even when several ask for it.
set -euo pipefail

TOOLS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
REPO=$(dirname "$TOOLS")
CACHE=${MURMURATION_CACHE:-$HOME/.cache/murmuration}
mkdir -p "$CACHE/bin" "$CACHE/log" "$CACHE/lock" "$CACHE/progress"
export TOOLS REPO CACHE
# shellcheck source=versions.env
source "$TOOLS/versions.env"

# say TEXT: one short line of progress. It goes to stderr, since stdout is for the
# result, and to the file that those who wait for the same build read.
say() {
  printf '%s\n' "$*" >&2
  if [[ -n ${PROGRESS_FILE:-} ]]; then printf '%s\n' "$*" > "$PROGRESS_FILE"; fi
}

# die WHAT WHY FIX
die() {
  printf '%s\n' "$@" >&2
  exit 1
}

# since SECONDS: "58 s" or "4 min 12 s"
since() {
  local seconds=$(($(date +%s) - $1))
  if ((seconds < 60)); then printf '%d s' "$seconds"; else printf '%d min %d s' $((seconds / 60)) $((seconds % 60)); fi
}

# patiently WHAT LOG COMMAND...: runs a long command with its output in LOG, says
# every 10 s how long it has been at it, and shows the end of LOG when it fails.
patiently() {
  local what=$1 log=$2 start status=0 pid
  shift 2
  start=$(date +%s)
  say "$what"
  "$@" > "$log" 2>&1 &
  pid=$!
  while kill -0 "$pid" 2> /dev/null; do
    sleep 0.2
    if ((($(date +%s) - start) / 10 > ${said:-0})); then
      local said=$((($(date +%s) - start) / 10))
      say "$what ($(since "$start"))"
    fi
  done
  wait "$pid" || status=$?
  if ((status != 0)); then
    tail -n 25 "$log" >&2
    say "failed: $what (exit code $status, after $(since "$start")); whole log: $log"
  fi
  return "$status"
}

# once NAME COMMAND...: runs COMMAND while no other process runs the same NAME. One
# that comes second repeats the first one's progress until it is done, then runs
# COMMAND too, which finds the work done.
once() {
  # names of its own, since COMMAND sees the variables of this function
  local once_name=$1 once_last='' once_line once_fd once_status=0
  shift
  exec {once_fd}> "$CACHE/lock/$once_name"
  until flock --nonblock "$once_fd"; do
    once_line=$(cat "$CACHE/progress/$once_name" 2> /dev/null || true)
    if [[ -n $once_line && $once_line != "$once_last" ]]; then say "$once_line"; fi
    once_last=$once_line
    sleep 1
  done
  # Not `( ... ) || status=$?`: bash would then ignore `set -e` inside. The lock is
  # closed there, so that it does not outlive us in a daemon that COMMAND starts.
  set +e
  (
    set -e
    export PROGRESS_FILE="$CACHE/progress/$once_name"
    exec {once_fd}>&-
    "$@"
  )
  once_status=$?
  set -e
  : > "$CACHE/progress/$once_name"
  exec {once_fd}>&-
  return "$once_status"
}

# key FILE-OR-FOLDER...: 12 hex digits that change when any of these files does.
key() {
  local path
  for path in "$@"; do
    find "$path" -type f -print0
  done | sort -z | xargs -0 sha256sum | sed "s|  $REPO/|  |" | sha256sum | cut -c1-12
}

# at_least WANTED FOUND: compares versions like v1.35.4
at_least() {
  [[ -n $2 && $(printf '%s\n' "${1#v}" "${2#v}" | sort -V | head -1) == "${1#v}" ]]
}

# sweep KEEP PATTERN: removes older generations in the cache, keyed by an old hash.
sweep() {
  local path
  for path in "$CACHE"/$2; do
    if [[ -e $path && $path != "$1" ]]; then rm -rf "$path"; fi
  done
}
