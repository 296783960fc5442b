#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Runs a test program against a Docker Engine of its own, with one image of busybox in it.
#   engine_test.sh PROGRAM
set -eu

tests=$(cd "$(dirname "$0")/.." && pwd -P)
folder=$(mktemp -d "${TMPDIR:-/tmp}/descpipe-docker-XXXXXX")
daemon=$tests/integration/docker_daemon.sh

finish() {
    "$daemon" stop "$folder/engine" || true
    rm -rf "$folder"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM

busybox=$(command -v busybox) || {
    echo "engine_test: there is no busybox on this machine" >&2
    [ -z "${CI:-}" ] || exit 1
    exit 77
}
status=0
"$daemon" start "$folder/engine" > "$folder/environment" || status=$?
[ "$status" = 0 ] || exit "$status"

api() {
    curl --silent --show-error --fail --unix-socket "$folder/engine/docker.sock" "$@"
}

mkdir -p "$folder/root/bin" "$folder/root/tmp" "$folder/root/etc"
cp "$busybox" "$folder/root/bin/busybox"
for applet in sh cat echo true false sleep id ls seq kill env pwd dd wc touch yes head trap; do
    ln -s busybox "$folder/root/bin/$applet"
done
printf 'not a program\n' > "$folder/root/bin/noexec"
chmod 644 "$folder/root/bin/noexec"
tar -C "$folder/root" -cf "$folder/root.tar" .
api --header 'Content-Type: application/x-tar' --data-binary @"$folder/root.tar" --output /dev/null \
    'http://localhost/images/create?fromSrc=-&repo=descpipe/busybox&tag=1&changes=ENV%20PATH%3D%2Fbin'
api --output "$folder/busybox.tar" 'http://localhost/images/descpipe/busybox:1/get'

unset DOCKER_HOST DOCKER_TLS_VERIFY DOCKER_CERT_PATH
DESCPIPE_TEST_DOCKER="unix://$folder/engine/docker.sock"
DESCPIPE_TEST_FOLDER=$folder
DESCPIPE_TEST_DAEMON=$daemon
export DESCPIPE_TEST_DOCKER DESCPIPE_TEST_FOLDER DESCPIPE_TEST_DAEMON
"$@"
