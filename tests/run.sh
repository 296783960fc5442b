#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The whole test suite: installs what is missing, builds, runs every test, and ends with "N passed, N failed[, N skipped]".
#   tests/run.sh [CTEST-ARGUMENT...]
# A test whose service cannot be had on this machine is skipped and named. With CI set a skip is a failure, because CI installs
# every service that it can.
set -eu
cd "$(dirname "$0")/.."
if [ -n "${CI:-}" ]; then
    sh packaging/packages.sh ci
else
    sh packaging/packages.sh test
fi
preset=${DESCPIPE_TEST_PRESET:-release}
build=build/$preset
cmake --preset "$preset" -DBUILD_TESTING=ON
cmake --build "$build"
rm -f "$build"/results-*.xml
failed_run=0
# What needs no service runs side by side, the rest one after the other: services share ports, cgroups and the machine's time.
light='unit|plugins|abi|fuzz|cli|architecture|native'
ctest --test-dir "$build" --output-on-failure --output-junit results-light.xml -L "$light" -j "$(nproc)" "$@" || failed_run=1
ctest --test-dir "$build" --output-on-failure --output-junit results-rest.xml -LE "$light" "$@" || failed_run=1
for results in "$build/results-light.xml" "$build/results-rest.xml"; do
    [ -f "$results" ] || { echo "ctest wrote no results" >&2; exit 1; }
done
count() {
    sum=0
    for results in "$build/results-light.xml" "$build/results-rest.xml"; do
        sum=$((sum + $(sed -n "/<testsuite/,/>/s/.*[[:space:]]$1=\"\([0-9]*\)\".*/\1/p" "$results" | head -n 1)))
    done
    echo "$sum"
}
tests=$(count tests) failures=$(count failures) skipped=$(count skipped) disabled=$(count disabled)
skipped=$((skipped + disabled))
passed=$((tests - failures - skipped))
if [ "$skipped" -gt 0 ]; then
    echo "skipped here:"
    sed -n 's/.*<testcase name="\([^"]*\)".*status="\(notrun\|disabled\)".*/  \1/p' "$build"/results-*.xml
fi
if [ -n "${CI:-}" ] && [ "$skipped" -gt 0 ]; then
    echo "CI counts a skip as a failure"
    failures=$((failures + skipped))
    echo "$passed passed, $failures failed"
    exit 1
fi
if [ "$skipped" -gt 0 ]; then
    echo "$passed passed, $failures failed, $skipped skipped"
else
    echo "$passed passed, $failures failed"
fi
[ "$tests" -gt 0 ] && [ "$failures" -eq 0 ] && [ "$failed_run" -eq 0 ]
