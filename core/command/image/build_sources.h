/* SPDX-License-Identifier: BSD-3-Clause */
/* Stages in repositories (`github:`), fetched by commit before anything is built. */
#ifndef DESCPIPE_COMMAND_IMAGE_BUILD_SOURCES_H
#define DESCPIPE_COMMAND_IMAGE_BUILD_SOURCES_H

#include "command/planning.h"

/* Fetches those of the selected stages, several at a time, with a progress view. The exit status; sets *any when there
 * was one to fetch: their folders are known only to a plan made after this. */
int build_sources_fetch(struct invocation *invocation, struct planning *planning, bool json, bool *any);

#endif
