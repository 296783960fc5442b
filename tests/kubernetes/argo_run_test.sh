#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Pipelines as Argo Workflows, in a real API server with real pods, walked by argo_controller.py: files between stages, endings and
# attempts, cancel, and engines that are killed at many points: one Workflow, never two.
#
#   argo_run_test.sh PROGRAM     with ARGO_CRDS naming a folder of Argo's resource definitions
#
# Exit status: 0 passed, 1 failed, 77 something of the machine is missing.
set -eu

here=$(cd "$(dirname "$0")" && pwd -P)
program=$(cd "$(dirname "$1")" && pwd -P)/$(basename "$1")
# shellcheck source=tests/kubernetes/argo_fixture.sh
. "$here/argo_fixture.sh"

head_of_file() { # STAGES NAME [OPTIONS]: each pipeline has a working folder of its own
    cat << END
pipeline: {name: k, stages: [$1]}
runtime: {working: ./work-$2, output: ./out-$2}
backends:
  default:
    scheduler: {use: argo, volume: {host-path: "$folder/run"}, helper-image: "$image", image-patience: 5s${3:-}}
    runtime: docker
    registry: {use: oci, plain-http: true}
END
}
verdict() { # FILE STAGE
    "$program" status "$1" --json | python3 -c 'import json, sys
print(next(stage["verdict"] for stage in json.load(sys.stdin)["stages"] if stage["name"] == sys.argv[1]))' "$2"
}
workflows_of() { # FILE: how many its latest run has
    run=$("$program" status "$1" --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["run"])')
    kube get workflows -l "descpipe.org/run=$run" -o name | wc -l
}
kill_tree() { # PID: it and what it has started
    for child in $(pgrep -P "$1"); do
        kill_tree "$child"
    done
    kill -9 "$1" 2> /dev/null || true
}

echo "== three stages with files"
{
    head_of_file 'make_it, double, sum' three
    cat << END
make_it:
  image: $image
  outputs: {numbers: txt}
  command: [sh, -c, 'echo "on \$HOME as \$(id -u) with \$DESC_SIZE"; seq 1 10 > \$DESC_OUTPUT/numbers.txt']
double:
  image: $image
  inputs: {numbers: txt}
  outputs: {doubled: txt}
  foreach: {half: [a, b]}
  command: [sh, -c, 'while read -r n; do echo \$((n * 2)); done < \$DESC_INPUT/numbers.txt > \$DESC_OUTPUT/doubled.txt; touch \$DESC_INPUT/x && exit 9; echo half \$DESC_EACH_HALF']
sum:
  image: $image
  inputs: {doubled: txt}
  outputs: {total: txt}
  script: |
    t=0
    for f in \$DESC_INPUT/doubled/*; do
      while read -r n; do t=\$((t + n)); done < \$f
    done
    echo \$t > \$DESC_OUTPUT/total.txt
END
} > three.yaml
"$program" run three.yaml > "$folder/three.log" 2>&1 || failed "three stages ended with status $?"
[ "$(cat out-three/total.txt)" = 220 ] || failed "the total is '$(cat out-three/total.txt)', not 220"
"$program" logs three.yaml make_it | grep -q "on /tmp as $(id -u) with 1" || failed "the log of make_it: $("$program" logs three.yaml make_it)"
"$program" logs three.yaml double/b | grep -q 'half b' || failed "the log of double"
[ "$(workflows_of three.yaml)" = 1 ] || failed "three stages are not one Workflow"

echo "== endings and attempts, of nodes that are packed"
stop_controller
start_controller --pack
{
    head_of_file 'three, large, missing, dollars, late, flaky, silent, after' endings
    cat << END
three: {image: $image, command: [sh, -c, 'exit 3']}
large: {image: $image, memory: 32MiB, command: [sh, -c, 'tail /dev/zero']}
missing: {image: $image, command: [nothing-here]}
dollars: {image: $image, command: [echo, '\$(A) \$\$\$\$x']}
late: {image: $image, minutes: 1, command: [sleep, '600']}
flaky: {image: $image, retries: {limit: 2, backoff: 1s}, mounts: ["$folder/run:/opt/mark"], command: [sh, -c, 'echo try; [ -e /opt/mark/m ] || { touch /opt/mark/m; exit 4; }']}
silent: {image: $image, outputs: {never: txt}, command: ['true']}
after: {image: $image, depends-on: [three], command: ['true']}
END
} > endings.yaml
status=0
"$program" run endings.yaml --keep-going > "$folder/endings.log" 2>&1 || status=$?
[ "$status" = 5 ] || failed "endings ended with status $status"
for each in three:EXIT large:OOM missing:EXIT dollars:OK late:TIMEOUT flaky:OK silent:OUTPUT_MISSING; do
    told=$(verdict endings.yaml "${each%%:*}")
    [ "${told%% *}" = "${each##*:}" ] || failed "stage ${each%%:*} is '$told', not ${each##*:}"
done
grep -q "after: skipped: because 'three' failed" "$folder/endings.log" || failed "what happened to 'after'"
grep -q 'flaky: EXIT 4.*will be tried again' "$folder/endings.log" || failed "the attempt that Argo made is not shown"
# shellcheck disable=SC2016 # the text itself
"$program" logs endings.yaml dollars | grep -qF '$(A) $$x' || failed "dollars: $("$program" logs endings.yaml dollars)"
stop_controller
start_controller

echo "== cancel"
{
    head_of_file 'slow, after' cancel
    cat << END
slow: {image: $image, command: [sh, -c, 'echo begun; exec sleep 600']}
after: {image: $image, depends-on: [slow], command: [echo, after]}
END
} > cancel.yaml
"$program" run cancel.yaml > "$folder/cancel.log" 2>&1 &
run=$!
deadline=$(($(date +%s) + 240))
until "$program" logs cancel.yaml slow 2> /dev/null | grep -q begun; do
    [ "$(date +%s)" -lt "$deadline" ] || failed "slow did not begin"
    sleep 1
done
"$program" cancel cancel.yaml 2> "$folder/cancelling.log" || failed "it cannot be cancelled"
status=0
wait "$run" || status=$?
[ "$status" = 7 ] || failed "the cancelled run ended with status $status"
[ "$(verdict cancel.yaml slow)" = CANCELLED ] || failed "slow is $(verdict cancel.yaml slow)"

echo "== engines that are killed"
number=0
for delay in 0.05 0.1 0.2 0.4 1 3 6; do
    number=$((number + 1))
    {
        head_of_file 'a, b' "kill$number"
        cat << END
a: {image: $image, outputs: {x: txt}, command: [sh, -c, 'echo a >> \$DESC_OUTPUT/x.txt; sleep 1']}
b: {image: $image, inputs: {x: txt}, outputs: {y: txt}, command: [sh, -c, 'cat \$DESC_INPUT/x.txt > \$DESC_OUTPUT/y.txt']}
END
    } > "kill$number.yaml"
    "$program" run "kill$number.yaml" > "$folder/kill$number.log" 2>&1 &
    run=$!
    sleep "$delay" # whatever it is doing by then
    kill_tree "$run"
    wait "$run" 2> /dev/null || true
    [ -d "work-kill$number/.descpipe/runs" ] || continue # killed before there was a run
    "$program" resume "kill$number.yaml" >> "$folder/kill$number.log" 2>&1 || failed "after $delay s: resume ended with status $?"
    [ "$(cat "out-kill$number/y.txt")" = a ] || failed "after $delay s: the result is '$(cat "out-kill$number/y.txt")'"
    [ "$(workflows_of "kill$number.yaml")" = 1 ] || failed "after $delay s: $(workflows_of "kill$number.yaml") Workflows"
done

echo "== handed over"
{
    head_of_file 'a, b' detached
    sed -n '/^a:/,$p' kill1.yaml
} > detached.yaml
"$program" run --detach detached.yaml > "$folder/detached.log" 2>&1 || failed "handing over ended with status $?"
"$program" resume detached.yaml >> "$folder/detached.log" 2>&1 || failed "coming back ended with status $?"
[ "$(cat out-detached/y.txt)" = a ] || failed "the result of the run that was handed over"
[ "$(workflows_of detached.yaml)" = 1 ] || failed "the run that was handed over has $(workflows_of detached.yaml) Workflows"

echo "== a site that lacks something"
{
    head_of_file 's' site
    echo "s: {image: $image, command: [echo, x]}"
} > site.yaml
"$program" check --site site.yaml > "$folder/site.log" 2>&1 || failed "check --site ended with status $?"
grep -q "stage 's': 1 cpu: would be taken" "$folder/site.log" || failed "the server was not asked"
lacks() { # WORDS COMMAND...
    words=$1
    shift
    status=0
    "$@" > "$folder/site.log" 2>&1 || status=$?
    [ "$status" = 1 ] || failed "$words: status $status"
    grep -q "$words" "$folder/site.log" || failed "'$words' was not said"
}
lacks 'no right in namespace .default. to create workflows, ' env KUBECONFIG="$folder/bed/weak.conf" "$program" check --site site.yaml
lacks "no pull secret 'gone'" "$program" check --site site.yaml -o scheduler.pull-secrets='[gone]'
lacks 'no node has the labels disk=fast' "$program" check --site site.yaml -o scheduler.node-selector='{disk: fast}'
lacks 'serviceaccount "nobody" not found' "$program" check --site site.yaml -o scheduler.service-account=nobody
lacks "no PersistentVolumeClaim 'none'" "$program" check --site site.yaml -o scheduler.volume="{claim: none, mount: $folder/run}"
kube create namespace full > "$folder/full.log"
kube create quota full --hard=pods=0 -n full >> "$folder/full.log"
deadline=$(($(date +%s) + 120))
until kube get serviceaccount default -n full > /dev/null 2>&1 && kube get quota full -n full -o yaml | grep -q '^  used'; do
    [ "$(date +%s)" -lt "$deadline" ] || failed "the quota is not counted"
    sleep 1
done
lacks 'exceeded quota: full' "$program" check --site site.yaml -o scheduler.namespace=full
kube delete crd workflows.argoproj.io > "$folder/crds.log" 2>&1 || failed "Argo's resource definition stays"
lacks 'Argo is not installed there' "$program" check --site site.yaml
