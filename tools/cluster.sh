#!/usr/bin/env bash
# cluster.sh create NAME: a kind cluster of three nodes; prints the path of its
# kubeconfig. Quick when it is there and well; one of that name that is not is made
# anew. cluster.sh delete NAME. cluster.sh exists NAME: exit code 0 or 1.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

action=${1:-} cluster=${2:-}
[[ -n $cluster ]] || die "usage: tools/cluster.sh create|delete|exists NAME"
kubeconfig=$CACHE/kubeconfig-$cluster

containers() { # names of the nodes of this cluster only, by kind's own label
  docker ps "$@" --filter "label=io.x-k8s.kind.cluster=$cluster" --format '{{.Names}}'
}

kind() {
  local program
  program=$("$TOOLS/get.sh" kind)
  KUBECONFIG=$kubeconfig "$program" "$@"
}

kubectl() {
  local program
  program=$("$TOOLS/get.sh" kubectl)
  "$program" --kubeconfig "$kubeconfig" "$@"
}

ready_nodes() {
  kubectl get nodes --request-timeout=3s --no-headers 2> /dev/null | grep -cw Ready || true
}

# usable SECONDS: do three nodes get ready in that time?
usable() {
  local begun
  begun=$(date +%s)
  [[ -s $kubeconfig ]] || return 1
  until [[ $(ready_nodes) == 3 ]]; do
    (($(date +%s) - begun < $1)) || return 1
    sleep 1
  done
}

# The kubelet of Kubernetes 1.35 refuses to start on cgroup v1 unless told otherwise.
config() {
  cat << YAML
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
nodes:
- role: control-plane
- role: worker
- role: worker
kubeadmConfigPatches:
- |
  kind: KubeletConfiguration
  apiVersion: kubelet.config.k8s.io/v1beta1
  failCgroupV1: false
YAML
}

# Each node takes about thirty inotify instances, and many systems allow 128 in all:
# the node that comes last then waits for ever for its container runtime ("too many
# open files"). The new limit holds until the next boot.
raise_inotify_limits() {
  local name now want
  while read -r name want; do
    now=$(cat "/proc/sys/fs/inotify/$name" 2> /dev/null) || continue
    ((now < want)) || continue
    if echo "$want" 2> /dev/null > "/proc/sys/fs/inotify/$name"; then
      say "raised fs.inotify.$name from $now to $want"
    else
      say "fs.inotify.$name is $now; if nodes do not get ready: sudo sysctl fs.inotify.$name=$want"
    fi
  done << LIMITS
max_user_instances 1024
max_user_watches 524288
LIMITS
}

create() {
  "$TOOLS/docker.sh" start > /dev/null
  local image
  if [[ -n $(containers -a) ]]; then
    if usable 2; then return; fi
    # nodes come back by themselves after a daemon's restart, in a while
    say "waiting for the nodes of cluster \"$cluster\" to come back"
    containers -a | xargs docker start > /dev/null 2>&1 || true
    # a node that was just started still counts as Ready for a while, so its pods tell
    if usable 45 && kubectl wait --for=condition=Ready pods --all -n kube-system --timeout=60s > /dev/null 2>&1; then return; fi
    say "cluster \"$cluster\" does not come back: making it anew"
    kind delete cluster --name "$cluster" > /dev/null 2>&1 || true
    containers -a | xargs -r docker rm -f -v > /dev/null
  fi
  rm -f "$kubeconfig"
  raise_inotify_limits
  image=$("$TOOLS/node-image.sh")
  config > "$CACHE/kind-$cluster.yaml"
  patiently "creating kind cluster \"$cluster\" of three nodes" "$CACHE/log/kind-$cluster.log" \
    kind create cluster --name "$cluster" --image "$image" --config "$CACHE/kind-$cluster.yaml" --wait 180s ||
    { kind delete cluster --name "$cluster" > /dev/null 2>&1 || true
      die "kind could not create the cluster \"$cluster\" from $image." "Run it again; if that does not help, read $CACHE/log/kind-$cluster.log"; }
  patiently "waiting for the cluster's own pods" "$CACHE/log/kind-$cluster-pods.log" \
    kubectl wait --for=condition=Ready nodes,pods --all --all-namespaces --timeout=180s ||
    die "Pods of cluster \"$cluster\" did not get ready:" "$(kubectl get pods -A | grep -v Running)"
}

delete() {
  rm -f "$CACHE/kind-$cluster.yaml"
  if docker info > /dev/null 2>&1 && [[ -n $(containers -a) ]]; then
    patiently "deleting kind cluster \"$cluster\"" "$CACHE/log/kind-$cluster.log" kind delete cluster --name "$cluster"
  fi
  rm -f "$kubeconfig"
}

case $action in
  create)
    once "cluster-$cluster" create
    printf '%s\n' "$kubeconfig"
    ;;
  delete) once "cluster-$cluster" delete ;;
  exists) docker info > /dev/null 2>&1 && [[ -n $(containers) ]] && usable 2 ;;
  *) die "usage: tools/cluster.sh create|delete|exists NAME" ;;
esac
