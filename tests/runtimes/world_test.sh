#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# One world in every runtime: the same stages on `native` and on another one, as root and as an ordinary user, see the same, but
# for what the table in plugins/runtime/README.md says, no more and no less; ends and signals arrive; nothing is left behind.
#
#   world_test.sh RUNTIME PROGRAM
#
# Exit status: 0 passed, 1 failed, 77 this machine lacks a tool or we are not root (a failure when CI is set).
set -eu
runtime=${1:?usage: world_test.sh RUNTIME PROGRAM}
program=${2:?usage: world_test.sh RUNTIME PROGRAM}
# shellcheck source=tests/runtimes/begin.sh
. "$(dirname "$0")/begin.sh"
[ "$(id -u)" = 0 ] || cannot "only root can try both root and an ordinary user"
make_images
make_tools

# What differs: the keys of two worlds; what the doctor says differs from every runtime.
differences() {
    diff "$1" "$2" | sed -n 's/^[<>] \([^:]*\):.*/\1/p' | sort -u
}
said_to_differ() {
    sed -n 's/.*"what":"\([^"]*\)".*"differs":true.*/\1/p' "$1" | sort -u
}
: >"$folder/differ"
for who in caller ordinary; do
    for each in native "$runtime"; do
        "as_$who" "$tests/stages.sh" "$program" "$each" "$folder/images" ||
            failed "the stages on '$each' as $who failed (see above)"
    done
    [ "$who" = caller ] && home=$folder/root/home || home=$folder/user/home
    differences "$home/native.world" "$home/$runtime.world" >"$folder/seen"
    said_to_differ "$home/$runtime.doctor" >"$folder/said"
    cat "$folder/seen" "$folder/said" >>"$folder/differ"
    diff "$home/native.world" "$home/$runtime.world" >"$folder/$who.diff" || true
    grep '"differs":true' "$home/$runtime.doctor" >"$folder/$who.doctor" || true
    # The doctor is the measure for all, and misses nothing of what it knows about.
    [ "$(grep -c '"what"' "$home/native.doctor")" -gt 70 ] || failed "the doctor looked at too little as $who"
    [ -z "$(said_to_differ "$home/native.doctor")" ] || {
        grep '"differs":true' "$home/native.doctor"
        failed "native, as $who, is not as in every runtime (above)"
    }
    while read -r key; do
        if grep -qF "\"what\":\"$key\"" "$home/$runtime.doctor" && ! grep -qxF "$key" "$folder/said"; then
            failed "as $who '$key' differs from native, and the doctor says nothing"
        fi
    done <"$folder/seen"
done

# | key; key | runtime, runtime | why |
sed -n 's/^| \([^|]*[^| ]\) *| \([^|]*\) |.*/\1|\2/p' "$source_folder/plugins/runtime/README.md" |
    awk -F'|' -v runtime="$runtime" '{
        count = split($2, names, /[, ]+/)
        for (i = 1; i <= count; i++)
            if (names[i] == runtime) { keys = split($1, key, /; */); for (k = 1; k <= keys; k++) print key[k] }
    }' |
    sort -u >"$folder/listed"
sort -u -o "$folder/differ" "$folder/differ"
diff "$folder/listed" "$folder/differ" >"$folder/verdict" || {
    tail -n +1 "$folder"/*.diff "$folder"/*.doctor
    echo "< listed for $runtime in plugins/runtime/README.md, > seen to differ:"
    cat "$folder/verdict"
    failed "the table and the worlds are not the same"
}

# Nothing lasts: no container, no process, no mount (the tools' own storage may be mounted), no half-made image.
if [ "$runtime" = podman ]; then
    left=$(as_caller -c 'podman ps --all --quiet'; as_ordinary -c 'podman ps --all --quiet')
    [ -z "$left" ] || failed "containers are left behind: $left"
fi
if [ "$runtime" = docker ]; then
    left=$(curl -sf --unix-socket "$folder/engine/docker.sock" 'http://localhost/containers/json?all=1')
    [ "$left" = "[]" ] || failed "containers are left behind: $left"
fi
! cut -d' ' -f5 /proc/self/mountinfo | grep -F "$folder/" | grep -v -e '/containers/storage' -e '/engine/' || failed "mounts are left behind (above)"
half=$(find "$folder" -path '*/temporary/*' -maxdepth 7 -newer "$tests/begin.sh" 2>/dev/null | grep -v '/locks/' || true)
[ -z "$half" ] || failed "half-made images are left behind: $half"
echo "passed"
