#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# What a stage sees, a line for each thing: "key: value". The same in every runtime, but for the table in
# plugins/runtime/README.md.
# shellcheck disable=SC2016,SC3045 # inner shells expand it; busybox has these
exec >"$DESC_OUTPUT/world.txt"
can() { if "$@" 2>/dev/null; then echo yes; else echo no; fi; }
read_eof() { if IFS= read -r _; then echo "something"; else echo "at its end"; fi; }

echo "uid: $(id -u)"
echo "gid: $(id -g)"
echo "other groups: $(id -G | wc -w)"
echo "folder: $(pwd)"
echo "umask: $(umask)"
echo "PATH: $PATH"
echo "HOME: $HOME"
echo "LANG: $LANG"
for name in DESC_INPUT DESC_OUTPUT DESC_CONFIG DESC_PARALLEL DESC_RANK DESC_SIZE OMP_NUM_THREADS FROM_IMAGE MINE HOSTILE; do
    eval "echo \"$name: \$$name\""
done
echo "late value: $LATE"
echo "other variables: $(env | sed -n 's/^\([A-Za-z_][A-Za-z_0-9]*\)=.*/\1/p' | sort |
    grep -vxE 'PATH|HOME|LANG|DESC_.*|OMP_NUM_THREADS|FROM_IMAGE|MINE|HOSTILE|LATE|MACHINE|SHARED_MEMORY|SHLVL|PWD|OLDPWD|_' | tr '\n' ' ')"
echo "standard input: $(read_eof)"
echo "terminal: $(can tty -s)"
echo "write to /tmp: $(can touch /tmp/x)"
echo "write to the image: $(can touch /opt/x /etc/x)"
echo "shared memory: $([ "$(stat -c %d /dev/shm)" = "$SHARED_MEMORY" ] && echo "the machine's" || echo "its own")"
echo "write to inputs: $(can touch "$DESC_INPUT/x")"
echo "write to an input: $(can sh -c ': >>"$DESC_INPUT/table.txt"')"
echo "write to config: $(can touch "$DESC_CONFIG/x")"
echo "write to outputs: $(can touch "$DESC_OUTPUT/x")"
echo "a mounted file: $(cat /opt/desc/descpipe.py >/dev/null 2>&1 && echo there || echo missing)"
echo "a mount with a hostile name: $(cat "/mnt/a b,c/file" 2>/dev/null)"
echo "processes of others: $([ "$(ps | wc -l)" -gt 12 ] && echo seen || echo "not seen")"
echo "host name: $([ "$(hostname)" = "$MACHINE" ] && echo "the machine's" || echo "its own")"
echo "interfaces: $(sed -n 's/^ *\([^:]*\):.*/\1/p' /proc/net/dev | sort | tr '\n' ' ')"
echo "open files: $(ulimit -n)"
echo "core size: $(ulimit -c)"
echo "root's rights: $(sed -n 's/^CapEff:[[:space:]]*//p' /proc/self/status)"
echo "may gain rights: $(sed -n 's/^NoNewPrivs:[[:space:]]*//p' /proc/self/status)"
echo "oom score: $(cat /proc/self/oom_score_adj)"
