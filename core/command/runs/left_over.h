/* SPDX-License-Identifier: BSD-3-Clause */
/* Ends the stages that a run left running when its engine went. */
#ifndef DESCPIPE_COMMAND_RUNS_LEFT_OVER_H
#define DESCPIPE_COMMAND_RUNS_LEFT_OVER_H

#include "report/run_view.h"

/* SIGTERM to every stage whose processes can be named, SIGKILL LEFT_OVER_GRACE_MS later to those that did not go. The
 * view is of an abandoned run on this machine, freshly looked at. `ended` and `kept` get the names of the tasks that
 * are gone and of those that are not, or that only another system could end. */
#define LEFT_OVER_GRACE_MS 10000
void left_over_end(const struct run_view *view, struct text *ended, struct text *kept);

#endif
