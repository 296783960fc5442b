#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Every shipped scheduler × runtime × registry: the plan, with its launch form, or the refusal, as plans/SCHEDULER-RUNTIME.txt has it;
# and what each scheduler and runtime say to stages that ask for much (a gpu, no network, several nodes, images of every kind).
#
#   plans_test.sh PROGRAM [--write]      --write: makes the files anew, to be read before they are committed
#
# SLURM is tests/fakes/slurm, Shifter tests/fakes/shifter; all others are real.
# Exit status: 0 passed, 1 failed, 77 this machine lacks a tool or we are not root (a failure when CI is set).
set -eu
program=${1:?usage: plans_test.sh PROGRAM [--write]}
runtime="docker podman native singularity charliecloud shifter host"
schedulers="sequential local slurm"
registries="dockerhub oci ecr"
# What has its own service and so its own tests: KIND-NAME.
elsewhere="scheduler-kubernetes scheduler-argo"
# shellcheck source=tests/runtimes/begin.sh
. "$(dirname "$0")/../runtimes/begin.sh"
# shellcheck source=tests/combinations/begin.sh
. "$(dirname "$0")/begin.sh"
[ "$(id -u)" = 0 ] || cannot "only root can start an Engine of its own"
make_tools
serve_all
cp "$source_folder/tests/fakes/shifter/shifter" "$source_folder/tests/fakes/shifter/shifterimg" "$folder/bin"
mkdir -p "$folder/bin/state" "$folder/plan" "$folder/plans"
python3 "$source_folder/tests/fakes/slurm/simulator.py" make "$folder/slurm" >/dev/null
# shellcheck disable=SC1091 # made by make_tools
. "$folder/root/environment"
cd "$folder/plan"

# Nothing that is shipped is left out.
for shipped in "$folder"/program/plugins-built/*.so; do
    shipped=${shipped##*/}
    kind=${shipped%%-*} plugin=${shipped#*-}
    plugin=${plugin%.so}
    case $kind in
    runtime) known=$runtime ;;
    scheduler) known=$schedulers ;;
    registry) known=$registries ;;
    *) continue ;;
    esac
    case " $known $elsewhere " in
    *" $plugin "* | *" $kind-$plugin "*) ;;
    *) failed "$kind '$plugin' is shipped and in no combination: add it to this test" ;;
    esac
done

backend() { # SCHEDULER RUNTIME REGISTRY
    said=$1
    [ "$1" != slurm ] || said="{use: slurm, commands: \"$folder/slurm/bin\"}"
    echo "backends: {default: {scheduler: $said, runtime: $2, registry: $(registry_words "$3")}}"
    echo "runtime: {working: work, output: out}"
}

write_plain() {
    echo "pipeline: {name: combine, owner: desc, basename: sky, version: 1, stages: [probe, join]}"
    backend "$@"
    cat <<END
probe: {outputs: {numbers: txt}, command: [sh, -c, "exit 0"]}
join: {image: desc/sky-probe:1, inputs: {numbers: txt}, outputs: {sum: txt}, command: [sh, -c, "exit 0"]}
END
}

write_demanding() {
    echo "pipeline: {name: combine, stages: [gpu, alone, nodes, ranks, module, reads, archive, layout, folder, memory]}"
    backend "$@"
    cat <<END
gpu: {image: desc/sky-probe:1, gpus: 1, command: [sh]}
alone: {image: desc/sky-probe:1, network: false, command: [sh]}
nodes: {image: desc/sky-probe:1, nodes: 2, command: [sh]}
ranks: {image: desc/sky-probe:1, ppn: 2, parallel: mpi, command: [sh]}
module: {image: desc/sky-probe:1, python-module: true, command: [sh]}
reads: {image: desc/sky-probe:1, mounts: ["/usr/share:/data:ro"], command: [sh]}
archive: {image: "docker-archive:$folder/hub/probe.tar", command: [sh]}
layout: {image: "oci:$folder/hub/layout", command: [sh]}
folder: {image: "rootfs:/", command: [sh]}
memory: {image: desc/sky-probe:1, memory: 1GiB, scratch: 1GiB, command: [sh]}
END
}

# What differs from machine to machine is left out: ports, folders, digests.
tell() { # TITLE
    echo "== $1"
    status=0
    "$program" plan pipeline.yaml >told 2>&1 || status=$?
    sed -e "s#$hub#HUB#g; s#$ecr#ECR#g; s#$aws#AWS#g; s#$folder#FOLDER#g" -e 's/[0-9a-f]\{64\}/DIGEST/g' told
    # The image's full name and the launch form, as programs read them.
    if [ "$status" = 0 ]; then
        "$program" plan --json pipeline.yaml >json 2>json.log || {
            cat json.log >&2
            failed "$1: planned for people, and not as JSON (above)"
        }
        sed -n -e "s#$hub#HUB#g; s#$ecr#ECR#g; s#$folder#FOLDER#g" -e 's/[0-9a-f]\{64\}/DIGEST/g' \
            -e 's/.*"name":"\([^"]*\)".*"reference":"\([^"]*\)".*"form":"\([^"]*\)".*/\1: \2 by form \3/p' json
    fi
    echo "exit status $status"
}

for scheduler in $schedulers; do
    for each in $runtime; do
        for registry in $registries; do
            write_plain "$scheduler" "$each" "$registry" >pipeline.yaml
            tell "$scheduler × $each × $registry"
        done >"$folder/plans/$scheduler-$each.txt"
        write_demanding "$scheduler" "$each" dockerhub >pipeline.yaml
        tell "$scheduler × $each, stages that ask for much" >>"$folder/plans/$scheduler-$each.txt"
    done
done

golden=$(dirname "$0")
case $golden in
/*) ;;
*) golden=$OLDPWD/$golden ;;
esac
if [ "${2:-}" = --write ]; then
    rm -f "$golden/plans/"*.txt
    cp "$folder/plans/"*.txt "$golden/plans"
    echo "written: $(find "$golden/plans" -name '*.txt' | wc -l) files"
    exit 0
fi
diff -r "$golden/plans" "$folder/plans" || failed "the plans are not those of plans/ (above; --write takes the new ones)"
echo "passed: $(cat "$folder/plans/"*.txt | grep -c '^== ') plans"
