#!/usr/bin/env bash
# test.sh: does all set-up, runs every check and test, and ends with the line
# `N passed, N failed, N skipped`. test.sh e2e runs the end-to-end tests alone.
# The cluster and the image are made in the background, at low priority, while the unit
# tests run; the end-to-end tests run there too, beside those that need an API server.
# KEEP=1 leaves the cluster for the next run with KEEP=1.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

cluster=murmuration-e2e
reports=$CACHE/test-reports
setup_log=$CACHE/log/test-setup.log
checks_passed=0
checks_failed=0
failed_names=()
setup_pid='' e2e_pid=''
summary='0 passed, 1 failed, 0 skipped' # until there is something to count
cd "$REPO"
# one run at a time: a second would lose its cluster when the first one cleans up
exec {run_lock}> "$CACHE/lock/test"
flock --nonblock "$run_lock" ||
  die "Another run of tools/test.sh is at work with the cluster \"$cluster\"." "Wait for its end, or stop it." \
    "$summary"
rm -rf "$reports"
mkdir -p "$reports"

if docker info > /dev/null 2>&1; then daemon=present; else daemon=ours; fi

# Runs at every end, also on Ctrl-C: leaves the machine as it was found.
clean_up() {
  local status=$?
  trap '' INT TERM
  local pid
  for pid in $e2e_pid $setup_pid; do
    kill -0 "$pid" 2> /dev/null || continue
    kill -- "-$pid" 2> /dev/null || true
    wait "$pid" 2> /dev/null || true
  done
  if [[ ${KEEP:-} == 1 ]]; then
    say "KEEP=1: the cluster \"$cluster\" stays (remove it with: tools/cluster.sh delete $cluster)"
  else
    "$TOOLS/cluster.sh" delete "$cluster" >&2 || true
    if [[ $daemon == ours ]]; then "$TOOLS/docker.sh" stop >&2 || true; fi
  fi
  printf '%s\n' "$summary"
  exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# apart LOG COMMAND...: runs it in the background, in a process group of its own, so
# that all of it can be ended at once; `$!` is its pid
apart() {
  local log=$1
  shift
  set -m
  "$@" > "$log" 2>&1 < /dev/null &
  set +m
}

# What the end-to-end tests need; its log is shown only when it fails.
set_up_cluster() {
  "$TOOLS/docker.sh" start > /dev/null
  # after the daemon, whose containers would otherwise be slow for good
  renice -n 10 -p "$BASHPID" > /dev/null
  local tag image_pid
  tag=$("$TOOLS/image.sh" tag)
  "$TOOLS/image.sh" build murmuration "$tag" &
  image_pid=$!
  # what a run left that was killed is no place to begin in
  if [[ ${KEEP:-} != 1 ]]; then "$TOOLS/cluster.sh" delete "$cluster"; fi
  "$TOOLS/cluster.sh" create "$cluster" > "$reports/kubeconfig"
  wait "$image_pid"
  "$TOOLS/image.sh" load "$tag" "$cluster"
  printf '%s\n' "$tag" > "$reports/image"
}

failed() {
  failed_names+=("$1")
  printf -- '-- %s failed\n' "$1"
}

# check NAME COMMAND...: a check that passes or fails as a whole
check() {
  local name=$1 begun
  shift
  begun=$(date +%s)
  printf '\n-- %s\n' "$name"
  if "$@"; then
    checks_passed=$((checks_passed + 1))
    printf -- '-- %s passed (%s)\n' "$name" "$(since "$begun")"
  else
    checks_failed=$((checks_failed + 1))
    failed "$name"
  fi
}

# suite PROJECT: a vitest project, which counts its own tests. Ends with 1 when one
# failed, with 2 when it broke down before its first test and so is in no report.
suite() {
  local begun
  begun=$(date +%s)
  printf '\n-- %s tests\n' "$1"
  if npx vitest run --project "$1" --reporter=default --reporter=json --outputFile.json="$reports/$1.json"; then
    printf -- '-- %s tests passed (%s)\n' "$1" "$(since "$begun")"
  else
    node -e 'process.exit(JSON.parse(require("fs").readFileSync(process.argv[1])).numFailedTests > 0 ? 0 : 1)' "$reports/$1.json" 2> /dev/null || return 2
    return 1
  fi
}

# verdict NAME STATUS: what a suite's end means for the whole
verdict() {
  case $2 in
    0) return ;;
    1) ;;
    *) checks_failed=$((checks_failed + 1)) ;;
  esac
  failed "$1 tests"
}

# run_suite NAME COMMAND...: a suite in sight
run_suite() {
  local name=$1 status=0
  shift
  "$@" || status=$?
  verdict "$name" "$status"
}

# with_api_server PROJECT: a suite whose tests need kube-apiserver and etcd
with_api_server() {
  KUBEBUILDER_ASSETS=$("$TOOLS/get.sh" envtest) || return 2
  export KUBEBUILDER_ASSETS
  suite "$1"
}

# shown PID LOG: what runs apart, from its beginning to its end
shown() {
  tail -n +1 -f --pid="$1" "$2"
  wait "$1"
}

# Ends as a suite does, and with 2 when the cluster could not be made.
end_to_end_tests() {
  local last='' line
  while kill -0 "$setup_pid" 2> /dev/null; do
    line=$(tail -n 1 "$setup_log")
    if [[ $line != "$last" ]]; then say "cluster and image: $line"; fi
    last=$line
    sleep 1
  done
  if [[ ! -s $reports/image ]]; then
    tail -n 60 "$setup_log"
    say "the set-up of the end-to-end tests failed"
    return 2
  fi
  # by their names, as a person would call them; after Node, which must stay ours
  local name on_path=$reports/bin
  mkdir -p "$on_path"
  for name in kind helm kubectl; do ln -sfn "$("$TOOLS/get.sh" "$name")" "$on_path/$name"; done
  PATH=$bin:$on_path:$PATH
  KUBECONFIG=$(cat "$reports/kubeconfig")
  MURMURATION_E2E_IMAGE=$(cat "$reports/image")
  export PATH KUBECONFIG MURMURATION_E2E_IMAGE MURMURATION_E2E_CLUSTER=$cluster
  suite e2e
}

# The names of the tests that failed, so that nobody has to look for them.
failed_tests() {
  node - "$reports"/*.json << 'JS'
const { readFileSync } = require('node:fs');
for (const file of process.argv.slice(2)) {
  let report;
  try { report = JSON.parse(readFileSync(file, 'utf8')); } catch { continue; }
  for (const { assertionResults } of report.testResults)
    for (const { status, fullName, failureMessages: [why = ''] } of assertionResults)
      if (status === 'failed') console.log(`  ${fullName}: ${why.split('\n')[0]}`);
}
JS
}

# The sum over vitest's reports and the checks.
count() {
  node - "$checks_passed" "$checks_failed" "$reports"/*.json << 'JS'
const { readFileSync } = require('node:fs');
const [passed, failed, ...files] = process.argv.slice(2);
const sum = { passed: Number(passed), failed: Number(failed), skipped: 0 };
for (const file of files) {
  let report;
  try { report = JSON.parse(readFileSync(file, 'utf8')); } catch { continue; }
  sum.passed += report.numPassedTests;
  sum.failed += report.numFailedTests;
  sum.skipped += report.numPendingTests + (report.numTodoTests ?? 0);
}
console.log(`${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped`);
JS
}

begun=$(date +%s)
apart "$setup_log" set_up_cluster
setup_pid=$!

bin=$("$TOOLS/node.sh")
export PATH=$bin:$PATH
"$TOOLS/deps.sh"
if [[ ${1:-all} == all ]]; then
  check "type check" npx tsc -p tsconfig.json --noEmit
  check lint npx biome check .
  # alone: fleets in it learn in real time, and starve beside others
  run_suite unit suite unit
fi
apart "$reports/e2e.log" end_to_end_tests
e2e_pid=$!
if [[ ${1:-all} == all ]]; then run_suite "API server" with_api_server apiserver; fi
run_suite end-to-end shown "$e2e_pid" "$reports/e2e.log"
# after all else: it is about who comes when, and a busy machine is a fault of its own
if [[ ${1:-all} == all ]]; then run_suite fault with_api_server fault; fi
printf '\n'
if ((${#failed_names[@]} > 0)); then
  printf 'Failed:%s\n' "$(printf ' %s,' "${failed_names[@]}" | sed 's/,$//')"
  failed_tests
  printf 'Reports: %s\n' "$reports"
fi
printf 'Took %s.\n' "$(since "$begun")"
summary=$(count)
((${#failed_names[@]} == 0))
