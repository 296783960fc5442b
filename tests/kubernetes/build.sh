#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Builds the four programs of a Kubernetes cluster from Debian's own source package, once, into a cache folder.
#
#   build.sh          prints the folder that holds kube-apiserver, kube-controller-manager, kube-scheduler and kubelet; builds them
#                     first where they are missing: eight minutes of processor time, five and a half on two idle cores
#   build.sh --there  only prints it when all are there, else exit status 77
#
# $DESCPIPE_TESTBED (default /var/cache/descpipe-testbed) is the cache. Several may ask at once: one builds, the others wait.
# Exit status: 0 done, 77 this machine cannot build it, 1 the build failed (its log is printed).
set -eu

cache=${DESCPIPE_TESTBED:-/var/cache/descpipe-testbed}
version=1.20.2
programs='kube-apiserver kube-controller-manager kube-scheduler kubelet'
target=$cache/kubernetes-$version
work=

cannot() {
    echo "kubernetes build: $1" >&2
    exit 77
}

is_complete() {
    for program in $programs; do
        [ -x "$target/$program" ] || return 1
    done
}

# The source package, by a list of our own: the machine's lists of packages stay as they are.
fetch() {
    # shellcheck disable=SC2016 # apt's own variables
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Component: main' | head -n 1)
    [ -n "$mirror" ] || { echo "no mirror of Debian is among this machine's sources"; return 1; }
    mkdir -p "$work/apt/lists/partial" "$work/source"
    echo "deb-src $mirror bookworm main" > "$work/apt/sources"
    set -- -q -o "Dir::Etc::sourcelist=$work/apt/sources" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$work/apt/lists" -o APT::Sandbox::User=root
    apt-get "$@" update
    cd "$work/source"
    apt-get "$@" source --download-only --only-source "kubernetes"
    cd "$work"
    mkdir -p go/src/k8s.io/kubernetes
    tar -xf "$(find "$work/source" -name 'kubernetes_*.orig.tar.*' | head -n 1)" -C go/src/k8s.io/kubernetes --strip-components=1
}

# The iterator over maps that its JSON library borrows from the language has another shape since Go 1.18: as it stands the API
# server dies of it sooner or later. Pointers of the iterator must be pointers to the collector, hence the two lists.
mend() {
    folder=vendor/github.com/modern-go/reflect2
    sed -i -e '/^\/\/go:linkname mapiterinit/,/^func mapiterinit/s/^func mapiterinit.*/func mapiterinit(rtype unsafe.Pointer, m unsafe.Pointer, it *hiter)/' \
        -e 's/^\tvalue unsafe.Pointer.*/&\n\tpointers [6]unsafe.Pointer\n\tnumbers [8]uintptr/' $folder/unsafe_link.go
    sed -i 's/mapiterinit(type2.rtype, /iterate(type2.rtype, /' $folder/unsafe_map.go
    cat >> $folder/unsafe_link.go << 'END'

func iterate(rtype unsafe.Pointer, m unsafe.Pointer) *hiter {
	it := new(hiter)
	mapiterinit(rtype, m, it)
	return it
}
END
    grep -q 'it \*hiter)$' $folder/unsafe_link.go && grep -q 'numbers' $folder/unsafe_link.go && grep -q 'iterate(type2' $folder/unsafe_map.go
}

# The tarball lacks one generated package: the descriptions of all kinds.
generate() {
    go build -o "$work/openapi-gen" ./vendor/k8s.io/kube-openapi/cmd/openapi-gen
    folders=$(grep -rl --include='*.go' '^// +k8s:openapi-gen=' staging/src pkg | grep -v -e /samples/ -e /sample- -e /examples/ -e _test.go |
        sed -e 's,/[^/]*$,,' -e 's,^staging/src/,k8s.io/kubernetes/vendor/,' -e 's,^pkg,k8s.io/kubernetes/pkg,' | sort -u | paste -sd, -)
    "$work/openapi-gen" -O zz_generated.openapi -p k8s.io/kubernetes/pkg/generated/openapi -h hack/boilerplate/boilerplate.generatego.txt \
        -r "$work/violations" -i "$folders"
}

build() {
    fetch
    export GOPATH="$work/go" GO111MODULE=off GOFLAGS=-p=2 GOCACHE="$work/go-cache" CGO_ENABLED=1
    cd "$GOPATH/src/k8s.io/kubernetes"
    mend
    generate
    package=k8s.io/kubernetes/vendor/k8s.io
    flags="-s -w -X $package/component-base/version.gitVersion=v$version -X $package/component-base/version.gitMajor=1 -X $package/component-base/version.gitMinor=20"
    mkdir -p "$work/bin"
    # Without the clouds' own libraries, which are half of it; all at once, so that what they share is compiled once.
    # shellcheck disable=SC2046,SC2086 # a list of words
    go build -tags providerless -ldflags "$flags" -o "$work/bin/" $(printf './cmd/%s ' $programs)
    rm -rf "$target"
    mkdir -p "$target"
    mv "$work"/bin/* "$target/"
}

if [ "${1:-}" = --into ]; then
    work=$2
    build
    exit 0
fi
if is_complete; then
    echo "$target"
    exit 0
fi
[ "${1:-}" != --there ] || exit 77
command -v go > /dev/null || cannot "there is no go on this machine (packaging/packages.sh cluster)"
command -v apt-get > /dev/null || cannot "only Debian has the source package"
mkdir -p "$cache"
exec 9> "$cache/kubernetes.lock"
flock 9
if ! is_complete; then
    work=$cache/kubernetes.build
    chmod -R u+w "$work" 2> /dev/null || true
    rm -rf "$work"
    mkdir -p "$work"
    # A process of its own: `set -e` does not hold inside a condition.
    status=0
    sh "$0" --into "$work" > "$cache/kubernetes.log" 2>&1 || status=$?
    if [ "$status" != 0 ] || ! is_complete; then
        tail -n 40 "$cache/kubernetes.log" >&2
        echo "kubernetes build: it failed; the whole log is $cache/kubernetes.log" >&2
        exit 1
    fi
    chmod -R u+w "$work"
    rm -rf "$work"
fi
echo "$target"
