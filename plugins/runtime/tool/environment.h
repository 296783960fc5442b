/* SPDX-License-Identifier: BSD-3-Clause */
/* Environments: what a tool gets of ours, and what a stage says. */
#ifndef RUNTIME_TOOL_ENVIRONMENT_H
#define RUNTIME_TOOL_ENVIRONMENT_H

#include <stdbool.h>

#include <descpipe/types.h>

#include "arguments.h"

/* Adds those of these variables that our own environment has. The list ends with NULL; the texts are copied. */
void environment_add_own(struct arguments *environment, const char *const *names);

/* What every tool needs to find its helpers, its files and its user. */
void environment_add_basics(struct arguments *environment);

/* How the network is reached: `proxy` as a credential has it, NULL: as our own environment says, "": none. */
void environment_add_proxy(struct arguments *environment, const char *proxy);

/* Begins an argv of a tool that hands on the umask it has, and has no option for another: nothing where the stage's is our
 * own. A job's script has the stage's. */
void environment_add_umask(struct arguments *argv, const struct descpipe_stage *stage);

/* The value of a variable in "NAME=value" entries (NULL: none), borrowed; NULL when it is not there. */
const char *environment_value(const char *const *entries, const char *name);

/* Is it a name whose value only the starting machine knows? */
bool environment_is_late(const struct descpipe_stage *stage, const char *name);

#endif
