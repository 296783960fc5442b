#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Builds the images of the three stages on the base image, and exports them for runtimes without an engine.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
owner=descpipe
version=1.0
archives=
# In the order of their FROM lines: each is built on the base image, which is made first when it is not there.
stages="tomography counts two_point"

usage() {
    cat <<EOF
usage: build-images.sh [--owner NAME] [--archive FOLDER]

Builds NAME/desc-pipe-STAGE:$version for $stages (NAME is $owner) with 'docker build'; DOCKER_HOST is honoured.
Makes the base image with make-base-image.sh when the engine does not have it.

  --owner NAME       first part of the images' names (default: $owner; the pipeline says the same)
  --archive FOLDER   write each image as FOLDER/STAGE.tar too ('docker save'), for the runtime native
EOF
}

fail() {
    echo "build-images.sh: $*" >&2
    exit 1
}

while [ $# -gt 0 ]; do
    case $1 in
    --owner | --archive)
        [ $# -ge 2 ] || fail "$1 needs a value"
        case $1 in
        --owner) owner=$2 ;;
        --archive) archives=$2 ;;
        esac
        shift 2
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

command -v docker >/dev/null || fail "no docker client; install the package 'docker.io'"
docker version --format '{{.Server.Version}}' >/dev/null || fail "no Docker Engine answers (DOCKER_HOST is '${DOCKER_HOST:-not set}')"

if ! docker image inspect "$owner/desc-pipe-base:$version" >/dev/null 2>&1; then
    "$here/make-base-image.sh" --owner "$owner"
fi

# The classic builder sees local images only: BuildKit would ask a registry for the base image.
export DOCKER_BUILDKIT=0
log=$(mktemp "${TMPDIR:-/tmp}/descpipe-build.XXXXXX")
trap 'rm -f -- "$log" ${archives:+"$archives/.$$.tar"}' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
for stage in $stages; do
    echo "building $owner/desc-pipe-$stage:$version"
    docker build --build-arg user="$owner" -t "$owner/desc-pipe-$stage:$version" "$here/images/$stage" >"$log" 2>&1 || {
        cat "$log" >&2
        fail "cannot build '$stage' (the builder's messages are above)"
    }
done

if [ -n "$archives" ]; then
    mkdir -p "$archives"
    for stage in $stages; do
        docker save -o "$archives/.$$.tar" "$owner/desc-pipe-$stage:$version" || fail "cannot save the image of '$stage'"
        mv -f "$archives/.$$.tar" "$archives/$stage.tar"
        echo "wrote $archives/$stage.tar"
    done
fi
