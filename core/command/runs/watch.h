/* SPDX-License-Identifier: BSD-3-Clause */
/* Follows a run that somebody else has, until it ends: for `status --watch`, and for `resume` before it can begin. */
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

/* The same for at most `limit_ms`, for who takes the run up when it has failed; the view stays the caller's. True: it
 * failed, which is not shown as an end, or it goes on and nobody told us to leave. Else `status` is the exit status. */
bool run_watch_for(struct invocation *invocation, struct run_view *view, int64_t limit_ms, int *status);

#endif
