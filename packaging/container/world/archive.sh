#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The probe's image, as `docker save` writes one: the static program, folders that tools bind into, and a configuration whose entry
# point would fail, so that a runtime which does not replace it is noticed. The same program gives the same bytes.
#   archive.sh PROGRAM ARCHITECTURE ARCHIVE
set -eu
program=$1 architecture=$2 archive=$3
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
pack() { # ARCHIVE FOLDER NAME...
    archived=$1
    shift
    tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --format=ustar -cf "$archived" -C "$@"
}
digest() { sha256sum "$1" | cut -d' ' -f1; }

mkdir -p "$folder/layer/bin" "$folder/layer/etc" "$folder/layer/tmp" "$folder/layer/var/tmp" "$folder/layer/opt" "$folder/layer/mnt" \
    "$folder/layer/dev" "$folder/layer/proc" "$folder/layer/sys" "$folder/image"
chmod -R 755 "$folder/layer"
chmod 1777 "$folder/layer/tmp" "$folder/layer/var/tmp"
cp "$program" "$folder/layer/bin/world"
printf 'root:x:0:0:root:/root:/bin/world\n' >"$folder/layer/etc/passwd"
printf 'root:x:0:\n' >"$folder/layer/etc/group"
chmod 755 "$folder/layer/bin/world"
chmod 644 "$folder/layer/etc/passwd" "$folder/layer/etc/group"
pack "$folder/image/layer.tar" "$folder/layer" .
cat >"$folder/config" <<CONFIG
{"architecture": "$architecture", "os": "linux", "config": {"Env": ["PATH=/image/bin:/bin", "FROM_IMAGE=yes", "MINE=image", "DESC_SIZE=99"],
 "Entrypoint": ["/bin/world", "exit", "99"], "Cmd": ["never"], "WorkingDir": "/etc"}, "history": [{"created_by": "descpipe"}],
 "rootfs": {"type": "layers", "diff_ids": ["sha256:$(digest "$folder/image/layer.tar")"]}}
CONFIG
config=$(digest "$folder/config").json
mv "$folder/config" "$folder/image/$config"
printf '[{"Config": "%s", "RepoTags": ["descpipe/world:1"], "Layers": ["layer.tar"]}]' "$config" >"$folder/image/manifest.json"
chmod 644 "$folder/image/"*
# No "./" before the names: Apptainer looks for "manifest.json".
pack "$archive.new" "$folder/image" manifest.json "$config" layer.tar
mv "$archive.new" "$archive"
