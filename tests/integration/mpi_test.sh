#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A stage with `parallel: mpi` under a real mpirun on one machine, without a container and in one: the ranks are one world,
# and one that fails is the stage's failure, with its exit status.
#
#   mpi_test.sh PROGRAM     PROGRAM is the descpipe to test, with its plugins beside it
#
# Exit status: 0 passed, 1 failed, 77 there is no mpirun or bubblewrap here (a failure when CI is set).
# shellcheck disable=SC2016 # the stage's shell expands these
set -eu

program=${1:?usage: mpi_test.sh PROGRAM}
case $program in
/*) ;;
*) program=$PWD/$program ;;
esac

failed() {
    echo "mpi_test: $*" >&2
    exit 1
}
for tool in mpirun bwrap; do
    if ! command -v "$tool" >/dev/null; then
        echo "mpi_test: no $tool here (Debian: openmpi-bin, bubblewrap)" >&2
        [ -z "${CI:-}" ] || exit 1
        exit 77
    fi
done

folder=$(mktemp -d "${TMPDIR:-/tmp}/descpipe-mpi.XXXXXX")
trap 'rm -rf -- "$folder"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
export XDG_CACHE_HOME="$folder/cache" XDG_STATE_HOME="$folder/state" XDG_CONFIG_HOME="$folder/config"
cd "$folder"

# Open MPI wants to be told when root means it, and to be allowed more ranks than this machine may have cpus.
write_pipeline() { # LINE
    cat >pipeline.yaml <<END
pipeline: {name: mpi, owner: nobody, basename: mpi, version: 1, stages: [ranks]}
runtime: {working: ./work, output: ./out}
backends: {default: {scheduler: {use: local, cpus: 8}, runtime: native, images: 'rootfs:/'}}
ranks:
  image: 'rootfs:/'
  parallel: mpi
  ppn: 3
  outputs: {world: /}
  env: {OMPI_ALLOW_RUN_AS_ROOT: '1', OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1', OMPI_MCA_rmaps_base_oversubscribe: '1',
        PRTE_ALLOW_RUN_AS_ROOT: '1', PRTE_ALLOW_RUN_AS_ROOT_CONFIRM: '1', PRTE_MCA_rmaps_default_mapping_policy: ':oversubscribe'}
  interpreter: [sh, -eu]
  script: |
    rank=\${OMPI_COMM_WORLD_RANK:-\$PMI_RANK}
    size=\${OMPI_COMM_WORLD_SIZE:-\$PMI_SIZE}
    mkdir -p "\$DESC_OUTPUT/world"
    $1
END
}

for runtime in host native; do
    write_pipeline 'echo "rank $rank of $size, asked $DESC_SIZE" >"$DESC_OUTPUT/world/$rank"'
    "$program" run pipeline.yaml --runtime "$runtime" >output 2>&1 || {
        cat output work/.descpipe/runs/*/logs/000/* >&2
        failed "the run on '$runtime' ended with an error (its output is above)"
    }
    for number in 0 1 2; do
        [ "$(cat "out/world/$number")" = "rank $number of 3, asked 3" ] || failed "rank $number on '$runtime' saw: $(cat "out/world/$number")"
    done
    write_pipeline '[ "$rank" != 1 ] || exit 6'
    status=0
    "$program" run pipeline.yaml --runtime "$runtime" >output 2>&1 || status=$?
    [ "$status" = 5 ] || failed "one rank of the run on '$runtime' failed, and the run ended with $status"
    grep -q 'EXIT 6' output || failed "the failed rank's exit status is not told on '$runtime'"
    rm -rf work out
done
