#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Many runs of one user on one machine, side by side, against a simulated SLURM that counts requests and refuses what is over its
# rate: no request is refused, no job is submitted twice, none is lost.
#
#   many_runs_test.sh PROGRAM [RUNS] [AT_A_TIME] [PERIOD_MS]      by hand: 1000 40 200
#
# Three stages a run: two alike, which are one array, and one after them. The harshest site known gives 40 requests at once and
# then 4 a minute; here a minute is PERIOD_MS long.
# Exit status: 0 passed, 1 failed, 77 there is no python3 (a failure when CI is set).
set -eu
program=${1:?usage: many_runs_test.sh PROGRAM [RUNS] [AT_A_TIME] [PERIOD_MS]}
runs=${2:-12} at_a_time=${3:-6} period=${4:-200}
command -v python3 >/dev/null || {
    echo "many_runs_test: there is no python3 on this machine" >&2
    [ -z "${CI:-}" ] || exit 1
    exit 77
}
python=$(python3 -c 'import sys; print(sys.executable)')
simulator=$(cd "$(dirname "$0")/../fakes/slurm" && pwd -P)/simulator.py
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM
cd "$folder"
export XDG_STATE_HOME="$folder/state" XDG_CONFIG_HOME="$folder/config" XDG_CACHE_HOME="$folder/cache"

failed() {
    echo "many_runs_test: $*" >&2
    exit 1
}
count_of() {
    "$python" "$simulator" counts "$folder/sim" | sed -n "s/^$1=//p"
}
"$python" "$simulator" make "$folder/sim" bucket=40 refill=4 "period-ms=$period" run-ms=100
mkdir done logs
cat >one.sh <<END
#!/bin/sh
mkdir -p "$folder/run\$1"
cat >"$folder/run\$1/p.yaml" <<YAML
pipeline: {name: r\$1, stages: [one, two, last]}
runtime: {working: work, output: out}
backends: {default: {scheduler: {use: slurm, commands: $folder/sim/bin, poll: 500ms, poll-limit: 2s}, runtime: host}}
one: {outputs: {first: txt}, script: 'echo one >>"$folder/done/\$1"; echo x >"\\\$DESC_OUTPUT/first.txt"'}
two: {outputs: {second: txt}, script: 'echo two >>"$folder/done/\$1"; echo x >"\\\$DESC_OUTPUT/second.txt"'}
last: {inputs: {first: txt, second: txt}, script: 'echo last >>"$folder/done/\$1"'}
YAML
"$program" run "$folder/run\$1/p.yaml" --base "$folder/run\$1" >"$folder/logs/\$1" 2>&1 || echo "\$1" >>"$folder/failed"
END
seq "$runs" | xargs -P "$at_a_time" -n 1 sh one.sh
if [ -s failed ]; then
    cat "logs/$(head -n 1 failed)" >&2
    failed "$(wc -l <failed) of $runs runs did not succeed"
fi
for run in $(seq "$runs"); do
    [ "$(sort "done/$run" | tr '\n' ' ')" = "last one two " ] || failed "run $run: its stages ran as '$(cat "done/$run")'"
done
[ "$(count_of refused)" = "" ] || failed "$(count_of refused) requests were refused"
[ "$(count_of accepted-jobs)" = $((runs * 3)) ] || failed "$(count_of accepted-jobs) jobs for $((runs * 3)) stages"
[ "$(count_of ran)" = $((runs * 3)) ] || failed "$(count_of ran) jobs ran for $((runs * 3)) stages"
echo "many_runs_test: $runs runs, $((runs * 3)) stages: $(count_of requests) requests ($(count_of sbatch) sbatch, $(count_of squeue) squeue," \
    "$(count_of scontrol) scontrol), $(count_of accounting-requests) of accounting, none refused"
