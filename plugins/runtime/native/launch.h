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
};

/* Fills the argv and the environment; their texts live in `arguments` or belong to the stage. */
bool launch_write(const struct launch *launch, struct arguments *arguments, struct arguments *environment,
                  struct failure *failure);

#endif
