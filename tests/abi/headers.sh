#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# headers.sh FROM TO MAJOR MINOR: a copy of the plugin headers that says it is interface MAJOR.MINOR. From minor 7 on it has
# members that today's headers do not have, appended as the rules say.
set -eu
from=$1 to=$2 major=$3 minor=$4
mkdir -p "$to/descpipe"
for header in "$from"/descpipe/*.h; do
    awk -v major="$major" -v minor="$minor" '
    BEGIN {
        added["descpipe_host"] = "const char *newer_name;"
        added["descpipe_plugin"] = "const char *newer_homepage;"
        added["descpipe_runtime"] = "uint32_t (*newer_answer)(void *self);"
        added["descpipe_stage"] = "const char *newer_hint;"
        added["descpipe_form"] = "const char *newer_text;"
    }
    /^#define DESCPIPE_ABI_MAJOR / { print "#define DESCPIPE_ABI_MAJOR " major; next }
    /^#define DESCPIPE_ABI_MINOR / { print "#define DESCPIPE_ABI_MINOR " minor; next }
    /^struct [a-z_]+ \{$/ { inside = $2 }
    /^};$/ { if (minor >= 7 && inside in added) { print "    " added[inside]; count++ }; inside = "" }
    { print }' "$header" >"$to/descpipe/$(basename "$header").new"
    mv "$to/descpipe/$(basename "$header").new" "$to/descpipe/$(basename "$header")"
done
grep -q "define DESCPIPE_ABI_MINOR $minor\$" "$to/descpipe/types.h"
if [ "$minor" -ge 7 ]; then
    [ "$(cat "$to"/descpipe/*.h | grep -c newer_)" -eq 5 ]
fi
