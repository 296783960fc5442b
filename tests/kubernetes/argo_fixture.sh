# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh disable=SC2154,SC2034,SC2119,SC2120 # here and program come from whoever sources it, image goes to it
# What tests with a real Kubernetes and Argo's objects begin with: sourced, with $here and $program set. Gives $folder, $image,
# $port, KUBECONFIG, a controller that runs, and kube, failed, cannot.
#
# Argo's resource definitions are those of $ARGO_CRDS, a folder; without it the test is skipped.

cannot() {
    echo "$(basename "$0"): $*" >&2
    [ -z "${CI:-}" ] || exit 1
    exit 77
}
failed() {
    echo "$(basename "$0"): FAILED: $*" >&2
    for log in "$folder"/*.log; do
        echo "== $log" >&2
        tail -n 25 "$log" >&2
    done
    exit 1
}

if [ ! -f "${ARGO_CRDS:-}/crd-workflows.yaml" ]; then
    echo "$(basename "$0"): ARGO_CRDS names no folder with Argo's resource definitions" >&2
    exit 77
fi
for tool in docker-registry skopeo busybox python3 curl kubectl; do
    command -v "$tool" > /dev/null || cannot "there is no $tool on this machine (packaging/packages.sh cluster)"
done
folder=$(mktemp -d "${TMPDIR:-/tmp}/dpa-XXXXXX")
chmod 755 "$folder"
registry=
controller=
finish() {
    [ -z "$controller" ] || kill "$controller" 2> /dev/null || true
    [ -z "$registry" ] || kill "$registry" 2> /dev/null || true
    sh "$here/testbed.sh" stop "$folder/bed" || true
    rm -rf "$folder"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM

status=0
sh "$here/testbed.sh" start "$folder/bed" > "$folder/environment" || status=$?
[ "$status" = 0 ] || exit "$status"
KUBECONFIG=$(sed -n 's/^KUBECONFIG=//p' "$folder/environment")
export KUBECONFIG
kube() { kubectl --kubeconfig "$KUBECONFIG" --cache-dir "$folder/kubectl" "$@"; }
for kind in workflows workflowtemplates cronworkflows; do
    kube apply -f "$ARGO_CRDS/crd-$kind.yaml" > "$folder/crds.log" 2>&1 || failed "Argo's resource definitions"
done
kube wait --for condition=established --timeout 60s crd/workflows.argoproj.io crd/workflowtemplates.argoproj.io > "$folder/crds.log" 2>&1 ||
    failed "the API server does not take up Argo's resource definitions"
start_controller() {
    python3 "$here/argo_controller.py" "$KUBECONFIG" "$@" >> "$folder/controller.log" 2>&1 < /dev/null &
    controller=$!
}
stop_controller() {
    kill "$controller"
    wait "$controller" 2> /dev/null || true
    controller=
}
start_controller

port=$(python3 -c 'import socket
one = socket.create_server(("127.0.0.1", 0))
print(one.getsockname()[1])')
cat > "$folder/registry.yml" << END
version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: $folder/registry}}
http: {addr: "127.0.0.1:$port"}
END
docker-registry serve "$folder/registry.yml" > "$folder/registry.log" 2>&1 < /dev/null &
registry=$!

# An image of busybox.
mkdir -p "$folder/root/bin" "$folder/root/tmp"
cp "$(command -v busybox)" "$folder/root/bin/busybox"
for applet in $(busybox --list); do
    [ "$applet" = busybox ] || ln -s busybox "$folder/root/bin/$applet"
done
tar -C "$folder/root" -cf "$folder/root.tar" .
engine() { curl --silent --show-error --fail --unix-socket "$folder/bed/engine/docker.sock" "$@"; }
engine --header 'Content-Type: application/x-tar' --data-binary @"$folder/root.tar" --output /dev/null \
    'http://localhost/images/create?fromSrc=-&repo=descpipe/busybox&tag=1&changes=ENV%20PATH%3D%2Fbin'
engine --output "$folder/busybox.tar" 'http://localhost/images/descpipe/busybox:1/get'
skopeo copy --quiet --dest-tls-verify=false "docker-archive:$folder/busybox.tar" "docker://127.0.0.1:$port/descpipe/busybox:1"
image=127.0.0.1:$port/descpipe/busybox:1
mkdir "$folder/run" "$folder/home"
cd "$folder/run" || failed "there is no $folder/run"
export XDG_CACHE_HOME="$folder/cache" XDG_STATE_HOME="$folder/state" XDG_CONFIG_HOME="$folder/config" HOME="$folder/home"
