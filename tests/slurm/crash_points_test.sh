#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The engine killed at steps of a run whose jobs a real SLURM has, at steps of handing one over, and while sbatch is on its way;
# each job is there once.
#
#   testbed_test.sh sh crash_points_test.sh PYTHON CRASH_POINTS PROGRAM PRELOAD PLUGINS
set -eu
program=$3 plugins=$5
"$@" real-slurm host rootfs:/ 19
"$@" real-slurm-detached host rootfs:/ 13

# What was being told when the engine died is waited for, before SLURM is asked what it has.
folder=$DESCPIPE_TEST_FOLDER/slow
unset DESCPIPE_TEST_FOLDER DESCPIPE_TEST_TESTBED
mkdir -p "$folder/commands"
cd "$folder"
export XDG_STATE_HOME="$folder/state" XDG_CONFIG_HOME="$folder/config"
failed() {
    echo "crash_points_test: $*" >&2
    cat log resumed >&2 2>/dev/null || true
    squeue --states=all --format='%i %j %T %r' >&2
    touch go
    exit 1
}
until_true() {
    deadline=$(($(date +%s) + 120))
    until "$@"; do
        [ "$(date +%s)" -lt "$deadline" ] || failed "not within two minutes: $*"
        sleep 0.1
    done
}
for tool in squeue sacct scontrol scancel sacctmgr srun; do
    ln -s "$(command -v $tool)" commands/$tool
done
cat >commands/sbatch <<END
#!/bin/sh
touch "$folder/asked"
until [ -e "$folder/go" ]; do sleep 0.1; done
exec $(command -v sbatch) "\$@"
END
chmod +x commands/sbatch
cat >slow.yaml <<END
pipeline: {name: slow, stages: [one]}
runtime: {working: work, output: out}
backends: {default: {scheduler: {use: slurm, commands: "$folder/commands", poll: 500ms}, runtime: host}}
one: {outputs: {a: txt}, script: 'echo one >>"$folder/done"; echo a >"\$DESC_OUTPUT/a.txt"'}
END
"$program" --plugin-dir "$plugins" run slow.yaml >log 2>&1 &
front=$!
until_true test -e asked
engine=$(sed -n 's/.*"kind":"writer".*"pid":\([0-9]*\).*/\1/p' work/.descpipe/runs/*/journal.jsonl)
kill -KILL "$engine"
wait "$front" 2>/dev/null || true
"$program" --plugin-dir "$plugins" resume work >resumed 2>&1 &
front=$!
until_true grep -q 'is still on its way' resumed
touch go
wait "$front" || failed "resume ended with $?"
[ "$(cat "$folder/done")" = one ] || failed "it ran more than once: $(cat "$folder/done")"
echo "crash_points_test: passed"
