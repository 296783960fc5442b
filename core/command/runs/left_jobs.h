/* SPDX-License-Identifier: BSD-3-Clause */
/* Ends the jobs that the scheduler of a run has and nobody follows. */
#ifndef DESCPIPE_COMMAND_RUNS_LEFT_JOBS_H
#define DESCPIPE_COMMAND_RUNS_LEFT_JOBS_H

#include "command/command.h"
#include "report/run_view.h"

/* The scheduler of the run is asked for its jobs and told to cancel those that are not over; true when it says that
 * none is left. False with the error when it cannot be asked from here, or when some go on for LEFT_JOBS_WAIT_MS. */
#define LEFT_JOBS_WAIT_MS 120000
bool left_jobs_end(const struct invocation *invocation, const struct run_view *view, struct error *error);

/* How many jobs of the run its scheduler has that are not over. False with the error when it cannot be asked. */
bool left_jobs_count(const struct invocation *invocation, const struct run_view *view, size_t *count,
                     struct error *error);
/* Of a run that was not handed over and whose engine is gone: the same, if its scheduler goes on without an engine.
 * What it had goes into the journal as cancelled by `by`, and the names of those tasks to `ended`. The view is as it
 * was. */
bool left_jobs_take_back(const struct invocation *invocation, const struct run_view *view, const char *by,
                         struct text *ended, struct error *error);

/* False with the error when the scheduler cannot be asked, or has such jobs. */
bool left_jobs_none(const struct invocation *invocation, const struct run_view *view, struct error *error);

/* Writes what the jobs of a run that is over have left into its journal, and the end of the run; both leases are free
 * then. `by` who cancelled it: what did not end by itself was cancelled then; NULL: nobody did. The view is read again.
 */
bool left_jobs_settle(struct run_view *view, const char *by, struct error *error);

#endif
