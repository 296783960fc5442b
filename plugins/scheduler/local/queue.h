/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The waiting jobs of a machine: which one may start next in the room that is free.
 *
 * Jobs that need the same (cpus, memory, gpus) and count against the same limit of members stand in one class, a heap
 * by order. The classes that have jobs stand in a heap by the order of their first job, so that a job costs O(log n)
 * however many wait, and a look for the next one sees classes, never single jobs.
 *
 * Fairness: the first class that does not fit may be overtaken by later jobs that do, but only QUEUE_OVERTAKEN_LIMIT
 * times and for QUEUE_OVERTAKEN_MS; then nothing of a higher order starts before it does.
 */
#ifndef DESCPIPE_SCHEDULER_QUEUE_H
#define DESCPIPE_SCHEDULER_QUEUE_H

#include "this-machine/heap.h"

enum {
    QUEUE_OVERTAKEN_LIMIT = 32,
    QUEUE_OVERTAKEN_MS = 60000,
    QUEUE_LOOK_AHEAD = 64 /* classes that do not fit and are passed over in one look */
};

struct needs {
    uint64_t cpus;
    uint64_t memory;
    uint64_t gpus;
};

#define QUEUE_NO_GROUP UINT32_MAX

enum class_place { CLASS_EMPTY, CLASS_READY, CLASS_ASIDE, CLASS_PARKED };

struct job_class {
    struct needs needs;
    struct heap jobs;
    int64_t waiting_since_ms; /* the first job was first of all that waited since then; 0: it is not */
    size_t incoming;          /* of the submission that is being taken */
    uint32_t overtaken;
    uint32_t group;
    uint32_t ready_position;
    uint32_t next_parked;
    enum class_place place;
};

struct job_group {
    char *name;
    uint32_t limit;
    uint32_t running;
    uint32_t first_parked; /* classes that wait only for a member to end */
};

struct index_table {
    uint32_t *slots; /* index + 1, 0: free */
    size_t capacity;
};

struct queue {
    struct job_class *classes;
    uint32_t class_count, class_capacity;
    struct job_group *groups;
    uint32_t group_count, group_capacity;
    uint32_t *ready;
    uint32_t ready_count, ready_capacity;
    struct index_table class_index, group_index;
    uint64_t waiting; /* jobs */
};

/* Taking a submission: queue_announce for every job, queue_reserve for all, then queue_add for every job, which cannot
 * fail any more. After a failed queue_announce, queue_forget takes back those before it. */
bool queue_announce(struct queue *queue, const struct needs *needs, const char *group, uint32_t members_limit,
                    uint32_t *class_index);
bool queue_reserve(struct queue *queue, const uint32_t *class_indexes, size_t count);
void queue_forget(struct queue *queue, const uint32_t *class_indexes, size_t count);
void queue_add(struct queue *queue, uint32_t class_index, struct queued_job job);

enum queue_answer { QUEUE_START, QUEUE_NOTHING };

struct queue_pick {
    struct queued_job job;
    struct needs needs;
    uint32_t group;
    bool someone_waits; /* `first_waiting` is the first job that does not fit */
    uint32_t waiting_class;
    struct queued_job first_waiting;
    struct needs waiting_needs;
    bool reserved; /* it has been overtaken enough: nothing passes it any more */
};

/* The next job that fits into `room` leaves the queue, counted as a running member of its group. */
enum queue_answer queue_take(struct queue *queue, const struct needs *room, int64_t now_ms, struct queue_pick *pick);
void queue_member_ended(struct queue *queue, uint32_t group);
/* Removes the jobs of the set; `removed` must have room for queue->waiting more. */
void queue_remove(struct queue *queue, const struct job_set *set, struct heap *removed);
void queue_clear(struct queue *queue);

#endif
