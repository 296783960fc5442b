#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# One pipeline on every combination that runs here: sequential and local × docker, podman, native, singularity and charliecloud ×
# a registry as Docker Hub and one as ECR. Each pulls its image from each registry, and all leave the same files, byte for byte,
# under the same names with the same modes.
#
#   runs_test.sh PROGRAM
#
# Exit status: 0 passed, 1 failed, 77 this machine lacks a tool or we are not root (a failure when CI is set).
set -eu
program=${1:?usage: runs_test.sh PROGRAM}
runtime="docker podman native singularity charliecloud"
# shellcheck source=tests/runtimes/begin.sh
. "$(dirname "$0")/../runtimes/begin.sh"
# shellcheck source=tests/combinations/begin.sh
. "$(dirname "$0")/begin.sh"
[ "$(id -u)" = 0 ] || cannot "only root can start an Engine of its own"
make_tools
serve_all
# shellcheck disable=SC1091 # made by make_tools
. "$folder/root/environment"

# Names, modes and bytes of what a run leaves to people.
picture() { # FOLDER
    (cd "$1" && find out work/data -mindepth 1 -printf '%P %y %m\n' | sort && find out work/data -type f -exec sha256sum {} + | sort -k 2)
}

run_one() { # SCHEDULER RUNTIME REGISTRY
    place=$folder/runs/$1-$2-$3
    mkdir -p "$place"
    cd "$place"
    printf '3\n1\n2\n' >table.txt
    cat >pipeline.yaml <<END
pipeline: {name: combine, owner: desc, basename: sky, version: 1, stages: [probe, each, join]}
backends: {default: {scheduler: $1, runtime: $2, registry: $(registry_words "$3")}}
runtime: {working: work, output: out, inputs: {table: table.txt}}
probe:
  inputs: {table: txt}
  outputs: {numbers: txt, plots: /}
  command: [sh, -c, "sort \$DESC_INPUT/table.txt >\$DESC_OUTPUT/numbers.txt; mkdir \$DESC_OUTPUT/plots; seq 100 >\$DESC_OUTPUT/plots/a; echo x >\$DESC_OUTPUT/plots/b; chmod 755 \$DESC_OUTPUT/plots/b"]
each:
  image: desc/sky-probe:1
  foreach: {band: [g, r]}
  inputs: {numbers: txt}
  outputs: {bands: txt}
  command: [sh, -c, "{ cat \$DESC_INPUT/numbers.txt; echo \$DESC_EACH_BAND \$DESC_RANK \$(cat /etc/registry | wc -l); } >\$DESC_OUTPUT/bands.txt"]
join:
  image: desc/sky-probe:1
  inputs: {bands: txt, plots: /}
  outputs: {joined: txt}
  command: [sh, -c, "cat \$DESC_INPUT/bands/* \$DESC_INPUT/plots/* | sha256sum >\$DESC_OUTPUT/joined.txt"]
END
    "$program" run pipeline.yaml >run.log 2>&1 || {
        cat run.log
        failed "$1 × $2 × $3 did not run (above)"
    }
    picture . >"$folder/$1-$2-$3.picture"
    cmp -s "$folder/$1-$2-$3.picture" "$folder/sequential-docker-dockerhub.picture" || {
        diff "$folder/sequential-docker-dockerhub.picture" "$folder/$1-$2-$3.picture" || true
        failed "$1 × $2 × $3 left other files than sequential × docker × dockerhub (above)"
    }
}

count=0
for registry in dockerhub ecr; do
    [ "$registry" = dockerhub ] && log=$folder/hub-registry/log || log=$folder/ecr-registry/log
    for each in $runtime; do
        before=$(grep -c '"GET /v2/desc/sky-probe/blobs/' "$log" || true)
        for scheduler in sequential local; do
            run_one "$scheduler" "$each" "$registry"
            count=$((count + 1))
        done
        [ "$(grep -c '"GET /v2/desc/sky-probe/blobs/' "$log")" -gt "$before" ] || failed "$each fetched nothing from the $registry registry"
    done
done
[ "$(wc -l <"$folder/sequential-docker-dockerhub.picture")" -ge 10 ] || failed "a picture shows too little"
! grep -rqF 'moto/secret+key' "$folder/runs" "$XDG_CACHE_HOME" || failed "AWS's secret lies in a file"
! grep -rqF "$password" "$folder/runs" || failed "ECR's password lies in a file"
echo "passed: $count combinations, the same files"
