#!/usr/bin/env bash
# get.sh kind|helm|kubectl: prints the path of the program: PATH's when it is new
# enough, else one built from Go modules.
# get.sh envtest: prints a folder with kube-apiserver, etcd and kubectl; a
# KUBEBUILDER_ASSETS that is set already is honoured.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# on_path NAME MINIMUM VERSION-COMMAND...
on_path() {
  local name=$1 minimum=$2 path version
  shift 2
  path=$(command -v "$name") || return 1
  version=$("$path" "$@" 2> /dev/null | grep -oE 'v[0-9]+\.[0-9]+\.[0-9]+' | head -1) || return 1
  at_least "$minimum" "$version" && printf '%s\n' "$path"
}

# as NAME FILE: FILE under its right name, which the multicall program acts by
as() {
  local folder=$CACHE/bin/$1
  mkdir -p "$folder"
  ln -sfn "$2" "$folder/$1"
  printf '%s\n' "$folder/$1"
}

# is_there PROGRAM: built already?
is_there() { [[ -x $("$TOOLS/compile.sh")/$1 ]]; }

# Where no image registry can be reached, the cluster will be made from source, and
# then this program is best built together with all the rest. No daemon is started
# just to find out.
from_source() {
  [[ ${CLUSTER:-} != current ]] && docker info > /dev/null 2>&1 && ! "$TOOLS/registry.sh" reachable
}

# built PROGRAM: prints the path of the program
built() {
  local folder
  if ! is_there "$1" && from_source; then
    folder=$("$TOOLS/airgap/programs.sh")
  else
    folder=$("$TOOLS/compile.sh" "$1")
  fi
  printf '%s\n' "$folder/$1"
}

# kube VARIANT: the whole of Kubernetes when it is there or needed anyhow, else just
# the part that is asked for.
kube() {
  if is_there kube || { ! is_there "kube-$1" && from_source; }; then built kube; else built "kube-$1"; fi
}

case ${1:-} in
  kind) on_path kind "$KIND_MINIMUM" version || as kind "$(built kind)" ;;
  helm) on_path helm "$HELM_MINIMUM" version || as helm "$(built helm)" ;;
  kubectl) on_path kubectl "$KUBECTL_MINIMUM" version --client || as kubectl "$(kube kubectl)" ;;
  envtest)
    if [[ -x ${KUBEBUILDER_ASSETS:-}/kube-apiserver && -x $KUBEBUILDER_ASSETS/etcd ]]; then
      printf '%s\n' "$KUBEBUILDER_ASSETS"
      exit
    fi
    program=$(kube envtest)
    mkdir -p "$CACHE/bin/envtest"
    for name in kube-apiserver etcd kubectl; do ln -sfn "$program" "$CACHE/bin/envtest/$name"; done
    printf '%s\n' "$CACHE/bin/envtest"
    ;;
  *) die "usage: tools/get.sh kind|helm|kubectl|envtest" ;;
esac
