#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Functions nobody may call: each has a safer twin in core/base or core/io. Comments and texts do not count.
set -eu
cd "$1"
failures=$(mktemp)
trap 'rm -f "$failures"' EXIT
words='strcpy|strcat|stpcpy|sprintf|vsprintf|gets|strtok|strtok_r|atoi|atol|atof|strncpy|strncat|sscanf|fscanf|scanf|system|popen|alloca|rand|random|srand|localtime|localtime_r|ctime|getenv|putenv|setenv|tmpnam|tempnam|mktemp|vfork|signal|usleep|sleep|nanosleep'
find core plugins registry -name '*.[ch]' | sort | while read -r file; do
    awk -v file="$file" -v words="$words" '
    {
        text = $0
        gsub(/\\"/, "", text); gsub(/"[^"]*"/, "\"\"", text)          # literals
        while (match(text, /\/\*[^*]*\*+([^\/*][^*]*\*+)*\//)) text = substr(text, 1, RSTART - 1) substr(text, RSTART + RLENGTH)
        if (inside) { if (!sub(/^.*\*\//, "", text)) next; inside = 0 }
        if (match(text, /\/\*/)) { text = substr(text, 1, RSTART - 1); inside = 1 }
        sub(/\/\/.*/, "", text)
        if (match(text, "(^|[^A-Za-z0-9_.>])(" words ")[[:space:]]*\\(")) printf "%s:%d: banned function: %s\n", file, NR, substr(text, RSTART, RLENGTH)
        if (file != "core/io/process.c" && match(text, /(^|[^A-Za-z0-9_.>])fork[[:space:]]*\(/)) printf "%s:%d: only core/io/process.c forks\n", file, NR
    }' "$file"
done >"$failures"
if [ -s "$failures" ]; then
    cat "$failures"
    exit 1
fi
echo "no banned function is called"
