#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Runs a test program against a SLURM of its own.
#   testbed_test.sh PROGRAM
set -eu

tests=$(cd "$(dirname "$0")" && pwd -P)
folder=$(mktemp -d "${TMPDIR:-/tmp}/descpipe-slurm-XXXXXX")
chmod 755 "$folder"
finish() {
    "$tests/slurm_testbed.sh" stop "$folder/bed" || true
    rm -rf "$folder"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM

status=0
"$tests/slurm_testbed.sh" start "$folder/bed" > "$folder/started" || status=$?
[ "$status" = 0 ] || exit "$status"
SLURM_CONF=$folder/bed/slurm.conf
XDG_CACHE_HOME=$folder/cache
DESCPIPE_TEST_FOLDER=$folder
DESCPIPE_TEST_TESTBED=$tests/slurm_testbed.sh
export SLURM_CONF XDG_CACHE_HOME DESCPIPE_TEST_FOLDER DESCPIPE_TEST_TESTBED
mkdir -p "$XDG_CACHE_HOME"
"$@"
