/* SPDX-License-Identifier: BSD-3-Clause */
/* The jobs that are watched, found by our number and by SLURM's. */
#ifndef DESCPIPE_SLURM_JOBS_H
#define DESCPIPE_SLURM_JOBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "parts/record.h"

enum { JOBS_CLUSTER = 40 };

/* A submission: its token and folder, as long as one of its jobs is watched or `release` has not come. */
struct batch {
    struct batch *next;
    char *token, *folder;
    size_t watched; /* jobs */
    bool released;
    bool reported_waiting; /* what was last said of its first waiting job: */
    uint64_t reported_job;
    char reported_reason[RECORD_REASON + 128];
    char why[RECORD_REASON]; /* what squeue says of that job: its reason, its likely start */
    int64_t start_s;
    uint64_t position, of; /* among those that wait in its partition; 0: not known */
    char partition[JOBS_CLUSTER];
};

struct search; /* accounts.h */

struct watched {
    struct watched *next_by_job, *next_by_id; /* chains of the tables */
    struct batch *batch;
    uint64_t job, order, attempt; /* ours */
    uint64_t array;
    int64_t index;
    uint32_t members;           /* its array has in all; 0: not known */
    char cluster[JOBS_CLUSTER]; /* "" when there is only one */
    uint64_t memory_limit;      /* of a node, 0: not said */
    int64_t submitted_ms;       /* slurm_now_ms: an answer counts only when it began after this */
    enum phase phase;           /* as last reported */
    uint64_t seen;              /* the answer of squeue in which it was last */
    bool cancelled;             /* by us */
    uint64_t restarts;
    int64_t last_start_s;  /* as squeue said: an account of an earlier start is of an earlier life */
    struct search *search; /* its end is being looked for; or NULL */
};

struct jobs {
    struct watched **by_job, **by_id;
    size_t capacity; /* of both, a power of two */
    size_t count;
    struct batch *batches;
};

bool jobs_reserve(struct jobs *jobs, size_t more);
struct batch *jobs_batch(struct jobs *jobs, const char *token, const char *folder); /* found or made; NULL: no memory */
/* Takes a place that was reserved. A job that is watched already is watched anew. NULL: no memory. */
struct watched *jobs_add(struct jobs *jobs, struct batch *batch, uint64_t job, uint64_t array, int64_t index);
struct watched *jobs_find(const struct jobs *jobs, uint64_t job);
/* `cluster` "": any. */
struct watched *jobs_find_id(const struct jobs *jobs, uint64_t array, int64_t index, const char *cluster);
void jobs_remove(struct jobs *jobs, struct watched *watched);
void jobs_release(struct jobs *jobs, const char *token);
/* One after another, in no order; the next is taken before one is removed. */
struct watched *jobs_next(const struct jobs *jobs, size_t *place, const struct watched *after);
void jobs_clear(struct jobs *jobs);
void jobs_write_id(const struct watched *watched, char *text, size_t size); /* "123_4", "123_4@cluster" */

#endif
