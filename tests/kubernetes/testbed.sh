#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A Kubernetes cluster of the tests' own: etcd, API server, controller manager, scheduler and one node on loopback, its pods on a
# Docker Engine of its own, with everything they have below one folder. No service of the machine is touched.
#
#   testbed.sh start DIR         starts it, waits until the node is ready, prints KUBECONFIG=DIR/admin.conf and
#                                DOCKER_HOST=unix://DIR/engine/docker.sock; when it runs already, only prints
#   testbed.sh stop DIR          ends every pod and program, unmounts, removes DIR; fine when there is none
#   testbed.sh kill DIR PROGRAM  ends one of etcd, apiserver, controller-manager, scheduler, kubelet hard
#   testbed.sh again DIR PROGRAM starts it again, and waits for the API server when it is that
#
# The node is called localhost, so that the API server finds it without a line in /etc/hosts. Pods have a bridge of
# their own that leads nowhere: a pod without an address is killed and made anew.
# The programs are built once from Debian's source package (build.sh).
#
# Exit status: 0 done, 77 this machine cannot run one, 1 it did not come up (the logs are printed).
# With CI set in the environment what is missing is a failure (1), not a skip.
# shellcheck disable=SC2154 # ports and programs stand in run/settings
set -eu

ready_seconds=180
here=$(cd "$(dirname "$0")" && pwd -P)
daemon=$here/../integration/docker_daemon.sh
testbed=kubernetes
# shellcheck source-path=SCRIPTDIR disable=SC1091 # found beside this file
. "$here/../testbed.sh"

usage() {
    echo "usage: $0 start|stop DIR or kill|again DIR PROGRAM" >&2
    exit 2
}

# until_true SECONDS COMMAND...: asks again while it is not; nobody can be told by these programs.
until_true() {
    deadline=$(($(date +%s) + $1))
    shift
    until "$@" > /dev/null 2>&1; do
        [ "$(date +%s)" -lt "$deadline" ] || return 1
        sleep 0.5
    done
}

# ask PATH: what the API server answers to the administrator
ask() {
    curl --silent --fail --max-time 10 --cacert "$folder/pki/apiserver.crt" --config "$folder/pki/admin.curl" \
        "https://127.0.0.1:$port_api$1"
}

write_kubeconfig() { # FILE TOKEN
    cat > "$folder/$1" << END
apiVersion: v1
kind: Config
clusters:
- name: testbed
  cluster:
    server: https://127.0.0.1:$port_api
    certificate-authority: $folder/pki/apiserver.crt
users:
- name: user
  user:
    token: $2
contexts:
- name: testbed
  context: {cluster: testbed, user: user, namespace: default}
current-context: testbed
END
    chmod 600 "$folder/$1"
}

write_configuration() {
    openssl genrsa -out "$folder/pki/sa.key" 2048 2> /dev/null
    token=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    weak=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    printf '%s,admin,admin,system:masters\n%s,weak,weak\n' "$token" "$weak" > "$folder/pki/tokens.csv"
    echo "header = \"Authorization: Bearer $token\"" > "$folder/pki/admin.curl"
    chmod 600 "$folder/pki/tokens.csv" "$folder/pki/admin.curl"
    write_kubeconfig admin.conf "$token"
    write_kubeconfig weak.conf "$weak" # may do nothing
    cat > "$folder/kubelet.yaml" << END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: 127.0.0.1
port: $port_kubelet
readOnlyPort: 0
healthzPort: 0
cgroupDriver: cgroupfs
cgroupsPerQOS: false
enforceNodeAllocatable: []
failSwapOn: false
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
syncFrequency: 2s
fileCheckFrequency: 10s
nodeStatusUpdateFrequency: 2s
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
evictionHard: {memory.available: 1Mi, nodefs.available: 1Mi, imagefs.available: 1Mi}
maxPods: 250
registryPullQPS: 0
eventRecordQPS: 0
kubeAPIQPS: 50
kubeAPIBurst: 100
END
    # Root may lack the right to protect a process from the kernel's killer, which the pods' own containers ask for.
    cat > "$folder/runc" << 'END'
#!/bin/sh
# runc, for a root without CAP_SYS_RESOURCE: no score below 0.
bundle=
for word; do
    [ "$bundle" != next ] || bundle=$word
    [ "$word" != --bundle ] || bundle=next
done
[ -z "$bundle" ] || sed -i 's/"oomScoreAdj":-[0-9]*/"oomScoreAdj":0/' "$bundle/config.json"
exec runc "$@"
END
    chmod 755 "$folder/runc"
}

# The container that holds a pod together, FROM scratch.
make_pause_image() {
    mkdir "$folder/pause"
    echo 'int pause(void); int main(void) { for (;;) pause(); }' > "$folder/pause/pause.c"
    gcc -static -O2 -o "$folder/pause/pause" "$folder/pause/pause.c"
    tar -C "$folder/pause" -cf "$folder/pause.tar" pause
    curl --silent --show-error --fail --unix-socket "$folder/engine/docker.sock" --output /dev/null \
        --header 'Content-Type: application/x-tar' --data-binary @"$folder/pause.tar" \
        'http://localhost/images/create?fromSrc=-&repo=k8s.gcr.io/pause&tag=3.2&changes=ENTRYPOINT%20%5B%22%2Fpause%22%5D'
}

start_etcd() {
    launch etcd etcd --data-dir "$folder/etcd" --listen-client-urls "http://127.0.0.1:$port_etcd" \
        --advertise-client-urls "http://127.0.0.1:$port_etcd" --listen-peer-urls "http://127.0.0.1:$port_peer" \
        --initial-advertise-peer-urls "http://127.0.0.1:$port_peer" --initial-cluster "default=http://127.0.0.1:$port_peer" \
        --unsafe-no-fsync --snapshot-count 100000
}

start_apiserver() {
    launch apiserver "$programs/kube-apiserver" --etcd-servers="http://127.0.0.1:$port_etcd" --cert-dir="$folder/pki" \
        --secure-port="$port_api" --bind-address=127.0.0.1 --insecure-port=0 --service-cluster-ip-range=10.96.0.0/24 \
        --service-account-key-file="$folder/pki/sa.key" --service-account-signing-key-file="$folder/pki/sa.key" \
        --service-account-issuer=https://kubernetes.default.svc --token-auth-file="$folder/pki/tokens.csv" \
        --authorization-mode=RBAC --kubelet-preferred-address-types=Hostname --event-ttl=1h
    until_true "$ready_seconds" ask /readyz || broken "the API server is not ready"
}

start_controller_manager() {
    launch controller-manager "$programs/kube-controller-manager" --kubeconfig="$folder/admin.conf" --leader-elect=false --port=0 \
        --secure-port=0 --service-account-private-key-file="$folder/pki/sa.key" --root-ca-file="$folder/pki/apiserver.crt" \
        --use-service-account-credentials=false
}

start_scheduler() {
    launch scheduler "$programs/kube-scheduler" --kubeconfig="$folder/admin.conf" --leader-elect=false --port=0 --secure-port=0
}

start_kubelet() {
    launch kubelet "$programs/kubelet" --config="$folder/kubelet.yaml" --kubeconfig="$folder/admin.conf" \
        --docker-endpoint="unix://$folder/engine/docker.sock" --hostname-override=localhost --root-dir="$folder/kubelet" \
        --cert-dir="$folder/pki/kubelet" --pod-infra-container-image=k8s.gcr.io/pause:3.2 --network-plugin= \
        --docker-root="$folder/engine/data"
}

node_is_ready() {
    ask /api/v1/nodes/localhost | tr -d ' \n' | grep -qE '"type":"Ready","status":"True"'
}

pods_may_start() { # no pod is taken before its service account has come to be
    node_is_ready && ask /api/v1/namespaces/default/serviceaccounts/default | grep -q '"secrets"'
}

print_environment() {
    echo "KUBECONFIG=$folder/admin.conf"
    echo "DOCKER_HOST=unix://$folder/engine/docker.sock"
}

start() {
    [ "$(id -u)" = 0 ] || cannot "a cluster of one's own needs root"
    for tool in etcd dockerd ip gcc curl openssl python3; do
        command -v "$tool" > /dev/null || cannot "there is no $tool on this machine (packaging/packages.sh cluster)"
    done
    [ ${#folder} -le 70 ] || cannot "the name of '$folder' is too long for sockets"
    if process_of kubelet > /dev/null && node_is_ready; then
        print_environment
        return
    fi
    programs=$("$here/build.sh") || {
        status=$?
        [ "$status" != 77 ] || cannot "Kubernetes cannot be built here"
        exit "$status"
    }
    [ ! -e "$folder" ] || stop
    mkdir -p "$folder/log" "$folder/run" "$folder/pki"
    chmod 755 "$folder"
    # Held all at once, so that they differ.
    ports=$(python3 -c 'import socket
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(4)]
print(*[one.getsockname()[1] for one in held])')
    {
        echo "programs=$programs"
        echo "$ports" | awk '{ print "port_etcd=" $1; print "port_peer=" $2; print "port_api=" $3; print "port_kubelet=" $4; print "bridge=dpk" $3 }'
    } > "$folder/run/settings"
    # shellcheck disable=SC1091 # written just now
    . "$folder/run/settings"
    write_configuration
    ip link add "$bridge" type bridge
    ip address add "10.213.$((port_api % 256)).1/24" dev "$bridge"
    ip link set "$bridge" up
    "$daemon" start "$folder/engine" --bridge "$bridge" --add-runtime "plain=$folder/runc" --default-runtime plain > /dev/null
    make_pause_image
    start_etcd
    start_apiserver
    start_controller_manager
    start_scheduler
    start_kubelet
    until_true "$ready_seconds" pods_may_start || broken "the node is not ready"
    print_environment
}

stop() {
    [ -d "$folder" ] || return 0
    for program in kubelet scheduler controller-manager apiserver etcd; do
        process=$(process_of "$program") || continue
        kill -TERM "$process" 2> /dev/null || true
        wait_for_end "$process" 10 2> /dev/null || kill -KILL "$process" 2> /dev/null || true
    done
    "$daemon" stop "$folder/engine" || true
    [ -z "${bridge:-}" ] || ip link delete "$bridge" 2> /dev/null || true
    cut -d' ' -f5 /proc/self/mountinfo | grep -F "$folder/" | sort -r | while read -r mounted; do
        umount -l "$mounted" 2> /dev/null || true
    done
    rm -rf "$folder"
}

[ $# -ge 2 ] || usage
action=$1
mkdir -p "$(dirname "$2")"
folder=$(cd "$(dirname "$2")" && pwd -P)/$(basename "$2")
shift 2
# shellcheck disable=SC1091
[ ! -s "$folder/run/settings" ] || . "$folder/run/settings"
case $action in
start) start ;;
stop) stop ;;
kill)
    process=$(process_of "$1") || exit 0
    kill -KILL "$process"
    wait_for_end "$process" 20
    ;;
again)
    case $1 in
    etcd | apiserver | scheduler | kubelet) "start_$1" ;;
    controller-manager) start_controller_manager ;;
    *) usage ;;
    esac
    ;;
*) usage ;;
esac
