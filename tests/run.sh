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
results=$build/results.xml
rm -f "$results"
failed_run=0
ctest --test-dir "$build" --output-on-failure --output-junit results.xml "$@" || failed_run=1
[ -f "$results" ] || { echo "ctest wrote no results" >&2; exit 1; }
count() { sed -n "/<testsuite/,/>/s/.*[[:space:]]$1=\"\([0-9]*\)\".*/\1/p" "$results" | head -n 1; }
tests=$(count tests) failures=$(count failures) skipped=$(count skipped) disabled=$(count disabled)
skipped=$((skipped + disabled))
passed=$((tests - failures - skipped))
if [ "$skipped" -gt 0 ]; then
    echo "skipped here:"
    sed -n 's/.*<testcase name="\([^"]*\)".*status="\(notrun\|disabled\)".*/  \1/p' "$results"
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
