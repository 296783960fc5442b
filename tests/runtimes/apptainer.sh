#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A real Apptainer for the tests, on a machine whose distribution has none: Debian sid's package in a folder of its own, run by
# bubblewrap.
#
#   apptainer.sh install FOLDER   puts a program `apptainer` into FOLDER, to be put on PATH; the first time it fetches
#                                 sid's packages (a minute), into $DESCPIPE_TESTBED (default /var/cache/descpipe-testbed)
#
# Each call has a world of its own, and with it, for an ordinary user, a user namespace; an instance that one call started none
# could enter later. Whoever needs instances starts `apptainer-world COMMAND`, which stays, and writes that command's process id
# to $XDG_RUNTIME_DIR/apptainer-world: every call goes in there then.
#
# A program `apptainer` that is on PATH already is taken as it is. It sees sid's system (/usr, /etc, /var and what belongs to
# them), and of this machine everything else, wherever its checkouts and folders lie, with /var/tmp.
#
# Exit status: 0 done, 77 this machine cannot have one (a failure, 1, with CI set), 1 it did not come up.
set -eu

cannot() {
    echo "apptainer: $1" >&2
    [ -z "${CI:-}" ] || exit 1
    exit 77
}

# Another may be fetching the same: one does, the others wait. What is in its place is whole.
fetch() {
    [ ! -x "$root/usr/bin/apptainer" ] || return 0
    [ "$(id -u)" = 0 ] || cannot "only root can fetch it (run this once as root)"
    command -v debootstrap >/dev/null || cannot "there is no debootstrap on this machine"
    mkdir -p "$cache"
    exec 9>"$cache/sid.lock"
    flock 9
    if [ ! -x "$root/usr/bin/apptainer" ]; then
        rm -rf "$root.new"
        # No `update` of what is there: the packages are those of the day it was fetched.
        debootstrap --variant=minbase --include=apptainer,squashfs-tools sid "$root.new" >"$cache/sid.log" 2>&1 9>&- || {
            tail -n 20 "$cache/sid.log" >&2
            cannot "sid's packages cannot be had"
        }
        rm -rf "$root.new/var/cache/apt/archives" "$root.new/var/lib/apt/lists"
        # Root of a container or a build machine often lacks a capability; the default would ask for all of them.
        sed -i 's/^root default capabilities = .*/root default capabilities = no/' "$root.new/etc/apptainer/apptainer.conf"
        # The tool's own set-user-id part would be on a mount that forbids it: everybody goes by user namespaces.
        sed -i 's/^allow setuid = .*/allow setuid = no/' "$root.new/etc/apptainer/apptainer.conf"
        mv "$root.new" "$root"
    fi
    exec 9>&-
}

# The machine's own folders, as words of bwrap; the ordinary user cannot make the mount points, so they are made here.
folders_of_machine() {
    for place in /*; do
        case $place in
        /bin | /sbin | /lib* | /usr | /etc | /var | /proc | /sys | /dev | /run | /boot | *[!A-Za-z0-9/._-]*) continue ;;
        esac
        if [ ! -d "$place" ] || [ -h "$place" ]; then continue; fi
        [ -d "$root$place" ] || mkdir "$root$place" 2>/dev/null || [ -d "$root$place" ] || continue
        printf ' --bind %s %s' "$place" "$place"
    done
}

install() {
    mkdir -p "$1"
    target=$(cd "$1" && pwd -P)
    if present=$(command -v apptainer) && [ "$present" != "$target/apptainer" ]; then
        ln -sf "$present" "$target/apptainer"
        return
    fi
    command -v bwrap >/dev/null || cannot "there is no bwrap on this machine"
    fetch
    # The machine's resolver and names are laid over sid's files, so that registries are found as the machine finds them.
    cat >"$target/apptainer-world.new" <<EOF
#!/bin/sh
exec bwrap --cap-add ALL --bind '$root' / --dev-bind /dev /dev --proc /proc --bind /sys /sys --bind /run /run \\
    --ro-bind /etc/hosts /etc/hosts --ro-bind /etc/resolv.conf /etc/resolv.conf --ro-bind /etc/passwd /etc/passwd \\
    --ro-bind /etc/group /etc/group --bind /var/tmp /var/tmp$(folders_of_machine) --die-with-parent \\
    --chdir "\$PWD" -- "\$@"
EOF
    cat >"$target/apptainer.new" <<EOF
#!/bin/sh
one=\${XDG_RUNTIME_DIR:-}/apptainer-world
if [ -r "\$one" ]; then
    exec nsenter --target "\$(cat "\$one")" --user --mount --preserve-credentials --wdns="\$PWD" /usr/bin/apptainer "\$@"
fi
exec '$target/apptainer-world' /usr/bin/apptainer "\$@"
EOF
    for made in apptainer-world apptainer; do
        chmod 755 "$target/$made.new"
        mv "$target/$made.new" "$target/$made"
    done
    said=$(cd "$target" && ./apptainer --version 2>&1) || {
        echo "apptainer: it does not start here: $said" >&2
        exit 1
    }
}

cache=${DESCPIPE_TESTBED:-/var/cache/descpipe-testbed}
root=$cache/sid
case ${1:-} in
install) install "${2:?usage: $0 install FOLDER}" ;;
*)
    echo "usage: $0 install FOLDER" >&2
    exit 2
    ;;
esac
