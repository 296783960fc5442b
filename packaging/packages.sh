#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Names the Debian packages that a purpose needs and installs those that are missing, asking for root only for that.
#   packaging/packages.sh build|test|ci|cluster [--list]
set -eu
build='gcc libc6-dev cmake ninja-build pkg-config libyaml-dev libltdl-dev libjansson-dev libcurl4-openssl-dev libssl-dev libarchive-dev zlib1g-dev bubblewrap'
test="$build check g++ make python3 python3-yaml busybox-static tmux curl openssl util-linux procps git"
ci="$test clang libclang-rt-14-dev clang-tidy clang-format cppcheck shellcheck valgrind docker.io containerd runc iptables debootstrap openmpi-bin
    astrometry-data-tycho2-10-19-littleendian ccache podman catatonit uidmap netavark charliecloud charliecloud-builders python3-lark python3-requests
    docker-registry apache2-utils python3-botocore python3-jsonschema buildah skopeo umoci slurm-wlm slurmctld slurmd slurmdbd munge mariadb-server"
# What builds and runs a real Kubernetes besides (ctest -C cluster).
cluster="$ci golang-go etcd-server iproute2"
case ${1:-} in
build) wanted=$build ;;
test) wanted=$test ;;
ci) wanted=$ci ;;
cluster) wanted=$cluster ;;
*)
    echo "usage: $0 build|test|ci|cluster [--list]" >&2
    exit 2
    ;;
esac
if [ "${2:-}" = --list ]; then
    # shellcheck disable=SC2086 # a list of words
    printf '%s\n' $wanted
    exit 0
fi
missing=
for package in $wanted; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
echo "installing:$missing"
if [ "$(id -u)" -eq 0 ]; then
    as_root=
elif command -v sudo >/dev/null; then
    as_root=sudo
else
    echo "these packages are missing, and only root can install them:$missing" >&2
    echo "hint: ask an administrator to run: apt-get install$missing" >&2
    exit 6
fi
# shellcheck disable=SC2086 # lists of words
{
    $as_root apt-get update -q
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing
}
