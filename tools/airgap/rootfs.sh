#!/usr/bin/env bash
# rootfs.sh slim|node: prints a folder with a Debian root file system, made from
# packages once. `slim` is what images start from, `node` has in addition what a
# kind node runs on.
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

home=$CACHE/rootfs-$(key "$TOOLS/airgap/rootfs.sh" "$TOOLS/versions.env")

# kind's own list (images/base/Dockerfile) less nfs-common, open-iscsi and
# fuse-overlayfs, which nothing here uses; plus runc, which kind compiles with cgo,
# and busybox for the images without a distribution.
node_packages=(systemd systemd-sysv dbus conntrack iptables nftables iproute2 ethtool util-linux mount kmod
  libseccomp2 pigz e2fsprogs bash ca-certificates curl jq procps runc busybox-static)

# The mirror that this machine uses; debootstrap knows one by itself otherwise.
mirror() {
  apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2> /dev/null | grep -m1 '/debian/$' || true
}

trim() {
  rm -rf "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/* "$1"/var/log/*.log "$1"/var/log/apt \
    "$1"/usr/share/{doc,man,locale,info}/*
}

slim() {
  [[ -d $home/slim ]] && return
  [[ $(id -u) == 0 ]] ||
    die "No image registry can be reached, and building images from packages needs root." \
      "Run as root, or use a cluster you have: CLUSTER=current make up"
  command -v debootstrap > /dev/null || "$TOOLS/apt.sh" debootstrap ||
    die "No image registry can be reached, and debootstrap to build images with is missing." \
      "apt-get install debootstrap"
  mkdir -p "$home"
  rm -rf "$home/slim.part"
  local from
  from=$(mirror)
  patiently "unpacking a Debian $DEBIAN_RELEASE, once" "$CACHE/log/debootstrap.log" \
    debootstrap --variant=minbase --include=ca-certificates "$DEBIAN_RELEASE" "$home/slim.part" ${from:+"$from"} ||
    die "debootstrap of Debian $DEBIAN_RELEASE failed." "Is a Debian mirror reachable? Try: apt-get update"
  cp -a "$home/slim.part/var/lib/apt/lists" "$home/lists" # spares the next step a download
  trim "$home/slim.part"
  mv "$home/slim.part" "$home/slim"
  sweep "$home" 'rootfs-*'
}

node() {
  [[ -d $home/node ]] && return
  slim
  rm -rf "$home/node.part"
  cp -a "$home/slim" "$home/node.part"
  cp -a "$home/lists/." "$home/node.part/var/lib/apt/lists/"
  patiently "installing what a cluster node needs, once" "$CACHE/log/node-packages.log" \
    env DEBIAN_FRONTEND=noninteractive chroot "$home/node.part" \
    apt-get install -y -q --no-install-recommends -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-unsafe-io "${node_packages[@]}" ||
    die "Installing packages into $home/node.part failed."
  trim "$home/node.part"
  mv "$home/node.part" "$home/node"
}

case ${1:-} in
  slim | node) [[ -d $home/$1 ]] || once rootfs "$1" ;;
  *) die "usage: tools/airgap/rootfs.sh slim|node" ;;
esac
printf '%s\n' "$home/$1"
