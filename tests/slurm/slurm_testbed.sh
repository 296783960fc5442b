#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A SLURM of the tests' own, with accounting: munge, MariaDB, slurmdbd, slurmctld and three nodes on loopback, with everything
# they have below one folder. No service of the machine is touched.
#
#   slurm_testbed.sh start DIR [KEY=VALUE...]   starts it, waits until the nodes take jobs, prints SLURM_CONF=DIR/slurm.conf; when it
#                                runs already, only prints. KEY=VALUE are lines for slurm.conf that come last (MinJobAge=2)
#   slurm_testbed.sh stop DIR    ends every job and daemon, removes DIR; fine when there is none
#   slurm_testbed.sh kill DIR slurmctld|slurmdbd|n1|n2|n3     ends one daemon hard
#   slurm_testbed.sh again DIR slurmctld|slurmdbd|n1|n2|n3    starts it again
#
# Partitions: debug (default, all nodes, an hour), short (all nodes, a minute). Nodes: n1 n2 n3 with 2 cpus, 4000 MiB and 2 gpus (other
# devices that stand for them) each.
# DIR should be short: its sockets' names have at most 107 characters.
#
# Exit status: 0 done, 77 this machine cannot run one (not root, packages missing), 1 it did not come up (the logs are printed).
# With CI set in the environment what is missing is a failure (1), not a skip.
set -eu

ready_seconds=90
testbed=slurm
# shellcheck source-path=SCRIPTDIR disable=SC1091 # found beside this file
. "$(dirname "$0")/../testbed.sh"

usage() {
    echo "usage: $0 start|stop DIR [KEY=VALUE...] or kill|again DIR DAEMON" >&2
    exit 2
}

with_conf() {
    SLURM_CONF=$folder/slurm.conf "$@"
}

# Waits until a daemon says that it is ready: nobody has to poll.
until_it_says() {
    # shellcheck disable=SC2016 # expanded by the inner shell
    timeout "$ready_seconds" sh -c 'tail --pid="$1" -n +1 -F "$2" 2> /dev/null | grep -q -e "$3"' sh \
        "$(cat "$folder/run/$1.pid")" "$folder/log/$1" "$2" || broken "$1 did not come up"
}

start_munge() {
    head -c 1024 /dev/urandom > "$folder/munge/key"
    chmod 600 "$folder/munge/key"
    # It has started when it returns: what is left is its daemon.
    munged --force --key-file="$folder/munge/key" --socket="$folder/munge/socket" --pid-file="$folder/run/munged.pid" \
        --seed-file="$folder/munge/seed" --log-file="$folder/log/munged" 2>> "$folder/log/munged" ||
        broken "munged did not come up"
}

start_database() {
    mariadb-install-db --no-defaults --user=root --datadir="$folder/database" --skip-test-db \
        --auth-root-authentication-method=normal > "$folder/log/mariadb-install" 2>&1 || broken "no database could be made"
    # What it reads first, before it listens: a user for slurmdbd.
    cat > "$folder/database.sql" << END
CREATE DATABASE slurm_acct_db;
CREATE USER 'slurm'@'127.0.0.1' IDENTIFIED BY '$password';
GRANT ALL ON slurm_acct_db.* TO 'slurm'@'127.0.0.1';
FLUSH PRIVILEGES;
END
    launch mariadbd mariadbd --no-defaults --user=root --datadir="$folder/database" --socket="$folder/run/database" \
        --bind-address=127.0.0.1 --port="$port_database" --pid-file="$folder/run/database.pid" \
        --innodb-buffer-pool-size=32M --innodb-log-file-size=8M --innodb-flush-log-at-trx-commit=0 \
        --init-file="$folder/database.sql"
    until_it_says mariadbd 'ready for connections'
}

write_configuration() {
    host=$(hostname -s)
    cat > "$folder/slurmdbd.conf" << END
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort=$port_accounting
SlurmUser=root
PidFile=$folder/run/slurmdbd.own.pid
DebugLevel=info
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=$port_database
StorageUser=slurm
StoragePass=$password
StorageLoc=slurm_acct_db
END
    chmod 600 "$folder/slurmdbd.conf"
    cat > "$folder/slurm.conf" << END
ClusterName=testbed
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port_controller
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket
CryptoType=crypto/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool-%n
SlurmctldPidFile=$folder/run/slurmctld.own.pid
SlurmdPidFile=$folder/run/%n.own.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=$port_accounting
AccountingStoragePass=$folder/munge/socket
ReturnToService=2
SlurmctldTimeout=30
SlurmdTimeout=30
KillWait=5
MpiDefault=none
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1,sched_min_interval=1000
DefMemPerCPU=100
GresTypes=gpu
END
    number=0
    for port in $ports_nodes; do
        number=$((number + 1))
        echo "NodeName=n$number NodeHostname=$host NodeAddr=127.0.0.1 Port=$port CPUs=2 RealMemory=4000 TmpDisk=0 Gres=gpu:2"
    done >> "$folder/slurm.conf"
    # No gpus, but devices: SLURM numbers and hands them out, and nothing opens them.
    ln -s /dev/null "$folder/gpu0"
    ln -s /dev/zero "$folder/gpu1"
    echo "Name=gpu File=$folder/gpu[0-1]" > "$folder/gres.conf"
    cat >> "$folder/slurm.conf" << END
PartitionName=debug Nodes=n[1-3] Default=YES MaxTime=60 DefaultTime=10 State=UP
PartitionName=short Nodes=n[1-3] MaxTime=1 State=UP
END
    for line in "$@"; do
        # A key that stands already is said again elsewhere: SLURM takes the last, but warns.
        sed -i "/^${line%%=*}=/d" "$folder/slurm.conf"
        echo "$line" >> "$folder/slurm.conf"
    done
    : > "$folder/cgroup.conf"
}

start_slurmdbd() {
    launch slurmdbd env "SLURM_CONF=$folder/slurm.conf" slurmdbd -D
    until_it_says slurmdbd 'slurmdbd version .* started'
}

start_slurmctld() {
    launch slurmctld env "SLURM_CONF=$folder/slurm.conf" slurmctld -D -f "$folder/slurm.conf"
    until_it_says slurmctld 'Running as primary controller'
}

start_node() {
    launch "$1" env "SLURM_CONF=$folder/slurm.conf" slurmd -D -f "$folder/slurm.conf" -N "$1"
    until_it_says "$1" 'slurmd started on'
}

start() {
    [ "$(id -u)" = 0 ] || cannot "a SLURM of one's own with several nodes needs root"
    for tool in munged mariadbd mariadb-install-db slurmdbd slurmctld slurmd sbatch sacct sacctmgr python3; do
        command -v "$tool" > /dev/null || cannot "there is no $tool on this machine (packaging/packages.sh ci)"
    done
    [ ${#folder} -le 80 ] || cannot "the name of '$folder' is too long for sockets"
    if process_of slurmctld > /dev/null && with_conf scontrol ping > /dev/null 2>&1; then
        echo "SLURM_CONF=$folder/slurm.conf"
        return
    fi
    [ ! -e "$folder" ] || stop
    mkdir -p "$folder"
    chmod 755 "$folder"
    mkdir -p "$folder/log" "$folder/run" "$folder/munge" "$folder/state" "$folder/database"
    chmod 711 "$folder/munge"
    password=$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')
    # Held all at once, so that they differ.
    ports=$(python3 -c 'import socket
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(6)]
print(*[one.getsockname()[1] for one in held])')
    # shellcheck disable=SC2086 # a list of words
    set -- "$ports" "$@"
    # shellcheck disable=SC2086
    read -r port_database port_accounting port_controller ports_nodes << END
$1
END
    shift
    write_configuration "$@"
    start_munge
    start_database
    start_slurmdbd
    with_conf sacctmgr -i add cluster testbed > "$folder/log/sacctmgr" 2>&1 || true # the controller may have been quicker
    start_slurmctld
    for node in n1 n2 n3; do
        start_node "$node"
    done
    # Waits by itself until three nodes are there.
    with_conf timeout "$ready_seconds" srun -N3 --quiet --output=/dev/null --chdir=/ true > "$folder/log/srun" 2>&1 ||
        broken "the nodes take no jobs"
    echo "SLURM_CONF=$folder/slurm.conf"
}

# Whatever lives by this configuration: daemons, steps and what jobs have started.
left_behind() {
    for entry in /proc/[0-9]*/environ; do
        process=${entry#/proc/}
        process=${process%/environ}
        [ "$process" != "$$" ] || continue
        if tr '\0' '\n' 2> /dev/null < "$entry" | grep -qxF "SLURM_CONF=$folder/slurm.conf"; then
            echo "$process"
        fi
    done
}

end_daemon() {
    process=$(process_of "$1") || return 0
    kill -TERM "$process" 2> /dev/null || true
    wait_for_end "$process" "$2" 2> /dev/null || kill -KILL "$process" 2> /dev/null || true
}

stop() {
    [ -d "$folder" ] || return 0
    for daemon in n1 n2 n3 slurmctld slurmdbd; do
        end_daemon "$daemon" 10
    done
    for process in $(left_behind); do
        kill -KILL "$process" 2> /dev/null || true
    done
    end_daemon mariadbd 30
    end_daemon munged 5
    rm -rf "$folder"
}

[ $# -ge 2 ] || usage
action=$1
mkdir -p "$(dirname "$2")"
folder=$(cd "$(dirname "$2")" && pwd -P)/$(basename "$2")
shift 2
case $action in
start) start "$@" ;;
stop) stop ;;
kill)
    process=$(process_of "$1") || exit 0
    kill -KILL "$process"
    wait_for_end "$process" 20
    ;;
again)
    case $1 in
    slurmctld | slurmdbd) "start_$1" ;;
    n[123]) start_node "$1" ;;
    *) usage ;;
    esac
    ;;
*) usage ;;
esac
