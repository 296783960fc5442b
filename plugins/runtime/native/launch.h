/* SPDX-License-Identifier: BSD-3-Clause */
/* From one attempt of a stage to the argv that runs it in bubblewrap. */
#ifndef NATIVE_LAUNCH_H
#define NATIVE_LAUNCH_H

#include <descpipe/types.h>

#include "registry/failure.h"

#include "arguments.h"

struct launch {
    const char *tool;            /* bubblewrap, absolute */
    const char *init;            /* native-init, absolute */
    const char *accounts_folder; /* see accounts.h */
    bool network;
    const struct descpipe_stage *stage;
    const char *image_environment; /* "NAME=value" each ended by NUL, or NULL; the stage's own words win */
    size_t image_environment_length;
};

/* Fills the argv and the environment; their texts live in `arguments` or belong to the stage and the image
 * environment. */
bool launch_write(const struct launch *launch, struct arguments *arguments, struct arguments *environment,
                  struct failure *failure);

#endif
