/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The scheduler `sequential`: one stage at a time on this machine, lowest order first.
 *
 * How it works: submitted jobs wait in a binary heap. Whenever nothing runs, the first one is given to the host's
 * stage service, which launches it and says when it ended.
 *
 * What is reported through the sink (this-machine/observer.h): QUEUED once in the life of the sink, for the first job
 * that has to wait; ENDED for a job that was cancelled while it waited, or that the host refused to start because the
 * run is stopping.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include <descpipe/plugin.h>

#include "this-machine/heap.h"
#include "this-machine/machine.h"
#include "this-machine/observer.h"

struct sequential {
    const struct descpipe_host *host;
    uint64_t grace_ms;
    struct heap queue;
    struct observer observer;
    uint64_t running_job;
    bool running;
    bool pumping; /* `pump` is on the stack: a nested call only leaves a note */
    bool again;
    bool told_waiting;
};

static void report_waiting(struct sequential *self)
{
    if (self->told_waiting || self->observer.sink == NULL || self->queue.count == 0) {
        return;
    }
    self->told_waiting = true;
    observer_tell_waiting(&self->observer, &self->queue.items[0],
                          "waiting for its turn: sequential runs one stage at a time");
}

static void pump(struct sequential *self);

static void stage_ended(void *context, uint64_t job)
{
    struct sequential *self = context;
    if (self->running && self->running_job == job) {
        self->running = false;
        pump(self);
    }
}

/* The host may submit, cancel or end a job from inside any call made here: that only asks for another round. */
static void pump(struct sequential *self)
{
    if (self->pumping) {
        self->again = true;
        return;
    }
    self->pumping = true;
    do {
        self->again = false;
        while (!self->running && self->queue.count > 0) {
            struct queued_job job = heap_pop(&self->queue);
            struct descpipe_placement placement = {.size = sizeof(placement)};
            self->running = true;
            self->running_job = job.job;
            if (self->host->stage->start(self->host, job.job, &placement, stage_ended, self) == 0) {
                self->running = false;
                observer_tell_not_started(&self->observer, &job, DESCPIPE_ENDED_CANCELLED, "the run is stopping");
            }
        }
        report_waiting(self);
    } while (self->again);
    self->pumping = false;
}

static int32_t sequential_open(const struct descpipe_host *host, void **self_out, char *message, uint64_t message_size)
{
    struct sequential *self = calloc(1, sizeof(*self));
    if (self == NULL) {
        snprintf(message, message_size, "out of memory");
        return 1;
    }
    self->host = host;
    self->observer = (struct observer){.host = host, .witness = "sequential"};
    self->grace_ms = (uint64_t)host->config->integer(host->settings, "grace");
    *self_out = self;
    return 0;
}

static void sequential_close(void *context)
{
    struct sequential *self = context;
    heap_clear(&self->queue);
    free(self);
}

static void sequential_probe(void *context, struct descpipe_call *call)
{
    struct sequential *self = context;
    struct machine machine;
    char text[32];
    machine_read("", machine_affinity(), &machine);
    snprintf(text, sizeof text, "%" PRIu64, machine.cpus);
    self->host->answer->fact(call, "cpus", text);
    snprintf(text, sizeof text, "%" PRIu64 " MiB", machine.memory >> 20);
    self->host->answer->fact(call, "memory", machine.memory > 0 ? text : "not known");
    self->host->answer->fact(call, "at-a-time", "1");
    self->host->call->succeed(call);
}

static void sequential_submit(void *context, struct descpipe_call *call, const struct descpipe_submission *submission)
{
    struct sequential *self = context;
    if (!heap_reserve(&self->queue, submission->count)) {
        self->host->call->fail(call, DESCPIPE_FAILED_LATER, "not enough memory to queue the jobs", NULL);
        return;
    }
    for (uint32_t i = 0; i < submission->count; i++) {
        const struct descpipe_job *job = submission->jobs[i];
        heap_push(&self->queue, (struct queued_job){.order = job->order, .job = job->job, .attempt = job->attempt});
    }
    self->host->call->succeed(call);
    pump(self);
}

static void sequential_observe(void *context, struct descpipe_call *call, struct descpipe_sink *sink)
{
    struct sequential *self = context;
    if (observer_open(&self->observer, call, sink)) {
        self->told_waiting = false;
    }
}

static void sequential_find(void *context, struct descpipe_call *call, const char *run)
{
    struct sequential *self = context;
    (void)run; /* the queue dies with this process: nothing is ever found again */
    self->host->call->succeed(call);
}

static void sequential_cancel(void *context, struct descpipe_call *call, const uint64_t *jobs, uint64_t count)
{
    struct sequential *self = context;
    struct job_set set;
    struct heap removed = {0};
    if (!job_set_fill(&set, jobs, count) || !heap_reserve(&removed, self->queue.count)) {
        job_set_clear(&set);
        self->host->call->fail(call, DESCPIPE_FAILED_LATER, "not enough memory to cancel the jobs", NULL);
        return;
    }
    heap_remove(&self->queue, job_set_has, &set, &removed);
    bool stop = self->running && job_set_has(self->running_job, &set);
    job_set_clear(&set);
    for (size_t i = 0; i < removed.count; i++) {
        observer_tell_not_started(&self->observer, &removed.items[i], DESCPIPE_ENDED_CANCELLED,
                                  "cancelled while it was waiting");
    }
    heap_clear(&removed);
    if (stop) {
        self->host->stage->stop(self->host, self->running_job, self->grace_ms);
    }
    self->host->call->succeed(call);
}

static void sequential_release(void *context, struct descpipe_call *call, const char *token)
{
    struct sequential *self = context;
    (void)token;
    self->host->call->succeed(call);
}

static const struct descpipe_option *const sequential_options[] = {&grace_option, NULL};

static const uint32_t sequential_forms[] = {DESCPIPE_FORM_MANAGED, DESCPIPE_FORM_COMMAND, 0};

static const struct descpipe_scheduler sequential_operations = {
    .size = sizeof(struct descpipe_scheduler),
    .capabilities = DESCPIPE_SCHEDULER_HOST_STARTS | DESCPIPE_SCHEDULER_SHARED_FILES,
    .forms = sequential_forms,
    .open = sequential_open,
    .close = sequential_close,
    .probe = sequential_probe,
    .submit = sequential_submit,
    .observe = sequential_observe,
    .find = sequential_find,
    .cancel = sequential_cancel,
    .release = sequential_release,
};

static const struct descpipe_plugin sequential_plugin = {
    .size = sizeof(struct descpipe_plugin),
    .abi_major = DESCPIPE_ABI_MAJOR,
    .abi_minor = DESCPIPE_ABI_MINOR,
    .kind = "scheduler",
    .name = "sequential",
    .version = DESCPIPE_PLUGIN_VERSION,
    .summary = "one stage at a time on this machine, in a stable order",
    .author = "the descpipe authors",
    .licence = "BSD-3-Clause",
    .url = "",
    .options = sequential_options,
    .operations = &sequential_operations,
};

const struct descpipe_plugin *descpipe_plugin_v1(void)
{
    return &sequential_plugin;
}
