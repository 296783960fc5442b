#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A stage that does not mind SIGTERM leaves no container of Podman's, as root and as an ordinary user.
#   deaf_test.sh PROGRAM
#
# Exit status: 0 passed, 1 failed, 77 this machine lacks a tool or we are not root (a failure when CI is set).
set -eu
# shellcheck disable=SC2034 # begin.sh reads it
runtime=podman
program=${1:?usage: deaf_test.sh PROGRAM}
# shellcheck source=tests/runtimes/begin.sh
. "$(dirname "$0")/begin.sh"
[ "$(id -u)" = 0 ] || cannot "only root can try both root and an ordinary user"
make_images
make_tools
for who in caller ordinary; do
    # shellcheck disable=SC2016
    "as_$who" -c 'mkdir "$HOME/deaf" && cd "$HOME/deaf" && exec sh "$@"' sh "$tests/deaf_stages.sh" "$program" \
        "{scheduler: local, runtime: podman}" "docker-archive:$folder/images/probe.tar" podman ps --all --quiet ||
        failed "as $who (see above)"
done
echo "passed"
