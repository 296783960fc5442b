#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A Docker Engine of the tests' own, with everything it has below one folder.
#
#   docker_daemon.sh start DIR [OPTION...]   starts it, waits until it answers, prints DOCKER_HOST=unix://DIR/docker.sock;
#                                when it runs already, only prints. OPTION... are more words for dockerd
#   docker_daemon.sh stop DIR    stops it and every container in it, unmounts, removes DIR; fine when there is none
#   docker_daemon.sh restart DIR stops the daemon hard, without a word to its containers, and starts it again
#
# Exit status: 0 done, 77 this machine cannot run one (not root, no dockerd), 1 it did not come up (the log is printed).
# With CI set in the environment a missing dockerd is a failure (1), not a skip.
set -eu

ready_seconds=60

usage() {
    echo "usage: $0 start|stop|restart DIR" >&2
    exit 2
}

cannot() {
    echo "docker_daemon: $1" >&2
    if [ -n "${CI:-}" ]; then
        exit 1
    fi
    exit 77
}

# One request to the Engine: the status line of the answer says whether it is there.
answers() {
    curl --silent --fail --max-time 2 --output /dev/null --unix-socket "$folder/docker.sock" http://localhost/_ping
}

# The daemon of this folder, told from others by its own command line; a number that was given to somebody else is not it.
daemon_process() {
    [ -s "$folder/pid" ] || return 1
    process=$(cat "$folder/pid")
    # shellcheck disable=SC2002 # a process that ended meanwhile is no error worth a line
    cat "/proc/$process/cmdline" 2> /dev/null | tr '\0' ' ' | grep -qF -e "--data-root $folder/data" || return 1
    echo "$process"
}

wait_for_end() {
    # tail wakes up when the process is gone.
    timeout "$2" tail --pid="$1" -f /dev/null
}

# What still names this folder: containerd, its shims, the processes of containers are children of those.
left_behind() {
    for entry in /proc/[0-9]*/cmdline; do
        process=${entry#/proc/}
        process=${process%/cmdline}
        [ "$process" != "$$" ] || continue
        # shellcheck disable=SC2002
        case $(cat "$entry" 2> /dev/null | tr '\0' ' ') in
        *"docker_daemon.sh "*) ;;
        *"dockerd "*"$folder/"* | *"containerd"*"$folder/"*) echo "$process" ;;
        esac
    done
}

start() {
    [ "$(id -u)" = 0 ] || cannot "a Docker Engine of one's own needs root"
    for tool in dockerd containerd runc curl; do
        command -v "$tool" > /dev/null || cannot "there is no $tool on this machine"
    done
    mkdir -p "$folder"
    if daemon_process > /dev/null && answers; then
        echo "DOCKER_HOST=unix://$folder/docker.sock"
        return
    fi
    rm -f "$folder/pid" "$folder/docker.sock"
    : > "$folder/log" # now, or the words of an earlier daemon would pass for this one's
    # A line that says it is ready goes through this pipe, so that nobody has to poll.
    setsid dockerd --data-root "$folder/data" --exec-root "$folder/exec" -H "unix://$folder/docker.sock" \
        --pidfile "$folder/pid" --bridge none --iptables=false --ip6tables=false --group "$(id -gn)" \
        --live-restore --shutdown-timeout 2 "$@" >> "$folder/log" 2>&1 < /dev/null 9>&- &
    launched=$!
    # shellcheck disable=SC2016 # expanded by the inner shell
    if ! timeout "$ready_seconds" sh -c \
        'tail --pid="$1" -n +1 -F "$2" 2> /dev/null | grep -q "API listen on"' sh "$launched" "$folder/log" || ! answers; then
        echo "docker_daemon: dockerd did not come up:" >&2
        tail -n 30 "$folder/log" >&2
        exit 1
    fi
    echo "DOCKER_HOST=unix://$folder/docker.sock"
}

stop() {
    [ -d "$folder" ] || return 0
    if process=$(daemon_process); then
        # live-restore would leave containers alive: end them first.
        for container in $(curl --silent --max-time 10 --unix-socket "$folder/docker.sock" \
            'http://localhost/containers/json?all=1' | grep -o '"Id":"[0-9a-f]*"' | cut -d'"' -f4); do
            curl --silent --max-time 20 --output /dev/null --request DELETE --unix-socket "$folder/docker.sock" \
                "http://localhost/containers/$container?force=1&v=1" || true
        done
        kill -TERM "$process" 2> /dev/null || true
        wait_for_end "$process" 20 || kill -KILL "$process" 2> /dev/null || true
    fi
    for process in $(left_behind); do
        kill -KILL "$process" 2> /dev/null || true
        wait_for_end "$process" 10 || true
    done
    # Deepest first.
    cut -d' ' -f5 /proc/self/mountinfo | grep -F "$folder/" | sort -r | while read -r mounted; do
        umount -l "$mounted" 2> /dev/null || true
    done
    rm -rf "$folder"
}

restart() {
    if process=$(daemon_process); then
        kill -KILL "$process"
        wait_for_end "$process" 20
    fi
    # Its containerd goes with a hard end of the machine's part of it; shims and containers live on (live-restore).
    start "$@"
}

[ $# -ge 2 ] || usage
action=$1
mkdir -p "$(dirname "$2")"
folder=$(cd "$(dirname "$2")" && pwd -P)/$(basename "$2")
shift 2
case $action in
start | stop | restart) "$action" "$@" ;;
*) usage ;;
esac
