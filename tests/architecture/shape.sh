#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The shape of the tree: the owner's top level, a licence line in every source, no crowded names, no file past its size.
set -eu
cd "$1"
failures=$(mktemp)
trap 'rm -f "$failures"' EXIT
allowed='CMakeLists.txt CMakePresets.json LICENSE README.md core plugins plugin-api registry pipelines tests packaging'
generated='build out work'
for entry in *; do
    case " $allowed $generated " in
    *" $entry "*) ;;
    *) echo "$entry: not part of the top level that the owner fixed" ;;
    esac
done >>"$failures"
find core plugins registry plugin-api tests -name '*.[ch]' -not -path '*/build/*' | sort | while read -r file; do
    head -n 2 "$file" | grep -q 'SPDX-License-Identifier: BSD-3-Clause' || echo "$file: no SPDX line at its top"
    case ${file##*/} in
    *util* | *misc* | *common* | *manager*) echo "$file: a name that says nothing" ;;
    esac
    lines=$(wc -l <"$file")
    [ "$lines" -le 750 ] || echo "$file: $lines lines; split it by what it does (about 600 is the mark)"
done >>"$failures"
if [ -s "$failures" ]; then
    cat "$failures"
    exit 1
fi
echo "the tree has its shape"
