# shellcheck shell=sh
# SPDX-License-Identifier: BSD-3-Clause
# For sourcing: what the testbeds (tests/slurm, tests/kubernetes) do alike with the programs that they keep below one folder.
# The caller sets `testbed` (its name in messages) and, before the first function that says so, `folder`.
# shellcheck disable=SC2154 # `testbed` and `folder` are the caller's

# Something of this machine is missing: a skip, and with CI set a failure.
cannot() {
    echo "$testbed testbed: $1" >&2
    [ -z "${CI:-}" ] || exit 1
    exit 77
}

# It did not come up: with the last words of everything in folder/log.
broken() {
    echo "$testbed testbed: $1" >&2
    for log in "$folder"/log/*; do
        echo "== $log" >&2
        tail -n 15 "$log" >&2
    done
    exit 1
}

# The process of a program of this folder; a number that was given to somebody else is not it.
process_of() {
    [ -s "$folder/run/$1.pid" ] || return 1
    process=$(cat "$folder/run/$1.pid")
    tr '\0' ' ' 2> /dev/null < "/proc/$process/cmdline" | grep -qF "$folder/" || return 1
    echo "$process"
}

wait_for_end() { # PROCESS SECONDS
    timeout "$2" tail --pid="$1" -f /dev/null # wakes up when the process is gone
}

# launch NAME COMMAND...: in a session of its own, its words in folder/log/NAME, its number in folder/run/NAME.pid
launch() {
    name=$1
    shift
    : > "$folder/log/$name" # now, or the words of an earlier one would pass for this one's
    setsid "$@" >> "$folder/log/$name" 2>&1 < /dev/null 9>&- &
    echo $! > "$folder/run/$name.pid"
}
