# SPDX-License-Identifier: BSD-3-Clause
# Sourced by tests of runtimes: a temporary folder, images without a registry, the tools, an ordinary user.
#   $runtime   the runtime under test, or several        $program   the descpipe to test
# shellcheck shell=sh
# shellcheck disable=SC2154 # given by the test that sources this

tests=$(cd "$(dirname "$0")" && pwd -P)
source_folder=$(cd "$tests/../.." && pwd -P)
name=$(basename "$0" .sh)

failed() {
    echo "$name ($runtime): $*" >&2
    exit 1
}

cannot() {
    echo "$name ($runtime): $*" >&2
    [ -z "${CI:-}" ] || exit 1
    exit 77
}

need() {
    for tool; do
        command -v "$tool" >/dev/null || cannot "there is no $tool on this machine"
    done
}

[ -x "$program" ] || failed "no program '$program'"
case $program in
/*) ;;
*) program=$PWD/$program ;;
esac

# Short, since sockets of the tools lie below it, and readable by the ordinary user.
folder=$(mktemp -d /tmp/descpipe-runtimes.XXXXXX)
chmod 755 "$folder"

# Where the ordinary user and the tools' own worlds can see it, wherever the checkout is.
built=$(dirname "$program")
if [ -d "$built/plugins-built" ]; then
    mkdir "$folder/program"
    cp -R "$program" "$built/plugins-built" "$built/container" "$folder/program"
    chmod -R a+rX "$folder/program"
    program=$folder/program/${program##*/}
    unset DESCPIPE_PLUGIN_PATH
fi
servers=
finish() {
    status=$?
    trap - EXIT
    for server in $servers; do kill "$server" 2>/dev/null || true; done
    # Containers of a test that failed, and the process that keeps the ordinary user's namespace.
    if [ -d "$folder/root/containers/storage" ]; then
        as_caller -c 'podman rm --all --force --time 0' >/dev/null 2>&1 || true
        [ ! -d "$folder/user" ] || as_ordinary -c 'podman rm --all --force --time 0' >/dev/null 2>&1 || true
        # Two podmans at a time may begin two of these, and a file names the later one: told by its environment.
        for pause in $(pgrep -x catatonit || true); do
            ! grep -qF "$folder/" "/proc/$pause/environ" 2>/dev/null || kill "$pause" 2>/dev/null || true
        done
    fi
    [ ! -d "$folder/engine" ] || sh "$source_folder/tests/integration/docker_daemon.sh" stop "$folder/engine" >/dev/null 2>&1 || true
    # What the tools mounted, deepest first; files of sub-uids belong to root here.
    cut -d' ' -f5 /proc/self/mountinfo | grep -F "$folder/" | sort -r | while read -r mounted; do
        umount -l "$mounted" 2>/dev/null || true
    done
    chmod -R u+rwX "$folder" 2>/dev/null || true
    rm -rf "$folder"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# An image of busybox that says who it is: as docker-archive and as OCI layout, with the same config.
make_images() {
    need busybox python3
    mkdir -p "$folder/images/layer/bin" "$folder/images/layer/etc" "$folder/images/layer/tmp" "$folder/images/layer/opt"
    chmod 1777 "$folder/images/layer/tmp"
    cp "$(command -v busybox)" "$folder/images/layer/bin/busybox"
    cp "$(dirname "$program")/container/world" "$folder/images/layer/bin/world"
    for applet in $(busybox --list); do
        [ "$applet" = busybox ] || ln -s busybox "$folder/images/layer/bin/$applet"
    done
    printf 'root:x:0:0:root:/root:/bin/sh\n' >"$folder/images/layer/etc/passwd"
    printf 'root:x:0:\n' >"$folder/images/layer/etc/group"
    tar --owner=0 --group=0 -C "$folder/images/layer" -cf "$folder/images/layer.tar" .
    python3 "$source_folder/tests/runtimes/make_image.py" "$folder/images"
    rm -rf "$folder/images/layer"
    chmod -R a+rX "$folder/images"
}

# Everything that descpipe and the tools keep, below one folder; what they need is said in $1/environment.
make_account() {
    mkdir -p "$1/home" "$1/run" "$1/cache" "$1/containers"
    chmod 700 "$1/run"
    cat >"$1/containers/containers.conf" <<EOF
[engine]
runtime = "runc"
[network]
network_backend = "netavark"
EOF
    cat >"$1/containers/storage.conf" <<EOF
[storage]
driver = "$2"
graphroot = "$1/containers/storage"
runroot = "$1/run/containers"
EOF
    cat >"$1/environment" <<EOF
export HOME='$1/home' XDG_RUNTIME_DIR='$1/run' XDG_CACHE_HOME='$1/cache' XDG_STATE_HOME='$1/state' XDG_CONFIG_HOME='$1/config'
export CONTAINERS_CONF='$1/containers/containers.conf' CONTAINERS_STORAGE_CONF='$1/containers/storage.conf'
export CH_IMAGE_STORAGE='$1/charliecloud' USER=\$(id -un) PATH='$folder/bin:/usr/bin:/bin':\$PATH
unset TMPDIR
export DOCKER_HOST='unix://$folder/engine/docker.sock'
EOF
}

make_tools() {
    mkdir -p "$folder/bin"
    for each in $runtime; do make_tool "$each"; done
    need bwrap
    make_account "$folder/root" overlay
}

make_tool() {
    case $1 in
    singularity) "$source_folder/tests/runtimes/apptainer.sh" install "$folder/bin" || exit $? ;;
    podman) need podman runc catatonit newuidmap ;;
    charliecloud) need ch-run ch-convert ch-image ;;
    docker)
        # With a limit of its own, as an Engine that the system started has; the ordinary user may ask it too.
        prlimit --nofile=5000:5000 sh "$source_folder/tests/integration/docker_daemon.sh" start "$folder/engine" >/dev/null || exit $?
        chmod 755 "$folder/engine"
        chmod 666 "$folder/engine/docker.sock"
        ;;
    esac
}

# sh SCRIPT ARGUMENT... as this user, or as an ordinary one who exists only in a mount namespace of its own.
as_caller() {
    # shellcheck disable=SC1091 # made above
    (. "$folder/root/environment" && exec sh -eu "$@")
}
as_ordinary() {
    if [ ! -d "$folder/user" ]; then
        make_account "$folder/user" vfs
        mkdir "$folder/etc"
        cp /etc/passwd /etc/group "$folder/etc"
        echo "stage:x:54321:54321::$folder/user/home:/bin/sh" >>"$folder/etc/passwd"
        echo "stage:x:54321:" >>"$folder/etc/group"
        echo "stage:200000:65536" >"$folder/etc/subuid"
        echo "stage:200000:65536" >"$folder/etc/subgid"
        chown -R 54321:54321 "$folder/user"
    fi
    # shellcheck disable=SC2016
    unshare --mount sh -eu -c '
        folder=$1
        shift
        for file in passwd group subuid subgid; do
            [ -e "/etc/$file" ] || : >"/etc/$file"
            mount --bind "$folder/etc/$file" "/etc/$file"
        done
        exec setpriv --reuid 54321 --regid 54321 --clear-groups --inh-caps=-all \
            sh -eu -c ". \"\$0/user/environment\"; exec sh -eu \"\$@\"" "$folder" "$@"' sh "$folder" "$@"
}

# A registry on loopback, NAME below the folder, with more words of its configuration → $port; NAME/log has its requests.
serve() { # NAME EXTRA → $port
    mkdir -p "$folder/$1"
    printf 'version: 0.1\nlog: {level: info, accesslog: {disabled: false}}\nstorage: {filesystem: {rootdirectory: %s}}\n%s\n' \
        "$folder/$1/data" "$2" >"$folder/$1/conf.yml"
    mkfifo "$folder/$1/told"
    docker-registry serve "$folder/$1/conf.yml" >"$folder/$1/told" 2>&1 &
    servers="$servers $!"
    # tee keeps what is said; the first line that names the port ends the wait.
    tee "$folder/$1/log" <"$folder/$1/told" >"$folder/$1/copy" &
    servers="$servers $!"
    port=$(timeout 30 tail -n +1 -F "$folder/$1/log" 2>/dev/null | grep -m 1 -o 'listening on 127.0.0.1:[0-9]*' | sed 's/.*://')
}
