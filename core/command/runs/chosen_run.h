/* SPDX-License-Identifier: BSD-3-Clause */
/* The run that a word on the command line means, opened for reading. */
#ifndef DESCPIPE_COMMAND_RUNS_CHOSEN_RUN_H
#define DESCPIPE_COMMAND_RUNS_CHOSEN_RUN_H

#include "report/run_view.h"

/* `word` NULL: the latest started from here. Reads all there is; NULL with the error. `options` as run_view_open. */
struct run_view *chosen_run_open(const char *word, unsigned options, struct error *error);

/* The task that "STAGE" or "STAGE/MEMBER" means; the error says what was meant. */
bool chosen_run_task(const struct run_view *view, const char *word, uint32_t *task, struct error *error);

#endif
