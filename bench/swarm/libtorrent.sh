#!/usr/bin/env bash
# Prints the path of a python3 that has libtorrent (the wheel from the Python package
# index), in a virtual environment in the cache; made once.
source "$(dirname "${BASH_SOURCE[0]}")/../../tools/lib.sh"

VERSION=2.1.1
home=$CACHE/libtorrent-$VERSION

has_libtorrent() { [[ -x $1/bin/python3 ]] && "$1/bin/python3" -c 'import libtorrent' 2> /dev/null; }

install() {
  has_libtorrent "$home" && return
  if ! command -v python3 > /dev/null || ! python3 -c 'import venv, ensurepip' 2> /dev/null; then
    die "libtorrent needs python3 with venv and pip, which are not here." \
      "Install them (Debian: tools/apt.sh python3-venv), then run this again."
  fi
  rm -rf "$home"
  python3 -m venv "$home"
  patiently "fetching libtorrent $VERSION" "$CACHE/log/libtorrent.log" \
    "$home/bin/python3" -m pip install --quiet --only-binary :all: "libtorrent==$VERSION" ||
    {
      rm -rf "$home"
      die "libtorrent $VERSION could not be fetched with pip: there is no wheel for this Python and machine, or no package index." \
        "Use a Python that it has wheels for (3.9 to 3.13 on Linux), or run without libtorrent."
    }
  has_libtorrent "$home" || die "libtorrent $VERSION was installed, but cannot be loaded: $("$home/bin/python3" -c 'import libtorrent' 2>&1 | tail -1)"
}

once "libtorrent" install
printf '%s\n' "$home/bin/python3"
