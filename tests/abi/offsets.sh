#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# offsets.sh HEADERS CC FROZEN-FOLDER: every size and offset of the interface as it was frozen for this version. Another layout
# is another interface: raise DESCPIPE_ABI_MINOR and add a folder. `offsets.sh HEADERS CC -` prints what there is.
set -eu
headers=$1 compiler=$2 frozen=$3
folder=$(mktemp -d "${TMPDIR:-/tmp}/descpipe-offsets-XXXXXX")
trap 'rm -rf "$folder"' EXIT
cat "$headers"/descpipe/*.h | awk -f "$(dirname "$0")/offsets.awk" >"$folder/offsets.c"
"$compiler" -std=c99 -I"$headers" -o "$folder/offsets" "$folder/offsets.c"
"$folder/offsets" >"$folder/offsets.txt"
if [ "$frozen" = - ]; then
    cat "$folder/offsets.txt"
    exit 0
fi
# Every struct that the headers define is there: the reader above must not lose one.
[ "$(cat "$headers"/descpipe/*.h | grep -c '^struct [a-z_0-9]* {$')" -eq "$(grep -c ' size ' "$folder/offsets.txt")" ]
version=$(sed -n 's/^#define DESCPIPE_ABI_\(MAJOR\|MINOR\) //p' "$headers/descpipe/types.h" | paste -sd.)
if [ "$(getconf LONG_BIT)" != 64 ]; then
    echo "skipped: the frozen offsets are of machines with 64 bits"
    exit 77
fi
[ -f "$frozen/$version/offsets.txt" ] || { echo "$frozen/$version/offsets.txt is missing: freeze it"; exit 1; }
if ! diff -u "$frozen/$version/offsets.txt" "$folder/offsets.txt"; then
    echo "the layout of interface $version has changed: raise DESCPIPE_ABI_MINOR and freeze the new one"
    exit 1
fi
