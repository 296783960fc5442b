/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `keep: final`: what stages make for other stages only goes as soon as nobody needs it any more.
 *
 * An output is removed when every stage that takes it is part of this run and has succeeded, or was found up to date:
 * of a stage by members that takes its own member's, member by member. That is on the disk, and the removal in the
 * journal, before the file goes: its place in WORKING/data, in the attempt that made it, and where its consumers had it
 * as their input. Never removed: what the run's user gave, outputs that no stage takes (they are the results), and what
 * a stage outside the selection takes. What failed keeps its inputs, so that `resume` has them.
 *
 * What is gone need not come back. A task whose result is known and whose outputs are gone only because nobody needed
 * them counts as cached, and those that take them are judged by the digests that were recorded. Only when one of them
 * has to run after all does the task run again (`make` knows such files as secondary ones): it is ready again, and who
 * needs it waits, whatever that makes of the tasks before it.
 */
#ifndef DESCPIPE_RUN_KEEP_H
#define DESCPIPE_RUN_KEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/table.h"

struct engine;
struct cache_result;

void keep_begin(struct engine *engine);  /* before any task is ready */
void keep_resume(struct engine *engine); /* what engines before this one had removed, and had left to remove */

/* False: no stage of this run makes it for others only, or nothing is to be removed: it is a result. */
bool keep_passes(const struct engine *engine, symbol tag);
/* The outputs of a task, as bits by their place in its stage's list, that may be gone without the task having to run.
 */
uint32_t keep_may_be_gone(const struct engine *engine, uint32_t task);
/* It counts as cached although these are gone. */
void keep_are_gone(struct engine *engine, uint32_t task, uint32_t outputs, const struct cache_result *result);

/* False: something that it takes has to be made again first, and it waits; it comes back to the ready ones. */
bool keep_has_inputs(struct engine *engine, uint32_t task);
/* It is done, and its stage's count of tasks that are left says so. */
void keep_done(struct engine *engine, uint32_t task);
/* True, once: it was made again for others, whom its end concerns; nobody else waits for it. */
bool keep_was_wanted(struct engine *engine, uint32_t task);
/* A task that waited for this one, which will not succeed; NONE when there is no more. */
uint32_t keep_take_waiting(struct engine *engine, uint32_t task);

/* Removes what is due. True while that goes on: the run has not ended. */
bool keep_remove(struct engine *engine);
void keep_end(struct engine *engine);

#endif
