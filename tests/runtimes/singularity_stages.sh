# SPDX-License-Identifier: BSD-3-Clause
# What singularity_test.sh runs once for each caller.
#   singularity_stages.sh PROGRAM FOLDER
# shellcheck shell=sh
set -eu
program=$1 folder=$2
here="$HOME/a: b, c"
mkdir -p "$here/mine: too, \"d\"" "$HOME/images" "$HOME/unpacked"
cd "$here"
echo mounted >"mine: too, \"d\"/file"

failed() {
    echo "singularity_stages: $*"
    exit 1
}
pipeline() { # IMAGE
    cat >pipeline.yaml <<END
pipeline: {name: kinds, stages: [a]}
backends:
  default:
    scheduler: local
    runtime: {use: singularity, tool: "$folder/slow/apptainer", cache: "$HOME/images", temporary: "$HOME/unpacked"}
runtime: {working: work, output: out}
a:
  image: "$1"
  outputs: {said: txt}
  script: 'echo \$(grep -c ^root: /etc/passwd) \$(touch /x 2>/dev/null || echo read-only) >\$DESC_OUTPUT/said.txt'
END
}
good() {
    "$program" run --no-cache pipeline.yaml >run.log 2>&1 || { cat run.log; failed "the run with '$1' failed"; }
    [ "$(cat out/said.txt)" = "1 read-only" ] || failed "'$1': the stage said '$(cat out/said.txt)'"
}
kept() { find "$HOME/images/images" -name image.sif | wc -l; }

# A puller that is killed with all that belongs to it: the next one takes over, and nothing half-made is left.
pipeline "docker-archive:$folder/images/probe.tar"
mkfifo "$HOME/begun"
"$program" run --no-cache pipeline.yaml >killed.log 2>&1 &
running=$!
tool=$(timeout 60 cat "$HOME/begun") || { cat killed.log; failed "nothing was converted"; }
rm "$HOME/begun"
[ -n "$(ls "$HOME/images/temporary")" ] || failed "it is not made in a place of its own"
engine=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$tool/status")
keeper=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$engine/status")
kill -9 "$running" "$keeper" "$engine" "$tool" 2>/dev/null || true
wait "$running" 2>/dev/null || true
[ "$(kept)" = 0 ] || failed "a killed puller left an image in its place"
good "an image whose first puller was killed"
[ "$(kept)" = 1 ] || failed "there are $(kept) images in the named cache folder"
[ -z "$(ls "$HOME/images/temporary")" ] || failed "what the killed puller made is left"
grep -qxF "$HOME/unpacked build" "$HOME/asked" || { cat "$HOME/asked"; failed "the temporary folder of the site is not the tool's"; }
[ -z "$(ls "$HOME/unpacked")" ] || failed "the tool left something in the temporary folder: $(ls "$HOME/unpacked")"
good "an image of the cache"
[ "$(grep -c ' build$' "$HOME/asked")" = 2 ] || failed "an image of the cache was made anew"

# Every kind of image; those of the same content are one.
pipeline "oci:$folder/images/layout"
good "oci:"
[ "$(kept)" = 1 ] || failed "the same image from a layout was made once more"
cp "$(find "$HOME/images/images" -name image.sif)" "one file.sif"
pipeline "sif:one file.sif"
good "sif:"
"$folder/bin/apptainer" --silent build --sandbox "$HOME/sandbox" "one file.sif" >build.log 2>&1 || { cat build.log; failed "no sandbox"; }
pipeline "rootfs:$HOME/sandbox"
good "rootfs:"
[ ! -e "$HOME/sandbox/x" ] || failed "a stage wrote into its image"
[ "$(kept)" = 1 ] || failed "an image that is used as it is was copied"

# A file that is none, and one that is not there, are refused before anything starts.
echo nonsense >bad.sif
pipeline "sif:bad.sif"
if "$program" run --no-cache pipeline.yaml >run.log 2>&1; then failed "a text file was run as an image"; fi
grep -q "is not a SIF file" run.log || { cat run.log; failed "a text file is not told for what it is"; }
pipeline "sif:missing.sif"
if "$program" run --no-cache pipeline.yaml >run.log 2>&1; then failed "no file was run as an image"; fi
grep -q "missing.sif" run.log || { cat run.log; failed "what is missing is not told"; }

# A mount with blanks, a colon, commas and quotes in its path, from a folder with the like.
cat >pipeline.yaml <<END
pipeline: {name: mounts, stages: [a]}
backends: {default: {scheduler: local, runtime: {use: singularity, tool: "$folder/slow/apptainer", cache: "$HOME/images"}}}
runtime: {working: "work: of, mine", output: out, inputs: {file: "mine: too, \"d\"/file"}}
a: {image: "docker-archive:$folder/images/probe.tar", inputs: {file: txt}, outputs: {said: txt}, script: 'cat \$DESC_INPUT/file.txt >\$DESC_OUTPUT/said.txt'}
END
mv "mine: too, \"d\"/file" "mine: too, \"d\"/file.txt"
sed -i 's|\\"d\\"/file"|\\"d\\"/file.txt"|' pipeline.yaml
"$program" run --no-cache pipeline.yaml >run.log 2>&1 || { cat run.log; failed "a run in a folder with such a name failed"; }
[ "$(cat out/said.txt)" = mounted ] || failed "the input said '$(cat out/said.txt)'"

# What the machine lets the tool do is told.
"$program" doctor >doctor.log 2>&1 || true
grep -q 'user namespaces' doctor.log || { cat doctor.log; failed "how the tool makes containers is not told"; }
