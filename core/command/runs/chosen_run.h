/* SPDX-License-Identifier: BSD-3-Clause */
/* The run that a word on the command line means, opened for reading. */
#ifndef DESCPIPE_COMMAND_RUNS_CHOSEN_RUN_H
#define DESCPIPE_COMMAND_RUNS_CHOSEN_RUN_H

#include "command/command.h"
#include "report/run_view.h"

/* What the commands about a run take: "[RUN]", or "[RUN] STAGE". */
extern const struct argument_positional chosen_run_positionals[], chosen_task_positionals[];

/* What those words mean; NULL with the error. `options` as run_view_open. */
struct run_view *chosen_run(const struct invocation *invocation, unsigned options, struct error *error);
struct run_view *chosen_task(const struct invocation *invocation, uint32_t *task, struct error *error);

/* `word` NULL: the latest started from here. Reads all there is; NULL with the error. `options` as run_view_open. */
struct run_view *chosen_run_open(const char *word, unsigned options, struct error *error);
/* Likewise, but nothing of its journal is read yet. */
struct run_view *chosen_run_begin(const char *word, unsigned options, struct error *error);

/* What a person types for it: its id, or its folder while nobody has said more. */
static inline const char *chosen_run_name(const struct run_view *view)
{
    return view->run != NULL ? view->run : view->folder;
}
/* {"run":NAME appended, the object left open. */
void chosen_run_begin_json(const struct run_view *view, struct text *out);

#endif
