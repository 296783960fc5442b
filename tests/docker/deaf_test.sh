#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A stage that does not mind SIGTERM leaves no container when the docker client that runs it is killed.
#   engine_test.sh deaf_test.sh DESCPIPE
set -eu
command -v docker >/dev/null || {
    echo "deaf_test: there is no docker client on this machine" >&2
    [ -z "${CI:-}" ] || exit 1
    exit 77
}
mkdir "$DESCPIPE_TEST_FOLDER/deaf"
cd "$DESCPIPE_TEST_FOLDER/deaf"
export OWN_ENGINE=yes XDG_STATE_HOME="$PWD/state" XDG_CONFIG_HOME="$PWD/config"
sh "$(dirname "$0")/../runtimes/deaf_stages.sh" "$1" \
    "{scheduler: local, runtime: {use: docker, form: client, host: \"$DESCPIPE_TEST_DOCKER\"}}" descpipe/busybox:1 \
    docker --host "$DESCPIPE_TEST_DOCKER" ps --all --quiet
