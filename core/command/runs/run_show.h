/* SPDX-License-Identifier: BSD-3-Clause */
/* Starts a run, or goes on with one, and shows what happens: for `run` and `resume`. */
#ifndef DESCPIPE_COMMAND_RUNS_RUN_SHOW_H
#define DESCPIPE_COMMAND_RUNS_RUN_SHOW_H

#include "command/command.h"
#include "command/installation.h"
#include "command/runs/run_screen.h"
#include "run/front.h"

/* The exit status. `before` is taken: of a run to go on with, read as far as it had come; else NULL. Splits this
 * process: only legal before any loop or thread exists. */
int run_show(struct invocation *invocation, struct run_request *request, struct run_view *before);

/* From `run`'s command line, whose values and words `invocation` has. Borrowed from all of them. */
bool run_request_fill(struct invocation *invocation, struct installation *installation, char **base,
                      struct run_request *request, struct error *error);

#endif
