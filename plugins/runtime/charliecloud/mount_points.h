/* SPDX-License-Identifier: BSD-3-Clause */
/* Places in an unpacked image to mount at: ch-run mounts the image read-only and makes none itself. */
#ifndef CHARLIECLOUD_MOUNT_POINTS_H
#define CHARLIECLOUD_MOUNT_POINTS_H

#include <stdbool.h>

#include "registry/failure.h"

/* Makes `target` below `root` an empty folder (or an empty file) when nothing is there. Links are followed as the
 * container would, with `root` as the root of the world. What is made stays: it is empty, and hidden by what is
 * mounted. */
bool mount_point_make(const char *root, const char *target, bool file, struct failure *failure);

/* Is there something at `target`, as the container would see it? */
bool mount_point_exists(const char *root, const char *target);

#endif
