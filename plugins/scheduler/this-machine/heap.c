/* SPDX-License-Identifier: BSD-3-Clause */
/* The heap of queued jobs and the sorted set of job numbers: the two data structures of a local queue. */
#include "this-machine/heap.h"

#include <stdlib.h>
#include <string.h>

enum { HEAP_FIRST_CAPACITY = 64 };

static bool comes_before(const struct queued_job *left, const struct queued_job *right)
{
    return left->order != right->order ? left->order < right->order : left->job < right->job;
}

bool heap_reserve(struct heap *heap, size_t more)
{
    if (more <= heap->capacity - heap->count) {
        return true;
    }
    size_t capacity = heap->capacity > 0 ? heap->capacity : HEAP_FIRST_CAPACITY;
    while (capacity - heap->count < more) {
        if (capacity > SIZE_MAX / 2 / sizeof(*heap->items)) {
            return false;
        }
        capacity *= 2;
    }
    struct queued_job *items = realloc(heap->items, capacity * sizeof(*items));
    if (items == NULL) {
        return false;
    }
    heap->items = items;
    heap->capacity = capacity;
    return true;
}

static void sink_down(struct heap *heap, size_t place)
{
    struct queued_job job = heap->items[place];
    for (;;) {
        size_t child = 2 * place + 1;
        if (child >= heap->count) {
            break;
        }
        if (child + 1 < heap->count && comes_before(&heap->items[child + 1], &heap->items[child])) {
            child++;
        }
        if (!comes_before(&heap->items[child], &job)) {
            break;
        }
        heap->items[place] = heap->items[child];
        place = child;
    }
    heap->items[place] = job;
}

void heap_push(struct heap *heap, struct queued_job job)
{
    size_t place = heap->count++;
    while (place > 0 && comes_before(&job, &heap->items[(place - 1) / 2])) {
        heap->items[place] = heap->items[(place - 1) / 2];
        place = (place - 1) / 2;
    }
    heap->items[place] = job;
}

struct queued_job heap_pop(struct heap *heap)
{
    struct queued_job first = heap->items[0];
    heap->items[0] = heap->items[--heap->count];
    if (heap->count > 0) {
        sink_down(heap, 0);
    }
    return first;
}

void heap_remove(struct heap *heap, bool (*matches)(uint64_t job, const void *context), const void *context,
                 struct heap *removed)
{
    size_t kept = 0;
    for (size_t i = 0; i < heap->count; i++) {
        if (matches(heap->items[i].job, context)) {
            removed->items[removed->count++] = heap->items[i];
        } else {
            heap->items[kept++] = heap->items[i];
        }
    }
    heap->count = kept;
    for (size_t place = kept / 2; place-- > 0;) {
        sink_down(heap, place);
    }
}

void heap_clear(struct heap *heap)
{
    free(heap->items);
    *heap = (struct heap){0};
}

static int compare_jobs(const void *left, const void *right)
{
    const uint64_t *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

bool job_set_fill(struct job_set *set, const uint64_t *jobs, uint64_t count)
{
    *set = (struct job_set){0};
    if (count == 0) {
        return true;
    }
    if (count > SIZE_MAX / sizeof(*jobs)) {
        return false;
    }
    set->jobs = malloc((size_t)count * sizeof(*jobs));
    if (set->jobs == NULL) {
        return false;
    }
    memcpy(set->jobs, jobs, (size_t)count * sizeof(*jobs));
    set->count = (size_t)count;
    qsort(set->jobs, set->count, sizeof(*jobs), compare_jobs);
    return true;
}

bool job_set_has(uint64_t job, const void *set_of_jobs)
{
    const struct job_set *set = set_of_jobs;
    return set->count > 0 && bsearch(&job, set->jobs, set->count, sizeof(job), compare_jobs) != NULL;
}

void job_set_clear(struct job_set *set)
{
    free(set->jobs);
    *set = (struct job_set){0};
}
