#!/usr/bin/env bash
# node-base.sh PROGRAMS ROOTFS WORK TAG: kind's base image, made by its Dockerfile's
# steps (images/base/Dockerfile) on a root file system of packages.
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

programs=$1 rootfs=$2 base=$3/base tag=$4
kind_files=$(go list -C "$TOOLS/go" -m -f '{{.Dir}}' sigs.k8s.io/kind)/images/base/files
rm -rf "$base"
cp -a "$rootfs" "$base"

cp -r --no-preserve=mode,ownership "$kind_files/." "$base/"
chmod 755 "$base"/usr/local/bin/* "$base/kind" "$base/kind/bin" "$base"/kind/bin/*
install -m 755 "$programs"/{containerd,ctr,containerd-shim-runc-v2} "$base/usr/local/bin/"
install -D -m 755 -t "$base/opt/cni/bin" "$programs"/{host-local,loopback,ptp,portmap}
install -m 755 "$programs/kube" "$base/usr/bin/kube"
ln -s /usr/bin/kube "$base/usr/local/bin/crictl"

# systemd without what makes no sense in a container
rm -f "$base"/lib/systemd/system/sysinit.target.wants/systemd-tmpfiles-setup.service \
  "$base"/lib/systemd/system/multi-user.target.wants/* "$base"/etc/systemd/system/*.wants/* \
  "$base"/lib/systemd/system/local-fs.target.wants/* "$base"/lib/systemd/system/sockets.target.wants/*udev* \
  "$base"/lib/systemd/system/sockets.target.wants/*initctl* "$base"/lib/systemd/system/basic.target.wants/*
echo ReadKMsg=no >> "$base/etc/systemd/journald.conf"
ln -sf /usr/lib/systemd/systemd "$base/sbin/init"
chroot "$base" systemctl enable kubelet.service containerd.service undo-mount-hacks.service
chroot "$base" systemctl mask systemd-binfmt.service
mkdir -p "$base/etc/kubernetes/manifests"

# runc cannot lower oom_score_adj on a machine without CAP_SYS_RESOURCE
sed -i 's/restrict_oom_score_adj = false/restrict_oom_score_adj = true/' "$base/etc/containerd/config.toml"
chroot "$base" ctr oci spec |
  jq '.hooks.createContainer += [{"path": "/kind/bin/mount-product-files.sh"}] | del(.process.rlimits)' \
    > "$3/cri-base.json"
mv "$3/cri-base.json" "$base/etc/containerd/cri-base.json"

tar -C "$base" -c . | docker import - "$tag-files"
# `docker import` takes no STOPSIGNAL, so a second step that adds only metadata
DOCKER_BUILDKIT=0 docker build -q -t "$tag" - << DOCKERFILE
FROM $tag-files
ENV container=docker
STOPSIGNAL SIGRTMIN+3
ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]
DOCKERFILE
