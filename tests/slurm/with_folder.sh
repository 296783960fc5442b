#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Runs a test program with a folder and a cache of its own.
#   with_folder.sh PROGRAM
set -eu
command -v python3 > /dev/null || {
    echo "with_folder: there is no python3 on this machine" >&2
    [ -z "${CI:-}" ] || exit 1
    exit 77
}
folder=$(mktemp -d "${TMPDIR:-/tmp}/descpipe-slurm-XXXXXX")
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM
XDG_CACHE_HOME=$folder/cache
DESCPIPE_TEST_FOLDER=$folder
DESCPIPE_TEST_PYTHON=$(python3 -c 'import sys; print(sys.executable)') # itself, not a launcher that looks for it each time
export XDG_CACHE_HOME DESCPIPE_TEST_FOLDER DESCPIPE_TEST_PYTHON
mkdir -p "$XDG_CACHE_HOME"
"$@"
