#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# "Nothing to do" is said without planning when all that planning looked at is as it was (core/run/again/up_to_date.h),
# so whoever looks at a file or a variable while planning tells the witness first, in the same function.
set -eu
cd "$1"
failures=$(mktemp)
trap 'rm -f "$failures"' EXIT
# Those that need not: FUNCTION (of FILE) and why.
exempt='
core/config/document.c read_file       the file is opened right behind, by file_open, which tells
core/pipeline/file_type.c file_type_check    looks at outputs of a stage, not at what is planned
core/pipeline/rules.c check_path       only refuses; what an input holds is in the identity of who takes it
core/pipeline/rules.c may_be_on_a_volume     only refuses, as check_path
core/pipeline/sections.c read_image_folders  only warns; stage_folder_find tells of each folder it looks for
core/plugin/conformance.c *            no run looks with it
core/plugin/conformance_child.c *      no run looks with it
core/plugin/policy.c read_trusted_directories  says whom to believe, and only refuses
core/plugin/trust.c *                  says whom to believe, and only refuses
core/plugin/service_process.c process_service_find  the tool of a plugin, on PATH, by which who asks is told apart
core/plan/here.c check_mounts          only refuses: what lies in a mount decides nothing
core/plan/here.c check_secret          only refuses: what a secret is decides nothing
core/plan/seen.c check_here            only refuses; what an input holds is in the identity of who takes it
'
# What who asks is told apart by anyway.
asked=core/run/again/up_to_date_ask.c
variables=
[ ! -f "$asked" ] || variables=$(sed -n 's/.*static const char \*const names\[\] = {\("PATH".*\)};.*/\1/p' "$asked" | tr -d '" ' | tr ',' '|')
words='stat|lstat|fstatat|statx|access|faccessat|eaccess|euidaccess|open|openat|fopen|opendir|fdopendir|scandir|glob|ftw|nftw|readlink|readlinkat|realpath|path_real|getcwd|secure_getenv|process_find'
for folder in config pipeline plugin plan; do
    [ -d "core/$folder" ] && find "core/$folder" -name '*.[ch]'
done | sort | while read -r file; do
    awk -v file="$file" -v words="$words" -v variables="$variables" -v exempt="$exempt" '
    BEGIN {
        lines = split(exempt, line, "\n")
        for (i = 1; i <= lines; i++) { split(line[i], part, " "); if (part[1] == file) free[part[2]] = 1 }
    }
    /^[A-Za-z][A-Za-z0-9_ *]*[ *][a-z_0-9]+\(/ {
        name = $0; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name); told = 0
    }
    {
        text = $0
        while (match(text, /\/\*[^*]*\*+([^\/*][^*]*\*+)*\//)) text = substr(text, 1, RSTART - 1) substr(text, RSTART + RLENGTH)
        if (inside) { if (!sub(/^.*\*\//, "", text)) next; inside = 0 }
        if (match(text, /\/\*/)) { text = substr(text, 1, RSTART - 1); inside = 1 }
        if (text ~ /(^|[^A-Za-z0-9_])witness_(saw|asked)\(/) told = 1
        gsub(/path_real\("\."|getcwd\(NULL/, "", text)
        if (variables != "") gsub("secure_getenv\\(\"(" variables ")\"", "", text)
        gsub(/\\"/, "", text); gsub(/"[^"]*"/, "\"\"", text)
        if (!match(text, "(^|[^A-Za-z0-9_.>])(" words ")\\(")) next
        if (text ~ /^[A-Za-z]/ || told || (name in free) || ("*" in free)) next
        printf "%s:%d: %s looks without telling the witness (or saying in tests/architecture/witness.sh why it need not): %s\n", file, NR, name, substr(text, RSTART, RLENGTH)
    }' "$file"
done >"$failures"
# What is exempt must still be there to be exempt.
[ ! -f core/plan/plan.h ] || printf '%s\n' "$exempt" | while read -r file name _; do
    [ -z "$file" ] && continue
    if [ ! -f "$file" ]; then
        echo "$file: exempt, and not there"
    elif [ "$name" != '*' ] && ! grep -qE "(^|[ *])$name\(" "$file"; then
        echo "$file: $name is exempt, and not there"
    fi
done >>"$failures"
if [ -s "$failures" ]; then
    cat "$failures"
    exit 1
fi
echo "planning looks at nothing untold"
