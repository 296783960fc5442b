#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The engine killed at steps of a run whose jobs a real SLURM has, and at steps of handing one over; each job is there once.
#
#   testbed_test.sh sh crash_points_test.sh PYTHON CRASH_POINTS PROGRAM PRELOAD PLUGINS
set -eu
"$@" real-slurm host rootfs:/ 19
"$@" real-slurm-detached host rootfs:/ 13
