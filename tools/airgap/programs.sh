#!/usr/bin/env bash
# Everything that a cluster without an image registry is made of, built at one go.
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
exec "$TOOLS/compile.sh" kube kind helm coredns pause containerd ctr containerd-shim-runc-v2 host-local loopback ptp portmap
