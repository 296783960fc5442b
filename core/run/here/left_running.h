/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an earlier run of a working folder left running: stages whose engine was killed, or went and left them to the
 * keeper. They read WORKING/STAGE, which a new run would make anew under them.
 */
#ifndef DESCPIPE_RUN_LEFT_RUNNING_H
#define DESCPIPE_RUN_LEFT_RUNNING_H

#include <stdbool.h>

#include "base/error.h"

/* True when the run before `own` (an id; the newest other one in `descpipe`, WORKING/.descpipe) left nothing that may
 * still go on here; else an error that names the stages, and what to do. A process counts as long as one of its session
 * lives. A container counts until its end is in the journal: only its runtime could tell, and `cancel` asks it;
 * likewise one that a service keeps for a client that was killed, with nobody there to see it removed. What
 * ran on another machine, or before this one was started anew, is out of sight and does not count. Of runs before that
 * one nothing is left: they were looked at when it began. */
bool left_running_none(const char *descpipe, const char *own, struct error *error);

/* The folder of the newest run in `descpipe` but `own`, or NULL; ids sort by time. The caller owns it. */
char *left_running_newest(const char *descpipe, const char *own);

#endif
