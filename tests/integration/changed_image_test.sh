#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A stage whose image's archive has changed runs, however soon, and both digests are said; one whose root folder has another name too.
#
#   changed_image_test.sh PROGRAM
#
# Exit status: 0 passed, 1 failed, 77 there is no bubblewrap, busybox or python3 here (a failure when CI is set).
set -eu

program=${1:?usage: changed_image_test.sh PROGRAM}
make_image=$(cd "$(dirname -- "$0")/../runtimes" && pwd)/make_image.py
failed() {
    echo "changed_image_test: $*" >&2
    exit 1
}
for tool in bwrap busybox python3; do
    command -v "$tool" >/dev/null && continue
    echo "changed_image_test: no $tool here" >&2
    [ -z "${CI:-}" ] || exit 1
    exit 77
done
folder=$(mktemp -d "${TMPDIR:-/tmp}/descpipe-changed.XXXXXX")
trap 'rm -rf -- "$folder"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
cd "$folder"
export XDG_CACHE_HOME="$folder/cache" XDG_STATE_HOME="$folder/state" XDG_CONFIG_HOME="$folder/config"

mkdir -p one/bin image
cp "$(command -v busybox)" one/bin/busybox
ln -s busybox one/bin/sh
cp -a one two
make_archive() { # → the digest of its configuration, by which it is known
    tar -C one -cf image/layer.tar .
    python3 "$make_image" image
    touch -d '-1 hour' image/probe.tar # or no run would leave what it knows: it may be written once more
    python3 -c 'import json, tarfile; print(json.load(tarfile.open("image/probe.tar").extractfile("manifest.json"))[0]["Config"][:64])'
}
cat >pipeline.yaml <<'END'
pipeline: {name: changed, stages: [archive, root]}
backends: {default: {scheduler: sequential, runtime: native}}
archive: {image: "docker-archive:image/probe.tar", outputs: {a: txt}, command: [/bin/sh, -c, 'echo a >$DESC_OUTPUT/a.txt']}
root: {image: "rootfs:one", outputs: {r: txt}, command: [/bin/sh, -c, 'echo r >$DESC_OUTPUT/r.txt']}
END
touch -d '-1 hour' pipeline.yaml
before=$(make_archive)

run() { # WHAT IS TO BE SAID
    "$program" run -q pipeline.yaml >log 2>&1 || { cat log >&2; failed "a run failed"; }
    grep -q "$1" log || { cat log >&2; failed "the run does not say '$1' (what it says is above)"; }
}
why() { # COMMAND, WHAT IS TO BE SAID...
    # shellcheck disable=SC2086 # words
    "$program" $1 >log 2>&1 || { cat log >&2; failed "'$1' failed"; }
    shift
    for part in "$@"; do
        grep -qxF "$part" log || { cat log >&2; failed "no line '$part' above"; }
    done
    [ "$(grep -c ' → ' log)" -eq 1 ] || { cat log >&2; failed "not one change is said above"; }
}
run 'run succeeded: 2 succeeded'
# The plugins may have been linked a moment ago.
tries=0
until "$program" run -q pipeline.yaml 2>&1 | grep -q '^nothing to do: 2 stages are up to date'; do
    tries=$((tries + 1))
    [ "$tries" -lt 120 ] || failed "no run leaves what it knows"
    sleep 0.5
done

echo more >one/more
after=$(make_archive)
[ "$before" != "$after" ] || failed "the image is the same"
why 'plan pipeline.yaml --why' "  image: sha256:$before → sha256:$after" '1 would run, 1 cached'
run 'run succeeded: 1 succeeded, 1 cached'
why 'why archive' "  image: sha256:$before → sha256:$after"

sed -i 's/rootfs:one/rootfs:two/' pipeline.yaml
why 'plan pipeline.yaml --why' '  image: rootfs:one → rootfs:two' '1 would run, 1 cached'
run 'run succeeded: 1 succeeded, 1 cached'
why 'why root' '  image: rootfs:one → rootfs:two'
echo "passed"
