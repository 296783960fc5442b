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
    bool developer; /* a container that is kept, over a root that is its own to write; for launch_write_kept */
};

/* Fills the argv and the environment; their texts live in `arguments` or belong to the stage and the image
 * environment. */
bool launch_write(const struct launch *launch, struct arguments *arguments, struct arguments *environment,
                  struct failure *failure);

/* The same for a developer's container over the folder `root`, without a command: an argv that starts it, to be run in
 * the container's folder. Its environment is of no account. */
bool launch_write_kept(const struct launch *launch, const char *root, struct arguments *arguments,
                       struct failure *failure);

/* "NAME=value" of the image's own and of `own`, which wins, with a PATH in any case. The variables that the loader
 * obeys are among them. */
void launch_merge_environment(const char *image, size_t image_length, const char *const *own,
                              struct arguments *environment);

#endif
