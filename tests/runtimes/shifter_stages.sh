# SPDX-License-Identifier: BSD-3-Clause
# What shifter_test.sh runs as an ordinary user.
#   shifter_stages.sh PROGRAM FOLDER REGISTRY CONFIG MANIFEST     the last two are the image's digests, as the registry has it
# shellcheck shell=sh
set -eu
program=$1 folder=$2 registry=$3 id_one=$4 manifest=$5
state=$folder/bin/state
mkdir -p "$HOME/work"
cd "$HOME/work"

failed() {
    echo "shifter_stages: $*"
    exit 1
}
# What registries have: NAME ID [EXTRA]
upstream() {
    printf '{"%s": {"id": "%s", "root": "%s", "env": ["PATH=/bin", "FROM_IMAGE=yes", "MINE=image"], "workdir": "/"%s}}\n' \
        "$registry/$1" "$2" "$folder/image" "${3:-}" >"$state/upstream.json"
}
id_two=$(printf '%064d' 2)
pipeline() { # IMAGE EXTRA-LINES
    cat >pipeline.yaml <<END
pipeline: {name: shifter, stages: [a]}
backends: {default: {scheduler: local, registry: oci, runtime: {use: shifter, modules: [mpich]}}}
runtime: {working: work, output: out, inputs: {table: table.txt}}
a:
  image: "$registry/$1"
  inputs: {table: txt}
  outputs: {world: txt}
  env: {MINE: stage}
  command: [sh, -c, "{ id -u; pwd; echo \$MINE \$FROM_IMAGE \$HOME; cat \$DESC_INPUT/table.txt; touch \$DESC_INPUT/x 2>/dev/null || echo read-only; } >\$DESC_OUTPUT/world.txt"]
$2
END
}
echo "1 2 3" >table.txt
run() { # OPTION...
    "$program" run --no-cache --runtime shifter "$@" pipeline.yaml >run.log 2>&1
}
refused() { # TEXT OPTION...
    text=$1
    shift
    if run "$@"; then failed "was not refused: $text"; fi
    grep -qF -- "$text" run.log || { cat run.log; failed "did not say: $text"; }
}

# A pull that the gateway takes its time for, then a run.
upstream desc/probe:1 "$id_one"
pipeline desc/probe:1 ""
run || { cat run.log; failed "the run failed"; }
printf '%s\n' 54321 /opt/output "stage yes /tmp" "1 2 3" read-only >expected
diff expected out/world.txt || failed "the stage saw something else"
printf '%s\n' '["shifterimg", "lookup", "docker:REGISTRY/desc/probe:1"]' '["shifterimg", "lookup", "docker:REGISTRY/desc/probe:1"]' \
    '["shifterimg", "pull", "docker:REGISTRY/desc/probe:1"]' '["shifterimg", "lookup", "docker:REGISTRY/desc/probe:1"]' >expected
grep shifterimg "$state/log" | sed "s|$registry|REGISTRY|" >seen
diff expected seen || failed "other questions to the gateway"
grep '"shifter",' "$state/log" | sed "s|$HOME|HOME|g; s|runs/[^/]*/|runs/RUN/|" >seen
cat >expected <<END
["shifter", "--image=id:$id_one", "--volume=HOME/work/work/a/input:/opt/input:ro", "--volume=HOME/work/work/.descpipe/runs/RUN/attempts/000/a.1:/opt/output", "--volume=HOME/work/work/a/config:/opt/config:ro", "--module=mpich", "--env=HOME=/tmp", "--env=LANG=C.UTF-8", "--env=DESC_INPUT=/opt/input", "--env=DESC_OUTPUT=/opt/output", "--env=DESC_CONFIG=/opt/config", "--env=DESC_PARALLEL=serial", "--env=DESC_RANK=0", "--env=DESC_SIZE=1", "--env=MINE=stage", "--workdir=/opt/output", "--", "sh", "-c", "{ id -u; pwd; echo \$MINE \$FROM_IMAGE \$HOME; cat \$DESC_INPUT/table.txt; touch \$DESC_INPUT/x 2>/dev/null || echo read-only; } >\$DESC_OUTPUT/world.txt"]
END
diff expected seen || failed "another command line"

# The gateway gives the manifest's digest: also the pinned one.
rm "$state/images.json"
upstream desc/probe:1 "$manifest"
run || { cat run.log; failed "the manifest's digest is not taken for the image"; }

# The tag has moved since it was pinned: pulled again, and refused for what it is.
rm "$state/images.json"
upstream desc/probe:1 "$id_two"
refused "the tag has moved"
grep -q "a: IMAGE" run.log || { cat run.log; failed "the verdict of a moved tag is not IMAGE"; }
! grep -q '"shifter", "--image=id:'"$id_two" "$state/log" || failed "a stage ran with what is not pinned"
upstream desc/probe:1 "$id_one"
run || { cat run.log; failed "the pinned image did not run"; }
pipeline "desc/probe@sha256:$manifest" ""
refused "name a tag besides the digest"

# A pull is followed to its end: no stage starts before, and one that ends too early is asked again.
rm -f "$state/images.json" "$state/log"
pipeline desc/probe:1 ""
mkfifo "$state/pulling" "$state/hold"
run &
running=$!
[ "$(timeout 60 cat "$state/pulling")" = pulling ] || { cat run.log; failed "nothing was pulled"; }
! grep -q '"shifter",' "$state/log" || failed "a stage started while its image was being pulled"
rm "$state/pulling"
echo on >"$state/hold"
wait "$running" || { cat run.log; failed "the run failed after its image had come"; }
rm -f "$state/hold" "$state/images.json" "$state/log"
: >"$state/early"
run || { cat run.log; failed "a pull that the gateway still went on with was given up"; }
[ "$(grep -c '"pull"' "$state/log")" = 2 ] || { cat "$state/log"; failed "the pull was not asked for again"; }

# A private image: the login is ours, by standard input, and the image is for nobody else.
rm -f "$state/images.json" "$state/log"
upstream desc/other:1 "$id_one" ', "login": ["joe", "sky+blue/1"]'
pipeline desc/other:1 ""
refused "does the image need a login?"
mkdir -p "$HOME/.docker"
printf '{"auths": {"%s": {"auth": "%s"}}}\n' "$registry" "$(printf 'joe:sky+blue/1' | base64 -w 0)" >"$HOME/.docker/config.json"
run || { cat run.log; failed "a private image was not had"; }
[ "$(cat "$state/cred.json")" = '["joe", "sky+blue/1"]' ] || failed "another login: $(cat "$state/cred.json")"
printf '%s\n' '["shifterimg", "login", "default"]' '["shifterimg", "--user", "stage", "pull", "docker:REGISTRY/desc/other:1"]' >expected
grep -e '"login"' -e '"--user"' "$state/log" | sed "s|$registry|REGISTRY|" >seen
diff expected seen || failed "another way to log in"
[ ! -e "$state/exposed" ] || failed "a private image is everybody's"
! grep -rqF "sky+blue" "$state/log" work run.log || failed "the password lies in a file or stood in an argv"
rm -r "$HOME/.docker" "$state/images.json"

# A gateway that fails, and one that is not there.
upstream desc/other:1 "$id_two" ', "fails": true'
pipeline desc/other:1 ""
refused "FAILURE"
: >"$state/down"
refused "image gateway does not answer"
rm "$state/down"

# What Shifter refuses is refused with reasons.
upstream desc/probe:1 "$id_one"
mkdir -p "$HOME/data" "$HOME/with blank"
pipeline desc/probe:1 "  mounts: [\"$HOME/data:/etc/data\"]"
refused "lets nobody mount below /etc"
pipeline desc/probe:1 "  mounts: [\"$HOME/data:/opt/udiImage/x\"]"
refused "lets nobody mount below /etc"
pipeline desc/probe:1 "  mounts: [\"$HOME/with blank:/data\"]"
refused "would drop letters of the path"
pipeline desc/probe:1 "  network: false"
refused "cannot take it away"
pipeline desc/probe:1 "  python-module: true"
refused "cannot mount one file"
pipeline desc/probe:1 "  mounts: [\"$HOME/data:/data\"]"
run || { cat run.log; failed "a mount that Shifter allows was refused"; }
# Words of Shifter's own: names instead of ids, a cache of each node, the image's entry point, GPUs.
rm "$state/log"
run -o runtime.name-images-by=name -o "runtime.volumes=[$HOME/data:/data:perNodeCache=size=10G]" || { cat run.log; failed "a run in Shifter's words failed"; }
grep '"shifter",' "$state/log" | grep -F -e '"--image=docker:'"$registry/desc/probe:1"'"' | grep -qF -e '"--volume='"$HOME/data:/data:perNodeCache=size=10G"'"' ||
    { cat "$state/log"; failed "a volume or an image in Shifter's words did not arrive"; }
refused "lets nobody mount below /etc" -o "runtime.volumes=[$HOME/data:/etc/data:perNodeCache=size=10G]"
pipeline desc/probe:1 ""
refused "Image does not have a defined entrypoint" -o runtime.entry-point=true
rm "$state/images.json"
upstream desc/probe:1 "$id_one" ', "entry": ["env", "ENTERED=yes"]'
# shellcheck disable=SC2016 # it is the stage's shell that reads it
sed -i 's/FROM_IMAGE \$HOME/FROM_IMAGE $ENTERED/' pipeline.yaml
sed -i 's/^  outputs:/  on: {shifter: {entry-point: true, modules: [gpu]}}\n&/' pipeline.yaml
run || { cat run.log; failed "a stage by its image's entry point failed"; }
grep '"shifter",' "$state/log" | tail -n 1 | grep -F '"--module=gpu"' | grep -qF '"--entrypoint"' || { cat "$state/log"; failed "what a stage says of its runtime did not arrive"; }
[ "$(sed -n 3p out/world.txt)" = "stage yes yes" ] || { cat out/world.txt; failed "the entry point was not run"; }

sed -i 's/on: {shifter: {.*/on: {shifter: {folder: \/opt\/shifter}}/' pipeline.yaml
refused "a stage can have no option 'folder' of runtime/shifter of its own"

# In a job of SLURM the image is said to SLURM too, which pins it at submission and makes it ready in the prolog.
python3 "$folder/simulator.py" make "$folder/slurm" >/dev/null
mv "$folder/slurm/bin/sbatch" "$folder/slurm/sbatch"
printf '#!/bin/sh\nprintf "%%s\\n" "$@" >>"%s"\nexec "%s" "$@"\n' "$folder/slurm/said" "$folder/slurm/sbatch" >"$folder/slurm/bin/sbatch"
chmod 755 "$folder/slurm/bin/sbatch"
rm "$state/log"
pipeline desc/probe:1 "  gpus: 1"
run -o "scheduler.commands=$folder/slurm/bin" -o scheduler.poll=100ms --backend slurm || { cat run.log; failed "a job with Shifter failed"; }
grep -qxF -e "--image=id:$id_one" "$folder/slurm/said" || { cat "$folder/slurm/said"; failed "SLURM was not told of the image"; }
grep '"shifter",' "$state/log" | grep -qF '"--module=gpu,mpich"' || { cat "$state/log"; failed "the gpu module was not asked for"; }
pipeline desc/probe:1 ""

# What the site forbids is said before Shifter would.
cat >udiRoot.conf <<'END'
udiMount=/var/udiMount
module_mpich_siteFs = /opt/cray
module_mpich_conflict = openmpi \
    gpu
module_gpu_copyPath=/usr/lib/shifter/gpu
module_old_copyPath=/usr/lib/shifter/old
module_old_enabled = 0
module_openmpi_siteFs=/opt/openmpi
perNodeCacheSizeLimit = 10G
perNodeCacheAllowedFsType=xfs ext4
END
site() { # OPTION...
    options=
    for option; do options="$options -o $option"; done
    # shellcheck disable=SC2086 # words
    "$program" run --no-cache --runtime shifter -o "runtime.site-file=$PWD/udiRoot.conf" $options pipeline.yaml >run.log 2>&1
}
site_refuses() { # TEXT OPTION...
    text=$1
    shift
    if site "$@"; then failed "the site allowed: $*"; fi
    grep -qF -- "$text" run.log || { cat run.log; failed "the site did not say: $text"; }
}
pipeline desc/probe:1 ""
site || { cat run.log; failed "what the site allows was refused"; }
site_refuses "Shifter module 'mpi' is not known at this site" "runtime.modules=[mpi]"
site_refuses "Shifter module 'old' is switched off by the site" "runtime.modules=[old]"
site_refuses "Shifter module 'mpich' cannot be loaded beside 'gpu'" "runtime.modules=[gpu,mpich]"
site_refuses "perNodeCache volumes of 10G at most" "runtime.volumes=[$HOME/data:/data:perNodeCache=size=11G]"
site_refuses "these file systems: xfs ext4" "runtime.volumes=[$HOME/data:/data:perNodeCache=fstype=btrfs]"
grep -q "udiRoot.conf" run.log || failed "where the site says so is not told"

"$program" doctor >doctor.log 2>&1 || true
grep -q 'shifter .*image gateway answers' doctor.log || { cat doctor.log; failed "doctor does not know shifter"; }
