/* SPDX-License-Identifier: BSD-3-Clause */
/* A binary heap of queued jobs, lowest order first; 24 bytes a job. Shared by the schedulers of this machine. */
#ifndef DESCPIPE_SCHEDULER_HEAP_H
#define DESCPIPE_SCHEDULER_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct queued_job {
    uint64_t order;
    uint64_t job;
    uint64_t attempt;
};

struct heap {
    struct queued_job *items;
    size_t count, capacity;
};

/* Makes room for `more` jobs, so that heap_push cannot fail. False when there is no memory. */
bool heap_reserve(struct heap *heap, size_t more);
void heap_push(struct heap *heap, struct queued_job job);
struct queued_job heap_pop(struct heap *heap); /* the heap must not be empty */
/* Moves every job that `matches` to the end of `removed`, which must have room for heap->count more. */
void heap_remove(struct heap *heap, bool (*matches)(uint64_t job, const void *context), const void *context,
                 struct heap *removed);
void heap_clear(struct heap *heap);

/* A sorted copy of job numbers, to ask "is this one of them" quickly. */
struct job_set {
    uint64_t *jobs;
    size_t count;
};
bool job_set_fill(struct job_set *set, const uint64_t *jobs, uint64_t count); /* false: no memory */
bool job_set_has(uint64_t job, const void *set);                              /* fits heap_remove */
void job_set_clear(struct job_set *set);

#endif
