/* SPDX-License-Identifier: BSD-3-Clause */
/* A run in one line, from the two ends of its journal: `descpipe runs` must not read a hundred journals whole. */
#ifndef DESCPIPE_REPORT_RUN_SUMMARY_H
#define DESCPIPE_REPORT_RUN_SUMMARY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct run_summary {
    char *run, *name, *pipeline, *user, *host; /* owned, NULL when the journal does not say */
    char *state;                               /* the end's word, "running" or "stopped"; never NULL */
    int64_t started_at_ms, finished_at_ms;     /* 0: not known, not yet */
    uint32_t tasks;
};
bool run_summary_read(const char *run_folder, struct run_summary *summary, struct error *error);
void run_summary_clear(struct run_summary *summary);
static inline void run_summary_clear_at(struct run_summary *place)
{
    run_summary_clear(place);
}

#endif
