/* SPDX-License-Identifier: BSD-3-Clause */
/* From a pipeline file and the command line to a plan, without running it: `check`, `plan` and `run --dry-run`. */
#ifndef DESCPIPE_COMMAND_PLANNING_H
#define DESCPIPE_COMMAND_PLANNING_H

#include "command/installation.h"
#include "command/pipeline_options.h"

struct planning {
    struct installation installation;
    struct pipeline *pipeline; /* NULL when the file has errors */
    struct plan *plan;         /* NULL when there was any error */
    struct problems problems;  /* all that was found, notes too */
    struct error error;        /* of plugins, network and system */
    char *base;
    bool over;
};
void planning_clear(struct planning *planning);
static inline void planning_clear_at(struct planning *place)
{
    planning_clear(place);
}
/* Builds as far as it gets. True when there is a plan. */
bool planning_build(struct planning *planning, const struct invocation *invocation,
                    const struct pipeline_options *options, const char *file, enum plan_extent extent);
/* Whether its scheduler would take it, as far as that is known here: one more problem if not. */
void planning_try(struct planning *planning);
/* The exit status: of the first that stopped it. */
int planning_status(const struct planning *planning);

#endif
