#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A developer's container in one runtime, as root and as an ordinary user; nothing of it is left.
#   developer_test.sh RUNTIME PROGRAM TEST
#
# Exit status: 0 passed, 1 failed, 77 this machine lacks a tool or we are not root (a failure when CI is set).
set -eu
runtime=${1:?usage: developer_test.sh RUNTIME PROGRAM TEST}
# shellcheck disable=SC2034 # begin.sh reads it
program=$2
test=$3
# shellcheck source=tests/runtimes/begin.sh
. "$(dirname "$0")/begin.sh"
[ "$(id -u)" = 0 ] || cannot "only root can try both root and an ordinary user"
make_images
make_tools
case $runtime in
singularity) commit=sif: ;;
native) commit=docker-archive: ;;
*) commit=localhost/descpipe-developer:1 ;;
esac
export DESCPIPE_TEST_RUNTIME="$runtime" DESCPIPE_TEST_IMAGE="$folder/images/probe.tar" DESCPIPE_TEST_COMMIT="$commit"
# Instances of an ordinary user live in one world (apptainer.sh), if the tool is not this machine's own; root needs none.
cat >"$folder/one_world.sh" <<'END'
[ "$(id -u)" != 0 ] && command -v apptainer-world >/dev/null || exec "$@"
one=$XDG_RUNTIME_DIR/apptainer-world
mkfifo "$one.told"
apptainer-world sh -c 'echo $$ >"$1"; exec sleep infinity' sh "$one.told" &
timeout 60 cat "$one.told" >"$one"
status=0
"$@" || status=$?
kill "$(cat "$one")" $!
rm "$one" "$one.told"
exit $status
END
for who in caller ordinary; do
    # shellcheck disable=SC2016
    "as_$who" -c 'DESCPIPE_TEST_FOLDER=$HOME exec sh -eu "$@"' sh "$folder/one_world.sh" "$test" || failed "as $who (see above)"
done
case $runtime in
podman) left=$(as_caller -c 'podman ps --all --quiet'; as_ordinary -c 'podman ps --all --quiet') ;;
docker) left=$(as_caller -c 'docker ps --all --quiet') ;;
singularity) left=$(as_caller -c 'apptainer instance list | tail -n +2'; ! [ -d "$folder/user" ] || as_ordinary -c 'apptainer instance list | tail -n +2') ;;
native) left=$(pgrep -af 'descpipe-init serve' | grep -F "$folder/" || true) ;;
*) left= ;;
esac
[ -z "$left" ] || failed "containers are left behind: $left"
left=$(find "$folder" -path '*/developers/*' 2>/dev/null | head -n 3)
[ -z "$left" ] || failed "folders of containers are left behind: $left"
! cut -d' ' -f5 /proc/self/mountinfo | grep -F "$folder/" | grep -v '/containers/storage\|/engine' || failed "mounts are left behind (above)"
echo "passed"
