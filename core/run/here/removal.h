/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a COMMAND stage may leave when it is killed (a container that a service keeps), and the command that removes it:
 * the form's `removal`, which the journal has in `started`, so that it can be done without the plugin, by whoever finds
 * a run whose engine died.
 */
#ifndef DESCPIPE_RUN_REMOVAL_H
#define DESCPIPE_RUN_REMOVAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define REMOVAL_TIMEOUT_MS 60000

/* The commands of the jobs that have no verdict, as a run's journal has them; NULL with an error when it cannot be
 * read.
 */
struct removals;
struct removals *removals_read(const char *folder, struct error *error);
void removals_free(struct removals *removals);
static inline void removals_free_at(struct removals **place)
{
    removals_free(*place);
}

/* The jobs whose commands these are. */
size_t removals_count(const struct removals *removals);
uint64_t removals_job(const struct removals *removals, size_t index);

/* Runs all of them, one after the other, with this process's environment, and waits for their ends: what they are to
 * remove has no process any more. Done again, it does no harm. False when one failed, or when the journal could have
 * been written by others than us, so that nothing was run. */
bool removals_run(const struct removals *removals, struct error *error);

#endif
