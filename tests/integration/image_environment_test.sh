#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The environment that an image's author set reaches a stage on `native` as it does in Docker, and the stage's own words win.
#
#   image_environment_test.sh PROGRAM
#
# Exit status: 0 passed, 1 failed, 77 there is no bubblewrap, busybox or python3 here (a failure when CI is set).
set -eu

program=${1:?usage: image_environment_test.sh PROGRAM}
failed() {
    echo "image_environment_test: $*" >&2
    exit 1
}
for tool in bwrap busybox python3; do
    command -v "$tool" >/dev/null && continue
    echo "image_environment_test: no $tool here" >&2
    [ -z "${CI:-}" ] || exit 1
    exit 77
done
folder=$(mktemp -d "${TMPDIR:-/tmp}/descpipe-environment.XXXXXX")
trap 'rm -rf -- "$folder"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
cd "$folder"
export XDG_CACHE_HOME="$folder/cache" XDG_STATE_HOME="$folder/state" XDG_CONFIG_HOME="$folder/config"

mkdir -p layer/bin
cp "$(command -v busybox)" layer/bin/busybox
ln -s busybox layer/bin/sh
ln -s busybox layer/bin/env
tar -C layer -cf layer.tar .
# A `docker save` archive by hand, so that its config holds exactly this.
python3 - <<'END'
import hashlib, io, json, tarfile
layer = open("layer.tar", "rb").read()
config = json.dumps({
    "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(__import__("platform").machine(), "amd64"), "os": "linux",
    "config": {"Env": ["PATH=/image/bin:/bin", "FROM_IMAGE=yes", "MINE=image", "DESC_SIZE=99", "no variable", "=nothing"]},
    "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]}}).encode()
name = hashlib.sha256(config).hexdigest() + ".json"
manifest = json.dumps([{"Config": name, "RepoTags": ["probe:1"], "Layers": ["layer.tar"]}]).encode()
with tarfile.open("probe.tar", "w") as archive:
    for entry, content in (("layer.tar", layer), (name, config), ("manifest.json", manifest)):
        info = tarfile.TarInfo(entry)
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
END
cat >pipeline.yaml <<'END'
pipeline: {name: environment, stages: [a]}
backends: {default: {scheduler: local, runtime: native}}
a:
  image: docker-archive:probe.tar
  outputs: {environment: txt}
  env: {MINE: stage}
  command: [sh, -c, "env >$DESC_OUTPUT/environment.txt"]
END
"$program" run pipeline.yaml >log 2>&1 || { cat log >&2; failed "the run failed"; }
for line in PATH=/image/bin:/bin FROM_IMAGE=yes MINE=stage DESC_SIZE=1; do
    grep -qx "$line" out/environment.txt || { cat out/environment.txt >&2; failed "no line $line in the stage's environment (it is above)"; }
done
! grep -q 'no variable\|^=\|image$\|=99' out/environment.txt || failed "the stage has what is no variable, or one that its own words replace"
echo "passed"
