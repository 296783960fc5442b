#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The first pipeline a person runs, with no engine, no registry and no network; also from a folder with blanks in its name.
#
#   quickstart_test.sh PROGRAM     PROGRAM is the descpipe to test, with its plugins beside it
#
# Exit status: 0 passed, 1 failed, 77 there is no bubblewrap here (a failure when CI is set).
set -eu

source=$(cd "$(dirname "$0")/../.." && pwd)
program=${1:?usage: quickstart_test.sh PROGRAM}
case $program in
/*) ;;
*) program=$PWD/$program ;;
esac

failed() {
    echo "quickstart_test: $*" >&2
    exit 1
}
[ -x "$program" ] || failed "no program '$program'"
if ! command -v bwrap >/dev/null; then
    echo "quickstart_test: no bwrap here (Debian: bubblewrap)" >&2
    [ -z "${CI:-}" ] || exit 1
    exit 77
fi

folder=$(mktemp -d "${TMPDIR:-/tmp}/descpipe-quickstart.XXXXXX")
trap 'rm -rf -- "$folder"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
export XDG_CACHE_HOME="$folder/cache" XDG_STATE_HOME="$folder/state" XDG_CONFIG_HOME="$folder/config"

for name in plain "with blanks"; do
    mkdir "$folder/$name"
    ln -s "$source/pipelines" "$folder/$name/pipelines"
    cd "$folder/$name"
    "$program" run pipelines/quickstart/pipeline.yaml >"$folder/output" 2>&1 || {
        cat "$folder/output" >&2
        failed "the run in '$name' ended with an error (its output is above)"
    }
    [ -s out/report.txt ] || failed "the run in '$name' left no out/report.txt"
    # The star was made with a period of 0.5668 days; the numbers of kept observations are those of the file.
    sed -n 4,6p out/report.txt >"$folder/periods"
    for line in 'g      0\.566[789][0-9]   0\.0[0-9]*         285' 'i      0\.566[789][0-9]   0\.0[0-9]*         283' \
        'r      0\.566[789][0-9]   0\.0[0-9]*         293'; do
        grep -qx "$line" "$folder/periods" || {
            cat out/report.txt >&2
            failed "out/report.txt of '$name' has no line like '$line' (it is above)"
        }
    done
    [ "$(grep -c '\*$' out/report.txt)" = 36 ] || failed "out/report.txt of '$name' has not twelve steps for each of three bands"
    for band in g r i; do
        [ -s "work/data/folded/$band.csv" ] || failed "the run in '$name' published no work/data/folded/$band.csv"
    done
done
echo "passed"
