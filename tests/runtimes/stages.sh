# SPDX-License-Identifier: BSD-3-Clause
# What world_test.sh runs once for each runtime and caller, in a folder of the caller's whose name the tools have to cope with.
#   stages.sh PROGRAM RUNTIME IMAGES → $HOME/RUNTIME.world, $HOME/RUNTIME.doctor
# shellcheck shell=sh
set -eu
program=$1 runtime=$2 images=$3
here="$HOME/with, blanks: $runtime"
mkdir -p "$here" "$XDG_CONFIG_HOME/descpipe" "$HOME/a b,c"
cd "$here"
ln -s "$images" "im ages"
printf 'secrets: {late: {file: "%s"}}\n' "$HOME/late" >"$XDG_CONFIG_HOME/descpipe/config.yaml"
# shellcheck disable=SC2016 # it is to arrive as it is
(umask 077 && echo 'a late $(value) `id` "quoted"' >"$HOME/late")
echo "hostile name" >"$HOME/a b,c/file"
echo "1 2 3" >table.txt
echo "setting: 1" >setting.yaml
# What cannot take the network away refuses such a stage.
network=false
[ "$runtime" != charliecloud ] || network=true
# The Engine loads archives only.
layout="oci:im ages/layout"
[ "$runtime" != docker ] || layout="docker-archive:im ages/probe.tar"
umask 077 # a stage has 022, whoever starts it

cat >pipeline.yaml <<END
pipeline: {name: world, stages: [world, layout, reader]}
backends: {default: {scheduler: local}}
runtime:
  working: work
  output: out
  inputs: {table: table.txt}
  config: {world: {setting: setting.yaml}}
world:
  image: "docker-archive:im ages/probe.tar"
  inputs: {table: txt}
  config: {setting: setting.yaml}
  outputs: {world: txt}
  env: {MINE: stage, HOSTILE: "a 'b' \"c\" \`id\` \$\$(id) x\\\\y é", LATE: {secret: late}, MACHINE: "$(uname -n)",
        SHARED_MEMORY: "$(stat -c %d /dev/shm)"}
  openmp: 1
  python-module: true
  mounts: ["$HOME/a b,c:/mnt/a b,c:ro"]
  script: |
    /bin/world look world.txt " two words" "" '"' '\$HOME'
    echo "a mount with a hostile name: \$(cat '/mnt/a b,c/file' 2>/dev/null)" >>"\$DESC_OUTPUT/world.txt"
layout:
  image: "$layout"
  outputs: {second: txt}
  network: $network
  command: [sh, -c, "grep : /proc/net/dev | cut -d: -f1 | tr -d ' ' | sort >\$DESC_OUTPUT/second.txt"]
reader:
  image: "docker-archive:im ages/probe.tar"
  inputs: {world: txt, second: txt}
  outputs: {copy: txt}
  command: [sh, -c, "{ cat \$DESC_INPUT/world.txt; echo interfaces without network: \$(cat \$DESC_INPUT/second.txt); } >\$DESC_OUTPUT/copy.txt"]
END
cat >quiet.yaml <<END
pipeline: {name: quiet, stages: [quiet]}
backends: {default: {scheduler: local}}
quiet: {image: "docker-archive:im ages/probe.tar", command: [sh, -c, "echo output: out; echo error: err >&2"]}
END
cat >stop.yaml <<END
pipeline: {name: stop, stages: [waits]}
backends: {default: {scheduler: local}}
waits:
  image: "docker-archive:im ages/probe.tar"
  mounts: ["$HOME/a b,c:/mnt"]
  command: [sh, -c, "trap 'echo told; exit 3' TERM INT; echo ready >/mnt/pipe; while :; do sleep 1; done"]
END

if [ "$network" = true ]; then
    sed 's/network: true/network: false/' pipeline.yaml >without.yaml
    ! "$program" plan --runtime "$runtime" without.yaml >without.log 2>&1 || { echo "a stage without network was planned"; exit 1; }
    grep -q 'cannot take it away' without.log || { cat without.log; exit 1; }
    grep -q 'cannot be forced read-only' without.log || { cat without.log; exit 1; }
fi
"$program" run --runtime "$runtime" pipeline.yaml >run.log 2>&1 || { cat run.log; exit 1; }
! grep -rqF --exclude-dir=attempts 'a late' work/.descpipe || { echo "a secret lies in the run folder"; exit 1; }
[ "$(cat table.txt)" = "1 2 3" ] || { echo "a stage changed its input"; exit 1; }
cp out/copy.txt "$HOME/$runtime.world"

# What the doctor says of it, and how stages end.
"$program" doctor --runtime "$runtime" --json >"$HOME/$runtime.doctor" 2>doctor.log || { cat doctor.log; exit 1; }

if [ "$runtime" = native ]; then
    "$program" doctor --runtime native >doctor.log 2>&1 || { cat doctor.log; exit 1; }
    grep -q '^0 of [0-9]* things' doctor.log || { cat doctor.log; exit 1; }
fi

"$program" run --runtime "$runtime" quiet.yaml >quiet.log 2>&1 || { cat quiet.log; exit 1; }
"$program" logs quiet >quiet.out 2>quiet.err
cat quiet.out quiet.err >>"$HOME/$runtime.world"

# A stage that is told to stop hears it.
mkfifo "$HOME/a b,c/pipe"
"$program" run --runtime "$runtime" stop.yaml >stop.log 2>&1 &
running=$!
ready=$(timeout 60 cat "$HOME/a b,c/pipe") || { cat stop.log; echo "a stage did not start"; exit 1; }
[ "$ready" = ready ]
rm "$HOME/a b,c/pipe"
"$program" cancel "$(basename "$(find work/.descpipe/runs -mindepth 1 -maxdepth 1 | sort | tail -n 1)")" >cancel.log 2>&1 || { cat cancel.log; exit 1; }
wait "$running" || true
log=$(find work/.descpipe/runs -name 'waits.1.out' | tail -n 1)
grep -q told "$log" || { cat stop.log; echo "a stage was not told to stop"; exit 1; }
