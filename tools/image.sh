#!/usr/bin/env bash
# image.sh tag                  prints a reference made from the files that go into the image
# image.sh base                 makes sure that the image it starts from is there
# image.sh build TARGET TAG     builds a target of the Dockerfile, when TAG is not there yet
# image.sh load TAG CLUSTER     brings TAG into the nodes that lack it
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

cd "$REPO"

tag() {
  local inputs=() path version
  # the same list that .dockerignore lets through
  while read -r path; do
    if [[ -e ${path#!} ]]; then inputs+=("$REPO/${path#!}"); fi
  done < <(grep '^!' .dockerignore)
  version=$(sed -n 's/^  "version": "\(.*\)",$/\1/p' package.json)
  printf 'murmuration:%s-%s\n' "$version" "$(key "$REPO/Dockerfile" "${inputs[@]}")"
}

base_image() {
  docker image inspect "$NODE_BASE_IMAGE" > /dev/null 2>&1 && return
  "$TOOLS/registry.sh" pull "$NODE_BASE_IMAGE" && return
  patiently "making $NODE_BASE_IMAGE from packages, once" "$CACHE/log/node-base-image.log" "$TOOLS/airgap/node-base-image.sh"
}

# Proxy settings of this shell hold for the build too, and stay out of the image.
build_arguments() {
  local name
  for name in HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy; do
    if [[ -n ${!name:-} ]]; then printf -- '--build-arg\n%s\n' "$name"; fi
  done
}

build() {
  local target=$1 tag=$2 arguments
  docker image inspect "$tag" > /dev/null 2>&1 && return
  "$TOOLS/image.sh" base
  mapfile -t arguments < <(build_arguments)
  # --network host: the build reaches what this machine reaches, by the same names
  local log=$CACHE/log/image-$target.log start pid status=0 step
  start=$(date +%s)
  say "building image $tag"
  DOCKER_BUILDKIT=0 docker build --network host --target "$target" --tag "$tag" \
    --label dev.murmuration.target="$target" "${arguments[@]}" . > "$log" 2>&1 &
  pid=$!
  while kill -0 "$pid" 2> /dev/null; do
    sleep 2
    step=$(grep -aE '^Step [0-9]+/' "$log" | tail -1 | cut -c1-70 || true)
    if ((($(date +%s) - start) % 10 < 2)); then say "building image: ${step:-reading files} ($(since "$start"))"; fi
  done
  wait "$pid" || status=$?
  if ((status != 0)); then
    tail -n 25 "$log" >&2
    die "docker build of target $target failed after $(since "$start"); whole log: $log"
  fi
  # images of earlier sources; a cluster holds its own copies
  docker image prune --all --force --filter label=dev.murmuration.target --filter until=24h > /dev/null || true
  say "built image $tag in $(since "$start")"
}

load() {
  local tag=$1 cluster=$2 kind
  kind=$("$TOOLS/get.sh" kind)
  # kind itself passes over the nodes that have this image already
  patiently "loading $tag into the nodes of \"$cluster\"" "$CACHE/log/kind-load.log" \
    "$kind" load docker-image --name "$cluster" "$tag" ||
    die "kind could not load $tag into the cluster \"$cluster\"." "Is it there? $kind get clusters"
}

case ${1:-} in
  tag) tag ;;
  build)
    "$TOOLS/docker.sh" start > /dev/null
    once "image-$2" build "$2" "$3"
    ;;
  load) load "$2" "$3" ;;
  base) once base-image base_image ;;
  *) die "usage: tools/image.sh tag | base | build TARGET TAG | load TAG CLUSTER" ;;
esac
