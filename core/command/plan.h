/* SPDX-License-Identifier: BSD-3-Clause */
/* Printing the plan, for `plan` and `run --dry-run`. */
#ifndef DESCPIPE_COMMAND_PLAN_H
#define DESCPIPE_COMMAND_PLAN_H

#include "command/pipeline_options.h"

int command_print_plan(struct invocation *invocation, const struct pipeline_options *options, bool json);

#endif
