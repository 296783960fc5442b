#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A run of many stages on a real SLURM beside the bare tool, taking turns: 200 stages against 200 plain sbatch, a stage of 1,000
# members against one plain array of 1,000. Until the last job is over, and as far as the controller has taken them.
#   slurm.sh DESCPIPE TESTBED [--single=N] [--array=N] [--rounds=N]
# What descpipe asks of SLURM is counted by wrappers around its commands.
set -eu
descpipe=$1 testbed=$2
shift 2
single=200 array=1000 rounds=3
for argument in "$@"; do
    case $argument in
    --single=*) single=${argument#*=} ;;
    --array=*) array=${argument#*=} ;;
    --rounds=*) rounds=${argument#*=} ;;
    esac
done
top=$(mktemp -d /tmp/dps.XXXXXX)
finish() {
    "$testbed" stop "$top/slurm" || true
    rm -rf "$top"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM
status=0
# 48 jobs at a time; nodes may be slow to answer.
"$testbed" start "$top/slurm" MinJobAge=2 MaxArraySize=2001 SlurmdTimeout=300 DebugFlags=NO_CONF_HASH \
    "PartitionName=debug Nodes=n[1-3] Default=YES MaxTime=60 DefaultTime=10 State=UP OverSubscribe=FORCE:8" >"$top/conf" || status=$?
[ "$status" = 0 ] || exit "$status"
SLURM_CONF=$(sed -n 's/^SLURM_CONF=//p' "$top/conf")
export SLURM_CONF XDG_CACHE_HOME="$top/cache" XDG_STATE_HOME="$top/state" XDG_CONFIG_HOME="$top/config"
mkdir "$top/bin"
for tool in sbatch squeue sacct scontrol scancel sacctmgr; do
    printf '#!/bin/sh\necho %s >>"%s/asked"\nexec %s "$@"\n' "$tool" "$top" "$(command -v "$tool")" >"$top/bin/$tool"
    chmod +x "$top/bin/$tool"
done
cd "$top"
now_ms() { date +%s%3N; }
until_empty() { # polls as a person's script would
    while [ -n "$(squeue --noheader --array --format=%i)" ]; do sleep 0.5; done
}
pipeline() { # KIND N
    echo "pipeline: {name: $1, stages: ["
    if [ "$1" = single ]; then seq -f 's%g' -s ', ' "$2"; else echo many; fi
    echo "]}"
    echo "runtime: {working: $1-work, output: $1-out}"
    echo "backends: {default: {scheduler: {use: slurm, commands: $top/bin, poll: 500ms, poll-limit: 2s}, runtime: host}}"
    if [ "$1" = single ]; then
        for n in $(seq "$2"); do echo "s$n: {command: [/bin/true]}"; done
    else
        echo "many: {foreach: {n: [$(seq -s ', ' "$2")]}, command: [/bin/true]}"
    fi
}
plain_single() {
    for n in $(seq "$1"); do sbatch --quiet --output=/dev/null --wrap=/bin/true; done
}
plain_array() {
    sbatch --quiet --output=/dev/null --array=0-$(($1 - 1)) --wrap=/bin/true
}
# measure KIND N: one line "KIND plain-submit plain-end ours-submit ours-end asked" in ms
measure() {
    start=$(now_ms)
    "plain_$1" "$2"
    plain_submit=$(($(now_ms) - start))
    until_empty
    plain_end=$(($(now_ms) - start))
    rm -rf "$1-work" "$1-out" asked
    : >asked
    start=$(now_ms)
    "$descpipe" --quiet run "$1.yaml" >log 2>&1 || { cat log >&2; exit 1; }
    ours_end=$(($(now_ms) - start))
    ours_submit=$(python3 -c 'import glob, json, sys
# From the start of the program to the last job that was taken, by the journal.
last = 0
for line in open(glob.glob(sys.argv[1] + "/.descpipe/runs/*/journal.jsonl")[0]):
    record = json.loads(line)
    if record["kind"] == "submitted":
        last = record["at"]
print(last - int(sys.argv[2]))' "$1-work" "$start")
    echo "$1 $plain_submit $plain_end $ours_submit $ours_end $(wc -l <asked)"
}
pipeline single "$single" >single.yaml
pipeline array "$array" >array.yaml
for round in $(seq "$rounds"); do
    measure single "$single" >>results
    measure array "$array" >>results
done
python3 - "$single" "$array" <<'END'
import statistics, sys
counts = {"single": int(sys.argv[1]), "array": int(sys.argv[2])}
rows = [line.split() for line in open("results")]
for kind, count in counts.items():
    mine = [[int(word) for word in row[1:]] for row in rows if row[0] == kind]
    def middle(values):
        return "%.2f [%.2f-%.2f]" % (statistics.median(values), min(values), max(values))
    print("%s, %d jobs, %d rounds:" % (kind, count, len(mine)))
    print("  until all are taken: ours / plain %s (plain %d ms)" %
          (middle([row[2] / max(row[0], 1) for row in mine]), statistics.median(row[0] for row in mine)))
    print("  until all are over:  ours / plain %s (plain %d ms); added per stage %.1f ms" %
          (middle([row[3] / row[1] for row in mine]), statistics.median(row[1] for row in mine),
           statistics.median((row[3] - row[1]) / count for row in mine)))
    print("  commands of SLURM: %s a run, %.3f a stage, %.3f a stage and minute" %
          (statistics.median(row[4] for row in mine), statistics.median(row[4] / count for row in mine),
           statistics.median(row[4] / count / (row[3] / 60000) for row in mine)))
END
