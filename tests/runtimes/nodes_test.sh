#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Stages that run on nodes (SLURM's simulator) in a runtime whose images no other machine sees: nothing is fetched where descpipe
# runs; the first job of a node gets the image, those after it ask no registry; archives are loaded there; an image that cannot be
# had ends its stage with the verdict IMAGE.
#
#   nodes_test.sh RUNTIME PROGRAM
#
# Exit status: 0 passed, 1 failed, 77 this machine lacks a tool or we are not root (a failure when CI is set).
set -eu
runtime=${1:?usage: nodes_test.sh RUNTIME PROGRAM}
program=${2:?usage: nodes_test.sh RUNTIME PROGRAM}
# shellcheck source=tests/runtimes/begin.sh
. "$(dirname "$0")/begin.sh"
[ "$(id -u)" = 0 ] || cannot "only root can set up what the tools need"
need docker-registry skopeo
make_images
make_tools
# shellcheck disable=SC1091 # made by make_tools
. "$folder/root/environment"
python3 "$source_folder/tests/fakes/slurm/simulator.py" make "$folder/slurm" slots=1 >/dev/null
mkdir "$folder/work"
cd "$folder/work"
serve registry 'http: {addr: "127.0.0.1:0"}'
for name in probe broken; do
    skopeo copy -q --preserve-digests --dest-tls-verify=false "oci:$folder/images/layout:1" "docker://127.0.0.1:$port/desc/$name:1"
done
layer=$(skopeo inspect --raw "oci:$folder/images/layout:1" | python3 -c 'import json, sys; print(json.load(sys.stdin)["layers"][0]["digest"])')
fetched() { grep -c "\"GET /v2/desc/probe/blobs/$layer " "$folder/registry/log" || true; }
option=
[ "$runtime" != singularity ] || option=", pull: node"

pipeline() { # IMAGE
    cat >pipeline.yaml <<END
pipeline: {name: nodes, stages: [first, many]}
backends:
  default:
    scheduler: {use: slurm, commands: "$folder/slurm/bin", poll: 100ms, poll-limit: 300ms}
    runtime: {use: $runtime$option}
    registry: {use: oci, host: "127.0.0.1:$port"}
runtime: {working: work, output: out}
first: {image: "$1", outputs: {said: txt}, command: [sh, -c, "echo \$FROM_IMAGE \$MINE >\$DESC_OUTPUT/said.txt"]}
many:
  image: "$1"
  foreach: {n: [1, 2]}
  inputs: {said: txt}
  outputs: {again: txt}
  command: [sh, -c, "cat \$DESC_INPUT/said.txt >\$DESC_OUTPUT/again.txt"]
END
}
good() { # WHAT
    "$program" run --no-cache pipeline.yaml >run.log 2>&1 || { cat run.log; cat work/.descpipe/runs/*/logs/*/*.err 2>/dev/null; failed "the run of $1 failed"; }
    [ "$(cat out/again/2.txt 2>/dev/null || cat work/data/again/2.txt)" = "yes image" ] || failed "$1: the stage saw another image"
    job=$(find work/.descpipe/runs -path "*/submissions/*" -type f -exec grep -l "^say setup" {} + | sort | tail -n 1)
    [ -n "$job" ] || failed "$1: the job gets no image for its node"
}

before=$(fetched)
pipeline "127.0.0.1:$port/desc/probe:1"
"$program" plan pipeline.yaml >plan.log 2>&1 || { cat plan.log; failed "no plan"; }
[ "$(fetched)" = "$before" ] || failed "a plan fetched the image"
good "an image of a registry"
[ "$(fetched)" = $((before + 1)) ] || failed "three jobs of a node fetched the image $(($(fetched) - before)) times"
good "an image that the node has"
[ "$(fetched)" = $((before + 1)) ] || failed "what the node has was fetched again"

# What the registry promised and cannot give.
blob=$folder/registry/data/docker/registry/v2/blobs/sha256/$(printf '%s' "$layer" | sed 's/sha256:\(..\)\(.*\)/\1\/\1\2/')
mv "$blob" "$folder/blob"
case $runtime in
singularity) rm -rf "$XDG_CACHE_HOME/descpipe/runtime-singularity" ;;
podman) podman rmi --all --force >/dev/null ;;
docker) docker rmi --force "$(docker images --quiet | head -n 1)" >/dev/null ;;
esac
pipeline "127.0.0.1:$port/desc/broken:1"
if "$program" run --no-cache pipeline.yaml >run.log 2>&1; then failed "an image without its layer ran"; fi
grep -q 'first: IMAGE: its image could not be had' run.log || { cat run.log; failed "an image that a node cannot have is not told as that"; }
mv "$folder/blob" "$blob"

if [ "$runtime" != singularity ]; then # which makes its files of archives where descpipe runs
    ln -s "$folder/images" "im ages"
    pipeline "docker-archive:im ages/probe.tar"
    good "an archive"
fi
echo "passed"
