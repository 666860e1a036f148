#!/usr/bin/env bash
# apt.sh PACKAGE...: installs Debian packages, as root, one caller at a time.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

install() {
  local apt=(apt-get -y -q -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0)
  export DEBIAN_FRONTEND=noninteractive
  # a daemon of our own is started with our own flags, so not by its package
  RUNLEVEL=1 "${apt[@]}" install --no-install-recommends "$@" && return
  "${apt[@]}" update
  RUNLEVEL=1 "${apt[@]}" install --no-install-recommends "$@"
}

if ! command -v apt-get > /dev/null || [[ $(id -u) != 0 ]]; then
  say "cannot install $* here: that needs apt-get and root"
  exit 1
fi
once apt patiently "installing $*" "$CACHE/log/apt.log" install "$@"
