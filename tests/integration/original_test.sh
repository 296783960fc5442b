#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The original project's form of a pipeline, unchanged, on a real Docker Engine: `launcher: local` alone says how. Both forms of
# runtime.config, the file names, the folders and the mounts of that time.
#
#   original_test.sh PROGRAM
#
# Exit status: 0 passed, 1 failed, 77 something of the machine is missing (a failure when CI is set).
set -eu

here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$here/../.." && pwd)
program=${1:?usage: original_test.sh PROGRAM}
cache=${DESCPIPE_TESTBED_CACHE:-/var/cache/descpipe-testbed}

cannot() {
    echo "original_test: $*" >&2
    [ -z "${CI:-}" ] || exit 1
    exit 77
}
failed() {
    echo "original_test: $*" >&2
    exit 1
}
[ -x "$program" ] || failed "no program '$program'"
for tool in docker dockerd; do
    command -v "$tool" >/dev/null || cannot "no $tool here"
done
[ "$(id -u)" = 0 ] || cannot "needs root, for a Docker Engine of its own"
command -v debootstrap >/dev/null || ls "$cache"/sky-base-*.tar >/dev/null 2>&1 || cannot "no debootstrap and no base image in '$cache'"

folder=$(mktemp -d "${TMPDIR:-/tmp}/descpipe-original.XXXXXX")
stop() {
    "$here/docker_daemon.sh" stop "$folder/engine" || true
    rm -rf -- "$folder"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
status=0
"$here/docker_daemon.sh" start "$folder/engine" >"$folder/started" || status=$?
[ "$status" = 0 ] || exit "$status"
DOCKER_HOST=unix://$folder/engine/docker.sock
export DOCKER_HOST DOCKER_BUILDKIT=0
mkdir "$folder/run"
ln -s "$source/pipelines" "$folder/run/pipelines"
cd "$folder/run"
export XDG_CACHE_HOME="$folder/cache" XDG_STATE_HOME="$folder/state" XDG_CONFIG_HOME="$folder/config"

echo "== images"
"$source/pipelines/sky/make-base-image.sh" --owner joezuntz
for stage in tomography pz_stack treecorr; do
    docker build -q --build-arg user=joezuntz -t "joezuntz/desc-pipe-$stage:1.0" "pipelines/original/images/$stage" >/dev/null
done

for file in pipeline.yaml pipeline-config-folder.yaml; do
    echo "== $file"
    rm -rf work out
    "$program" run "pipelines/original/$file" || failed "$file ended with status $?"
    for output in tomographic-catalog.fits n_of_z.fits correlation-functions.fits; do
        [ "$(head -c 9 "out/original/$output")" = "SIMPLE  =" ] || failed "$file left no FITS file out/original/$output"
        [ -f "work/original/data/$output" ] || failed "$file left no work/original/data/$output"
    done
    [ -f work/original/tomography/input/photoz-catalog.fits ] || failed "$file: work/original/tomography/input is not laid as the original did"
    [ -f work/original/tomography/config/config.yaml ] || failed "$file: work/original/tomography/config is not laid as the original did"
    [ -f work/original/treecorr/output/correlation-functions.fits ] || failed "$file: work/original/treecorr/output does not hold what the stage wrote"
done
echo "passed"
