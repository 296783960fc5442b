/* SPDX-License-Identifier: BSD-3-Clause */
/* The commands and webhooks of `on-exit`: told of the run's end, whatever it was; what goes wrong there is a warning.
 */
#ifndef DESCPIPE_RUN_ON_EXIT_H
#define DESCPIPE_RUN_ON_EXIT_H

#include <stdbool.h>

#include "base/error.h"
#include "base/text.h"

struct engine;

/* Before the run begins: who is to be told, and the secrets for it. False when the site does not let the pipeline say
 * so. */
bool on_exit_prepare(struct engine *engine);
/* The run is over and its records are made. Runs the loop until all have ended, their time is up or the user asks. */
void on_exit_run(struct engine *engine);
/* The same as the end of a shell script that runs when all jobs of the run are over; it has `run`, `missing` (0: all
 * went well) and `reason`. Writes what nobody else may read beside the script. */
bool on_exit_print(struct engine *engine, const char *folder, struct text *script, struct error *error);

#endif
