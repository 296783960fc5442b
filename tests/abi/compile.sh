#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# compile.sh HEADERS STANDARD COMPILER...: each public header alone, pedantically. Skipped visibly without a compiler.
set -eu
headers=$1 standard=$2
shift 2
case $standard in c++*) language=c++ ;; *) language=c ;; esac
for compiler in "$@"; do
    command -v "$compiler" >/dev/null || continue
    for header in "$headers"/descpipe/*.h; do
        "$compiler" -x "$language" -std="$standard" -pedantic-errors -Wall -Wextra -Werror -I"$headers" -fsyntax-only "$header"
        # Twice is as good as once, and it is usable from a file of its own.
        printf '#include <descpipe/%s>\n#include <descpipe/%s>\nint main(void) { return 0; }\n' \
            "$(basename "$header")" "$(basename "$header")" |
            "$compiler" -x "$language" -std="$standard" -pedantic-errors -Wall -Wextra -Werror -I"$headers" -fsyntax-only -
    done
    echo "$standard: good with $compiler"
    done=1
done
[ -n "${done:-}" ] || { echo "skipped: none of $* is here"; exit 77; }
