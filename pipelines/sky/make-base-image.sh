#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Makes the base image of the sky pipeline from Debian packages: no image is pulled from anywhere.
#
# How it works: debootstrap makes a minimal root folder with the Python packages the stages import; it is slimmed and kept as a
# tar file in a cache folder, so that a second call takes seconds. The in-container module descpipe.py is added on top, and the
# result goes to Docker with `docker import`, to a docker-archive file, or to both.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
module=$here/../../packaging/container/descpipe.py
cache=${DESCPIPE_TESTBED_CACHE:-/var/cache/descpipe-testbed}
suite=bookworm
packages=python3-numpy,python3-scipy,python3-astropy,python3-matplotlib,python3-yaml
owner=descpipe
version=1.0
mirror=
archive=
engine=yes

usage() {
    cat <<EOF
usage: make-base-image.sh [--owner NAME] [--archive FILE] [--no-engine] [--mirror URL] [--module FILE]

Makes OWNER/desc-pipe-base:$version (OWNER is $owner) from Debian $suite and imports it into Docker (DOCKER_HOST is honoured).

  --owner NAME     first part of the image's name (default: $owner)
  --archive FILE   write the image as a docker-archive tar file too, for runtimes without an engine
  --no-engine      do not import into Docker (only with --archive)
  --mirror URL     Debian mirror (default: the one of this machine's own apt sources)
  --module FILE    the descpipe.py to put into the image

The root folder's tar file is kept in \$DESCPIPE_TESTBED_CACHE (now: $cache); remove it there to make it anew.
EOF
}

fail() {
    echo "make-base-image.sh: $*" >&2
    exit 1
}

while [ $# -gt 0 ]; do
    case $1 in
    --owner | --archive | --mirror | --module)
        [ $# -ge 2 ] || fail "$1 needs a value"
        case $1 in
        --owner) owner=$2 ;;
        --archive) archive=$2 ;;
        --mirror) mirror=$2 ;;
        --module) module=$2 ;;
        esac
        shift 2
        ;;
    --no-engine)
        engine=no
        shift
        ;;
    --help | -h)
        usage
        exit 0
        ;;
    *)
        usage >&2
        exit 2
        ;;
    esac
done
[ "$engine" = yes ] || [ -n "$archive" ] || fail "--no-engine without --archive would make nothing"
[ -r "$module" ] || fail "cannot read '$module'; say --module FILE"

architecture=$(dpkg --print-architecture) || fail "dpkg is needed (this script makes a Debian root folder)"
# The name says all that the content depends on, so a changed list is never served from an old file.
content=$(printf '%s\n' "$suite" "$architecture" "$packages" slim-2 | sha256sum | cut -c1-12)
root_tar=$cache/sky-base-$suite-$architecture-$content.tar

scratch=$(mktemp -d "${TMPDIR:-/tmp}/descpipe-base.XXXXXX")
clean_up() {
    rm -rf -- "$scratch" "$root_tar.$$"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# shellcheck disable=SC2016 # the words with a dollar are apt's
find_mirror() {
    # The first http(s) mirror of this machine's apt sources that carries the suite.
    apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT)' 2>/dev/null |
        awk -v suite="$suite" '$2 == suite && $3 == "main" && $1 ~ /^https?:/ { print $1; exit }'
}

make_root_tar() {
    [ "$(id -u)" = 0 ] || fail "making '$root_tar' needs root (debootstrap); a file made elsewhere may be put there"
    command -v debootstrap >/dev/null || fail "debootstrap is missing; install the package 'debootstrap'"
    if [ -z "$mirror" ]; then
        mirror=$(find_mirror)
        [ -n "$mirror" ] || fail "this machine's apt sources name no mirror with '$suite'; say --mirror URL"
    fi
    echo "making the root folder with debootstrap ($suite, $architecture); this takes a minute or two"
    debootstrap --variant=minbase --arch="$architecture" --include="$packages" "$suite" "$scratch/root" "$mirror" \
        >"$scratch/debootstrap.log" 2>&1 || {
        tail -n 20 "$scratch/debootstrap.log" >&2
        fail "debootstrap failed (its last lines are above)"
    }
    root=$scratch/root
    # Compilers, headers and test tools that the packages of scipy and matplotlib bring along: half of the image.
    # shellcheck disable=SC2016 # the words with a dollar are dpkg's
    unneeded=$(chroot "$root" dpkg-query -W -f '${db:Status-Status} ${Package}\n' '*-dev' cpp 'cpp-[0-9][0-9]' 'g++*' gcc 'gcc-[0-9][0-9]' \
        'binutils*' 'libjs-*' linux-libc-dev python3-pythran python3-sympy python3-mpmath python3-hypothesis unicode-data 2>/dev/null |
        awk '$1 == "installed" { print $2 }')
    # shellcheck disable=SC2086 # a list of package names
    chroot "$root" dpkg --purge --force-depends $unneeded >"$scratch/purge.log" 2>&1 || {
        tail -n 20 "$scratch/purge.log" >&2
        fail "cannot take the compilers out again (dpkg's last lines are above)"
    }
    # What a stage never reads. Nothing of a Python package is taken out: some import their own tests.
    rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/* "$root"/usr/share/doc/* \
        "$root"/usr/share/man/* "$root"/usr/share/info/* "$root"/usr/share/locale/* "$root"/usr/share/lintian \
        "${root:?}"/dev/* "$root"/tmp/* "$root"/etc/apt/sources.list "$root"/etc/resolv.conf "$root"/etc/hostname
    mkdir -p "$root/opt/desc" "$root/opt/input" "$root/opt/output" "$root/opt/config"
    # Any uid may run a stage; a runtime that mounts outputs elsewhere leaves these empty.
    chmod 1777 "$root/opt/output"
    mkdir -p "$cache"
    tar --sort=name --numeric-owner --one-file-system -C "$root" -cf "$root_tar.$$" . || fail "cannot write '$root_tar.$$'"
    mv -f "$root_tar.$$" "$root_tar"
    rm -rf "$root"
}

if [ -r "$root_tar" ]; then
    echo "using $root_tar"
else
    make_root_tar
fi

echo "adding descpipe.py"
mkdir -p "$scratch/extra/opt/desc"
install -m 0644 "$module" "$scratch/extra/opt/desc/descpipe.py"
cp --reflink=auto "$root_tar" "$scratch/image.tar"
tar --append --owner=0 --group=0 --numeric-owner --mtime=@0 -f "$scratch/image.tar" -C "$scratch/extra" ./opt/desc/descpipe.py
image=$owner/desc-pipe-base:$version
search_path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# The environment and the ONBUILD line are those of the original base image: a stage's Dockerfile needs no COPY of its run.py.
if [ "$engine" = yes ]; then
    command -v docker >/dev/null || fail "no docker client; install 'docker.io', or use --archive FILE --no-engine"
    docker import --change 'ENV DESC_CONFIG=/opt/config' --change 'ENV DESC_INPUT=/opt/input' \
        --change 'ENV DESC_OUTPUT=/opt/output' --change 'ENV PYTHONPATH=/opt/desc:' \
        --change "ENV PATH=$search_path" \
        --change 'CMD ["/opt/desc/run.py"]' --change 'ONBUILD COPY run.py /opt/desc/run.py' \
        "$scratch/image.tar" "$image" >"$scratch/id" || fail "docker import failed"
    echo "imported $image ($(cut -c8-19 "$scratch/id"))"
fi

if [ -n "$archive" ]; then
    # A docker-archive is a tar of the layer, the configuration named by its digest, and a manifest that names both.
    layer=$(sha256sum "$scratch/image.tar" | cut -d' ' -f1)
    mkdir "$scratch/archive"
    mv "$scratch/image.tar" "$scratch/archive/$layer.tar"
    printf '{"architecture":"%s","os":"linux","created":"1970-01-01T00:00:00Z","config":{"Env":["%s","DESC_CONFIG=/opt/config","DESC_INPUT=/opt/input","DESC_OUTPUT=/opt/output","PYTHONPATH=/opt/desc:"],"Cmd":["/opt/desc/run.py"],"OnBuild":["COPY run.py /opt/desc/run.py"]},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]},"history":[{"created":"1970-01-01T00:00:00Z","created_by":"make-base-image.sh"}]}' \
        "$architecture" "PATH=$search_path" "$layer" >"$scratch/config"
    configuration=$(sha256sum "$scratch/config" | cut -d' ' -f1)
    mv "$scratch/config" "$scratch/archive/$configuration.json"
    printf '[{"Config":"%s.json","RepoTags":["%s"],"Layers":["%s.tar"]}]' "$configuration" "$image" "$layer" \
        >"$scratch/archive/manifest.json"
    mkdir -p "$(dirname "$archive")"
    tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -C "$scratch/archive" -cf "$archive.$$" \
        manifest.json "$configuration.json" "$layer.tar"
    mv -f "$archive.$$" "$archive"
    echo "wrote $archive"
fi
