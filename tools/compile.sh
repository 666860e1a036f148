#!/usr/bin/env bash
# compile.sh PROGRAM...: builds programs from Go modules into the cache, those that
# are not there yet, and prints the folder that holds them.
#   kind helm coredns pause containerd ctr containerd-shim-runc-v2
#   host-local loopback ptp portmap
#   kube            all of Kubernetes by name of call; also stands for the next two
#   kube-envtest    kube-apiserver, etcd, kubectl
#   kube-kubectl    kubectl
# All come from one module (tools/go), so that what they share is compiled once.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

module=$TOOLS/go
out=$CACHE/go-$(key "$module" "$TOOLS/compile.sh" "$TOOLS/versions.env")

package_of() {
  case $1 in
    kind) echo sigs.k8s.io/kind ;;
    helm) echo helm.sh/helm/v4/cmd/helm ;;
    coredns | pause) echo "./cmd/$1" ;;
    kube | kube-*) echo ./cmd/kube ;;
    containerd | ctr | containerd-shim-runc-v2) echo "github.com/containerd/containerd/v2/cmd/$1" ;;
    host-local) echo github.com/containernetworking/plugins/plugins/ipam/host-local ;;
    loopback | ptp) echo "github.com/containernetworking/plugins/plugins/main/$1" ;;
    portmap) echo github.com/containernetworking/plugins/plugins/meta/portmap ;;
    *) die "compile.sh: no program is called $1." ;;
  esac
}

# The versions are written where a person looks for them and where Go does.
check_versions() {
  local name want
  while read -r name want; do
    grep -qE "^(require )?[[:space:]]*$name $want( |\$)" "$module/go.mod" ||
      die "tools/versions.env wants $name $want, tools/go/go.mod does not." \
        "Run in tools/go: go get $name@$want"
  done << LIST
k8s.io/kubernetes $KUBERNETES_VERSION
sigs.k8s.io/kind $KIND_VERSION
helm.sh/helm/v4 $HELM_VERSION
github.com/containerd/containerd/v2 $CONTAINERD_VERSION
github.com/containernetworking/plugins $CNI_PLUGINS_VERSION
github.com/coredns/coredns $COREDNS_VERSION
LIST
}

# kubeadm refuses to work with a version that it does not know of itself.
kubernetes_flags() {
  local p=k8s.io/component-base/version v=${KUBERNETES_VERSION#v}
  printf -- '-X %s ' "$p.gitVersion=v$v" "$p.gitMajor=${v%%.*}" "$p.gitMinor=$(cut -d. -f2 <<< "$v")" \
    "$p.gitTreeState=clean" "$p.gitCommit=0000000000000000000000000000000000000000" "$p.buildDate=2026-01-01T00:00:00Z"
}

# build WHAT TAGS PACKAGE...: one `go build`, into $out.part
build() {
  local what=$1 tags="no_aufs no_zfs no_btrfs no_devmapper $2" start total pid status=0 line last=''
  shift 2
  start=$(date +%s)
  patiently "fetching Go modules for $what" "$CACHE/log/modules.log" \
    go list -C "$module" -deps -tags "$tags" "$@"
  total=$(grep -cv downloading "$CACHE/log/modules.log")
  go build -C "$module" -v -trimpath -tags "$tags" -o "$out.part/" -ldflags "-s -w $(kubernetes_flags) \
    -X helm.sh/helm/v4/internal/version.version=$HELM_VERSION \
    -X github.com/containerd/containerd/v2/version.Version=$CONTAINERD_VERSION" \
    "$@" > "$CACHE/log/compile.log" 2>&1 &
  pid=$!
  while kill -0 "$pid" 2> /dev/null; do
    sleep 1
    line="compiling $what, once: package $(wc -l < "$CACHE/log/compile.log") of $total"
    if ((($(date +%s) - start) % 5 == 0)) && [[ $line != "$last" ]]; then
      say "$line ($(since "$start"))"
      last=$line
    fi
  done
  wait "$pid" || status=$?
  if ((status != 0)); then
    grep -v '^[a-z0-9.-]*/[^ ]*$' "$CACHE/log/compile.log" | tail -n 25 >&2
    die "compiling $what failed after $(since "$start"); whole log: $CACHE/log/compile.log"
  fi
  say "compiled $what in $(since "$start")"
}

compile() {
  local program what plain=() missing=()
  for program in "$@"; do
    [[ -x $out/$program ]] || missing+=("$program")
  done
  ((${#missing[@]} > 0)) || return 0
  command -v go > /dev/null ||
    die "${missing[*]} must be built from Go modules, and Go is not installed." \
      "Install Go 1.25 or newer, or put ${missing[*]} on PATH."
  check_versions
  export CGO_ENABLED=0 GOFLAGS='-mod=readonly -buildvcs=false' GOGC=${GOGC:-400}
  rm -rf "$out.part"
  mkdir -p "$out.part" "$out"
  for program in "${missing[@]}"; do
    case $program in
      kube-*)
        [[ -x $out/kube ]] && continue
        build "${program#kube-}" "${program#kube-}" ./cmd/kube
        mv "$out.part/kube" "$out.part/$program"
        ;;
      *) plain+=("$program") ;;
    esac
  done
  if ((${#plain[@]} > 0)); then
    what=${plain[*]}
    if [[ " $what " == *" kube "* ]]; then what="Kubernetes $KUBERNETES_VERSION and its tools"; fi
    local packages=()
    for program in "${plain[@]}"; do packages+=("$(package_of "$program")"); done
    build "$what" "" "${packages[@]}"
  fi
  mv "$out.part"/* "$out/" 2> /dev/null || true
  rmdir "$out.part"
  sweep "$out" 'go-*'
}

all_there() {
  local program
  for program in "$@"; do
    [[ -x $out/$program || ($program == kube-* && -x $out/kube) ]] || return 1
  done
}

all_there "$@" || once compile compile "$@"
printf '%s\n' "$out"
