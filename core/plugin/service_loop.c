/* SPDX-License-Identifier: BSD-3-Clause */
/* The services that wait on the loop: timer, descriptor and work. */
#include <inttypes.h>

#include "base/log.h"
#include "plugin/host.h"

struct descpipe_timer {
    struct plugin_instance *instance;
    struct loop_timer *timer;
    void (*fired)(void *context);
    void *context;
    struct descpipe_timer *previous, *next;
};

static void timer_unlink(struct descpipe_timer *timer)
{
    if (timer->previous)
        timer->previous->next = timer->next;
    else
        timer->instance->timers = timer->next;
    if (timer->next)
        timer->next->previous = timer->previous;
}

static void timer_fired(void *context)
{
    struct descpipe_timer *timer = context;
    void (*fired)(void *) = timer->fired;
    void *plugin = timer->context;
    timer_unlink(timer);
    memory_free(timer);
    fired(plugin);
}

static struct descpipe_timer *timer_start(const struct descpipe_host *table, uint64_t delay_ms,
                                          void (*fired)(void *context), void *context)
{
    struct plugin_instance *instance = instance_of(table);
    struct descpipe_timer *timer = memory_allocate(sizeof(*timer));
    *timer =
        (struct descpipe_timer){.instance = instance, .fired = fired, .context = context, .next = instance->timers};
    if (timer->next)
        timer->next->previous = timer;
    instance->timers = timer;
    timer->timer =
        loop_timer(instance->host->loop, delay_ms > INT64_MAX ? INT64_MAX : (int64_t)delay_ms, timer_fired, timer);
    return timer;
}

static void timer_stop(struct descpipe_timer *timer)
{
    if (!timer)
        return;
    loop_timer_stop(timer->timer);
    timer_unlink(timer);
    memory_free(timer);
}

void timers_free(struct plugin_instance *instance)
{
    while (instance->timers)
        timer_stop(instance->timers);
}

const struct descpipe_timer_service timer_service = {
    .size = sizeof(timer_service), .start = timer_start, .stop = timer_stop};

struct descpipe_watch {
    struct plugin_instance *instance;
    struct loop_watch *watch;
    void (*ready)(void *context, uint32_t events);
    void *context;
    struct descpipe_watch *previous, *next;
};

_Static_assert(LOOP_READABLE == (int)DESCPIPE_READABLE && LOOP_WRITABLE == (int)DESCPIPE_WRITABLE, "the same bits");

static void watch_ready(void *context, unsigned events)
{
    struct descpipe_watch *watch = context;
    watch->ready(watch->context, events);
}

static struct descpipe_watch *descriptor_watch(const struct descpipe_host *table, int32_t descriptor, uint32_t events,
                                               void (*ready)(void *context, uint32_t events), void *context)
{
    struct plugin_instance *instance = instance_of(table);
    struct descpipe_watch *watch = memory_allocate(sizeof(*watch));
    *watch =
        (struct descpipe_watch){.instance = instance, .ready = ready, .context = context, .next = instance->watches};
    if (watch->next)
        watch->next->previous = watch;
    instance->watches = watch;
    watch->watch = loop_watch(instance->host->loop, descriptor, events, watch_ready, watch);
    return watch;
}

static void descriptor_unwatch(struct descpipe_watch *watch)
{
    if (!watch)
        return;
    loop_unwatch(watch->watch);
    if (watch->previous)
        watch->previous->next = watch->next;
    else
        watch->instance->watches = watch->next;
    if (watch->next)
        watch->next->previous = watch->previous;
    memory_free(watch);
}

void watches_free(struct plugin_instance *instance)
{
    while (instance->watches)
        descriptor_unwatch(instance->watches);
}

const struct descpipe_descriptor_service descriptor_service = {
    .size = sizeof(descriptor_service), .watch = descriptor_watch, .unwatch = descriptor_unwatch};

struct work {
    struct service_item item; /* first */
    void (*work)(void *context);
    void (*done)(void *context);
    void *context;
};

static void work_work(void *context)
{
    struct work *work = context;
    work->work(work->context);
}

static void work_done(void *context)
{
    struct work *work = context;
    work->done(work->context);
    service_item_close(&work->item);
    memory_free(work);
}

static void work_here(void *context)
{
    work_work(context);
    work_done(context);
}

static void work_run(const struct descpipe_host *table, void (*function)(void *context), void (*done)(void *context),
                     void *context)
{
    struct plugin_instance *instance = instance_of(table);
    struct work *work = memory_allocate(sizeof(*work));
    *work = (struct work){.work = function, .done = done, .context = context};
    service_item_open(instance, &work->item);
    cleanup(error_clear) struct error error = ERROR_INIT;
    struct pool *pool = host_pool(instance->host, &error);
    if (pool) {
        pool_run(pool, work_work, work_done, work);
        return;
    }
    /* Slower, and the same result: said, because the live view will stand still meanwhile. */
    log_warning("%s: no helper threads, working on the main one: %s", instance->identity, error.message);
    loop_post(instance->host->loop, work_here, work);
}

const struct descpipe_work_service work_service = {.size = sizeof(work_service), .run = work_run};
