#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Runtime `podman` with `tool: podman-hpc`, against a stand-in that holds to that program's documented form and hands the rest to the
# real Podman (tests/fakes/podman-hpc), as an ordinary user: exact command lines, words of the stage that are the wrapper's too,
# GPUs, and images of jobs, which are squashed where every node sees them instead of being pulled by each.
#
#   podman_hpc_test.sh PROGRAM
#
# Exit status: 0 passed, 1 failed, 77 this machine lacks a tool or we are not root (a failure when CI is set).
set -eu
runtime=podman
program=${1:?usage: podman_hpc_test.sh PROGRAM}
# shellcheck source=tests/runtimes/begin.sh
. "$(dirname "$0")/begin.sh"
[ "$(id -u)" = 0 ] || cannot "only root can become the ordinary user that podman-hpc is for"
need docker-registry skopeo
make_images
make_tools
serve registry 'http: {addr: "127.0.0.1:0"}'
for name in probe other; do
    skopeo copy -q --preserve-digests --dest-tls-verify=false "oci:$folder/images/layout:1" "docker://127.0.0.1:$port/desc/$name:1"
done
config=$(skopeo inspect --raw "oci:$folder/images/layout:1" | python3 -c 'import json, sys; print(json.load(sys.stdin)["config"]["digest"][7:])')
cp "$source_folder/tests/fakes/podman-hpc/podman-hpc" "$folder/bin"
mkdir -p "$folder/bin/state" "$folder/slurm"
chown 54321:54321 "$folder/bin/state" "$folder/slurm"
cp "$source_folder/tests/fakes/slurm/simulator.py" "$folder"
as_ordinary "$tests/podman_hpc_stages.sh" "$program" "$folder" "127.0.0.1:$port" "$config" || failed "see above"
left=$(as_ordinary -c 'podman ps --all --quiet')
[ -z "$left" ] || failed "containers are left behind: $left"
echo "passed"
