# SPDX-License-Identifier: BSD-3-Clause
# What podman_hpc_test.sh runs as an ordinary user.
#   podman_hpc_stages.sh PROGRAM FOLDER REGISTRY CONFIG     the last is the image's id, as the registry has it
# shellcheck shell=sh
set -eu
program=$1 folder=$2 registry=$3 id=$4
state=$folder/bin/state
mkdir -p "$HOME/work" "$HOME/scratch"
cd "$HOME/work"
export SCRATCH="$HOME/scratch"
python3 "$folder/simulator.py" make "$folder/slurm" >/dev/null

failed() {
    echo "podman_hpc_stages: $*"
    exit 1
}
pipeline() { # SCHEDULER IMAGE EXTRA-LINES
    cat >pipeline.yaml <<END
pipeline: {name: hpc, stages: [a]}
backends:
  default:
    scheduler: $1
    registry: {use: oci, host: "$registry"}
    runtime: {use: podman, tool: podman-hpc}
runtime: {working: work, output: out}
a:
  image: "$2"
  outputs: {said: txt}
  env: {MINE: stage}
  command: [sh, -c, "echo \$MINE \$FROM_IMAGE \$ENABLE_GPU \$* >\$DESC_OUTPUT/said.txt", words, --gpu, --help, --, --mpi]
$3
END
}
good() { # EXPECTED
    "$program" run --no-cache pipeline.yaml >run.log 2>&1 || { cat run.log; failed "the run failed"; }
    [ "$(cat out/said.txt)" = "$1" ] || failed "the stage said '$(cat out/said.txt)', not '$1'"
}
# What the wrapper was told, without what is of this machine and this run.
told() { # COMMAND
    grep -E "^\[\"podman-hpc\"(, \"--[^\"]*\")*, \"$1\"" "$state/log" | sed -e "s|$registry|REGISTRY|g; s|$id|ID|g; s|$HOME|HOME|g" \
        -e 's|20[0-9]\{6\}-[0-9]\{6\}-[0-9a-z]*|RUN|g; s|=[0-9]*:[0-9]*"|=N:N"|g' -e 's|"--authfile", "[^"]*"|"--authfile", "FILE"|'
}
expect() { # COMMAND, lines on standard input
    cat >expected
    told "$1" >seen
    diff expected seen || failed "other command lines of $1"
}

# On this machine: nothing is squashed.
pipeline local desc/probe:1 ""
good "stage yes --gpu --help -- --mpi"
expect pull <<END
["podman-hpc", "pull", "--quiet", "--tls-verify=false", "$(
    skopeo inspect --tls-verify=false --format '{{.Name}}@{{.Digest}}' "docker://$registry/desc/probe:1" | sed "s|$registry|REGISTRY|"
)"]
END
expect run <<END
["podman-hpc", "--log-level=error", "run", "--", "--rm", "--pull", "never", "--http-proxy=false", "--log-driver", "none", "--init", "--name", "RUN-1", "--label", "descpipe.run=RUN", "--label", "descpipe.stage=a", "--label", "descpipe.token=RUN-1", "--userns", "keep-id", "--user", "54321:54321", "--umask", "0022", "--security-opt", "no-new-privileges", "--cap-drop", "all", "--network", "host", "--ulimit", "nofile=N:N", "--ulimit", "nproc=N:N", "--mount", "type=tmpfs,target=/tmp,tmpfs-mode=1777,U=true,notmpcopyup", "--mount", "type=bind,source=HOME/work/work/.descpipe/runs/RUN/attempts/empty,target=/opt/input,readonly", "--mount", "type=bind,source=HOME/work/work/.descpipe/runs/RUN/attempts/000/a.1,target=/opt/output", "--mount", "type=bind,source=HOME/work/work/.descpipe/runs/RUN/attempts/empty,target=/opt/config,readonly", "--env", "HOME=/tmp", "--env", "LANG", "--env", "DESC_INPUT", "--env", "DESC_OUTPUT", "--env", "DESC_CONFIG", "--env", "DESC_PARALLEL", "--env", "DESC_RANK", "--env", "DESC_SIZE", "--env", "MINE", "--workdir", "/opt/output", "--entrypoint", "[]", "sha256:ID", "sh", "-c", "echo \$MINE \$FROM_IMAGE \$ENABLE_GPU \$* >\$DESC_OUTPUT/said.txt", "words", "--gpu", "--help", "--", "--mpi"]
END
expect migrate </dev/null

# In a job the image must be where every node sees it, also one that was pulled before; nodes pull nothing. The site's gpu module.
rm "$state/log"
jobs="{use: slurm, commands: \"$folder/slurm/bin\", poll: 100ms, poll-limit: 300ms}"
pipeline "$jobs" desc/probe:1 "  gpus: 1"
good "stage yes 1 --gpu --help -- --mpi"
expect pull </dev/null
expect migrate <<END
["podman-hpc", "migrate", "ID"]
END
told run | grep -q '"--log-level=error", "run", "--gpu", "--", "--rm"' || { told run; failed "the gpu module was not asked for"; }
! told run | grep -q 'nvidia.com/gpu' || failed "podman itself was asked for the gpu"
! grep -rq "^say setup" work/.descpipe/runs/*/submissions || failed "each node gets an image that all see"

# Of an archive, which podman-hpc loads and does not squash by itself.
rm "$state/log" "$HOME/scratch/storage/images"
pipeline "$jobs" "docker-archive:$folder/images/probe.tar" ""
good "stage yes --gpu --help -- --mpi"
expect migrate <<END
["podman-hpc", "migrate", "ID"]
END

# An image that cannot be squashed: told for what it is.
mkdir "$HOME/full"
chmod 555 "$HOME/full"
export SQUASH_DIR="$HOME/full/storage"
if "$program" run --no-cache pipeline.yaml >run.log 2>&1; then failed "an image that is nowhere ran"; fi
grep -q "a: IMAGE" run.log || { cat run.log; failed "the verdict is not IMAGE"; }
grep -q "podman-hpc migrate" run.log || { cat run.log; failed "what to do is not told"; }
unset SQUASH_DIR

