/* SPDX-License-Identifier: BSD-3-Clause */
/* The options that run, check and plan share: what runs where, and what of the pipeline the command line changes. */
#ifndef DESCPIPE_COMMAND_PIPELINE_OPTIONS_H
#define DESCPIPE_COMMAND_PIPELINE_OPTIONS_H

#include "command/command.h"
#include "config/layers.h"
#include "pipeline/pipeline.h"
#include "plan/plan.h"

struct pipeline_options { /* the first member of a command's values */
    const char *backend, *runtime, *registry, *working, *output, *jobs;
    bool detach; /* of commands that have PIPELINE_OPTION_DETACH */
    struct words options, sets, inputs, only, from, until;
};
/* For the options of a command whose values begin with `struct pipeline_options pipeline`. */
#define PIPELINE_OPTION_DETACH(values)                                                                                 \
    {                                                                                                                  \
        .name = "detach", .kind = ARGUMENT_FLAG, .offset = offsetof(values, pipeline.detach),                          \
        .help = "hand the whole graph to the scheduler and end: its jobs do the rest by themselves"                    \
    }
extern const struct argument_option pipeline_options_table[];
extern const struct argument_positional pipeline_positionals[]; /* PIPELINE */
void pipeline_options_clear(void *values);

/* Borrowed from the options and the invocation, for as long as those live. */
void pipeline_options_search(const struct pipeline_options *options, struct config_search *search);
void pipeline_options_choices(const struct pipeline_options *options, struct plan_choices *choices);
void pipeline_options_changes(const struct pipeline_options *options, const char *base,
                              struct pipeline_changes *changes);
/* --base as an absolute folder, NULL when it was not given; false when it is none. Owned by the caller. */
bool pipeline_options_base(const struct invocation *invocation, char **base, struct error *error);

#endif
