/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The stage service: starting what must outlive us.
 *
 * How it works: a stage is no open thing of the plugin that a close would wait for, because it may run for days after
 * us. So whoever runs it never gets the plugin's own `ended`, but a number that says which of our slots holds it; a
 * stage that ends after the plugin's close finds its slot given back, and nobody is called.
 */
#include <inttypes.h>

#include "base/log.h"
#include "plugin/abi.h"
#include "plugin/host.h"

#define INDEX_BITS 20
#define INDEX_MASK (((uintptr_t)1 << INDEX_BITS) - 1)
#define STAGES_LIMIT ((size_t)1 << INDEX_BITS)

static struct stage_slot *slot_of(struct plugin_host *host, uintptr_t handle)
{
    size_t index = (size_t)(handle & INDEX_MASK);
    struct stage_slot *slot = host && index < host->stages.count ? &host->stages.items[index] : NULL;
    return slot && slot->instance && slot->generation == handle >> INDEX_BITS ? slot : NULL;
}

static void slot_give(struct plugin_host *host, struct stage_slot *slot)
{
    slot->instance = NULL;
    slot->generation++;
    slot->next_free = host->stages_free;
    host->stages_free = (size_t)(slot - host->stages.items) + 1;
}

/* The slot's number plus one; 0: too many. */
static size_t slot_take(struct plugin_host *host)
{
    size_t number = host->stages_free;
    if (number > 0) {
        host->stages_free = host->stages.items[number - 1].next_free;
        return number;
    }
    if (host->stages.count == STAGES_LIMIT)
        return 0;
    list_grow(&host->stages)->generation = 1;
    return host->stages.count;
}

/* What the rest of the core calls: `scheduler` is our number. */
static void stage_ended(void *scheduler, uint64_t job)
{
    struct plugin_host *host = host_of_process();
    struct stage_slot *slot = slot_of(host, (uintptr_t)scheduler);
    if (!slot) {
        log_debug("job %" PRIu64 " ended after the scheduler that started it was closed", job);
        return;
    }
    void (*ended)(void *, uint64_t) = slot->ended;
    void *context = slot->context;
    slot_give(host, slot); /* first: the plugin may start the next one inside */
    ended(context, job);
}

static int32_t stage_start(const struct descpipe_host *table, uint64_t job, const struct descpipe_placement *given,
                           void (*ended)(void *context, uint64_t job), void *context)
{
    struct plugin_instance *instance = instance_of(table);
    struct plugin_host *host = instance->host;
    const struct plugin_callbacks *callbacks = &host->callbacks;
    struct descpipe_placement placement = {.size = sizeof(placement)};
    if (given && !struct_take(&placement, sizeof(placement), given, ABI_SIZE_PLACEMENT)) {
        host_fault(instance, "stage.start: struct descpipe_placement is too small");
        return 0;
    }
    if (!ended) {
        host_fault(instance, "stage.start: 'ended' is NULL");
        return 0;
    }
    if (!callbacks->stage_start || instance->closing)
        return 0;
    size_t number = slot_take(host);
    if (number == 0) {
        host_fault(instance, "stage.start: more than %zu stages are running", STAGES_LIMIT);
        return 0;
    }
    struct stage_slot *slot = &host->stages.items[number - 1];
    uintptr_t handle = slot->generation << INDEX_BITS | (number - 1);
    slot->instance = instance;
    slot->ended = ended;
    slot->context = context;
    if (callbacks->stage_start(callbacks->context, job, &placement, stage_ended, (void *)handle))
        return 1;
    slot = slot_of(host, handle); /* the list may have moved meanwhile */
    if (slot)
        slot_give(host, slot);
    return 0;
}

static void stage_stop(const struct descpipe_host *table, uint64_t job, uint64_t grace_ms)
{
    const struct plugin_callbacks *callbacks = &instance_of(table)->host->callbacks;
    if (callbacks->stage_stop)
        callbacks->stage_stop(callbacks->context, job, grace_ms);
}

void stages_forget(const struct plugin_instance *instance)
{
    struct plugin_host *host = instance->host;
    for (size_t i = 0; i < host->stages.count; i++) {
        if (host->stages.items[i].instance == instance)
            slot_give(host, &host->stages.items[i]);
    }
}

const struct descpipe_stage_service stage_service = {
    .size = sizeof(stage_service), .start = stage_start, .stop = stage_stop};
