/* SPDX-License-Identifier: BSD-3-Clause */
/* `descpipe plan --why`: which tasks a run would run, and what has changed since they ran last. */
#ifndef DESCPIPE_COMMAND_PLAN_WHY_H
#define DESCPIPE_COMMAND_PLAN_WHY_H

#include "command/command.h"
#include "command/pipeline_options.h"

int command_print_plan_why(struct invocation *invocation, const struct pipeline_options *options, bool json);

#endif
