/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How jobs ended, once squeue shows their end or has forgotten them.
 *
 * How it works: sacct is asked for up to fifty at once. It lags: an end that it does not know yet is asked for again,
 * less and less often, for a while; what squeue said says enough by itself for most ends. Where there is no accounting,
 * or it does not come, the controller (scontrol) is asked once. What nobody knows is LOST: never a success.
 *
 * Of jobs that are released the host knows the end; what is left to say is what they used. For that accounting alone is
 * asked, for many at once while others run, and soon when nothing else is left.
 */
#ifndef DESCPIPE_SLURM_ACCOUNTS_H
#define DESCPIPE_SLURM_ACCOUNTS_H

#include "jobs.h"
#include "tool.h"

struct slurm;

enum accounting { ACCOUNTING_NOT_KNOWN, ACCOUNTING_ON, ACCOUNTING_OFF };

struct accounts {
    enum accounting state;
    unsigned fields; /* of sacct, as far as this version has them */
    struct tool *tool;
    struct descpipe_timer *timer;
    int64_t usage_since_ms; /* since when it is to be asked what some jobs used; 0: it is not */
    uint64_t *asked;        /* our numbers of the jobs the running command is about */
    size_t asked_count;
    bool asks_controller;
    char blind[320]; /* why accounting cannot be asked, or "" */
};

/* The search for one job's end. */
struct search {
    struct record last; /* what squeue said last; STATE_OTHER: it has forgotten the job */
    int64_t at_ms;      /* when to ask (next) */
    int64_t since_ms;   /* when accounting first answered without knowing it; 0: it has not */
    unsigned asked, failed;
    bool controller_turn, controller_asked;
    /* Of the running question: */
    bool found;
    bool life_is_latest;
    struct record job, batch; /* batch.array 0: none */
    uint64_t peak_memory, cpu_ms, restarts;
};

void accounts_open(struct slurm *self);
void accounts_close(struct slurm *self);
/* Begins to look for the end; `record` NULL: squeue does not know the job any more. */
void accounts_search(struct slurm *self, struct watched *watched, const struct record *record);
/* Some have been released. */
void accounts_settle(struct slurm *self);
void accounts_stop(struct slurm *self); /* nobody observes any more */

#endif
