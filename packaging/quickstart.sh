#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# From a checkout to a pipeline that ran: installs the build packages, builds, runs pipelines/quickstart on the embedded
# runtime. No container engine, no registry, no network but for the packages.
set -eu
cd "$(dirname "$0")/.."
sh packaging/packages.sh build
cmake --preset release -DBUILD_TESTING=OFF >build.log 2>&1 || { cat build.log; exit 1; }
cmake --build build/release
rm -f build.log
exec build/release/descpipe run pipelines/quickstart/pipeline.yaml
