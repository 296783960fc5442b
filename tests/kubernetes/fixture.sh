# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh disable=SC2154,SC2034,SC2119,SC2120 # here and program come from whoever sources it, image goes to it
# What tests with a real Kubernetes begin with: sourced, with $here and $program set. Gives $folder, a registry at $port with the
# image $image, KUBECONFIG, a working folder, and kube, engine, verdict, until_true, failed, cannot. What `services` names is ended
# with the test.

test_name=$(basename "$0" .sh)
cannot() {
    echo "$test_name: $*" >&2
    [ -z "${CI:-}" ] || exit 1
    exit 77
}
failed() {
    echo "$test_name: FAILED: $*" >&2
    for log in "$folder"/*.log; do
        echo "== $log" >&2
        tail -n 25 "$log" >&2
    done
    exit 1
}
until_true() { # SECONDS WORDS COMMAND...: asks again while it is not
    deadline=$(($(date +%s) + $1))
    words=$2
    shift 2
    until "$@" > /dev/null 2>&1; do
        [ "$(date +%s)" -lt "$deadline" ] || failed "$words"
        sleep 1
    done
}
free_port() {
    python3 -c 'import socket
one = socket.create_server(("127.0.0.1", 0))
print(one.getsockname()[1])'
}

for tool in docker-registry skopeo busybox python3 curl; do
    command -v "$tool" > /dev/null || cannot "there is no $tool on this machine (packaging/packages.sh cluster)"
done
folder=$(mktemp -d "${TMPDIR:-/tmp}/dpk-XXXXXX")
chmod 755 "$folder"
services=
finish() {
    for service in $services; do
        kill "$service" 2> /dev/null || true
    done
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
server=$(sed -n 's/^ *server: //p' "$KUBECONFIG")
kube() { # METHOD PATH [CURL'S WORDS...]: as the administrator
    method=$1
    path=$2
    shift 2
    curl --silent --show-error --fail --request "$method" --cacert "$folder/bed/pki/apiserver.crt" --config "$folder/bed/pki/admin.curl" \
        --header "Content-Type: ${content:-application/json}" "$@" "$server$path"
}
engine() { curl --silent --show-error --fail --unix-socket "$folder/bed/engine/docker.sock" "$@"; }

start_registry() { # NAME PORT [LINE]: keeps what it has in $folder/NAME
    cat > "$folder/$1.yml" << END
version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: $folder/$1}}
http: {addr: "127.0.0.1:$2"}
${3:-}
END
    docker-registry serve "$folder/$1.yml" > "$folder/$1.log" 2>&1 < /dev/null &
    services="$services $!"
    until_true 60 "the registry '$1' does not answer" curl --silent "http://127.0.0.1:$2/v2/"
}
port=$(free_port)
start_registry registry "$port"

# An image of busybox.
mkdir -p "$folder/root/bin" "$folder/root/tmp"
cp "$(command -v busybox)" "$folder/root/bin/busybox"
for applet in $(busybox --list); do
    [ "$applet" = busybox ] || ln -s busybox "$folder/root/bin/$applet"
done
tar -C "$folder/root" -cf "$folder/root.tar" .
engine --header 'Content-Type: application/x-tar' --data-binary @"$folder/root.tar" --output /dev/null \
    'http://localhost/images/create?fromSrc=-&repo=descpipe/busybox&tag=1&changes=ENV%20PATH%3D%2Fbin'
engine --output "$folder/busybox.tar" 'http://localhost/images/descpipe/busybox:1/get'
image=127.0.0.1:$port/descpipe/busybox:1
skopeo copy --quiet --dest-tls-verify=false "docker-archive:$folder/busybox.tar" "docker://$image"

mkdir "$folder/run" "$folder/home"
cd "$folder/run" || failed "there is no $folder/run"
export XDG_CACHE_HOME="$folder/cache" XDG_STATE_HOME="$folder/state" XDG_CONFIG_HOME="$folder/config" HOME="$folder/home"
verdict() { # FILE STAGE
    "$program" status "$1" --json | python3 -c 'import json, sys
print(next(stage["verdict"] for stage in json.load(sys.stdin)["stages"] if stage["name"] == sys.argv[1]))' "$2"
}
check_verdicts() { # FILE STAGE:VERDICT...
    file=$1
    shift
    for each in "$@"; do
        told=$(verdict "$file" "${each%%:*}")
        [ "${told%% *}" = "${each##*:}" ] || failed "stage ${each%%:*} is '$told', not ${each##*:}"
    done
}
lacks() { # WORDS COMMAND...: what is wrong with a site is said
    said=$1
    shift
    status=0
    "$@" > "$folder/site.log" 2>&1 || status=$?
    [ "$status" = 1 ] || failed "$said: status $status"
    grep -q "$said" "$folder/site.log" || failed "'$said' was not said"
}
check_sites() { # FILE KIND: what the pipeline's site may lack; KIND is what may not be created
    "$program" check --site "$1" > "$folder/site.log" 2>&1 || failed "check --site ended with status $?"
    grep -q "stage 's': 1 cpu: would be taken" "$folder/site.log" || failed "the server was not asked"
    lacks "no right in namespace .default. to create $2, " env KUBECONFIG="$folder/bed/weak.conf" "$program" check --site "$1"
    lacks "no pull secret 'gone'" "$program" check --site "$1" -o scheduler.pull-secrets='[gone]'
    lacks 'no node has the labels disk=fast' "$program" check --site "$1" -o scheduler.node-selector='{disk: fast}'
    lacks 'serviceaccount "nobody" not found' "$program" check --site "$1" -o scheduler.service-account=nobody
    lacks "no PersistentVolumeClaim 'none'" "$program" check --site "$1" -o scheduler.volume="{claim: none, mount: $folder/run}"
    kube POST /api/v1/namespaces --output /dev/null --data '{"metadata": {"name": "full"}}'
    kube POST /api/v1/namespaces/full/resourcequotas --output /dev/null --data '{"metadata": {"name": "full"}, "spec": {"hard": {"pods": "0"}}}'
    until_true 240 'the quota is not counted' quota_counts
    lacks 'exceeded quota: full' "$program" check --site "$1" -o scheduler.namespace=full
}
quota_counts() {
    kube GET /api/v1/namespaces/full/serviceaccounts/default && kube GET /api/v1/namespaces/full/resourcequotas/full | grep -q '"used"'
}
claim_volume() { # NAME FOLDER: the folder of the node as a PersistentVolume, and the claim NAME that is bound to it
    kube POST /api/v1/persistentvolumes --output /dev/null --data "{\"metadata\": {\"name\": \"$1\"}, \"spec\": {\"capacity\": {\"storage\": \"1Gi\"},
        \"accessModes\": [\"ReadWriteMany\"], \"hostPath\": {\"path\": \"$2\"}, \"storageClassName\": \"\"}}"
    kube POST /api/v1/namespaces/default/persistentvolumeclaims --output /dev/null --data "{\"metadata\": {\"name\": \"$1\"}, \"spec\": {\"volumeName\": \"$1\",
        \"accessModes\": [\"ReadWriteMany\"], \"storageClassName\": \"\", \"resources\": {\"requests\": {\"storage\": \"1Gi\"}}}}"
    until_true 120 "the claim $1 is not bound" claim_is_bound "$1"
}
claim_is_bound() { kube GET "/api/v1/namespaces/default/persistentvolumeclaims/$1" | grep -q '"phase": *"Bound"'; }
three_stages() { # make_it, double, sum: what is below a pipeline's head; 'first' is an input, settings.yml a configuration
    cat << END
make_it:
  image: $image
  inputs: {first: txt}
  outputs: {numbers: txt}
  command: [sh, -c, 'echo "on \$HOME as \$(id -u) with \$DESC_SIZE"; cat \$DESC_INPUT/first.txt > \$DESC_OUTPUT/numbers.txt; seq 1 10 >> \$DESC_OUTPUT/numbers.txt']
double:
  image: $image
  inputs: {numbers: txt}
  outputs: {doubled: txt}
  foreach: {half: [a, b]}
  command: [sh, -c, 'while read -r n; do echo \$((n * 2)); done < \$DESC_INPUT/numbers.txt > \$DESC_OUTPUT/doubled.txt; touch \$DESC_INPUT/x && exit 9; echo half \$DESC_EACH_HALF']
sum:
  image: $image
  inputs: {doubled: txt}
  config: {settings: settings.yml}
  outputs: {total: txt}
  script: |
    read -r _ t < \$DESC_CONFIG/settings.yml
    for f in \$DESC_INPUT/doubled/*; do
      while read -r n; do t=\$((t + n)); done < \$f
    done
    echo \$t > \$DESC_OUTPUT/total.txt
END
}
