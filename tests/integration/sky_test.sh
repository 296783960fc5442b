#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The sky pipeline on real data: once on a real Docker Engine, once on `native` from the same images exported as archives. Both must
# give the same FITS files, byte for byte.
#
#   sky_test.sh PROGRAM     PROGRAM is the descpipe to test, with its plugins beside it
#
# Exit status: 0 passed, 1 failed, 77 something of the machine is missing (a failure when CI is set).
set -eu

here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$here/../.." && pwd)
program=${1:?usage: sky_test.sh PROGRAM}
case $program in
/*) ;;
*) program=$PWD/$program ;;
esac
catalog=/usr/share/astrometry/index-tycho2-13.littleendian.fits
cache=${DESCPIPE_TESTBED_CACHE:-/var/cache/descpipe-testbed}

cannot() {
    echo "sky_test: $*" >&2
    [ -z "${CI:-}" ] || exit 1
    exit 77
}
failed() {
    echo "sky_test: $*" >&2
    exit 1
}

[ -x "$program" ] || failed "no program '$program'"
[ -r "$catalog" ] || cannot "no '$catalog' (Debian: astrometry-data-tycho2-10-19-littleendian)"
for tool in docker dockerd bwrap curl dpkg; do
    command -v "$tool" >/dev/null || cannot "no $tool here"
done
[ "$(id -u)" = 0 ] || cannot "needs root, for a Docker Engine of its own"
command -v debootstrap >/dev/null || ls "$cache"/sky-base-*.tar >/dev/null 2>&1 || cannot "no debootstrap and no base image in '$cache'"

folder=$(mktemp -d "${TMPDIR:-/tmp}/descpipe-sky.XXXXXX")
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
export DOCKER_HOST

# The pipeline's paths are relative to the folder it is run from; nothing is written into the checkout.
mkdir "$folder/run"
ln -s "$source/pipelines" "$folder/run/pipelines"
cd "$folder/run"
export XDG_CACHE_HOME="$folder/cache" XDG_STATE_HOME="$folder/state" XDG_CONFIG_HOME="$folder/config"

echo "== images"
"$source/pipelines/sky/build-images.sh" --archive work/images

for backend in docker native; do
    echo "== run on $backend"
    "$program" run pipelines/sky/pipeline.yaml --backend "$backend" --working "work/$backend" --output "out/$backend" ||
        failed "the run on $backend ended with status $?"
done

echo "== compare"
for file in tomographic-catalog.fits n_of_m.fits correlation-functions.fits; do
    for backend in docker native; do
        [ -s "out/$backend/$file" ] || failed "the run on $backend left no $file"
        [ "$(head -c 30 "out/$backend/$file")" = "SIMPLE  =                    T" ] || failed "$file of $backend is no FITS file"
    done
    cmp "out/docker/$file" "out/native/$file" || failed "$file differs between docker and native"
    echo "$file: the same, $(wc -c <"out/docker/$file") bytes"
done
grep -aq 'NAXIS2  =                48000' out/docker/tomographic-catalog.fits || failed "tomographic-catalog.fits has not all 48000 stars"
# Ten pairs of four bins, sixteen steps each.
grep -aq 'NAXIS2  =                  160' out/docker/correlation-functions.fits || failed "correlation-functions.fits has not 160 rows"
for backend in docker native; do
    [ "$(head -c 4 "out/$backend/correlation-plot.png" | tail -c 3)" = PNG ] || failed "the run on $backend left no plot"
done
echo "passed"
