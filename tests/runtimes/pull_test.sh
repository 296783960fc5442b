#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Images of real registries (docker-registry on loopback, plain and with TLS, an authority of its own and a password): pinned by
# digest, fetched once however many ask, made anew when the cache is damaged; the login in no argv, no log and no file that stays.
#
#   pull_test.sh RUNTIME PROGRAM
#
# Exit status: 0 passed, 1 failed, 77 this machine lacks a tool or we are not root (a failure when CI is set).
set -eu
runtime=${1:?usage: pull_test.sh RUNTIME PROGRAM}
program=${2:?usage: pull_test.sh RUNTIME PROGRAM}
# shellcheck source=tests/runtimes/begin.sh
. "$(dirname "$0")/begin.sh"
[ "$(id -u)" = 0 ] || cannot "only root can set up what the tools need"
need docker-registry skopeo htpasswd openssl
make_images
make_tools
# shellcheck disable=SC1091 # made by make_tools
. "$folder/root/environment"
mkdir -p "$folder/work" "$HOME/.docker"
cd "$folder/work"
password='sky"blue\9'
pipeline() { # IMAGE OPTIONS-OF-THE-REGISTRY...
    image=$1
    shift
    options=$*
    cat >pipeline.yaml <<END
pipeline: {name: pull, stages: [a]}
backends: {default: {scheduler: local, runtime: $runtime, registry: oci}}
a:
  image: "$image"
  outputs: {said: txt}
  command: [sh, -c, "echo \$FROM_IMAGE \$MINE >\$DESC_OUTPUT/said.txt"]
END
}
# shellcheck disable=SC2086 # a list of words
run() { "$program" run --no-cache --runtime "$runtime" $options pipeline.yaml >run.log 2>&1; }
good() {
    run || { cat run.log; failed "the run of '$1' failed"; }
    [ "$(cat out/said.txt)" = "yes image" ] || failed "'$1': the image's variables did not reach the stage: $(cat out/said.txt)"
}
# How often the image's layer was fetched.
fetched() { grep -c "\"GET /v2/desc/probe/blobs/$layer " "$folder/$1/log" || true; }
layer=$(skopeo inspect --raw "oci:$folder/images/layout:1" | python3 -c 'import json, sys; print(json.load(sys.stdin)["layers"][0]["digest"])')

# With a password, over TLS.
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=descpipe-test -keyout "$folder/ca.key" -out "$folder/ca.crt" 2>/dev/null
openssl req -newkey rsa:2048 -nodes -subj /CN=127.0.0.1 -keyout "$folder/server.key" -out "$folder/server.csr" 2>/dev/null
printf 'subjectAltName=IP:127.0.0.1\n' >"$folder/server.ext"
openssl x509 -req -in "$folder/server.csr" -CA "$folder/ca.crt" -CAkey "$folder/ca.key" -CAcreateserial -days 2 \
    -extfile "$folder/server.ext" -out "$folder/server.crt" 2>/dev/null
printf '%s' "$password" | htpasswd -iBc -C 4 "$folder/htpasswd" joe 2>/dev/null
serve safe "http: {addr: \"127.0.0.1:0\", tls: {certificate: $folder/server.crt, key: $folder/server.key}}
auth: {htpasswd: {realm: sky, path: $folder/htpasswd}}"
mkdir "$folder/certificates"
cp "$folder/ca.crt" "$folder/certificates"
skopeo copy -q --dest-cert-dir "$folder/certificates" --dest-creds "joe:$password" --preserve-digests \
    "oci:$folder/images/layout:1" "docker://127.0.0.1:$port/desc/probe:1"
layer_count=$(fetched safe)
pipeline "127.0.0.1:$port/desc/probe:1" -o "registry.host=127.0.0.1:$port" -o "registry.endpoint=https://127.0.0.1:$port" -o "registry.ca=$folder/ca.crt"
if run; then failed "a private image was had without a login"; fi
grep -q "login" run.log || { cat run.log; failed "nothing was said of a login"; }
printf '{"auths": {"127.0.0.1:%s": {"auth": "%s"}}}\n' "$port" "$(printf 'joe:%s' "$password" | base64 -w 0)" >"$HOME/.docker/config.json"
good "with a login"
[ "$(fetched safe)" -gt "$layer_count" ] || failed "the layer was not fetched from the registry"
! grep -rqF 'sky"blue' work run.log "$XDG_CACHE_HOME" || failed "the password lies in a file"
! find "$XDG_CACHE_HOME" -name 'access.*' | grep . || failed "login files are left behind (above)"

# The tag moves: a run that is pinned keeps the old image, and says so of the lock.
once=$(fetched safe)
good "again"
[ "$(fetched safe)" = "$once" ] || failed "a cached image was fetched again"

forget() {
    rm -rf "$XDG_CACHE_HOME"/descpipe/runtime-"$runtime" "$folder/root/charliecloud"
    [ "$runtime" != podman ] || podman rmi --all --force >/dev/null 2>&1
}

# Many at once fetch it once.
forget
once=$(fetched safe)
runs=
for number in 1 2 3; do
    mkdir -p "many$number"
    # shellcheck disable=SC2086
    (cd "many$number" && cp ../pipeline.yaml . && exec "$program" run --runtime "$runtime" $options pipeline.yaml >run.log 2>&1) &
    runs="$runs $!"
done
for each in $runs; do wait "$each" || { cat many*/run.log; failed "one of three at once failed"; }; done
if [ "$runtime" != podman ]; then # whose own storage sees to that, or not
    [ "$(fetched safe)" = $((once + 1)) ] || failed "three at once fetched it $(($(fetched safe) - once)) times"
fi

if [ "$runtime" = singularity ]; then
    sif=$(find "$XDG_CACHE_HOME" -name image.sif)
    [ "$(echo "$sif" | wc -l)" = 1 ] || failed "more than one image in the cache"
    # Damaged: shorter at once, other bytes with `verify`.
    truncate -s -1 "$sif"
    good "a cut file in the cache"
    printf x | dd of="$sif" bs=1 seek=100000 conv=notrunc 2>/dev/null
    # shellcheck disable=SC2086
    "$program" run --no-cache --runtime singularity -o runtime.verify=true $options pipeline.yaml >run.log 2>&1 || { cat run.log; failed "other bytes in the cache were not noticed"; }
    digest=$(sed -n 's/^payload-digest sha256://p' "$(dirname "$sif")/description")
    [ "$(sha256sum "$sif" | cut -d' ' -f1)" = "$digest" ] || failed "the cached file is not what its description says"
fi

# Plain, on loopback.
serve plain 'http: {addr: "127.0.0.1:0"}'
skopeo copy -q --preserve-digests --dest-tls-verify=false "oci:$folder/images/layout:1" "docker://127.0.0.1:$port/desc/probe:1"
pipeline "127.0.0.1:$port/desc/probe:1"
forget
if [ "$runtime" = charliecloud ]; then
    if run; then failed "ch-image speaks plain http, and we say it cannot"; fi
    grep -q 'https only' run.log || { cat run.log; failed "plain http was refused without a reason"; }
else
    good "plain http"
    [ "$(fetched plain)" = 1 ] || failed "the layer was not fetched by plain http"
fi
echo "passed"
