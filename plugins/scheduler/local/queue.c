/* SPDX-License-Identifier: BSD-3-Clause */
/* Classes of equal jobs and the choice among them; queue.h says how it works. */
#include "queue.h"

#include <stdlib.h>
#include <string.h>

#define NO_CLASS UINT32_MAX

enum { FIRST_CAPACITY = 16 };

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash ^= value;
    hash *= UINT64_C(0x9E3779B97F4A7C15);
    return hash ^ (hash >> 29);
}

static uint64_t hash_class(const struct needs *needs, uint32_t group)
{
    return mix(mix(mix(mix(1, needs->cpus), needs->memory), needs->gpus), group);
}

static uint64_t hash_name(const char *name)
{
    uint64_t hash = UINT64_C(0xCBF29CE484222325);
    for (const char *place = name; *place != '\0'; place++) {
        hash = (hash ^ (unsigned char)*place) * UINT64_C(0x100000001B3);
    }
    return mix(hash, 0);
}

/* Room for one more entry of `size` bytes in an array that counts with 32 bits. */
static bool grow(void **items, uint32_t *capacity, uint32_t count, size_t size)
{
    if (count < *capacity) {
        return true;
    }
    if (*capacity >= UINT32_MAX / 4) {
        return false;
    }
    uint32_t larger = *capacity == 0 ? FIRST_CAPACITY : *capacity * 2;
    void *moved = realloc(*items, (size_t)larger * size);
    if (moved == NULL) {
        return false;
    }
    *items = moved;
    *capacity = larger;
    return true;
}

/* Doubles the table when it is half full. `hash_of` gives the hash of an entry that is in it. */
static bool index_grow(struct index_table *table, uint32_t count, const struct queue *queue,
                       uint64_t (*hash_of)(const struct queue *queue, uint32_t index))
{
    if ((size_t)count * 2 < table->capacity) {
        return true;
    }
    size_t capacity = table->capacity == 0 ? (size_t)FIRST_CAPACITY * 2 : table->capacity * 2;
    uint32_t *slots = calloc(capacity, sizeof(*slots));
    if (slots == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        size_t slot = (size_t)hash_of(queue, i) & (capacity - 1);
        while (slots[slot] != 0) {
            slot = (slot + 1) & (capacity - 1);
        }
        slots[slot] = i + 1;
    }
    free(table->slots);
    *table = (struct index_table){.slots = slots, .capacity = capacity};
    return true;
}

static uint64_t class_hash_of(const struct queue *queue, uint32_t index)
{
    return hash_class(&queue->classes[index].needs, queue->classes[index].group);
}

static uint64_t group_hash_of(const struct queue *queue, uint32_t index)
{
    return hash_name(queue->groups[index].name);
}

static bool find_group(struct queue *queue, const char *name, uint32_t limit, uint32_t *index)
{
    if (!index_grow(&queue->group_index, queue->group_count, queue, group_hash_of)) {
        return false;
    }
    size_t mask = queue->group_index.capacity - 1, slot = (size_t)hash_name(name) & mask;
    for (; queue->group_index.slots[slot] != 0; slot = (slot + 1) & mask) {
        uint32_t found = queue->group_index.slots[slot] - 1;
        if (strcmp(queue->groups[found].name, name) == 0) {
            queue->groups[found].limit = limit; /* the latest word counts */
            *index = found;
            return true;
        }
    }
    char *copy = strdup(name);
    if (copy == NULL ||
        !grow((void **)&queue->groups, &queue->group_capacity, queue->group_count, sizeof(*queue->groups))) {
        free(copy);
        return false;
    }
    *index = queue->group_count++;
    queue->groups[*index] = (struct job_group){.name = copy, .limit = limit, .first_parked = NO_CLASS};
    queue->group_index.slots[slot] = *index + 1;
    return true;
}

static bool find_class(struct queue *queue, const struct needs *needs, uint32_t group, uint32_t *index)
{
    if (!index_grow(&queue->class_index, queue->class_count, queue, class_hash_of)) {
        return false;
    }
    size_t mask = queue->class_index.capacity - 1, slot = (size_t)hash_class(needs, group) & mask;
    for (; queue->class_index.slots[slot] != 0; slot = (slot + 1) & mask) {
        uint32_t found = queue->class_index.slots[slot] - 1;
        const struct job_class *class = &queue->classes[found];
        if (class->needs.cpus == needs->cpus && class->needs.memory == needs->memory &&
            class->needs.gpus == needs->gpus && class->group == group) {
            *index = found;
            return true;
        }
    }
    if (!grow((void **)&queue->classes, &queue->class_capacity, queue->class_count, sizeof(*queue->classes)) ||
        !grow((void **)&queue->ready, &queue->ready_capacity, queue->class_count, sizeof(*queue->ready))) {
        return false;
    }
    *index = queue->class_count++;
    queue->classes[*index] = (struct job_class){.needs = *needs, .group = group, .next_parked = NO_CLASS};
    queue->class_index.slots[slot] = *index + 1;
    return true;
}

bool queue_announce(struct queue *queue, const struct needs *needs, const char *group, uint32_t members_limit,
                    uint32_t *class_index)
{
    uint32_t group_index = QUEUE_NO_GROUP;
    if (members_limit > 0 && group != NULL && !find_group(queue, group, members_limit, &group_index)) {
        return false;
    }
    if (!find_class(queue, needs, group_index, class_index)) {
        return false;
    }
    queue->classes[*class_index].incoming++;
    return true;
}

bool queue_reserve(struct queue *queue, const uint32_t *class_indexes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct job_class *class = &queue->classes[class_indexes[i]];
        if (class->incoming > 0 && !heap_reserve(&class->jobs, class->incoming)) {
            queue_forget(queue, class_indexes, count);
            return false;
        }
        class->incoming = 0;
    }
    return true;
}

void queue_forget(struct queue *queue, const uint32_t *class_indexes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        queue->classes[class_indexes[i]].incoming = 0;
    }
}

/* The heap of classes, by the order of their first jobs. */

static bool class_before(const struct queue *queue, uint32_t left, uint32_t right)
{
    const struct queued_job *a = &queue->classes[left].jobs.items[0], *b = &queue->classes[right].jobs.items[0];
    return a->order != b->order ? a->order < b->order : a->job < b->job;
}

static void ready_put(struct queue *queue, uint32_t position, uint32_t index)
{
    queue->ready[position] = index;
    queue->classes[index].ready_position = position;
}

static void ready_fix(struct queue *queue, uint32_t index)
{
    uint32_t position = queue->classes[index].ready_position;
    while (position > 0 && class_before(queue, index, queue->ready[(position - 1) / 2])) {
        ready_put(queue, position, queue->ready[(position - 1) / 2]);
        position = (position - 1) / 2;
    }
    for (;;) {
        uint32_t child = 2 * position + 1;
        if (child >= queue->ready_count) {
            break;
        }
        if (child + 1 < queue->ready_count && class_before(queue, queue->ready[child + 1], queue->ready[child])) {
            child++;
        }
        if (!class_before(queue, queue->ready[child], index)) {
            break;
        }
        ready_put(queue, position, queue->ready[child]);
        position = child;
    }
    ready_put(queue, position, index);
}

static void ready_insert(struct queue *queue, uint32_t index)
{
    struct job_class *class = &queue->classes[index];
    if (class->jobs.count == 0) {
        class->place = CLASS_EMPTY;
        return;
    }
    class->place = CLASS_READY;
    ready_put(queue, queue->ready_count++, index);
    ready_fix(queue, index);
}

static void ready_remove(struct queue *queue, uint32_t index)
{
    uint32_t position = queue->classes[index].ready_position;
    uint32_t last = queue->ready[--queue->ready_count];
    if (last != index) {
        ready_put(queue, position, last);
        ready_fix(queue, last);
    }
}

void queue_add(struct queue *queue, uint32_t class_index, struct queued_job job)
{
    struct job_class *class = &queue->classes[class_index];
    heap_push(&class->jobs, job);
    queue->waiting++;
    if (class->place == CLASS_EMPTY) {
        ready_insert(queue, class_index);
    } else if (class->place == CLASS_READY) {
        ready_fix(queue, class_index);
    }
}

static bool group_full(const struct queue *queue, uint32_t group)
{
    return group != QUEUE_NO_GROUP && queue->groups[group].running >= queue->groups[group].limit;
}

static void park(struct queue *queue, uint32_t index)
{
    struct job_class *class = &queue->classes[index];
    class->place = CLASS_PARKED;
    class->waiting_since_ms = 0;
    class->overtaken = 0;
    class->next_parked = queue->groups[class->group].first_parked;
    queue->groups[class->group].first_parked = index;
}

static bool fits(const struct needs *needs, const struct needs *room)
{
    return needs->cpus <= room->cpus && needs->memory <= room->memory && needs->gpus <= room->gpus;
}

static void take_first(struct queue *queue, uint32_t index, struct queue_pick *pick)
{
    struct job_class *class = &queue->classes[index];
    pick->job = heap_pop(&class->jobs);
    pick->needs = class->needs;
    pick->group = class->group;
    class->waiting_since_ms = 0;
    class->overtaken = 0;
    queue->waiting--;
    if (class->group != QUEUE_NO_GROUP) {
        queue->groups[class->group].running++;
    }
    ready_insert(queue, index);
}

/* Notes the first class that does not fit; true when nothing may pass it any more. */
static bool note_waiting(struct queue *queue, uint32_t index, int64_t now_ms, struct queue_pick *pick)
{
    struct job_class *class = &queue->classes[index];
    if (class->waiting_since_ms == 0) {
        class->waiting_since_ms = now_ms;
        class->overtaken = 0;
    }
    pick->someone_waits = true;
    pick->waiting_class = index;
    pick->first_waiting = class->jobs.items[0];
    pick->waiting_needs = class->needs;
    pick->reserved =
        class->overtaken >= QUEUE_OVERTAKEN_LIMIT || now_ms - class->waiting_since_ms >= QUEUE_OVERTAKEN_MS;
    return pick->reserved;
}

enum queue_answer queue_take(struct queue *queue, const struct needs *room, int64_t now_ms, struct queue_pick *pick)
{
    uint32_t aside[QUEUE_LOOK_AHEAD];
    uint32_t aside_count = 0;
    enum queue_answer answer = QUEUE_NOTHING;
    *pick = (struct queue_pick){0};
    while (queue->ready_count > 0 && aside_count < QUEUE_LOOK_AHEAD) {
        uint32_t index = queue->ready[0];
        struct job_class *class = &queue->classes[index];
        ready_remove(queue, index);
        if (group_full(queue, class->group)) {
            park(queue, index);
            continue;
        }
        if (fits(&class->needs, room)) {
            take_first(queue, index, pick);
            answer = QUEUE_START;
            break;
        }
        class->place = CLASS_ASIDE;
        aside[aside_count++] = index;
        /* Every job needs a cpu: on a full machine there is nothing to look for behind the first. */
        if (aside_count == 1 && (note_waiting(queue, index, now_ms, pick) || room->cpus == 0)) {
            break;
        }
    }
    if (answer == QUEUE_START && pick->someone_waits) {
        queue->classes[pick->waiting_class].overtaken++;
    }
    for (uint32_t i = 0; i < aside_count; i++) {
        ready_insert(queue, aside[i]);
    }
    return answer;
}

void queue_member_ended(struct queue *queue, uint32_t group_index)
{
    if (group_index == QUEUE_NO_GROUP) {
        return;
    }
    struct job_group *group = &queue->groups[group_index];
    group->running--;
    uint32_t index = group->first_parked;
    group->first_parked = NO_CLASS;
    while (index != NO_CLASS) {
        uint32_t next = queue->classes[index].next_parked;
        queue->classes[index].next_parked = NO_CLASS;
        ready_insert(queue, index);
        index = next;
    }
}

void queue_remove(struct queue *queue, const struct job_set *set, struct heap *removed)
{
    for (uint32_t i = 0; i < queue->class_count; i++) {
        struct job_class *class = &queue->classes[i];
        size_t before = class->jobs.count;
        /* The heap of classes must be left while it is still in order. */
        bool was_ready = class->place == CLASS_READY;
        if (before == 0) {
            continue;
        }
        if (was_ready) {
            ready_remove(queue, i);
        }
        uint64_t first = class->jobs.items[0].job;
        heap_remove(&class->jobs, job_set_has, set, removed);
        queue->waiting -= before - class->jobs.count;
        if (class->jobs.count == 0 || class->jobs.items[0].job != first) {
            class->waiting_since_ms = 0;
            class->overtaken = 0;
        }
        if (was_ready) {
            ready_insert(queue, i);
        }
    }
}

void queue_clear(struct queue *queue)
{
    for (uint32_t i = 0; i < queue->class_count; i++) {
        heap_clear(&queue->classes[i].jobs);
    }
    for (uint32_t i = 0; i < queue->group_count; i++) {
        free(queue->groups[i].name);
    }
    free(queue->classes);
    free(queue->groups);
    free(queue->ready);
    free(queue->class_index.slots);
    free(queue->group_index.slots);
    *queue = (struct queue){0};
}
