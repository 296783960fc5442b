/* SPDX-License-Identifier: BSD-3-Clause */
/* What earlier runs left in a working folder and nobody needs: for `clean` and `keep: N runs`. */
#ifndef DESCPIPE_COMMAND_RUNS_OLD_RUNS_H
#define DESCPIPE_COMMAND_RUNS_OLD_RUNS_H

#include "base/error.h"
#include "base/list.h"

struct old_run {
    char *id, *folder, *state;
    uint64_t bytes; /* that its going would free */
};
struct old_runs {
    LIST(struct old_run) items; /* newest first */
};
void old_runs_clear(struct old_runs *runs);
static inline void old_runs_clear_at(struct old_runs *place)
{
    old_runs_clear(place);
}

struct old_runs_request {
    const char *descpipe; /* WORKING/.descpipe */
    size_t keep;          /* the newest stay */
    bool unfinished;      /* runs that were stopped go too */
};
bool old_runs_find(const struct old_runs_request *request, struct old_runs *runs, struct error *error);
/* Only for the holder of the working folder's lease. */
bool old_runs_remove(const struct old_runs *runs, struct error *error);

#endif
