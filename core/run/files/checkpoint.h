/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The files of a checkpoint: those in an attempt's output folder whose names match a stage's patterns.
 *
 * Only regular files that really lie in the folder count: a link that a stage made leads nowhere. Which one is new is
 * told by its size and its time, for a copy keeps both.
 */
#ifndef DESCPIPE_RUN_CHECKPOINT_H
#define DESCPIPE_RUN_CHECKPOINT_H

#include <stdbool.h>

#include "base/error.h"

/* Is there a file in `folder` that is not, as it is, in `before`? NULL for `before`: is there any? `patterns` ends with
 * NULL. */
bool checkpoint_is_new(const char *folder, const char *before, const char *const *patterns);
/* Copies of those in `from` to `to`, which exists. What is copied is on the disk then. */
bool checkpoint_copy(const char *from, const char *to, const char *const *patterns, struct error *error);
/* Those in `folder` go; what cannot be removed stays. A missing folder is fine. */
void checkpoint_remove(const char *folder, const char *const *patterns);

#endif
