#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# moto_server, an AWS on this machine for tests: Debian's package of a newer suite, in a folder of its own.
#
#   moto.sh install FOLDER   puts a program `moto_server` into FOLDER; the first time it fetches trixie's packages (a minute), into
#                            $DESCPIPE_TESTBED (default /var/cache/descpipe-testbed)
#
# Exit status: 0 done, 77 this machine cannot have one (a failure, 1, with CI set).
set -eu

cannot() {
    echo "moto: $1" >&2
    [ -z "${CI:-}" ] || exit 1
    exit 77
}

# Another may be fetching the same: one does, the others wait. What is in its place is whole.
fetch() {
    [ ! -x "$root/usr/bin/moto_server" ] || return 0
    [ "$(id -u)" = 0 ] || cannot "only root can fetch it (run this once as root)"
    command -v debootstrap >/dev/null || cannot "there is no debootstrap on this machine"
    mkdir -p "$cache"
    exec 9>"$cache/moto.lock"
    flock 9
    if [ ! -x "$root/usr/bin/moto_server" ]; then
        rm -rf "$root.new"
        # python3-cffi-backend provides what debootstrap, which knows no virtual packages, would leave out.
        debootstrap --variant=minbase --include=python3-moto,python3-cffi-backend,python3-flask,python3-flask-cors trixie "$root.new" >"$cache/moto.log" 2>&1 9>&- || {
            tail -n 20 "$cache/moto.log" >&2
            cannot "trixie's packages cannot be had"
        }
        rm -rf "$root.new/var/cache/apt/archives" "$root.new/var/lib/apt/lists"
        mv "$root.new" "$root"
    fi
    exec 9>&-
}

install() {
    mkdir -p "$1"
    target=$(cd "$1" && pwd -P)
    command -v bwrap >/dev/null || cannot "there is no bwrap on this machine"
    fetch
    cat >"$target/moto_server.new" <<END
#!/bin/sh
exec bwrap --ro-bind '$root' / --dev /dev --proc /proc --tmpfs /tmp --die-with-parent --setenv PYTHONDONTWRITEBYTECODE 1 -- \\
    /usr/bin/moto_server "\$@"
END
    chmod 755 "$target/moto_server.new"
    mv "$target/moto_server.new" "$target/moto_server"
}

cache=${DESCPIPE_TESTBED:-/var/cache/descpipe-testbed}
root=$cache/moto
case ${1:-} in
install) install "${2:?usage: $0 install FOLDER}" ;;
*)
    echo "usage: $0 install FOLDER" >&2
    exit 2
    ;;
esac
