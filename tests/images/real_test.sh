#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A project as the original one is laid out, from its folders to its results: built by buildah, Podman and a Docker Engine,
# sent to a `docker-registry` with a password, locked, fetched by runtime native through a mirror, run; then its tag moves.
#   real_test.sh DESCPIPE DOCKER_DAEMON_SCRIPT
set -eu
descpipe=$1 daemon=$(realpath "$2")
for tool in docker docker-registry htpasswd busybox bwrap buildah podman runc skopeo; do
    command -v "$tool" >/dev/null && continue
    echo "images/real: there is no $tool on this machine"
    [ -z "${CI:-}" ] || exit 1
    exit 77
done
top=$(mktemp -d)
export HOME="$top/home" XDG_CACHE_HOME="$top/cache" XDG_CONFIG_HOME="$top/config" XDG_STATE_HOME="$top/state"
unset DOCKER_CONFIG DOCKER_HOST XDG_RUNTIME_DIR http_proxy https_proxy HTTP_PROXY HTTPS_PROXY
export CONTAINERS_STORAGE_CONF="$top/storage.conf" CONTAINERS_CONF="$top/containers.conf"
mkdir -p "$HOME" "$top/registry"
printf '[storage]\ndriver = "vfs"\ngraphroot = "%s/containers"\nrunroot = "%s/containers-run"\n' "$top" "$top" >"$top/storage.conf"
printf '[engine]\nruntime = "runc"\n[network]\nnetwork_backend = "netavark"\n' >"$top/containers.conf"
registry=
finish() {
    [ -z "$registry" ] || kill "$registry" 2>/dev/null || true
    [ ! -d "$top/engine" ] || sh "$daemon" stop "$top/engine" >/dev/null 2>&1 || true
    [ ! -d "$top/containers" ] || podman rm --all --force --time 0 >/dev/null 2>&1 || true
    cut -d' ' -f5 /proc/self/mountinfo | grep -F "$top/" | sort -r | while read -r mounted; do
        umount -l "$mounted" 2>/dev/null || true
    done
    chmod -R u+rwX "$top" 2>/dev/null || true
    rm -rf "$top"
}
trap finish EXIT
trap 'exit 1' INT TERM
step=
fail() { echo "FAILED: $step: $*"; exit 1; }
does() { # STATUS COMMAND...: its output is in `said`
    wanted=$1
    shift
    status=0
    "$@" >said 2>&1 || status=$?
    [ "$status" -eq "$wanted" ] || { cat said; fail "exit status $status, not $wanted: $*"; }
}
says() { grep -qF -- "$1" said || { cat said; fail "does not say: $1"; }; }

step="a Docker Engine"
if ! DOCKER=$(sh "$daemon" start "$top/engine"); then
    [ -z "${CI:-}" ] || exit 1
    echo "skipped: no Docker Engine can run here"
    exit 77
fi
socket=${DOCKER#DOCKER_HOST=}

step="a registry with a password"
htpasswd -iBc -C 4 "$top/registry/users" joe >/dev/null 2>&1 <<END
blue-sky-42
END
cat >"$top/registry/conf.yml" <<END
version: 0.1
storage: {filesystem: {rootdirectory: $top/registry/data}}
http: {addr: 127.0.0.1:0}
auth: {htpasswd: {realm: test, path: $top/registry/users}}
END
: >"$top/registry/log"
docker-registry serve "$top/registry/conf.yml" >"$top/registry/log" 2>&1 &
registry=$!
tries=0
until port=$(grep -m 1 -o 'listening on 127.0.0.1:[0-9]*' "$top/registry/log"); do
    tries=$((tries + 1))
    [ $tries -lt 300 ] || { cat "$top/registry/log"; fail "it does not listen"; }
    python3 -c 'import time; time.sleep(0.05)'
done
host=127.0.0.1:${port##*:}

step="the project"
cd "$top"
mkdir -p images/base images/tomography images/counts
cp "$(command -v busybox)" images/base/busybox
cat >images/base/Dockerfile <<END
FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "ln", "-s", "busybox", "/bin/sh"]
ENV PATH=/bin
END
for stage in tomography counts; do
    printf 'ARG user\nARG base=1.0\nFROM ${user}/desc-pipe-base:${base}\nARG word=none\nCOPY stage /opt/desc/stage\nRUN echo $word > /opt/desc/word\n' >images/$stage/Dockerfile
done
mv images/counts/Dockerfile images/counts/dockerfile
echo '*.secret' >images/tomography/.dockerignore
echo 'binned' >images/tomography/stage
echo 'counted' >images/counts/stage
cat >images/tomography/stage.yaml <<END
outputs: {bins: txt}
command: [/bin/sh, -c, 'busybox cat /opt/desc/stage /opt/desc/word > "\$\$DESC_OUTPUT/bins.txt"']
END
cat >images/counts/stage.yaml <<END
inputs: {bins: txt}
outputs: {sum: txt}
command: [/bin/sh, -c, 'busybox cat "\$\$DESC_INPUT/bins.txt" /opt/desc/stage > "\$\$DESC_OUTPUT/sum.txt"']
END
cat >p.yaml <<END
pipeline: {name: sky, owner: joe, basename: desc-pipe, version: 1.0, images: [images], stages: [tomography, counts]}
runtime: {backend: engine, working: ./work, output: ./out}
backends:
  engine: {scheduler: sequential, runtime: {use: docker, host: "$socket"}, registry: {use: oci, host: "$host"}}
  pod: {scheduler: local, runtime: podman, registry: {use: oci, host: "$host"}}
  here: {scheduler: local, runtime: native, registry: {use: oci, host: registry.site.test}}
END

step="build with the Engine"
does 0 "$descpipe" build p.yaml --build-arg word=blue
says "base: building joe/desc-pipe-base:1.0"
says "counts: built joe/desc-pipe-counts:1.0 sha256:"
does 0 "$descpipe" run p.yaml
[ "$(cat out/sum.txt)" = "binned
blue
counted" ] || fail "the result is wrong: $(cat out/sum.txt)"

step="a build that fails"
cp images/counts/dockerfile good
echo 'RUN exit 7' >>images/counts/dockerfile
does 5 "$descpipe" build p.yaml counts
says "counts: "
says "  log: "
cp good images/counts/dockerfile
echo 'COPY nowhere /opt/desc/nowhere' >>images/counts/dockerfile
does 5 "$descpipe" build p.yaml counts
says "  hint: what is copied must lie in the stage's folder and not be left out by its .dockerignore"
mv good images/counts/dockerfile

step="push without a login"
does 4 "$descpipe" push p.yaml
says "asked without a login"
says "hint: log in: descpipe login $host"
step="push with a login that is wrong"
mkdir -p "$HOME/.docker"
printf '{"auths":{"%s":{"auth":"%s"}}}' "$host" "$(printf 'joe:old-secret' | base64)" >"$HOME/.docker/config.json"
does 4 "$descpipe" push p.yaml
says "asked as 'joe' (from $HOME/.docker/config.json)"
! grep -q old-secret said || fail "it says the secret"
rm "$HOME/.docker/config.json"
step="login"
printf 'wrong' >word
does 4 "$descpipe" login "$host" --username joe --password-stdin <word
printf 'blue-sky-42\n' >word
does 0 "$descpipe" login "$host" --username joe --password-stdin <word
says "logged in to '$host': kept in "
[ "$(stat -c %a "$HOME/.docker/config.json")" = 600 ] || fail "others may read the login"
step="build with buildah and with Podman, which keep their images in one place"
does 0 "$descpipe" build p.yaml --tool buildah --build-arg word=green
says "base: built joe/desc-pipe-base:1.0 sha256:"
does 0 "$descpipe" build p.yaml --tool podman --build-arg word=green --pull
says "tomography: built joe/desc-pipe-tomography:1.0 sha256:"
rm -rf work out
does 0 "$descpipe" run p.yaml --backend pod
[ "$(sed -n 2p out/sum.txt)" = green ] || fail "the result is wrong: $(cat out/sum.txt)"
[ "$(podman image inspect --format '{{index .Labels "org.descpipe.stage"}}' joe/desc-pipe-tomography:1.0)" = tomography ] || fail "no label"
does 0 "$descpipe" push p.yaml --backend pod
digest=$(sed -n 's/^tomography: pushed to .* as \(sha256:[0-9a-f]*\).*/\1/p' said)
[ "$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$host/joe/desc-pipe-tomography:1.0")" = "$digest" ] || fail "another digest"
step="a build with buildah that fails"
cp images/counts/dockerfile good
echo 'RUN exit 7' >>images/counts/dockerfile
does 5 "$descpipe" build p.yaml --tool buildah
says "counts: buildah ended with exit status 7: Error: "
says "tomography: built "
mv good images/counts/dockerfile
step="a tool that is not here"
does 3 env PATH=/nowhere "$descpipe" build p.yaml --tool podman
says "hint: install podman, or choose another --tool"
step="pruning what is not ours"
does 3 "$descpipe" images p.yaml --prune --older-than 30d
says "runtime 'docker' does not know when its images were used: none was removed"
says "docker image prune"
rm -rf work out

step="push"
does 0 "$descpipe" push p.yaml
says "tomography: pushed to $host/joe/desc-pipe-tomography:1.0 as sha256:"
blobs=$(grep -c 'PUT /v2/.*/blobs/uploads' "$top/registry/log" || true)
does 0 "$descpipe" push p.yaml
[ "$(grep -c 'PUT /v2/.*/blobs/uploads' "$top/registry/log" || true)" = "$blobs" ] || fail "the second push sent layers again"

step="docker's own client has our login, and we have its"
client() { DOCKER_HOST="$socket" docker "$@"; }
does 0 client pull -q "$host/joe/desc-pipe-counts:1.0"
does 0 "$descpipe" logout "$host"
does 1 client pull -q "$host/joe/desc-pipe-counts:1.0"
does 0 client login --username joe --password-stdin "$host" <word
does 0 "$descpipe" push p.yaml
does 0 client logout "$host"
does 4 "$descpipe" push p.yaml
step="and both by a credential helper"
mkdir bin
cat >bin/docker-credential-sky <<'END'
#!/bin/sh
case $1 in
store) cat >"$0.kept" ;;
get) read -r host; grep -sF "\"$host\"" "$0.kept" || { echo "credentials not found in native keychain"; exit 1; } ;;
erase) rm -f "$0.kept" ;;
esac
END
chmod +x bin/docker-credential-sky
path=$PATH
PATH=$top/bin:$PATH
echo '{"credsStore": "sky"}' >"$HOME/.docker/config.json"
does 0 "$descpipe" login "$host" --username joe --password-stdin <word
says "docker-credential-sky"
[ -s bin/docker-credential-sky.kept ] || fail "the helper got nothing"
! grep -qF -e blue-sky -e "$(printf 'joe:blue-sky-42' | base64)" "$HOME/.docker/config.json" || fail "the secret is in the file"
does 0 client pull -q "$host/joe/desc-pipe-counts:1.0"
does 0 "$descpipe" push p.yaml
does 0 "$descpipe" logout "$host"
[ ! -e bin/docker-credential-sky.kept ] || fail "the helper still has it"
does 0 client login --username joe --password-stdin "$host" <word
does 0 "$descpipe" push p.yaml
does 0 client logout "$host"
PATH=$path
rm "$HOME/.docker/config.json"
does 0 "$descpipe" login "$host" --username joe --password-stdin <word

step="images and the lock"
does 0 "$descpipe" images p.yaml --lock
says "$host/joe/desc-pipe-counts:1.0"
does 0 "$descpipe" images p.yaml
says "yes"
lock=$(grep -A1 tomography descpipe.lock | grep -o 'config: "sha256:[0-9a-f]*"')
[ -n "$lock" ] || { cat descpipe.lock; fail "no digest is locked"; }

step="another machine: runtime native, through the site's mirror"
mkdir -p config/descpipe
printf 'mirrors: {registry.site.test: "%s"}\n' "$host" >config/descpipe/config.yaml
sed -i "s#$host/#registry.site.test/#" descpipe.lock
rm -rf work out
does 0 "$descpipe" pull p.yaml --backend here
says "counts: pulled"
does 0 "$descpipe" pull p.yaml --backend here
says "counts: is here already"
does 0 "$descpipe" run p.yaml --backend here
[ "$(head -n 1 out/sum.txt)" = binned ] || fail "the result is wrong: $(cat out/sum.txt)"
step="a registry that is gone does not matter any more"
kill "$registry"
wait "$registry" || true
rm -rf work out
does 0 "$descpipe" run p.yaml --backend here
does 0 "$descpipe" images p.yaml --backend here
step="and matters where an image is missing"
rm -rf "$top/cache"
does 4 "$descpipe" plan p.yaml --backend here
says ", asked of its mirror '$host/joe/desc-pipe-"
says "(likewise 'joe/desc-pipe-"
[ "$(grep -c error said)" = 1 ] || { cat said; fail "more than one line"; }

docker-registry serve "$top/registry/conf.yml" >"$top/registry/log2" 2>&1 &
registry=$!
tries=0
until port=$(grep -m 1 -o 'listening on 127.0.0.1:[0-9]*' "$top/registry/log2"); do
    tries=$((tries + 1))
    [ $tries -lt 300 ] || { cat "$top/registry/log2"; fail "it does not listen"; }
    python3 -c 'import time; time.sleep(0.05)'
done
old=$host
host=127.0.0.1:${port##*:}
sed -i "s#$old#$host#" p.yaml config/descpipe/config.yaml
does 0 "$descpipe" login "$host" -u joe --password-stdin <word

step="a tag that moved"
does 0 "$descpipe" build p.yaml --build-arg word=red
sed -i "s#$old#$host#" descpipe.lock
cp descpipe.lock kept.lock
rm descpipe.lock
does 0 "$descpipe" push p.yaml
mv kept.lock descpipe.lock
does 0 "$descpipe" plan p.yaml --backend here
says "has moved: descpipe.lock has sha256:"
rm -rf work out
does 0 "$descpipe" run p.yaml --backend here
[ "$(sed -n 2p out/sum.txt)" = blue ] || fail "the locked image was not used: $(cat out/sum.txt)"
does 1 "$descpipe" images p.yaml --backend here
does 0 "$descpipe" images p.yaml --backend here --lock
rm -rf work out
does 0 "$descpipe" run p.yaml --backend here
[ "$(sed -n 2p out/sum.txt)" = red ] || fail "the accepted image was not used: $(cat out/sum.txt)"

step="no such tag"
does 4 "$descpipe" plan p.yaml --backend here --set tomography.image=joe/desc-pipe-tomography:1.1
says "1.0"

step="logout"
does 0 "$descpipe" logout "$host"
says "logged out of '$host': removed from $HOME/.docker/config.json"
does 2 "$descpipe" logout "$host"
echo "built, pushed, locked, pulled and run"
