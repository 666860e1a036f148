#!/usr/bin/env bash
# Prints the image for the nodes of a kind cluster: kind's own where it is present or
# can be pulled, else one with the same parts built from Go modules and Debian
# packages. The latter is kept as a file too, so that a lost Docker data root costs a
# `docker load` and no second build.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

recipe=$(key "$TOOLS/airgap" "$TOOLS/go" "$TOOLS/compile.sh" "$TOOLS/node-image.sh" "$TOOLS/versions.env")
built=murmuration/kind-node:$KUBERNETES_VERSION-$recipe
file=$CACHE/kind-node-$recipe.tar

present() { docker image inspect "$1" > /dev/null 2>&1; }

build() {
  present "$built" && return
  if [[ -f $file ]] && patiently "loading the node image from the cache" "$CACHE/log/node-image.log" docker load -i "$file"; then
    return
  fi
  local begun work programs rootfs rootfs_pid
  begun=$(date +%s)
  say "no image registry can be reached: building Kubernetes from source, once, about $((600 / $(nproc) / 60 + 1)) min"
  # the root file system waits on the network and the disk, the compiler on the processor
  PROGRESS_FILE='' "$TOOLS/airgap/rootfs.sh" node > /dev/null 2> "$CACHE/log/rootfs.log" &
  rootfs_pid=$!
  programs=$("$TOOLS/airgap/programs.sh")
  wait "$rootfs_pid" || { cat "$CACHE/log/rootfs.log" >&2; return 1; }
  rootfs=$("$TOOLS/airgap/rootfs.sh" node)
  work=$CACHE/node-image.part
  rm -rf "$work"
  mkdir -p "$work"
  patiently "packing the images of a node" "$CACHE/log/node-images.log" \
    "$TOOLS/airgap/node-images.sh" "$programs" "$rootfs" "$work"
  patiently "making the base of a node" "$CACHE/log/node-base.log" \
    "$TOOLS/airgap/node-base.sh" "$programs" "$rootfs" "$work" "murmuration/kind-base:$recipe"
  patiently "kind build node-image" "$CACHE/log/node-image.log" \
    "$programs/kind" build node-image --type file "$work/kubernetes-server.tar.gz" \
    --base-image "murmuration/kind-base:$recipe" --image "$built"
  patiently "keeping the node image in the cache" "$CACHE/log/node-image-save.log" docker save -o "$file.part" "$built"
  mv "$file.part" "$file"
  rm -rf "$work"
  sweep "$file" 'kind-node-*'
  # older generations in the daemon, and names of steps; what is in use stays
  docker images --format '{{.Repository}}:{{.Tag}}' | grep -E '^murmuration/kind-(node|base):' | grep -vxF "$built" |
    xargs -r docker rmi > /dev/null 2>&1 || true
  say "built the node image in $(since "$begun")"
}

"$TOOLS/docker.sh" start > /dev/null
if present "$KIND_NODE_IMAGE"; then
  printf '%s\n' "$KIND_NODE_IMAGE"
elif present "$built"; then
  printf '%s\n' "$built"
elif [[ ! -f $file ]] && "$TOOLS/registry.sh" pull "$KIND_NODE_IMAGE"; then
  printf '%s\n' "$KIND_NODE_IMAGE"
else
  once node-image build
  printf '%s\n' "$built"
fi
