#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Runs a test program against a Docker Engine and a registry that wants a login (joe, "blue sky"), both of its own.
#   images_test.sh PROGRAM
set -eu

tests=$(cd "$(dirname "$0")/.." && pwd -P)
folder=$(mktemp -d "${TMPDIR:-/tmp}/descpipe-registry-XXXXXX")
registry=

# shellcheck disable=SC2317 # called by the trap
finish() {
    if [ -n "$registry" ]; then
        kill "$registry" 2> /dev/null || true
        wait "$registry" 2> /dev/null || true
    fi
    rm -rf "$folder"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM

for tool in docker-registry htpasswd; do
    command -v "$tool" > /dev/null || {
        echo "images_test: there is no $tool on this machine (Debian: docker-registry, apache2-utils)" >&2
        [ -z "${CI:-}" ] || exit 1
        exit 77
    }
done
printf 'blue sky' | htpasswd -iBc -C 4 "$folder/htpasswd" joe 2> /dev/null
cat > "$folder/config.yml" << EOF_CONFIG
version: 0.1
log: {level: info}
storage: {filesystem: {rootdirectory: $folder/data}, delete: {enabled: true}}
http: {addr: "127.0.0.1:0", secret: x}
auth: {htpasswd: {realm: the sky, path: $folder/htpasswd}}
EOF_CONFIG
: > "$folder/log"
docker-registry serve "$folder/config.yml" >> "$folder/log" 2>&1 < /dev/null &
registry=$!
# It says where it listens; when it ends before, so does tail.
# shellcheck disable=SC2016 # expanded by the inner shell
place=$(timeout 60 sh -c 'tail --pid="$1" -n +1 -f "$2" | grep -m 1 -o "listening on 127\.0\.0\.1:[0-9]*"' sh "$registry" "$folder/log") || {
    cat "$folder/log" >&2
    exit 1
}
DESCPIPE_TEST_REGISTRY=${place#listening on }
DESCPIPE_TEST_REGISTRY_LOG=$folder/log
export DESCPIPE_TEST_REGISTRY DESCPIPE_TEST_REGISTRY_LOG
status=0
sh "$tests/docker/engine_test.sh" "$@" || status=$?
exit "$status"
