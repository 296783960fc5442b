#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Runtime native and the registry plugins against real servers: `docker-registry` plain, with a password over TLS with its
# own authority, and with tokens; `skopeo` as an independent writer and reader; Docker's engine pulls what we pushed.
#   real_registry_test.sh DESCPIPE NATIVE_DRIVE DOCKER_DAEMON_SCRIPT
set -eu
descpipe=$1 drive=$2 daemon=$(realpath "$3")
here=$(cd "$(dirname "$0")" && pwd)
for tool in docker-registry skopeo umoci htpasswd openssl python3 curl busybox bwrap; do
    command -v "$tool" >/dev/null || {
        echo "real_registry_test: there is no $tool on this machine"
        [ -z "${CI:-}" ] || exit 1
        exit 77
    }
done
top=$(mktemp -d)
export HOME="$top/home" XDG_CACHE_HOME="$top/cache" DOCKER_CONFIG="$top/docker" XDG_CONFIG_HOME="$top/config"
unset DOCKER_HOST http_proxy https_proxy HTTP_PROXY HTTPS_PROXY
mkdir -p "$HOME" "$top/cache"
export XDG_RUNTIME_DIR="$top/runtime" # skopeo looks into /run/containers else, which a root's podman may have closed
mkdir -m 700 "$XDG_RUNTIME_DIR"
cd "$top"
servers=
finish() {
    for pid in $servers; do kill "$pid" 2>/dev/null || true; done
    [ ! -d "$top/engine" ] || sh "$daemon" stop "$top/engine" >/dev/null 2>&1 || true
    chmod -R u+rwX "$top" 2>/dev/null || true
    rm -rf "$top"
}
trap finish EXIT
trap 'exit 1' INT TERM
step=
fail() { echo "FAILED: $step: $*"; exit 1; }
says() { grep -qF -- "$2" "$1" || { cat "$1"; fail "does not say: $2"; }; }
says_not() { ! grep -qF -- "$2" "$1" || { cat "$1"; fail "says: $2"; }; }
refused() { # OUTPUT COMMAND...: it must fail
    output=$1
    shift
    ! "$@" >"$output" 2>&1 || { cat "$output"; fail "this went through: $*"; }
}
await() { # FILE PATTERN → the first match
    tries=0
    until found=$(grep -m 1 -o -- "$2" "$1" 2>/dev/null); do
        tries=$((tries + 1))
        [ $tries -lt 300 ] || { cat "$1"; fail "waited in vain for $2"; }
        python3 -c 'import time; time.sleep(0.05)'
    done
    echo "$found"
}
registry() { # NAME ADDRESS EXTRA: starts one; $port
    mkdir -p "$top/$1"
    printf 'version: 0.1\nlog: {level: info, accesslog: {disabled: false}}\nstorage: {filesystem: {rootdirectory: %s}, delete: {enabled: true}}\n%s\n' \
        "$top/$1/data" "$3" | sed "s/@ADDRESS@/$2/" >"$top/$1/conf.yml"
    : >"$top/$1/log"
    docker-registry serve "$top/$1/conf.yml" >"$top/$1/log" 2>&1 &
    pid=$!
    servers="$servers $pid"
    port=$(await "$top/$1/log" 'listening on [][0-9.:]*:[0-9]*' | sed 's/.*://')
}
pipeline() { # IMAGE → p.yaml
    cat >"$top/p.yaml" <<END
pipeline: {owner: me, basename: box, version: 1.0, stages: [hello]}
runtime: {backend: here, working: ./work, output: ./out}
backends: {here: {scheduler: local, runtime: native, registry: oci}}
hello: {image: "$1", command: [/bin/sh, -c, "cat /two/hello.txt; echo \$\$GREETING"]}
END
}
layer_of() { skopeo inspect --raw "oci:$top/layout:1.0" | python3 -c 'import json,sys; print(json.load(sys.stdin)["layers"]['"$1"']["digest"])'; }
requests() { # NAME METHOD PATTERN: how many the registry answered
    grep -F "\"$2 " "$top/$1/log" | grep -cE -- "$3" || true
}

step="an image"
mkdir -p root/bin two three
cp "$(command -v busybox)" root/bin/busybox
for tool in sh cat echo; do ln -s busybox "root/bin/$tool"; done
echo hello >two/hello.txt
head -c 20000000 /dev/urandom >three/random
umoci init --layout layout
umoci new --image layout:1.0
umoci insert --rootless --image layout:1.0 root/bin /bin
umoci insert --rootless --image layout:1.0 two /two
umoci insert --rootless --image layout:1.0 three /three
umoci config --image layout:1.0 --config.env GREETING=hi
config=$(skopeo inspect --raw oci:layout:1.0 | python3 -c 'import json,sys; print(json.load(sys.stdin)["config"]["digest"])')
manifest=$(skopeo inspect --format '{{.Digest}}' oci:layout:1.0)
large=$(layer_of 2)

step="plain: run"
registry plain 127.0.0.1:0 'http: {addr: "@ADDRESS@"}'
plain=$port plain_pid=$pid
skopeo copy -q --dest-tls-verify=false oci:layout:1.0 "docker://127.0.0.1:$plain/me/box:1.0"
pipeline "127.0.0.1:$plain/me/box:1.0"
"$descpipe" pull p.yaml >out.txt 2>&1 || { cat out.txt; fail pull; }
"$descpipe" run p.yaml >out.txt 2>&1 || { cat out.txt; fail run; }
"$descpipe" logs hello >out.txt 2>&1
says out.txt hello
says out.txt hi
store=$top/cache/descpipe/$(cd "$top/cache/descpipe" && find . -name blobs -type d | head -n 1 | sed 's,/blobs$,,')
[ -d "$store/images/sha256/${config#sha256:}/root/two" ] || fail "the store has not the image"
cmp "$store/blobs/sha256/${large#sha256:}" "layout/blobs/sha256/${large#sha256:}"

step="plain: many at once fetch once"
rm -rf "$store"
before=$(requests plain GET "/blobs/$large")
pullers=
for i in 1 2 3 4; do
    "$descpipe" pull p.yaml >"pull$i.txt" 2>&1 &
    pullers="$pullers $!"
done
for puller in $pullers; do wait "$puller" || { cat pull*.txt; fail "one of four"; }; done
[ $(($(requests plain GET "/blobs/$large") - before)) = 1 ] || fail "the large layer was fetched more than once"

step="plain: an interrupted pull goes on"
rm -rf "$store/images" "$store/layers" "$store/names"
mkdir -p "$store/partial"
head -c 15000000 "$store/blobs/sha256/${large#sha256:}" >"$store/partial/${large#sha256:}"
rm "$store/blobs/sha256/${large#sha256:}"
"$descpipe" pull p.yaml >out.txt 2>&1 || { cat out.txt; fail pull; }
await plain/log "GET /v2/me/box/blobs/$large HTTP/1.1\" 206" >/dev/null
cmp "$store/blobs/sha256/${large#sha256:}" "layout/blobs/sha256/${large#sha256:}"

step="plain: stopped in the middle of a layer, by Ctrl-C and by force, and typed again"
python3 "$here/stalling_relay.py" "$plain" 8000000 "$top/go" >relay.port &
servers="$servers $!"
relay=$(await relay.port '^[0-9][0-9]*$')
sed "s,127.0.0.1:$plain/,127.0.0.1:$relay/," p.yaml >relay.yaml
for signal in INT KILL; do
    rm -rf "$store" "$top/go"
    # A shell's background jobs ignore SIGINT: it is given back.
    python3 -c 'import os, signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); os.execv(sys.argv[1], sys.argv[1:])' \
        "$descpipe" pull relay.yaml >out.txt 2>&1 &
    puller=$!
    tries=0
    until [ "$(stat -c %s "$store/partial/${large#sha256:}" 2>/dev/null || echo 0)" -gt 1000000 ]; do
        tries=$((tries + 1))
        [ $tries -lt 600 ] || { cat out.txt; fail "nothing of the layer came"; }
        python3 -c 'import time; time.sleep(0.05)'
    done
    kill -s $signal "$puller"
    status=0
    wait "$puller" || status=$?
    [ $signal = KILL ] || [ $status = 7 ] || { cat out.txt; fail "exit status $status"; }
    kept=$(stat -c %s "$store/partial/${large#sha256:}")
    [ "$kept" -gt 1000000 ] || fail "what had come was thrown away"
    : >"$top/go"
    before=$(requests plain GET "/blobs/$large HTTP/1.1\" 206")
    "$descpipe" pull relay.yaml >out.txt 2>&1 || { cat out.txt; fail "pull again"; }
    [ $(($(requests plain GET "/blobs/$large HTTP/1.1\" 206") - before)) = 1 ] || fail "it began anew"
    cmp "$store/blobs/sha256/${large#sha256:}" "layout/blobs/sha256/${large#sha256:}"
done

step="plain: killed while it fetches and unpacks"
for i in 1 2 3 4 5; do
    rm -rf "$store/images" "$store/layers" "$store/names" "$store/blobs/sha256/${large#sha256:}"
    "$descpipe" pull p.yaml >out.txt 2>&1 &
    puller=$!
    python3 -c "import time; time.sleep(0.03 * $i)"
    kill -9 "$puller" 2>/dev/null || true
    wait "$puller" 2>/dev/null || true
    "$descpipe" pull p.yaml >out.txt 2>&1 || { cat out.txt; fail "after a kill"; }
    cmp "$store/images/sha256/${config#sha256:}/root/three/random" three/random
done

step="plain: pushed again, with the same digests"
kill "$plain_pid"
wait "$plain_pid" 2>/dev/null || true
rm -rf plain/data
registry plain "127.0.0.1:$plain" 'http: {addr: "@ADDRESS@"}'
"$descpipe" push p.yaml >out.txt 2>&1 || { cat out.txt; fail push; }
[ "$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://127.0.0.1:$plain/me/box:1.0")" = "$manifest" ] || fail "another digest"
skopeo copy -q --src-tls-verify=false "docker://127.0.0.1:$plain/me/box:1.0" oci:back:1.0
[ "$(skopeo inspect --format '{{.Digest}}' oci:back:1.0)" = "$manifest" ] || fail "skopeo reads something else"
sent=$(requests plain PATCH /uploads/)
[ "$sent" = 3 ] || [ "$sent" = 4 ] || fail "$sent parts were sent"
"$descpipe" push p.yaml >out.txt 2>&1 || { cat out.txt; fail "push again"; }
[ "$(requests plain PATCH /uploads/)" = "$sent" ] || fail "layers were sent twice"

step="plain: what refers to the image is left alone"
put() { # NAME MEDIA-TYPE FILE
    curl --silent --show-error --fail --request PUT --header "Content-Type: $2" --data-binary "@$3" "http://127.0.0.1:$plain/v2/$1"
}
get() { # NAME MEDIA-TYPE
    curl --silent --show-error --fail --header "Accept: $2" "http://127.0.0.1:$plain/v2/$1"
}
kind=application/vnd.oci.image
subject="{\"mediaType\": \"$kind.manifest.v1+json\", \"digest\": \"$manifest\", \"size\": $(stat -c %s "layout/blobs/sha256/${manifest#sha256:}")}"
cat >signature.json <<END
{"schemaVersion": 2, "mediaType": "$kind.manifest.v1+json", "artifactType": "application/vnd.example.signature", "subject": $subject,
 "config": {"mediaType": "$kind.config.v1+json", "digest": "$config", "size": $(stat -c %s "layout/blobs/sha256/${config#sha256:}")}, "layers": []}
END
signature=sha256:$(sha256sum <signature.json | cut -d' ' -f1)
cat >referrers.json <<END
{"schemaVersion": 2, "mediaType": "$kind.index.v1+json", "manifests": [{"mediaType": "$kind.manifest.v1+json", "digest": "$signature",
 "size": $(stat -c %s signature.json), "artifactType": "application/vnd.example.signature"}]}
END
put "me/box/manifests/$signature" $kind.manifest.v1+json signature.json
put "me/box/manifests/sha256-${manifest#sha256:}" $kind.index.v1+json referrers.json
rm -rf "$store"
"$descpipe" pull p.yaml >out.txt 2>&1 || { cat out.txt; fail pull; }
"$descpipe" push p.yaml >out.txt 2>&1 || { cat out.txt; fail push; }
curl --silent --show-error --fail --request DELETE "http://127.0.0.1:$plain/v2/me/box/manifests/$manifest"
"$descpipe" push p.yaml >out.txt 2>&1 || { cat out.txt; fail "push again"; }
says out.txt "$manifest"
find "$store/images/sha256" -mindepth 1 -maxdepth 1 -exec touch -d '10 days ago' '{}' +
"$descpipe" images --prune --older-than 5d >out.txt 2>&1 || { cat out.txt; fail prune; }
get "me/box/manifests/$signature" $kind.manifest.v1+json | cmp - signature.json || fail "the signature is another one"
get "me/box/manifests/sha256-${manifest#sha256:}" $kind.index.v1+json | cmp - referrers.json || fail "the list of what refers to it has changed"

step="plain: zstd"
skopeo copy -q --dest-decompress oci:layout:1.0 dir:uncompressed
skopeo copy -q --format oci --dest-compress-format zstd dir:uncompressed oci:zstd:1.0
skopeo copy -q --preserve-digests --dest-tls-verify=false oci:zstd:1.0 "docker://127.0.0.1:$plain/me/zstd:1.0"
rm -rf "$store"
sed "s,/me/box:1.0,/me/zstd:1.0," p.yaml >z.yaml
skopeo inspect --raw --tls-verify=false "docker://127.0.0.1:$plain/me/zstd:1.0" | grep -q zstd || fail "the test's own image is not compressed with zstd"
"$descpipe" pull z.yaml >out.txt 2>&1 || { cat out.txt; fail "pull"; }

step="plain: no such tag"
sed "s,box:1.0,box:1.1," p.yaml >missing.yaml
refused out.txt "$descpipe" pull missing.yaml
says out.txt "has no tag '1.1'"
says out.txt "'1.0'"

step="plain: only other platforms"
size=$(stat -c %s "layout/blobs/sha256/${manifest#sha256:}")
cat >index.json <<END
{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [
 {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "$manifest", "size": $size, "platform": {"os": "linux", "architecture": "s390x"}},
 {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "$manifest", "size": $size, "platform": {"os": "linux", "architecture": "arm", "variant": "v7"}}]}
END
put me/box/manifests/others application/vnd.oci.image.index.v1+json index.json
sed "s,box:1.0,box:others," p.yaml >others.yaml
refused out.txt "$descpipe" pull others.yaml
says out.txt "image '127.0.0.1:$plain/me/box:others': it is not made for linux/"
says out.txt "only for linux/s390x, linux/arm/v7"

step="plain: a blob that is not what its digest says"
rm -rf "$store"
blob=plain/data/docker/registry/v2/blobs/sha256/$(echo "${large#sha256:}" | cut -c1-2)/${large#sha256:}/data
cp "$blob" good
printf 'these bytes are wrong' | dd of="$blob" bs=1 seek=10000000 conv=notrunc 2>/dev/null
! cmp -s good "$blob" || fail "it is not damaged"
refused out.txt "$descpipe" pull p.yaml
says out.txt "sent something else than it was asked for: its digest is sha256:"
says out.txt "hint: a proxy or the registry has damaged it"
[ ! -e "$store/blobs/sha256/${large#sha256:}" ] || fail "it was kept"
cp good "$blob"
"$descpipe" pull p.yaml >out.txt 2>&1 || { cat out.txt; fail "after it was mended"; }

step="plain: prune"
"$descpipe" pull p.yaml >out.txt 2>&1
find "$store/images/sha256" -mindepth 1 -maxdepth 1 -exec touch -d '10 days ago' '{}' +
"$descpipe" images --prune --older-than 30d >out.txt 2>&1 || { cat out.txt; fail prune; }
[ -d "$store/images/sha256/${config#sha256:}" ] || fail "what is not that old is gone"
"$descpipe" images --prune --older-than 5d --dry-run >out.txt 2>&1 || { cat out.txt; fail prune; }
says out.txt "127.0.0.1:$plain/me/"
[ -d "$store/images/sha256/${config#sha256:}" ] || fail "a dry run removes"
"$descpipe" images --prune --older-than 5d >out.txt 2>&1 || { cat out.txt; fail prune; }
[ -z "$(find "$store/images/sha256" "$store/layers/sha256" "$store/blobs/sha256" -mindepth 1)" ] || fail "something is left"

step="Docker's engine pulls what we pushed"
status=0
engine=$(sh "$daemon" start "$top/engine" 2>engine.log) || status=$?
if [ $status = 0 ]; then
    export DOCKER_HOST="${engine#DOCKER_HOST=}"
    docker pull -q "127.0.0.1:$plain/me/box:1.0" >out.txt 2>&1 || { cat out.txt; fail "docker pull"; }
    [ "$(docker image inspect --format '{{.Id}}' "127.0.0.1:$plain/me/box:1.0")" = "$config" ] || fail "another image"
    [ "$(docker run --rm --network none "127.0.0.1:$plain/me/box:1.0" cat /two/hello.txt)" = hello ] || fail "docker run"
    unset DOCKER_HOST
else
    cat engine.log
    [ $status = 77 ] || fail "it did not start"
    echo "not tried: this machine cannot run a Docker engine"
fi

step="plain: pushed from files"
digest_of() { skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://127.0.0.1:$plain/$1"; }
skopeo copy -q oci:layout:1.0 oci-archive:archive.tar:1.0
skopeo copy -q oci:layout:1.0 docker-archive:saved.tar:me/box:1.0
for source in oci:layout oci-archive:archive.tar; do
    name=me/from-${source%%:*}:1
    "$drive" "$store" push "${source%%:*}:$top/${source#*:}" "127.0.0.1:$plain/$name" >out.txt 2>&1 || { cat out.txt; fail "$source"; }
    says out.txt "$config $manifest"
    [ "$(digest_of "$name")" = "$manifest" ] || fail "$source: another digest"
done
for name in me/saved:1 me/saved:2; do
    "$drive" "$store" push "docker-archive:$top/saved.tar" "127.0.0.1:$plain/$name" >out.txt 2>&1 || { cat out.txt; fail "docker-archive"; }
    says out.txt "$config"
done
[ "$(digest_of me/saved:1)" = "$(digest_of me/saved:2)" ] || fail "the same layers became others"
skopeo copy -q --src-tls-verify=false "docker://127.0.0.1:$plain/me/saved:1" oci:from-saved:1
umoci unpack --rootless --image from-saved:1 bundle >/dev/null 2>&1
cmp bundle/rootfs/three/random three/random
sent=$(requests plain PATCH /uploads/)
"$drive" "$store" push "oci:$top/layout" "127.0.0.1:$plain/me/from-oci:2" >out.txt 2>&1 || { cat out.txt; fail "another tag"; }
[ "$(requests plain PATCH /uploads/)" = "$sent" ] || fail "another tag sends layers"
"$drive" "$store" prepare "127.0.0.1:$plain/me/from-oci:2" >out.txt 2>&1 || { cat out.txt; fail "prepare"; }
"$drive" "$store" push "127.0.0.1:$plain/me/from-oci:2" "127.0.0.1:$plain/mounted/box:1" >out.txt 2>&1 || { cat out.txt; fail "mount"; }
[ "$(requests plain PATCH /uploads/)" = "$sent" ] || fail "what could be mounted was sent"
[ "$(requests plain POST 'mount=.* 201')" = 4 ] || fail "not all was mounted"

step="plain: layers of a repository that is new come from one that has them"
sed "s,/me/box:1.0,/me/sibling:1.0," p.yaml >sibling.yaml
skopeo copy -q --dest-tls-verify=false oci:layout:1.0 "docker://127.0.0.1:$plain/me/sibling:1.0"
"$descpipe" pull sibling.yaml >out.txt 2>&1 || { cat out.txt; fail pull; }
rm -rf plain/data/docker/registry/v2/repositories/me/sibling
sent=$(requests plain PATCH /uploads/)
mounted=$(requests plain POST 'mount=.* 201')
"$descpipe" push sibling.yaml >out.txt 2>&1 || { cat out.txt; fail push; }
[ "$(digest_of me/sibling:1.0)" = "$manifest" ] || fail "another digest"
[ "$(requests plain PATCH /uploads/)" = "$sent" ] || fail "what could be mounted was sent"
[ $(($(requests plain POST 'mount=.* 201') - mounted)) = 4 ] || fail "not all was mounted"

step="TLS and a password: authorities"
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.crt 2>/dev/null
openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr 2>/dev/null
printf 'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1' >server.ext
openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile server.ext -out server.crt 2>/dev/null
htpasswd -Bbn me the-secret >users
registry tls 127.0.0.1:0 "http: {addr: \"@ADDRESS@\", tls: {certificate: $top/server.crt, key: $top/server.key}}
auth: {htpasswd: {realm: tests, path: $top/users}}"
tls=$port
skopeo copy -q --dest-creds me:the-secret --dest-tls-verify=false oci:layout:1.0 "docker://localhost:$tls/me/box:1.0"
pipeline "localhost:$tls/me/box:1.0"
refused out.txt "$descpipe" pull p.yaml
says out.txt "'localhost:$tls' answered 400"
says out.txt "option \`plain-http: false\`"
sed "s#registry: oci#registry: {use: oci, host: \"localhost:$tls\", ca: $top/ca.crt}#" p.yaml >own.yaml
refused out.txt "$descpipe" pull own.yaml # the options of the backend's own registry hold for a full name, too
says out.txt "asked without a login"
sed "s#localhost:$tls#127.0.0.1:$plain#; s#registry: oci#registry: {use: oci, host: \"127.0.0.1:$plain\", plain-http: false}#" p.yaml >own.yaml
refused out.txt "$descpipe" pull own.yaml
says out.txt "option \`plain-http: true\`"
set -- -o "registry.host=localhost:$tls" -o "registry.endpoint=https://localhost:$tls"
refused out.txt "$descpipe" pull p.yaml "$@"
says out.txt "no trusted connection to 'localhost:$tls'"
set -- "$@" -o "registry.ca=$top/ca.crt"
step="TLS and a password: without a login"
refused out.txt "$descpipe" pull p.yaml "$@"
says out.txt "asked without a login"
says out.txt "descpipe login localhost:$tls"
step="TLS and a password: a wrong password"
printf 'mistyped' >word
refused out.txt "$descpipe" login "localhost:$tls" -u me --password-stdin "$@" <word
says_not out.txt mistyped
[ ! -e docker/config.json ] || says_not docker/config.json localhost
step="TLS and a password: the right one"
printf 'the-secret' >word
"$descpipe" login "localhost:$tls" -u me --password-stdin "$@" <word >out.txt 2>&1 || { cat out.txt; fail login; }
[ "$(stat -c %a docker/config.json)" = 600 ] || fail "the login can be read by others"
rm -rf "$store"
"$descpipe" pull p.yaml "$@" >out.txt 2>&1 || { cat out.txt; fail pull; }
"$descpipe" run p.yaml "$@" >out.txt 2>&1 || { cat out.txt; fail run; }
! grep -rqF the-secret work "$store/names" || fail "the secret is in the run's folder"

step="IPv6: login, images, pull, push"
if python3 -c 'import socket; socket.socket(socket.AF_INET6).bind(("::1", 0))' 2>/dev/null; then
    mkdir six
    cp -R plain/data six/data # skopeo and docker know no such host
    registry six '[::1]:0' "http: {addr: \"@ADDRESS@\", tls: {certificate: $top/server.crt, key: $top/server.key}}
auth: {htpasswd: {realm: tests, path: $top/users}}"
    six="[::1]:$port"
    set -- -o "registry.host=$six" -o "registry.ca=$top/ca.crt"
    pipeline "$six/me/box:1.0"
    rm -rf "$store"
    refused out.txt "$descpipe" pull p.yaml "$@"
    says out.txt "descpipe login $six"
    "$descpipe" login "$six" -u me --password-stdin -o "registry.ca=$top/ca.crt" <word >out.txt 2>&1 || { cat out.txt; fail login; }
    "$descpipe" images p.yaml "$@" >out.txt 2>&1 || { cat out.txt; fail images; }
    says out.txt "$six/me/box:1.0"
    "$descpipe" pull p.yaml "$@" >out.txt 2>&1 || { cat out.txt; fail pull; }
    rm -rf six/data/docker/registry/v2/repositories/me
    "$descpipe" push p.yaml "$@" >out.txt 2>&1 || { cat out.txt; fail push; }
    curl --silent --show-error --fail --globoff --head --cacert ca.crt --user me:the-secret \
        --header 'Accept: application/vnd.oci.image.manifest.v1+json' "https://$six/v2/me/box/manifests/1.0" >out.txt
    says out.txt "$manifest"
    "$descpipe" logout "$six" >out.txt 2>&1 || { cat out.txt; fail logout; }
    "$descpipe" images p.yaml "$@" >out.txt 2>&1 || { cat out.txt; fail "images of what is here"; }
    says out.txt "hint: log in with: descpipe login $six"
    pipeline "::1:$port/me/box:1.0"
    refused out.txt "$descpipe" pull p.yaml
    says out.txt "an IPv6 address stands in brackets"
else
    echo "not tried: this machine has no IPv6"
fi

step="tokens: without a login"
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=tokens -keyout token.key -out token.crt 2>/dev/null
: >tokens.log
python3 "$here/token_service.py" token.key token.crt me the-token tokens.log >tokens.port &
servers="$servers $!"
service=$(await tokens.port '^[0-9][0-9]*$')
registry token 127.0.0.1:0 "http: {addr: \"@ADDRESS@\"}
auth: {token: {realm: \"http://127.0.0.1:$service/token\", service: the-registry, issuer: tests, rootcertbundle: $top/token.crt}}"
token=$port
skopeo copy -q --dest-creds me:the-token --dest-tls-verify=false oci:layout:1.0 "docker://127.0.0.1:$token/me/box:1.0"
skopeo copy -q --dest-creds me:the-token --dest-tls-verify=false oci:layout:1.0 "docker://127.0.0.1:$token/public/box:1.0"
rm -rf "$store"
pipeline "127.0.0.1:$token/me/box:1.0"
refused out.txt "$descpipe" pull p.yaml
says out.txt "asked without a login"
: >tokens.log
sed "s,/me/box,/public/box," p.yaml >public.yaml
"$descpipe" pull public.yaml >out.txt 2>&1 || { cat out.txt; fail "pull of what is public"; }
says tokens.log "GET - repository:public/box:pull"
step="tokens: with a login"
rm -rf "$store"
printf 'the-token' >word
"$descpipe" login "127.0.0.1:$token" -u me --password-stdin <word >out.txt 2>&1 || { cat out.txt; fail login; }
: >tokens.log
"$descpipe" pull p.yaml >out.txt 2>&1 || { cat out.txt; fail pull; }
says tokens.log "GET me repository:me/box:pull"
step="tokens: one that has expired"
for name in late stale; do
    cp -R token/data/docker/registry/v2/repositories/me/box "token/data/docker/registry/v2/repositories/me/$name"
    sed "s,/me/box,/me/$name," p.yaml >"$name.yaml"
    rm -rf "$store"
done
: >tokens.log
"$descpipe" pull stale.yaml >out.txt 2>&1 || { cat out.txt; fail "it was not asked for again"; }
# The plan's, which was refused; the plan's again; the runtime's own.
[ "$(grep -c "GET me repository:me/stale:pull" tokens.log)" = 3 ] || { cat tokens.log; fail "not asked for three times"; }
refused out.txt "$descpipe" pull late.yaml
says out.txt "does not allow it, asked as 'me' (from $top/docker/config.json)"
says out.txt "the login is wrong or has expired: descpipe login 127.0.0.1:$token"
"$descpipe" pull p.yaml >out.txt 2>&1 || { cat out.txt; fail "pull again"; }
step="tokens: push"
python3 - "$top/token/data" <<'END'
import shutil, sys
shutil.rmtree(sys.argv[1] + "/docker/registry/v2/repositories/me")
END
"$descpipe" push p.yaml >out.txt 2>&1 || { cat out.txt; fail push; }
says tokens.log "GET me repository:me/box:pull,push"
[ "$(skopeo inspect --creds me:the-token --tls-verify=false --format '{{.Digest}}' "docker://127.0.0.1:$token/me/box:1.0")" = "$manifest" ] || fail "another digest"
echo "all of it works"
