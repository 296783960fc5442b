#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Runs one test file with python3, or says that it cannot: run.sh TEST FOLDER-OF-THE-MODULE
set -eu
if ! command -v python3 >/dev/null || ! python3 -c 'import ast, unittest' 2>/dev/null; then
    echo "skipped: no python3 here (Debian: python3)" >&2
    exit 77
fi
PYTHONPATH=$2 PYTHONDONTWRITEBYTECODE=1 exec python3 "$1"
