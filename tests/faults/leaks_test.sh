#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# leaks.py with an image, the tool and an account of its own.
#   leaks_test.sh RUNTIME PROGRAM [--runs=N] [--every=N] [--seed=N]
# Exit status: 0 passed, 1 failed, 77 this machine lacks a tool or we are not root (a failure when CI is set).
set -eu
runtime=${1:?usage: leaks_test.sh RUNTIME PROGRAM [--runs=N] [--every=N] [--seed=N]}
program=${2:?usage: leaks_test.sh RUNTIME PROGRAM [--runs=N] [--every=N] [--seed=N]}
shift 2
# shellcheck source=tests/runtimes/begin.sh
. "$(dirname "$0")/../runtimes/begin.sh"
[ "$(id -u)" = 0 ] || cannot "only root can set up what the tools need"
need python3 curl
make_images
make_tools
# shellcheck disable=SC1091 # made by make_tools
. "$folder/root/environment"
mkdir "$folder/temporary" "$folder/here"
export TMPDIR="$folder/temporary"
cd "$folder/here"
python3 "$tests/leaks.py" "$runtime" "$program" "docker-archive:$folder/images/probe.tar" "$@"
