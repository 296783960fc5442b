/* SPDX-License-Identifier: BSD-3-Clause */
/* The run view with what only its reader needs: run_view.c is the outside, run_reader.c applies plan and journal. */
#ifndef DESCPIPE_REPORT_RUN_READER_H
#define DESCPIPE_REPORT_RUN_READER_H

#include "report/number_index.h"
#include "report/run_view.h"
#include "run/journal/journal.h"

struct run_reader {
    struct run_view view; /* first, so that the one is the other */
    unsigned options;
    struct journal_reader *journal; /* NULL until there is one */
    struct number_index jobs;       /* job → task */
    struct number_index tasks;      /* stage << 32 | member → task */
    struct number_index stages;     /* stage symbol → stage number */
    void (*changed)(void *context, const struct run_view *view, const struct run_change *change);
    void *context;
    struct run_change change; /* of the record being applied */
    struct arena *texts;      /* of that record */
    uint64_t last_submission; /* of a run that was handed over: its last job's; 0: it was not */
};

static inline uint64_t run_reader_task_key(symbol stage, symbol member)
{
    return (uint64_t)stage << 32 | member;
}
/* Reads plan.json when it is there; what is known already stays. */
void run_reader_plan(struct run_reader *reader);
void run_reader_set_state(struct run_reader *reader, uint32_t task, enum task_state state);
/* Of a run that nobody writes: what its keeper saw, and what still runs. */
void run_reader_outcomes(struct run_reader *reader);
enum task_state run_reader_verdict_state(const char *verdict);
/* Of a run that was handed over: what its jobs have written. With a free lease and the word of its last job it has
 * ended. */
void run_reader_jobs(struct run_reader *reader, bool lease_is_free);
struct job_outcome;
/* What the last job has written; false while it has not ended. */
bool run_reader_last_job(const char *run_folder, uint64_t serial, struct job_outcome *last);
/* Tells reader->changed, when somebody wants to know, of reader->change. */
void run_reader_tell(struct run_reader *reader);
/* Applies one record and tells of it. */
void run_reader_apply(struct run_reader *reader, const struct journal_record *record);

#endif
