/* SPDX-License-Identifier: BSD-3-Clause */
/* Two hash tables over the watched jobs; jobs.h. */
#include "jobs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 64 };

static size_t slot_of(const struct jobs *jobs, uint64_t one, uint64_t other)
{
    uint64_t mixed = (one * 0x9E3779B97F4A7C15u) ^ (other + 0x7F4A7C15u) * 0xC2B2AE3D27D4EB4Fu;
    return (size_t)(mixed ^ mixed >> 29) & (jobs->capacity - 1);
}

static void link_job(struct jobs *jobs, struct watched *watched)
{
    struct watched **slot = &jobs->by_job[slot_of(jobs, watched->job, 0)];
    watched->next_by_job = *slot;
    *slot = watched;
    slot = &jobs->by_id[slot_of(jobs, watched->array, (uint64_t)watched->index)];
    watched->next_by_id = *slot;
    *slot = watched;
}

bool jobs_reserve(struct jobs *jobs, size_t more)
{
    size_t capacity = jobs->capacity > 0 ? jobs->capacity : FIRST_CAPACITY;
    while (capacity < jobs->count + more) {
        capacity *= 2;
    }
    if (capacity == jobs->capacity) {
        return true;
    }
    struct jobs grown = {.capacity = capacity, .count = jobs->count, .batches = jobs->batches};
    grown.by_job = calloc(capacity, sizeof(*grown.by_job));
    grown.by_id = calloc(capacity, sizeof(*grown.by_id));
    if (grown.by_job == NULL || grown.by_id == NULL) {
        free(grown.by_job);
        free(grown.by_id);
        return false;
    }
    for (size_t i = 0; i < jobs->capacity; i++) {
        for (struct watched *watched = jobs->by_job[i], *next; watched != NULL; watched = next) {
            next = watched->next_by_job;
            link_job(&grown, watched);
        }
    }
    free(jobs->by_job);
    free(jobs->by_id);
    *jobs = grown;
    return true;
}

static void free_batch(struct batch *batch)
{
    free(batch->token);
    free(batch->folder);
    free(batch);
}

struct batch *jobs_batch(struct jobs *jobs, const char *token, const char *folder)
{
    for (struct batch *batch = jobs->batches; batch != NULL; batch = batch->next) {
        if (strcmp(batch->token, token) == 0) {
            return batch;
        }
    }
    struct batch *batch = calloc(1, sizeof(*batch));
    if (batch == NULL) {
        return NULL;
    }
    batch->token = strdup(token);
    batch->folder = strdup(folder != NULL ? folder : "");
    if (batch->token == NULL || batch->folder == NULL) {
        free_batch(batch);
        return NULL;
    }
    batch->next = jobs->batches;
    jobs->batches = batch;
    return batch;
}

static void drop_batches(struct jobs *jobs)
{
    for (struct batch **place = &jobs->batches; *place != NULL;) {
        struct batch *batch = *place;
        if (batch->watched == 0 && batch->released) {
            *place = batch->next;
            free_batch(batch);
        } else {
            place = &batch->next;
        }
    }
}

struct watched *jobs_add(struct jobs *jobs, struct batch *batch, uint64_t job, uint64_t array, int64_t index)
{
    struct watched *watched = jobs_find(jobs, job);
    if (watched != NULL) {
        jobs_remove(jobs, watched);
    }
    if (!jobs_reserve(jobs, 1)) {
        return NULL;
    }
    watched = calloc(1, sizeof(*watched));
    if (watched == NULL) {
        return NULL;
    }
    watched->batch = batch;
    watched->job = job;
    watched->array = array;
    watched->index = index;
    batch->watched++;
    batch->released = false;
    link_job(jobs, watched);
    jobs->count++;
    return watched;
}

struct watched *jobs_find(const struct jobs *jobs, uint64_t job)
{
    struct watched *watched = jobs->capacity > 0 ? jobs->by_job[slot_of(jobs, job, 0)] : NULL;
    while (watched != NULL && watched->job != job) {
        watched = watched->next_by_job;
    }
    return watched;
}

struct watched *jobs_find_id(const struct jobs *jobs, uint64_t array, int64_t index, const char *cluster)
{
    struct watched *watched = jobs->capacity > 0 ? jobs->by_id[slot_of(jobs, array, (uint64_t)index)] : NULL;
    while (watched != NULL &&
           (watched->array != array || watched->index != index ||
            (cluster[0] != '\0' && watched->cluster[0] != '\0' && strcmp(watched->cluster, cluster) != 0))) {
        watched = watched->next_by_id;
    }
    return watched;
}

void jobs_remove(struct jobs *jobs, struct watched *watched)
{
    struct watched **place = &jobs->by_job[slot_of(jobs, watched->job, 0)];
    while (*place != watched) {
        place = &(*place)->next_by_job;
    }
    *place = watched->next_by_job;
    place = &jobs->by_id[slot_of(jobs, watched->array, (uint64_t)watched->index)];
    while (*place != watched) {
        place = &(*place)->next_by_id;
    }
    *place = watched->next_by_id;
    watched->batch->watched--;
    jobs->count--;
    free(watched->search);
    free(watched);
    drop_batches(jobs);
}

void jobs_release(struct jobs *jobs, const char *token)
{
    for (struct batch *batch = jobs->batches; batch != NULL; batch = batch->next) {
        if (strcmp(batch->token, token) == 0) {
            batch->released = true;
        }
    }
    drop_batches(jobs);
}

struct watched *jobs_next(const struct jobs *jobs, size_t *place, const struct watched *after)
{
    struct watched *watched = after != NULL ? after->next_by_job : NULL;
    while (watched == NULL && *place < jobs->capacity) {
        watched = jobs->by_job[(*place)++];
    }
    return watched;
}

void jobs_clear(struct jobs *jobs)
{
    for (size_t i = 0; i < jobs->capacity; i++) {
        while (jobs->by_job[i] != NULL) {
            struct watched *next = jobs->by_job[i]->next_by_job;
            free(jobs->by_job[i]->search);
            free(jobs->by_job[i]);
            jobs->by_job[i] = next;
        }
    }
    free(jobs->by_job);
    free(jobs->by_id);
    while (jobs->batches != NULL) {
        struct batch *next = jobs->batches->next;
        free_batch(jobs->batches);
        jobs->batches = next;
    }
    *jobs = (struct jobs){0};
}

void jobs_write_id(const struct watched *watched, char *text, size_t size)
{
    char member[24] = "";
    if (watched->index != RECORD_NO_INDEX) {
        snprintf(member, sizeof(member), "_%" PRId64, watched->index);
    }
    snprintf(text, size, "%" PRIu64 "%s%s%s", watched->array, member, watched->cluster[0] != '\0' ? "@" : "",
             watched->cluster);
}
