/* SPDX-License-Identifier: BSD-3-Clause */
/* The engine process: reads the pipeline, builds the plan and walks it. */
#ifndef DESCPIPE_RUN_ENGINE_H
#define DESCPIPE_RUN_ENGINE_H

#include "run/front.h"
#include "run/keeper.h"

/* The engine's whole life; returns the exit status of the run. `socket` leads to the front; `problems`, too, is for what
 * report_problems says, as JSON (problem_append_json), -1: nobody wants it. */
int engine_run(const struct run_request *request, struct keeper_table *table, int socket, int problems);

#endif
