/* SPDX-License-Identifier: BSD-3-Clause */
/* Looking at one task: what decides it, what an earlier run made of the same, and whether its outputs are still there.
 */
#ifndef DESCPIPE_RUN_AGAIN_LOOK_H
#define DESCPIPE_RUN_AGAIN_LOOK_H

#include "run/walk.h"

struct look {
    struct engine *engine;
    uint32_t task;
    struct arena *arena;
    struct identity identity;
    struct cache_result result;
    struct staging_out out;
    bool good;                  /* its outputs are there */
    uint32_t may_be_gone, gone; /* or need not be: bits by their place in the stage's list */
    struct text reason;
};

/* NULL: the result has none of that name. */
const struct cache_output *look_find_output(const struct cache_result *result, const char *name);
/* Where its outputs are wanted, and where the attempt that made them has them. */
void look_list_outputs(struct look *look);
/* On the loop, with as little as one call of lstat for each output. False: it takes more to know. */
bool look_glance(struct look *look);
/* On a helper thread. Puts back what is not where it belongs but still in the folder of the attempt that made it.
 * False: `reason` says what is not there. */
bool look_examine(struct look *look);

#endif
