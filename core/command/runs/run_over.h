/* SPDX-License-Identifier: BSD-3-Clause */
/* What is done when a run is over: its records, and what `keep: N runs` lets go. */
#ifndef DESCPIPE_COMMAND_RUNS_RUN_OVER_H
#define DESCPIPE_COMMAND_RUNS_RUN_OVER_H

#include "run/front.h"

/* For run_request.ended; failures are warnings. */
void run_over(const struct run_ended *ended);
/* For run_request.describe. */
const char *run_describe(const char *run_folder, bool stages, struct text *json);

#endif
