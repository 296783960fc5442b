/* SPDX-License-Identifier: BSD-3-Clause */
/* Follows a run that somebody else has, until it ends: for `status --watch`. */
#ifndef DESCPIPE_COMMAND_RUNS_WATCH_H
#define DESCPIPE_COMMAND_RUNS_WATCH_H

#include "command/command.h"
#include "report/run_view.h"

/* The run is the first word's; takes nothing, writes nothing. The exit status is the one that the run itself ends with,
 * as far as its journal says: 0, 5 a stage failed, 6 something else failed, 7 cancelled, stopped, or not watched to
 * its end. */
int run_watch(struct invocation *invocation);
/* The same of a run whose events have been shown as far as `view` has read them; takes it over. */
int run_watch_on(struct invocation *invocation, struct run_view *view);

#endif
