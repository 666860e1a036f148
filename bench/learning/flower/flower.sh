#!/usr/bin/env bash
# Prints the path of a python3 that has Flower (wheels from the Python package index), in
# a virtual environment in the cache; made once.
source "$(dirname "${BASH_SOURCE[0]}")/../../../tools/lib.sh"

VERSION=1.41.0
home=$CACHE/flwr-$VERSION

has_flower() { [[ -x $1/bin/python3 ]] && FLWR_TELEMETRY_ENABLED=0 "$1/bin/python3" -c 'import flwr.server, flwr.client, numpy' 2> /dev/null; }

install() {
  has_flower "$home" && return
  if ! command -v python3 > /dev/null || ! python3 -c 'import venv, ensurepip' 2> /dev/null; then
    die "Flower needs python3 with venv and pip, which are not here." \
      "Install them (Debian: tools/apt.sh python3-venv), then run this again."
  fi
  rm -rf "$home"
  python3 -m venv "$home"
  patiently "fetching Flower $VERSION (300 MB unpacked)" "$CACHE/log/flwr.log" \
    "$home/bin/python3" -m pip install --quiet --only-binary :all: "flwr==$VERSION" ||
    {
      rm -rf "$home"
      die "Flower $VERSION could not be fetched with pip: there is no wheel for this Python and machine, or no package index." \
        "Use a Python that it has wheels for (3.11 to 3.13 on Linux), or run with --flower none."
    }
  has_flower "$home" || die "Flower $VERSION was installed, but cannot be loaded: $("$home/bin/python3" -c 'import flwr.server, flwr.client' 2>&1 | tail -1)"
}

once "flwr" install
printf '%s\n' "$home/bin/python3"
