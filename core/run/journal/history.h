/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How far a run had come, for whoever goes on with it: its journal, read once into one entry per task.
 *
 * How it works: a job's number says task and attempt, so that nothing needs a name. Of each task only the last attempt
 * counts; what earlier ones needed more of (memory, time) is counted, for the next one asks for it.
 */
#ifndef DESCPIPE_RUN_JOURNAL_HISTORY_H
#define DESCPIPE_RUN_JOURNAL_HISTORY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/list.h"
#include "base/table.h"
#include "run/journal/machine.h"

enum history_step {
    HISTORY_NOTHING = 0,
    HISTORY_INTENDED, /* whether it was begun the journal does not know */
    HISTORY_STARTED,
    HISTORY_ENDED, /* its end is known, and not what it means */
    HISTORY_OK,
    HISTORY_RETRY, /* it is to be tried again */
    HISTORY_OVER   /* failed, lost or cancelled */
};

struct history_task {  /* texts live as long as the history */
    uint64_t job;      /* of the last attempt; 0: none */
    uint64_t serial;   /* of its submission */
    uint32_t position; /* in the submission */
    uint32_t attempt;  /* as its verdict says, or 0; more than that of `job` when its scheduler began it again */
    uint32_t writer;   /* index: who meant to start it */
    uint8_t step;      /* enum history_step */
    uint8_t out_of_memory, timed_out;
    uint8_t links;       /* attempts that their time limit ended with a new checkpoint */
    uint16_t checkpoint; /* the last of them, 0: none */
    pid_t session; /* 0: none known */
    uint64_t session_start;
    int64_t started_at_ms, finished_at_ms, retry_at_ms;
    const char *native;   /* what another system calls it, or NULL */
    const char *outcome;  /* where a job elsewhere says how it ended, in the run folder; or NULL */
    const char *evidence; /* JSON array, or NULL */
    const char *removal;  /* JSON array: the command that removes what it leaves when it is killed, or NULL */
    const char *files;    /* JSON array of what was published, or NULL */
};

struct history_writer {
    uint64_t epoch;
    struct machine machine;
    pid_t keeper; /* 0: none said */
    uint64_t keeper_start;
};

struct history {
    uint32_t tasks_count;
    struct history_task *tasks;
    LIST(struct history_writer) writers;
    uint64_t epoch, serial;         /* the highest */
    const char *pipeline, *working; /* of the record `run`; NULL when there is none */
    bool ended;
    struct table *removed; /* paths of outputs that the run removed after it had published them */
    struct arena *texts;
};

/* NULL when the journal cannot be read, or is not of a run of so many tasks. */
struct history *history_read(const char *run_folder, uint32_t tasks_count, struct error *error);
void history_free(struct history *history);
DEFINE_CLEANUP(struct history *, history_free);

#endif
