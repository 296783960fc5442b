/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which jobs of a run wait for which, for schedulers that are told: a run that is handed over (detach.c), and one whose
 * scheduler takes all of it at once (whole.c).
 *
 * How it works: a task waits for its own member of every stage before it where it goes by members, else for all of
 * them. Who has succeeded already is not waited for. Stages share their lists.
 */
#ifndef DESCPIPE_RUN_ELSEWHERE_GRAPH_H
#define DESCPIPE_RUN_ELSEWHERE_GRAPH_H

#include "run/walk.h"

struct graph *graph_new(struct engine *engine); /* lives as long as the engine */
/* Settles what earlier runs have made. True when nothing more can be known for now; what is ready then has to run. */
bool graph_settle_known(struct engine *engine);
/* An input of the task that a stage before it still makes. */
bool graph_is_made_later(const struct engine *engine, uint32_t task, const char *path);
uint32_t graph_tasks_of(const struct engine *engine, uint32_t stage);
/* Edges live as long as the engine; they name the attempts that their tasks are at now. */
const struct descpipe_edge *const *graph_edges(struct graph *graph, uint32_t task);
/* Every task of these stages. */
const struct descpipe_edge *const *graph_wait_for_stages(struct graph *graph, const uint32_t *stages, uint32_t count,
                                                         uint32_t condition);

#endif
