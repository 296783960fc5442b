#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Who may include whom, read from the #include lines: in core a folder includes only what stands to its left;
# plugin-api includes nothing of ours; plugins and registry only plugin-api (and registry where allowed); some
# libraries are seen by one file only.
set -eu
top=$1
cd "$top"
failures=$(mktemp)
trap 'rm -f "$failures"' EXIT

find core plugins registry plugin-api/include -name '*.[ch]' | sort | while read -r file; do
    grep -nE '^[[:space:]]*#[[:space:]]*include' "$file" | sed -E 's/^([0-9]+):[[:space:]]*#[[:space:]]*include[[:space:]]*([<"])([^>"]*)[>"].*/\1 \2 \3/' |
        while read -r line mark header; do
            printf '%s %s %s %s\n' "$file" "$line" "$mark" "$header"
        done
done | awk '
function fail(why) { printf "%s:%s: includes %s: %s\n", $1, $2, $4, why }
BEGIN {
    count = split("base io config pipeline plugin plan cache run report export command", folders, " ")
    for (i = 1; i <= count; i++) rank[folders[i]] = i
    only["yaml.h"] = "core/config/document"
    also["yaml.h", "plugins/scheduler/cluster/kubeconfig.c"] # the form that Kubernetes gave its files
    only["ltdl.h"] = "core/plugin/module"
    only["curl/curl.h"] = "core/io/http"
}
{
    split($1, part, "/")
    first = $4; sub(/\/.*/, "", first)
    for (library in only)
        if ($4 == library && index($1, only[library]) != 1 && !(($4, $1) in also)) fail("only " only[library] "*.c may")
    if (part[1] == "core") {
        mine = part[2] in rank ? rank[part[2]] : 99
        if ($4 ~ /^(plugins|registry)\// || $4 ~ /\.\.\//) fail("core never includes plugins/ or registry/")
        else if (index($4, "/") && first in rank && rank[first] > mine) fail(part[2] "/ stands to the left of " first "/")
        if ((part[2] == "report" || part[2] == "export") && $4 ~ /^run\/engine/) fail("reports never include the engine")
    } else if (part[1] == "plugin-api") {
        if ($3 == "\"" || !($4 ~ /^(descpipe\/|stdint\.h$|stddef\.h$)/)) fail("plugin-api includes only itself, stdint.h and stddef.h")
    } else if (part[1] == "plugins" || part[1] == "registry") {
        if (first in rank && index($4, "/")) fail("plugins never include core/")
        if (part[1] == "registry" && $4 ~ /^plugins\//) fail("registry/ stands to the left of plugins/")
        if ($4 ~ /^registry\// && part[1] == "plugins" && part[2] != "registry" && !(part[2] == "runtime" && ($4 == "registry/failure.h" || $4 == "registry/ownership.h" || part[3] == "native" || part[3] == "tool")))
            fail("only registry plugins, the native runtime and what runtimes share may use registry/")
        if ($4 ~ /\.\.\/\.\.\//) fail("a plugin stays in its own folder")
    }
}' >"$failures"
if [ -s "$failures" ]; then
    cat "$failures"
    exit 1
fi
echo "every include points to the left"
