#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Whole runs of the built program whose stages are jobs of a real SLURM, with the runtimes that work here.
#
#   testbed_test.sh sh run_test.sh PROGRAM RUNTIME      host, native, docker, singularity
#
# Exit status: 0 passed, 1 failed, 77 this machine lacks a tool (a failure when CI is set).
set -eu
program=${1:?usage: run_test.sh PROGRAM RUNTIME}
runtime=${2:?usage: run_test.sh PROGRAM RUNTIME}
here=$(cd "$(dirname "$0")" && pwd -P)
folder=$DESCPIPE_TEST_FOLDER/run
unset DESCPIPE_TEST_FOLDER DESCPIPE_TEST_TESTBED

failed() {
    echo "run_test ($runtime): $*" >&2
    exit 1
}
cannot() {
    echo "run_test ($runtime): $*" >&2
    [ -z "${CI:-}" ] || exit 1
    exit 77
}
need() {
    for tool; do
        command -v "$tool" >/dev/null || cannot "there is no $tool on this machine"
    done
}

verdicts_of() {
    "$program" status --json "$1" | python3 -c '
import json, sys
print(*sorted("%s=%s" % (stage["name"], stage["verdict"] or stage["state"]) for stage in json.load(sys.stdin)["stages"]))'
}

mkdir -p "$folder/with, blanks" "$folder/images/layer/bin" "$folder/images/layer/etc" "$folder/images/layer/tmp" "$folder/images/layer/opt"
cd "$folder/with, blanks"
export XDG_STATE_HOME="$folder/state" XDG_CONFIG_HOME="$folder/config"
chain=
registry=
finish() {
    [ -z "$chain" ] || kill "$chain" 2>/dev/null || true
    [ -z "$registry" ] || kill "$registry" 2>/dev/null || true
    [ ! -d "$folder/engine" ] || "$here/../integration/docker_daemon.sh" stop "$folder/engine" || true
}
trap finish EXIT
trap 'exit 1' HUP INT TERM

image=
case $runtime in
host) ;;
native) need bwrap ;;
docker)
    need docker
    status=0
    "$here/../integration/docker_daemon.sh" start "$folder/engine" >"$folder/docker" || status=$?
    [ "$status" = 0 ] || exit "$status"
    DOCKER_HOST=unix://$folder/engine/docker.sock
    export DOCKER_HOST
    ;;
singularity)
    "$here/../runtimes/apptainer.sh" install "$folder/bin" || exit $?
    # Where a node finds it: the batch script has the login's PATH, which descpipe's own does not reach.
    PATH=$folder/bin:$PATH
    export PATH
    ;;
esac
if [ "$runtime" != host ]; then
    need busybox python3
    cp "$(command -v busybox)" "$folder/images/layer/bin/busybox"
    for applet in $(busybox --list); do
        [ "$applet" = busybox ] || ln -s busybox "$folder/images/layer/bin/$applet"
    done
    printf 'not a program\n' >"$folder/images/layer/bin/noexec"
    printf 'root:x:0:0:root:/root:/bin/sh\n' >"$folder/images/layer/etc/passwd"
    printf 'root:x:0:\n' >"$folder/images/layer/etc/group"
    tar --owner=0 --group=0 -C "$folder/images/layer" -cf "$folder/images/layer.tar" .
    python3 "$here/../runtimes/make_image.py" "$folder/images"
    image="image: \"docker-archive:$folder/images/probe.tar\""
fi

# A stage that its time limit ends goes on from what it wrote when SLURM told its script, which is half a minute or more
# before: it waits beside all that follows here. What a shell does in the foreground it finishes before it hears.
limit=1
[ "$runtime" != docker ] || limit=2 # a busy engine may take its time to start one
cat >chain.yaml <<END
pipeline: {name: chain, stages: [learner, forgetful]}
runtime: {working: chain, output: chainout}
backends: {default: {scheduler: {use: slurm, poll: 500ms}, runtime: $runtime}}
learner:
  $image
  outputs: {model: txt}
  memory: 60MiB
  minutes: $limit
  checkpoint: {files: "state/*", before: 10s, links: 3}
  script: |
    trap 'mkdir -p state; echo half >state/one; exit 75' USR1
    if [ -r state/one ]; then cat state/one >model.txt; exit 0; fi
    while :; do sleep 1; done
forgetful:
  $image
  outputs: {nothing: txt}
  memory: 60MiB
  minutes: $limit
  checkpoint: {files: "state/*", before: 10s}
  script: |
    trap 'exit 3' USR1
    while :; do sleep 1; done
END
# Not in the Apptainer of the tests: bubblewrap around it ends by the signal, which an Apptainer of a site hands on.
if [ "$runtime" = singularity ]; then
    echo "run_test ($runtime): a chain of checkpoints is not tried: what the tests wrap Apptainer in does not outlive the signal"
else
    "$program" run --keep-going chain.yaml >chain.log 2>&1 &
    chain=$!
fi

# Files from stage to stage, members as one array, a stage that waits for all of them.
cat >pipeline.yaml <<END
pipeline: {name: sums, stages: [make, double, sum]}
runtime: {working: work, output: out}
backends: {default: {scheduler: {use: slurm, poll: 500ms}, runtime: $runtime}}
make:
  $image
  outputs: {numbers: txt}
  memory: 200MiB
  minutes: 5
  script: 'seq 10 >"\$DESC_OUTPUT/numbers.txt"'
double:
  $image
  foreach: {part: [a, b, c]}
  inputs: {numbers: txt}
  outputs: {doubled: txt}
  memory: 200MiB
  script: 'echo \$DESC_EACH_PART; while read n; do echo \$((n * 2)); done <"\$DESC_INPUT/numbers.txt" >"\$DESC_OUTPUT/doubled.txt"'
sum:
  $image
  inputs: {doubled: txt}
  outputs: {total: txt}
  memory: 200MiB
  script: 'cat "\$DESC_INPUT"/doubled/* | wc -l >"\$DESC_OUTPUT/total.txt"'
END
# The site first: what the scheduler's test mode and a node say.
"$program" check --site --node-wait 120 pipeline.yaml >log 2>&1 || { cat log >&2; failed "this site does not suit the pipeline"; }
grep -q '^ok .*sees the working folder' log || { cat log >&2; failed "no node was asked"; }
[ "$runtime" = host ] || grep -q "^ok .* on a node: " log || { cat log >&2; failed "the runtime was not looked for on a node"; }
"$program" run pipeline.yaml >log 2>&1 || { cat log >&2; failed "the run failed"; }
[ "$(tr -d ' ' <out/total.txt)" = 30 ] || failed "the sum is '$(cat out/total.txt)'"
run=$(basename "$(echo work/.descpipe/runs/*)")
[ "$("$program" logs "$run" double/b 2>/dev/null || "$program" logs "$run" double.b)" = b ] || failed "what double/b wrote is not there"
# The members were one array, and nothing was sent twice.
jobs=$(squeue --noheader --array --states=all --format='%j|%i' | grep "^$run-" | sort)
[ "$(printf '%s\n' "$jobs" | wc -l)" = 5 ] || failed "5 jobs were to be submitted, not: $jobs"
[ "$(printf '%s\n' "$jobs" | cut -d'|' -f2 | cut -d_ -f1 | sort -u | wc -l)" = 3 ] || failed "3 arrays were to be submitted: $jobs"

# Handed over, jobs bring, look at and publish their files by themselves, in containers too; the folder tells all of it.
wait_for_end() { # of $run
    deadline=$(($(date +%s) + 240))
    until "$program" status --json "$run" >state && grep -qE '"state":"(succeeded|failed|cancelled)"' state && python3 -c '
import json, sys
sys.exit(json.load(open("state"))["state"] not in ("succeeded", "failed", "cancelled"))'; do
        [ "$(date +%s)" -lt "$deadline" ] || failed "run $run does not end: $(cat state)"
        sleep 0.2
    done
}
hand_over() { # NAME
    "$program" run --detach "$1.yaml" >log 2>&1 || { cat log >&2; failed "$1 was not handed over"; }
    run=$(basename "$(echo "$1"/.descpipe/runs/*)")
}
sed 's/name: sums, stages: \[make, double, sum/name: gone, stages: [make, double, sum, ranks/; s/work, output: out/gone, output: goneout/' pipeline.yaml >gone.yaml
cat >>gone.yaml <<END
ranks: {$image${image:+, }parallel: mpi, nodes: 2, ppn: 2, memory: 280MiB, outputs: {world: /}, script: 'mkdir -p "\$DESC_OUTPUT/world"; echo "\$DESC_SIZE" >"\$DESC_OUTPUT/world/\$DESC_RANK"'}
END
[ "$runtime" != docker ] || sed -i '/^ranks:/d; s/, ranks//' gone.yaml # it has one container for all ranks
hand_over gone
wait_for_end
verdicts_of "$run" >verdicts
wanted="double=succeeded make=OK ranks=OK sum=OK"
[ "$runtime" != docker ] || wanted="double=succeeded make=OK sum=OK"
grep -qx "$wanted" verdicts || { "$program" logs "$run" make; cat gone/.descpipe/runs/*/submissions/*/outcome.*; failed "verdicts handed over: '$(cat verdicts)', not '$wanted'"; } >&2
[ "$(tr -d ' ' <goneout/total.txt)" = 30 ] || failed "handed over, the sum is '$(cat goneout/total.txt)'"
[ "$runtime" = docker ] || [ "$(cat goneout/world/[0-3] | sort -u)" = 4 ] || failed "handed over, the ranks were $(cat goneout/world/*)"
[ "$("$program" logs "$run" double/b 2>/dev/null)" = b ] || failed "what double/b wrote is not there when it was handed over"
"$program" why "$run" make >log && grep -q "^make ran" log || failed "why 'make' ran is not told when it was handed over: $(cat log)"

# Nodes with a storage of their own, and such as are to pull, get an image when a job needs it, and once.
if [ "$runtime" = docker ] || [ "$runtime" = singularity ]; then
    need docker-registry skopeo
    mkdir "$folder/registry"
    cat >"$folder/registry/conf.yml" <<END
version: 0.1
log: {level: info, accesslog: {disabled: false}}
storage: {filesystem: {rootdirectory: $folder/registry/data}}
http: {addr: "127.0.0.1:0"}
END
    docker-registry serve "$folder/registry/conf.yml" >"$folder/registry/log" 2>&1 </dev/null &
    registry=$!
    # shellcheck disable=SC2016 # expanded by the inner shell
    place=$(timeout 60 sh -c 'tail --pid="$1" -n +1 -F "$2" 2>/dev/null | grep -m 1 -o "listening on 127\.0\.0\.1:[0-9]*"' sh "$registry" "$folder/registry/log") ||
        failed "the registry did not come up: $(cat "$folder/registry/log")"
    place=${place#listening on }
    if [ "$runtime" = docker ]; then # one layer that this Engine has not: what is in use by the chain above cannot be removed
        mkdir "$folder/context"
        echo fresh >"$folder/context/fresh"
        printf 'FROM %s\nCOPY fresh /fresh\n' "$(docker images --quiet | head -n 1)" >"$folder/context/Dockerfile"
        fresh=$(DOCKER_BUILDKIT=0 docker build --quiet --tag "$place/desc/probe:1" "$folder/context" 2>/dev/null)
        docker push "$place/desc/probe:1" >log 2>&1 || { cat log >&2; failed "the image cannot be pushed"; }
        docker rmi --force "$fresh" >log 2>&1 || { cat log >&2; failed "the image cannot be removed"; }
    else
        skopeo copy -q --preserve-digests --dest-tls-verify=false "oci:$folder/images/layout:1" "docker://$place/desc/probe:1"
    fi
    layer=$(skopeo inspect --raw --tls-verify=false "docker://$place/desc/probe:1" |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["layers"][-1]["digest"])')
    fetched() { grep -c "\"GET /v2/desc/probe/blobs/$layer " "$folder/registry/log" || true; }
    cat >pulls.yaml <<END
pipeline: {name: pulls, stages: [one, more]}
runtime: {working: pulls, output: pullsout}
backends: {default: {scheduler: {use: slurm, poll: 500ms}, runtime: {use: $runtime$([ "$runtime" = docker ] || echo ', pull: node')}, registry: oci}}
one: {image: "$place/desc/probe:1", memory: 200MiB, outputs: {o: txt}, script: 'echo \$FROM_IMAGE >"\$DESC_OUTPUT/o.txt"'}
more: {image: "$place/desc/probe:1", memory: 200MiB, foreach: {n: [1, 2, 3]}, inputs: {o: txt}, script: 'cat "\$DESC_INPUT/o.txt"'}
END
    take_nodes() {
        wall=$(sbatch --parsable --nodes=3 --exclusive --output=/dev/null --wrap='exec sleep 600')
        deadline=$(($(date +%s) + 120))
        until [ "$(squeue --noheader --format=%T --jobs="$wall")" = RUNNING ]; do
            [ "$(date +%s)" -lt "$deadline" ] || failed "the nodes cannot be taken"
            sleep 0.2
        done
    }
    show_jobs() {
        tail -n 50 "$1"/.descpipe/runs/*/logs/*/* "$1"/.descpipe/runs/*/submissions/*/outcome.* >&2
    }
    take_nodes
    hand_over pulls
    [ "$(fetched)" = 0 ] || failed "the image was fetched before a node needed it"
    scancel "$wall"
    wait_for_end
    [ "$(verdicts_of "$run")" = "more=succeeded one=OK" ] || { show_jobs pulls; failed "pulled by nodes: $(verdicts_of "$run")"; }
    [ "$("$program" logs "$run" more/2 --out)" = yes ] || failed "the stage did not run in the image"
    [ "$(fetched)" = 1 ] || failed "the image was fetched $(fetched) times"
    # One that a node cannot get is told as that, with what the runtime says of it.
    sed 's/pulls/lacks/g; s/, more\]/]/; /^more:/d' pulls.yaml >lacks.yaml
    case $runtime in
    docker) docker image ls --quiet "$place/desc/probe" | xargs docker rmi --force >/dev/null ;;
    singularity) rm -r "$XDG_CACHE_HOME"/descpipe/runtime-singularity/node ;;
    esac
    take_nodes
    hand_over lacks
    kill "$registry"
    wait "$registry" 2>/dev/null || true
    registry=
    scancel "$wall"
    wait_for_end
    [ "$(verdicts_of "$run")" = "one=IMAGE" ] || { show_jobs lacks; failed "an image that is not there: $(verdicts_of "$run")"; }
    "$program" logs "$run" one 2>/dev/null | grep -q "${place%:*}" || { show_jobs lacks; failed "what the runtime said of it is not told"; }
fi

# What goes wrong in a job is told for what it was.
cat >ends.yaml <<END
pipeline: {name: ends, stages: [fine, exits, missing, memory, grows, after]}
runtime: {working: ends, output: endsout}
backends: {default: {scheduler: {use: slurm, poll: 500ms}, runtime: $runtime}}
fine: {$image${image:+, }memory: 200MiB, script: "echo fine"}
exits: {$image${image:+, }memory: 200MiB, script: "echo broken >&2; exit 7"}
missing: {$image${image:+, }memory: 200MiB, outputs: {thing: txt}, script: "echo nothing"}
memory: {$image${image:+, }memory: 30MiB, script: "dd if=/dev/zero of=/dev/null bs=300M count=1000"}
grows: {$image${image:+, }memory: 60MiB, script: "dd if=/dev/zero of=/dev/null bs=100M count=200", retries: {limit: 3, on: [oom], backoff: 1ms, memory: x2}}
after: {$image${image:+, }memory: 200MiB, depends-on: [exits], script: "echo never"}
END
# More time is asked for after a time limit as more memory is after too little; of five members one is tried again, alone.
more=
if [ "$runtime" = host ]; then
    sed -i 's/after\]/after, again, gpus, none, slow]/' ends.yaml
    cat >>ends.yaml <<END
again:
  foreach: {n: [1, 2, 3, 4, 5]}
  memory: 20MiB
  retries: {limit: 1, on: ["exit:75"], backoff: 1ms}
  script: 'echo ran >>"$folder/again.\$DESC_EACH_N"; if [ "\$DESC_EACH_N" = 3 ] && mkdir "$folder/third" 2>/dev/null; then exit 75; fi'
gpus: {gpus: 2, memory: 20MiB, script: 'echo "\$CUDA_VISIBLE_DEVICES"'}
none: {memory: 20MiB, script: 'echo "\${CUDA_VISIBLE_DEVICES-none}"'}
slow:
  minutes: 1
  memory: 20MiB
  retries: {limit: 1, on: [timeout], backoff: 1ms, minutes: x2}
  script: 'if mkdir "$folder/slow" 2>/dev/null; then exec sleep 600; fi'
END
    more=" slow=OK"
fi
status=0
"$program" run --keep-going ends.yaml >log 2>&1 || status=$?
[ "$status" = 5 ] || { cat log >&2; failed "a run with failed stages ended with $status"; }
run=$(basename "$(echo ends/.descpipe/runs/*)")
verdicts_of "$run" >verdicts
# A container of Docker's daemon is no part of the job: SLURM sees the client's 137 and nothing of its memory.
# A stage that asks for more when that is why it ended gets it, as another job.
memory=OOM grows=OK
[ "$runtime" != docker ] || memory=EXIT grows=EXIT
wanted="after=skipped${more:+ again=succeeded} exits=EXIT fine=OK${more:+ gpus=OK} grows=$grows memory=$memory missing=OUTPUT_MISSING${more:+ none=OK}$more"
grep -qx "$wanted" verdicts || { cat log >&2; failed "verdicts: '$(cat verdicts)', not '$wanted'"; }
limits_of() { # the time limits of the run's jobs that are not the usual ones, as accounting has them in the end
    sacct --allocations --noheader --parsable2 --format=JobName,Timelimit,State | sed -n "s/^$run-[0-9]*|//p" |
        grep '^00:0[12]:00|' | sort | tr '\n' ' '
}
if [ -n "$more" ]; then
    [ "$(wc -l <"$folder/again.3") $(cat "$folder"/again.[1245] | wc -l)" = "2 4" ] || failed "not one member alone was tried again"
    [ "$("$program" logs "$run" gpus) $("$program" logs "$run" none)" = "0,1 none" ] || failed "gpus: $("$program" logs "$run" gpus)"
    deadline=$(($(date +%s) + 60))
    until [ "$(limits_of)" = "00:01:00|TIMEOUT 00:02:00|COMPLETED " ]; do
        [ "$(date +%s)" -lt "$deadline" ] || failed "time limits and ends of 'slow': $(limits_of)"
        sleep 0.5
    done
fi

# Inside an allocation the stages are steps of it: no job of their own, packed, ranks over its nodes.
cat >steps.yaml <<END
pipeline: {name: steps, stages: [many, wide, ranks, exits, memory]}
runtime: {working: steps, output: stepsout}
backends: {default: {scheduler: {use: slurm, poll: 500ms}, runtime: $runtime}}
many: {$image${image:+, }foreach: {n: [1, 2, 3, 4, 5, 6]}, memory: 60MiB, script: "echo \$DESC_EACH_N"}
wide: {$image${image:+, }cpus: 2, memory: 60MiB, minutes: 5, script: "echo wide"}
ranks: {$image${image:+, }parallel: mpi, nodes: 2, ppn: 2, memory: 280MiB, script: "echo \$DESC_RANK of \$DESC_SIZE"}
exits: {$image${image:+, }memory: 60MiB, script: "exit 7"}
memory: {$image${image:+, }memory: 30MiB, script: "dd if=/dev/zero of=/dev/null bs=300M count=1000"}
END
# Two that want a gpu each have one each, at the same time.
if [ "$runtime" = host ]; then
    cat >gpus.yaml <<END
pipeline: {name: gpus, stages: [one]}
runtime: {working: gpus}
backends: {default: {scheduler: {use: slurm, poll: 500ms}, runtime: host}}
one: {gpus: 1, foreach: {n: [1, 2]}, memory: 20MiB, script: 'echo "\$CUDA_VISIBLE_DEVICES"; : >"$folder/gpu.\$DESC_EACH_N"; until [ -e "$folder/gpu.1" ] && [ -e "$folder/gpu.2" ]; do sleep 0.1; done'}
END
    timeout 120 salloc --quiet --nodes=1 --cpus-per-task=2 --mem=200 --gres=gpu:2 "$program" run gpus.yaml >log 2>&1 ||
        { cat log >&2; failed "steps with gpus failed"; }
    [ "$(cat gpus/.descpipe/runs/*/logs/000/*.out | sort | tr '\n' ' ')" = "0 1 " ] || failed "gpus of steps: $(cat gpus/.descpipe/runs/*/logs/000/*.out)"
fi
# One container holds all ranks where it has a name that they cannot share: on one node, by its own mpirun.
ranks=" ranks=OK"
if [ "$runtime" = docker ]; then
    status=0
    "$program" plan steps.yaml >log 2>&1 || status=$?
    [ "$status" = 2 ] || failed "ranks over two nodes in Docker: exit status $status"
    grep -q "stage 'ranks' asks for 2 nodes; runtime 'docker' keeps all ranks of a stage in one container" log || { cat log >&2; failed "ranks over two nodes in Docker are not refused"; }
    sed -i '/^ranks:/d; s/ranks, //' steps.yaml
    ranks=
    # The image has no MPI of its own: this machine's is mounted into it.
    need mpirun
    cat >inside.yaml <<END
pipeline: {name: inside, stages: [world]}
runtime: {working: inside, output: insideout}
backends: {default: {scheduler: {use: slurm, poll: 500ms}, runtime: docker}}
world:
  $image
  parallel: mpi
  ppn: 2
  memory: 600MiB
  mounts: ["/usr:/usr", "/lib:/lib", "/lib64:/lib64", "/etc/alternatives:/etc/alternatives", "/etc/openmpi:/etc/openmpi"]
  outputs: {world: /}
  env: {OMPI_ALLOW_RUN_AS_ROOT: '1', OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1', PATH: "/bin:/usr/bin"}
  script: 'mkdir -p "\$DESC_OUTPUT/world"; echo "\$OMPI_COMM_WORLD_RANK of \$OMPI_COMM_WORLD_SIZE in \$(hostname)" >"\$DESC_OUTPUT/world/\$OMPI_COMM_WORLD_RANK"'
END
    "$program" run inside.yaml >log 2>&1 || { cat log inside/.descpipe/runs/*/submissions/*/* >&2; failed "ranks inside one container failed"; }
    worlds=$(cat insideout/world/* | sed 's/^[01] of 2 in //' | sort -u)
    [ "$(cut -d' ' -f1-3 insideout/world/* | tr '\n' ' ')" = "0 of 2 1 of 2 " ] || failed "ranks inside one container: $(cat insideout/world/*)"
    if [ "$(printf '%s\n' "$worlds" | wc -l)" != 1 ] || [ "$worlds" = "$(hostname)" ]; then failed "the ranks were in: $worlds"; fi
fi
sed 's/cpus: 2/cpus: 5/; s/echo wide/echo wider/' steps.yaml >toowide.yaml
status=0
salloc --quiet --nodes=2 --ntasks-per-node=1 --cpus-per-task=2 --mem=600 \
    "$program" run --keep-going steps.yaml >log 2>&1 || status=$?
[ "$status" = 5 ] || { cat log >&2; failed "a run of steps with failed stages ended with $status"; }
run=$(basename "$(echo steps/.descpipe/runs/*)")
verdicts_of "$run" >verdicts
wanted="exits=EXIT many=succeeded memory=$memory$ranks wide=OK"
grep -qx "$wanted" verdicts || { cat log >&2; failed "verdicts of steps: '$(cat verdicts)', not '$wanted'"; }
[ "$runtime" = docker ] || [ "$("$program" logs "$run" ranks 2>/dev/null | sort | tr '\n' ' ')" = "0 of 4 1 of 4 2 of 4 3 of 4 " ] || failed "ranks of a step: $("$program" logs "$run" ranks)"
[ -z "$(squeue --noheader --states=all --format=%j | grep "^$run" || true)" ] || failed "steps were submitted as jobs"
status=0
salloc --quiet --nodes=2 --ntasks-per-node=1 --cpus-per-task=2 --mem=600 \
    "$program" run --only wide toowide.yaml >log 2>&1 || status=$?
[ "$status" = 5 ] || { cat log >&2; failed "a stage that is too wide for the allocation ended with $status"; }
grep -q "asks for 5 cpus; the allocation (job [0-9]*) has 4" log || { cat log >&2; failed "the number of cpus is not told"; }

if [ -n "$chain" ]; then
    status=0
    wait "$chain" || status=$?
    chain=
    [ "$status" = 5 ] || { cat chain.log >&2; failed "the chain's run ended with $status"; }
    run=$(basename "$(echo chain/.descpipe/runs/*)")
    verdicts_of "$run" >verdicts
    grep -qx "forgetful=TIMEOUT learner=OK" verdicts || { cat chain.log >&2; failed "verdicts of the chain: '$(cat verdicts)'"; }
    [ "$(cat chain/data/model.txt)" = half ] || failed "the second link wrote '$(cat chain/data/model.txt)'"
    grep -q "learner: TIMEOUT: told by USR1 that its time is nearly up, it ended with exit status 75; goes on from its checkpoint (link 1 of 3)" chain.log ||
        { cat chain.log >&2; failed "the first link is not told of"; }
    grep -q "forgetful: TIMEOUT: told by USR1 that its time is nearly up, it ended with exit status 3, and left no new checkpoint ('state/\*')" chain.log ||
        { cat chain.log >&2; failed "it is not told that there is no checkpoint"; }
fi
echo "run_test ($runtime): passed"
