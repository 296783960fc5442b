/* SPDX-License-Identifier: BSD-3-Clause */
/* Removing images from this machine: `descpipe images --prune`. */
#ifndef DESCPIPE_COMMAND_IMAGE_PRUNE_H
#define DESCPIPE_COMMAND_IMAGE_PRUNE_H

#include "command/pipeline_options.h"

struct prune_request {
    const struct pipeline_options *options;
    const char *older_than, *keep; /* or NULL */
    bool dry_run;
};
int command_prune(struct invocation *invocation, const struct prune_request *request);

#endif
