#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Runtime `shifter` against a stand-in that enforces Shifter's documented rules (tests/fakes/shifter), as an ordinary user: a run
# with its exact command lines, a pull followed to its end, a moved tag, a private image, and what is refused.
#
#   shifter_test.sh PROGRAM
#
# Exit status: 0 passed, 1 failed, 77 this machine lacks a tool or we are not root (a failure when CI is set).
set -eu
runtime=shifter
program=${1:?usage: shifter_test.sh PROGRAM}
# shellcheck source=tests/runtimes/begin.sh
. "$(dirname "$0")/begin.sh"
[ "$(id -u)" = 0 ] || cannot "only root can become the ordinary user that Shifter wants"
need docker-registry skopeo
make_images
make_tools
serve registry 'http: {addr: "127.0.0.1:0"}'
for name in probe other; do
    skopeo copy -q --preserve-digests --dest-tls-verify=false "oci:$folder/images/layout:1" "docker://127.0.0.1:$port/desc/$name:1"
done
manifest=$(skopeo inspect --raw "oci:$folder/images/layout:1" | sha256sum | cut -d' ' -f1)
config=$(skopeo inspect --raw "oci:$folder/images/layout:1" | python3 -c 'import json, sys; print(json.load(sys.stdin)["config"]["digest"][7:])')
cp "$source_folder/tests/fakes/shifter/shifter" "$source_folder/tests/fakes/shifter/shifterimg" "$folder/bin"
mkdir "$folder/bin/state" "$folder/image"
tar -C "$folder/image" -xf "$folder/images/layer.tar"
mkdir -p "$folder/image/dev" "$folder/image/proc" "$folder/image/data"
echo '["mpich", "gpu"]' >"$folder/bin/state/modules.json"
mkdir "$folder/slurm"
cp "$source_folder/tests/fakes/slurm/simulator.py" "$folder"
chown -R 54321:54321 "$folder/bin/state" "$folder/image" "$folder/slurm"
as_ordinary "$tests/shifter_stages.sh" "$program" "$folder" "127.0.0.1:$port" "$config" "$manifest" || failed "see above"
echo "passed"
