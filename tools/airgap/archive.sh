#!/usr/bin/env bash
# archive.sh OUT.tar ROOT CONFIG TAG...: packs the folder ROOT as an image of one
# layer in the format of `docker save`. It needs no daemon and no builder. CONFIG is
# the image's config as JSON: Entrypoint, Cmd, Env.
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

out=$1 root=$2 config=$3
shift 3
work=$(mktemp -d "$out.XXXXXX")
trap 'rm -rf "$work"' EXIT

# owner, time and order are fixed, so that equal files give an equal image
fixed=(--owner=0 --group=0 --numeric-owner --mtime=@0 --sort=name)
tar -C "$root" "${fixed[@]}" -cf "$work/layer.tar" .
layer=$(sha256sum "$work/layer.tar" | cut -d' ' -f1)
mv "$work/layer.tar" "$work/$layer.tar"
case $(uname -m) in aarch64 | arm64) arch=arm64 ;; *) arch=amd64 ;; esac
cat > "$work/config.json" << JSON
{"architecture":"$arch","os":"linux","created":"1970-01-01T00:00:00Z","config":$config,
"rootfs":{"type":"layers","diff_ids":["sha256:$layer"]},"history":[{"created":"1970-01-01T00:00:00Z"}]}
JSON
id=$(sha256sum "$work/config.json" | cut -d' ' -f1)
mv "$work/config.json" "$work/$id.json"
tags=$(printf '"%s",' "$@")
printf '[{"Config":"%s.json","RepoTags":[%s],"Layers":["%s.tar"]}]' "$id" "${tags%,}" "$layer" > "$work/manifest.json"
tar -C "$work" "${fixed[@]}" -cf "$work/image.tar" manifest.json "$id.json" "$layer.tar"
mv "$work/image.tar" "$out"
