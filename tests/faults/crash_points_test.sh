#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# crash_points.py with an image, the tool and an account of its own.
#   crash_points_test.sh RUNTIME PROGRAM PRELOAD [STRIDE]
# Exit status: 0 passed, 1 failed, 77 this machine lacks a tool or we are not root (a failure when CI is set).
set -eu
runtime=${1:?usage: crash_points_test.sh RUNTIME PROGRAM PRELOAD [STRIDE]}
program=${2:?usage: crash_points_test.sh RUNTIME PROGRAM PRELOAD [STRIDE]}
preload=${3:?usage: crash_points_test.sh RUNTIME PROGRAM PRELOAD [STRIDE]}
# shellcheck source=tests/runtimes/begin.sh
. "$(dirname "$0")/../runtimes/begin.sh"
[ "$(id -u)" = 0 ] || cannot "only root can set up what the tools need"
need python3
make_images
make_tools
# shellcheck disable=SC1091 # made by make_tools
. "$folder/root/environment"
mkdir "$folder/temporary"
export TMPDIR="$folder/temporary"
image=docker-archive:$folder/images/probe.tar
[ "$runtime" != native ] || image=rootfs:/ # else most steps are those of unpacking it
python3 "$tests/crash_points.py" "$program" "$preload" "$(dirname "$program")/plugins-built" local "$runtime" \
    "$image" "${4:-1}"
[ "$runtime" != podman ] || [ -z "$(podman ps --all --quiet)" ] || failed "containers are left: $(podman ps --all)"
