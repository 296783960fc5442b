#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# offsets.sh HEADERS CC FROZEN-FOLDER: every size and offset and every constant of the interface as it was frozen for this
# version. Another layout or value is another interface: raise DESCPIPE_ABI_MINOR and add a folder. What there is now:
#     offsets.sh HEADERS CC - offsets      offsets.sh HEADERS CC - constants
set -eu
headers=$1 compiler=$2 frozen=$3
folder=$(mktemp -d "${TMPDIR:-/tmp}/descpipe-offsets-XXXXXX")
trap 'rm -rf "$folder"' EXIT
for what in offsets constants; do
    cat "$headers"/descpipe/*.h | awk -f "$(dirname "$0")/$what.awk" >"$folder/$what.c"
    "$compiler" -std=c99 -I"$headers" -o "$folder/$what" "$folder/$what.c"
    "$folder/$what" >"$folder/$what.txt"
done
if [ "$frozen" = - ]; then
    cat "$folder/$4.txt"
    exit 0
fi
# Every struct that the headers define is there: the readers must not lose one.
[ "$(cat "$headers"/descpipe/*.h | grep -c '^struct [a-z_0-9]* {$')" -eq "$(grep -c ' size ' "$folder/offsets.txt")" ]
# Every enum's constant stands with its value; the same words in comments and in #if do not have " = ".
[ "$(cat "$headers"/descpipe/*.h | sed 's,/\*.*,,' | grep -o 'DESCPIPE_[A-Z0-9_]* = ' | wc -l)" -eq \
    "$(grep -c ' -\{0,1\}[0-9]*$' "$folder/constants.txt")" ]
version=$(sed -n 's/^#define DESCPIPE_ABI_\(MAJOR\|MINOR\) //p' "$headers/descpipe/types.h" | paste -sd.)
if [ "$(getconf LONG_BIT)" != 64 ]; then
    echo "skipped: the frozen offsets are of machines with 64 bits"
    exit 77
fi
for what in offsets constants; do
    [ -f "$frozen/$version/$what.txt" ] || { echo "$frozen/$version/$what.txt is missing: freeze it"; exit 1; }
    if ! diff -u "$frozen/$version/$what.txt" "$folder/$what.txt"; then
        echo "the $what of interface $version have changed: raise DESCPIPE_ABI_MINOR and freeze the new ones"
        exit 1
    fi
done
