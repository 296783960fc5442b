/* SPDX-License-Identifier: BSD-3-Clause */
/* Ends the containers that a run left when its engine went. */
#ifndef DESCPIPE_COMMAND_RUNS_LEFT_CONTAINERS_H
#define DESCPIPE_COMMAND_RUNS_LEFT_CONTAINERS_H

#include "command/command.h"
#include "report/run_view.h"

/* Each runtime of the run that keeps containers is asked for those of the run, by their label: whatever the journal
 * knows of them. Each is stopped, what it ended with goes into the journal with the verdict CANCELLED, and only then is
 * it removed. Options are those of the run, and of this user and machine where it said none. `ended` gets the names of
 * the tasks whose containers are gone. False with the error when a runtime cannot be asked, or one could not be ended;
 * those before it are ended all the same. */
bool left_containers_end(const struct invocation *invocation, const struct run_view *view, const char *by,
                         struct text *ended, struct error *error);

#endif
