#!/usr/bin/env bash
# node-base-image.sh: makes an image called $NODE_BASE_IMAGE from packages, for a
# machine where the one of that name cannot be pulled: Debian, Node and npm.
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

rootfs=$("$TOOLS/airgap/rootfs.sh" slim)
work=$CACHE/node-base.part
rm -rf "$work"
cp -a "$rootfs" "$work"
home=$CACHE/node-$NODE_VERSION
"$TOOLS/node.sh" --own > /dev/null
cp -L "$home/bin/node" "$work/usr/local/bin/node"
mkdir -p "$work/usr/local/lib/node_modules"
cp -r "$home/node_modules/npm" "$work/usr/local/lib/node_modules/npm"
ln -s ../lib/node_modules/npm/bin/npm-cli.js "$work/usr/local/bin/npm"
ln -s ../lib/node_modules/npm/bin/npx-cli.js "$work/usr/local/bin/npx"

# This machine may sit behind a proxy that inspects TLS: what it trusts, the build
# trusts. The bundle is a file of the base only, and goes into images as it is.
for bundle in "${SSL_CERT_FILE:-}" /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt; do
  if [[ -n $bundle && -r $bundle ]]; then
    cp -L "$bundle" "$work/etc/ssl/certs/ca-certificates.crt"
    break
  fi
done
tar -C "$work" -c . | docker import \
  --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt' \
  --change 'ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt' \
  --change 'LABEL murmuration.dev/stand-in=true' --change 'CMD ["node"]' - "$NODE_BASE_IMAGE"
rm -rf "$work"
