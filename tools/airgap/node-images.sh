#!/usr/bin/env bash
# node-images.sh PROGRAMS ROOTFS OUT: makes the images that every node holds, as a
# Kubernetes server tarball (OUT/kubernetes-server.tar.gz) that `kind build
# node-image` takes. kind pulls only what it does not find in there, and looks by
# tag, so the tags are read from kind's own source and from kubeadm.
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

programs=$1 rootfs=$2 out=$3
kind_source=$(go list -C "$TOOLS/go" -m -f '{{.Dir}}' sigs.k8s.io/kind)
env='"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]'
images=$out/images
bin=$out/server/kubernetes/server/bin
mkdir -p "$bin"

tag() { # NAME FILE-IN-KIND: the whole reference, with the registry that kind expects
  grep -ohE "[a-z0-9.]+/$1:[^\"]+" "$kind_source/$2" | head -1
}
kubeadm_tags() {
  (exec -a kubeadm "$programs/kube" config images list --kubernetes-version "$KUBERNETES_VERSION" 2> /dev/null)
}

# One image for all of Kubernetes, for the pod network and for storage.
kubernetes_image() {
  local root=$images/kubernetes name library
  mkdir -p "$root"/{bin,etc,lib64,root,run,tmp,var,usr/bin,usr/sbin,usr/local/bin,usr/lib/x86_64-linux-gnu}
  chmod 1777 "$root/tmp"
  install -m 755 "$programs/kube" "$root/usr/bin/kube"
  # kubeadm runs kube-proxy by this path
  for name in etcd kube-apiserver kube-controller-manager kube-scheduler kube-proxy kindnetd local-path-provisioner; do
    ln -s /usr/bin/kube "$root/usr/local/bin/$name"
  done
  install -m 755 "$rootfs/bin/busybox" "$root/bin/busybox"
  ln -s busybox "$root/bin/sh"
  # iptables, its extensions, and the libraries of both: without libm the extension
  # `statistic` fails to load, and with it every service that has two endpoints
  cp -a "$rootfs"/usr/lib/*-linux-gnu/xtables "$root/usr/lib/x86_64-linux-gnu/"
  cp "$rootfs/usr/sbin/xtables-nft-multi" "$root/usr/sbin/"
  for name in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do
    ln -s xtables-nft-multi "$root/usr/sbin/$name"
  done
  chroot "$rootfs" sh -c 'ldd /usr/sbin/xtables-nft-multi /usr/lib/*-linux-gnu/xtables/*.so' |
    sed -n 's/.* => \(\/[^ ]*\).*/\1/p; s/^[[:space:]]*\(\/lib[^ ]*ld-[^ ]*\).*/\1/p' | sort -u |
    while read -r library; do
      mkdir -p "$root$(dirname "$library")"
      cp -L "$rootfs$library" "$root$library"
    done
}

single() { # IMAGE FILE PATH-IN-IMAGE
  mkdir -p "$images/$1"
  install -D -m 755 "$2" "$images/$1/$3"
}

kubernetes_image
single coredns "$programs/coredns" coredns
single pause "$programs/pause" pause
single helper "$rootfs/bin/busybox" bin/busybox
mkdir -p "$images/helper/tmp"
chroot "$images/helper" /bin/busybox --install -s /bin

# kind looks into these four files, whatever is in them
mapfile -t core < <(kubeadm_tags | grep -vE 'pause|coredns')
mapfile -t dns < <(kubeadm_tags | grep coredns)
((${#core[@]} >= 5 && ${#dns[@]} == 1)) || die "kubeadm named unexpected images: ${core[*]} ${dns[*]}"
archive=$TOOLS/airgap/archive.sh
"$archive" "$bin/kube-apiserver.tar" "$images/kubernetes" "{$env,\"Entrypoint\":[\"/usr/bin/kube\"],\"Cmd\":[\"kindnetd\"]}" \
  "${core[@]}" "$(tag kindest/kindnetd pkg/build/nodeimage/const_cni.go)" \
  "$(tag kindest/local-path-provisioner pkg/build/nodeimage/const_storage.go)"
"$archive" "$bin/kube-controller-manager.tar" "$images/coredns" "{$env,\"Entrypoint\":[\"/coredns\"]}" "${dns[0]}"
"$archive" "$bin/kube-scheduler.tar" "$images/pause" "{$env,\"Entrypoint\":[\"/pause\"]}" \
  "$(tag pause images/base/files/etc/containerd/config.toml)"
"$archive" "$bin/kube-proxy.tar" "$images/helper" "{$env,\"Cmd\":[\"sh\"]}" \
  "$(tag kindest/local-path-helper pkg/build/nodeimage/const_storage.go)"

# the node's own programs are calls of the one that the base image holds
for name in kubeadm kubelet kubectl; do
  printf '#!/bin/sh\nexec /usr/bin/kube %s "$@"\n' "$name" > "$bin/$name"
  chmod 755 "$bin/$name"
done
printf '%s\n' "$KUBERNETES_VERSION" > "$out/server/kubernetes/version"
tar -C "$out/server" -cf - kubernetes | gzip -1 > "$out/kubernetes-server.tar.gz"
