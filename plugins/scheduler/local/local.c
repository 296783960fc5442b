/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The scheduler `local`: stages in parallel on this machine, never more than its cpus, memory and gpus allow.
 *
 * How it works: submitted jobs wait in a queue of classes (queue.h). Whenever a job comes or ends, the first ones that
 * fit are given to the host's stage service; what they need is booked until the host says that they ended. A later job
 * that fits may overtake one that does not, for a while only.
 *
 * What is reported through the sink (this-machine/observer.h): QUEUED for the first job that waits, when what it waits
 * for has changed, at most once a second, which is a few lines for a person and never one per job; ENDED for a job that
 * was cancelled while it waited, or that the host refused to start because the run is stopping.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <descpipe/plugin.h>

#include "queue.h"
#include "this-machine/machine.h"
#include "this-machine/observer.h"

enum { MESSAGE_LIMIT = 512, SIZE_TEXT = 32, REPORT_EVERY_MS = 1000 };

enum wait_reason { WAIT_NOTHING, WAIT_PLACES, WAIT_CPUS, WAIT_MEMORY, WAIT_GPUS };

struct local {
    const struct descpipe_host *host;
    uint64_t grace_ms;
    struct needs total, free;
    uint64_t places; /* stages at a time */
    char **gpus;     /* ids */
    bool *gpu_busy;
    struct queue queue;
    struct running *running; /* a ring without a head */
    uint64_t running_count;
    struct observer observer;
    uint32_t reported_class_index;
    enum wait_reason reported_reason;
    int64_t reported_at_ms;
    bool pumping; /* `pump` is on the stack: a nested call only leaves a note */
    bool again;
};

struct running {
    struct local *local;
    struct running *next, *previous;
    uint64_t job;
    struct needs needs;
    uint32_t group;
    const char *gpus[]; /* ids that are booked, then NULL */
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* "3.5 GiB": exact enough for a person, never longer than SIZE_TEXT. */
static const char *write_size(uint64_t bytes, char *text)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    size_t unit = 0;
    double value = (double)bytes;
    for (; value >= 1024 && unit + 1 < sizeof(units) / sizeof(*units); unit++) {
        value /= 1024;
    }
    snprintf(text, SIZE_TEXT, value == (double)(uint64_t)value ? "%.0f %s" : "%.1f %s", value, units[unit]);
    return text;
}

static enum wait_reason write_reason(const struct local *self, const struct needs *needs, char *reason)
{
    char used[SIZE_TEXT], total[SIZE_TEXT], asked[SIZE_TEXT];
    if (self->running_count >= self->places) {
        snprintf(reason, MESSAGE_LIMIT, "waiting for its turn: %" PRIu64 " of at most %" PRIu64 " stages are running",
                 self->running_count, self->places);
        return WAIT_PLACES;
    }
    if (needs->cpus > self->free.cpus) {
        snprintf(reason, MESSAGE_LIMIT, "waiting for cpus: %" PRIu64 " of %" PRIu64 " in use, it asks for %" PRIu64,
                 self->total.cpus - self->free.cpus, self->total.cpus, needs->cpus);
        return WAIT_CPUS;
    }
    if (needs->memory > self->free.memory) {
        snprintf(reason, MESSAGE_LIMIT, "waiting for memory: %s of %s in use, it asks for %s",
                 write_size(self->total.memory - self->free.memory, used), write_size(self->total.memory, total),
                 write_size(needs->memory, asked));
        return WAIT_MEMORY;
    }
    snprintf(reason, MESSAGE_LIMIT, "waiting for gpus: %" PRIu64 " of %" PRIu64 " in use, it asks for %" PRIu64,
             self->total.gpus - self->free.gpus, self->total.gpus, needs->gpus);
    return WAIT_GPUS;
}

static void report_waiting(struct local *self, const struct queue_pick *pick, int64_t now)
{
    char reason[MESSAGE_LIMIT];
    if (self->observer.sink == NULL || !pick->someone_waits) {
        return;
    }
    if (self->reported_reason != WAIT_NOTHING && now - self->reported_at_ms < REPORT_EVERY_MS) {
        return;
    }
    enum wait_reason why = write_reason(self, &pick->waiting_needs, reason);
    if (why == self->reported_reason && pick->waiting_class == self->reported_class_index) {
        return;
    }
    self->reported_reason = why;
    self->reported_class_index = pick->waiting_class;
    self->reported_at_ms = now;
    observer_tell_waiting(&self->observer, &pick->first_waiting, reason);
}

static void book(struct local *self, struct running *running)
{
    self->free.cpus -= running->needs.cpus;
    self->free.memory -= running->needs.memory;
    self->free.gpus -= running->needs.gpus;
    size_t given = 0;
    for (size_t i = 0; given < running->needs.gpus; i++) {
        if (!self->gpu_busy[i]) {
            self->gpu_busy[i] = true;
            running->gpus[given++] = self->gpus[i];
        }
    }
    running->next = self->running;
    running->previous = NULL;
    if (self->running != NULL) {
        self->running->previous = running;
    }
    self->running = running;
    self->running_count++;
}

/* Gives back what was booked and frees the record. */
static void unbook(struct running *running)
{
    struct local *self = running->local;
    self->free.cpus += running->needs.cpus;
    self->free.memory += running->needs.memory;
    self->free.gpus += running->needs.gpus;
    for (size_t given = 0, i = 0; given < running->needs.gpus; i++) {
        if (self->gpus[i] == running->gpus[given]) {
            self->gpu_busy[i] = false;
            given++;
        }
    }
    if (running->next != NULL) {
        running->next->previous = running->previous;
    }
    if (running->previous != NULL) {
        running->previous->next = running->next;
    } else {
        self->running = running->next;
    }
    self->running_count--;
    queue_member_ended(&self->queue, running->group);
    free(running);
}

static void pump(struct local *self);

static void stage_ended(void *context, uint64_t job)
{
    struct running *running = context;
    struct local *self = running->local;
    (void)job;
    unbook(running);
    pump(self);
}

static void start_job(struct local *self, const struct queue_pick *pick)
{
    struct running *running = calloc(1, sizeof(*running) + ((size_t)pick->needs.gpus + 1) * sizeof(*running->gpus));
    if (running == NULL) {
        queue_member_ended(&self->queue, pick->group);
        observer_tell_not_started(&self->observer, &pick->job, 0, "not enough memory to start it");
        return;
    }
    running->local = self;
    running->job = pick->job.job;
    running->needs = pick->needs;
    running->group = pick->group;
    book(self, running);
    struct descpipe_placement placement = {.size = sizeof(placement)};
    if (pick->needs.gpus > 0) {
        placement.gpus = running->gpus;
    }
    if (self->host->stage->start(self->host, running->job, &placement, stage_ended, running) == 0) {
        unbook(running);
        observer_tell_not_started(&self->observer, &pick->job, DESCPIPE_ENDED_CANCELLED, "the run is stopping");
    }
}

/* The host may submit, cancel or end a job from inside any call made here: that only asks for another round. */
static void pump(struct local *self)
{
    static const struct needs no_room = {0};
    struct queue_pick pick;
    if (self->pumping) {
        self->again = true;
        return;
    }
    self->pumping = true;
    do {
        self->again = false;
        while (queue_take(&self->queue, self->running_count >= self->places ? &no_room : &self->free, now_ms(),
                          &pick) == QUEUE_START) {
            start_job(self, &pick);
        }
        report_waiting(self, &pick, now_ms());
    } while (self->again);
    self->pumping = false;
}

static char **copy_gpus(const char *const *list, char *message, uint64_t message_size)
{
    size_t count = 0;
    while (list != NULL && list[count] != NULL) {
        count++;
    }
    if (count > MACHINE_GPUS_LIMIT) {
        snprintf(message, message_size, "option 'gpus' lists %zu gpus; at most %d are supported", count,
                 MACHINE_GPUS_LIMIT);
        return NULL;
    }
    char **gpus = calloc(count + 1, sizeof(*gpus));
    for (size_t i = 0; gpus != NULL && i < count; i++) {
        gpus[i] = strdup(list[i]);
        for (size_t before = 0; gpus[i] != NULL && before < i; before++) {
            if (strcmp(gpus[before], gpus[i]) == 0) {
                snprintf(message, message_size, "option 'gpus' names '%s' twice", list[i]);
                machine_free_gpus(gpus);
                return NULL;
            }
        }
        if (gpus[i] == NULL) {
            machine_free_gpus(gpus);
            gpus = NULL;
        }
    }
    if (gpus == NULL) {
        snprintf(message, message_size, "out of memory");
    }
    return gpus;
}

static void local_close(void *context)
{
    struct local *self = context;
    while (self->running != NULL) {
        struct running *next = self->running->next;
        free(self->running);
        self->running = next;
    }
    queue_clear(&self->queue);
    machine_free_gpus(self->gpus);
    free(self->gpu_busy);
    free(self);
}

static int32_t local_open(const struct descpipe_host *host, void **self_out, char *message, uint64_t message_size)
{
    struct machine machine;
    struct local *self = calloc(1, sizeof(*self));
    if (self == NULL) {
        snprintf(message, message_size, "out of memory");
        return 1;
    }
    self->host = host;
    self->observer = (struct observer){.host = host, .witness = "local"};
    self->grace_ms = (uint64_t)host->config->integer(host->settings, "grace");
    machine_read("", machine_affinity(), &machine);
    int64_t cpus = host->config->integer(host->settings, "cpus");
    int64_t memory = host->config->integer(host->settings, "memory");
    int64_t places = host->config->integer(host->settings, "jobs");
    self->total.cpus = cpus > 0 ? (uint64_t)cpus : machine.cpus;
    self->total.memory = memory > 0 ? (uint64_t)memory : machine.memory;
    self->places = places > 0 ? (uint64_t)places : self->total.cpus;
    if (host->config->given(host->settings, "gpus")) {
        self->gpus = copy_gpus(host->config->list(host->settings, "gpus"), message, message_size);
    } else {
        self->gpus = machine_gpus("", secure_getenv("CUDA_VISIBLE_DEVICES"));
        if (self->gpus == NULL) {
            snprintf(message, message_size, "out of memory");
        }
    }
    if (self->gpus == NULL) {
        local_close(self);
        return 1;
    }
    while (self->gpus[self->total.gpus] != NULL) {
        self->total.gpus++;
    }
    self->gpu_busy = calloc((size_t)self->total.gpus + 1, sizeof(*self->gpu_busy));
    if (self->gpu_busy == NULL) {
        snprintf(message, message_size, "out of memory");
        local_close(self);
        return 1;
    }
    self->free = self->total;
    *self_out = self;
    return 0;
}

static void local_probe(void *context, struct descpipe_call *call)
{
    struct local *self = context;
    char text[MESSAGE_LIMIT];
    snprintf(text, sizeof(text), "%" PRIu64, self->total.cpus);
    self->host->answer->fact(call, "cpus", text);
    self->host->answer->fact(call, "memory",
                             self->total.memory > 0 ? write_size(self->total.memory, text) : "not known");
    size_t length = 0;
    text[0] = '\0';
    for (size_t i = 0; self->gpus[i] != NULL && length < sizeof(text); i++) {
        length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%s", i > 0 ? "," : "", self->gpus[i]);
    }
    self->host->answer->fact(call, "gpus", self->total.gpus > 0 ? text : "none");
    snprintf(text, sizeof(text), "%" PRIu64, self->places);
    self->host->answer->fact(call, "at-a-time", text);
    self->host->call->succeed(call);
}

/* What a job needs, or a refusal in `message`. */
static bool read_needs(const struct local *self, const struct descpipe_job *job, struct needs *needs, char *message)
{
    char asked[SIZE_TEXT], total[SIZE_TEXT];
    const struct descpipe_resources *resources = job->resources;
    if (resources->nodes > 1) {
        snprintf(message, MESSAGE_LIMIT, "stage '%s' asks for %" PRIu32 " nodes; the scheduler local has one node",
                 job->stage, resources->nodes);
        return false;
    }
    needs->cpus = (uint64_t)resources->cpus_per_rank * resources->ranks_per_node;
    needs->cpus += needs->cpus == 0;
    needs->memory = resources->memory_per_node;
    needs->gpus = resources->gpus_per_node;
    if (needs->cpus > self->total.cpus) {
        snprintf(message, MESSAGE_LIMIT, "stage '%s' asks for %" PRIu64 " cpus; this machine has %" PRIu64, job->stage,
                 needs->cpus, self->total.cpus);
        return false;
    }
    if (self->total.memory > 0 && needs->memory > self->total.memory) {
        snprintf(message, MESSAGE_LIMIT, "stage '%s' asks for %s of memory; this machine has %s", job->stage,
                 write_size(needs->memory, asked), write_size(self->total.memory, total));
        return false;
    }
    if (self->total.memory == 0) {
        needs->memory = 0; /* nothing to count against */
    }
    if (needs->gpus > self->total.gpus) {
        snprintf(message, MESSAGE_LIMIT, "stage '%s' asks for %" PRIu64 " gpus; this machine has %" PRIu64, job->stage,
                 needs->gpus, self->total.gpus);
        return false;
    }
    return true;
}

static void local_submit(void *context, struct descpipe_call *call, const struct descpipe_submission *submission)
{
    static const char hint[] =
        "ask for less in the stage's section, or run it on another backend; the options cpus, memory and gpus of the "
        "scheduler local declare what this machine has";
    struct local *self = context;
    char message[MESSAGE_LIMIT];
    uint32_t *classes = calloc((size_t)submission->count + 1, sizeof(*classes));
    uint32_t announced = 0;
    bool refused = false, done = classes != NULL;
    for (uint32_t i = 0; done && i < submission->count; i++) {
        const struct descpipe_job *job = submission->jobs[i];
        struct needs needs;
        refused = !read_needs(self, job, &needs, message);
        done = !refused && queue_announce(&self->queue, &needs, job->group, job->members_limit, &classes[i]);
        announced += done;
    }
    if (!done || !queue_reserve(&self->queue, classes, announced)) {
        queue_forget(&self->queue, classes, announced);
        free(classes);
        if (refused) {
            self->host->call->fail(call, DESCPIPE_FAILED_REFUSED, message, hint);
        } else {
            self->host->call->fail(call, DESCPIPE_FAILED_LATER, "not enough memory to queue the jobs", NULL);
        }
        return;
    }
    for (uint32_t i = 0; i < submission->count; i++) {
        const struct descpipe_job *job = submission->jobs[i];
        queue_add(&self->queue, classes[i],
                  (struct queued_job){.order = job->order, .job = job->job, .attempt = job->attempt});
    }
    free(classes);
    self->host->call->succeed(call);
    pump(self);
}

static void local_observe(void *context, struct descpipe_call *call, struct descpipe_sink *sink)
{
    struct local *self = context;
    if (observer_open(&self->observer, call, sink)) {
        self->reported_reason = WAIT_NOTHING;
    }
}

static void local_find(void *context, struct descpipe_call *call, const char *run)
{
    struct local *self = context;
    (void)run; /* the queue dies with this process: nothing is ever found again */
    self->host->call->succeed(call);
}

static void local_cancel(void *context, struct descpipe_call *call, const uint64_t *jobs, uint64_t count)
{
    struct local *self = context;
    struct job_set set = {0};
    struct heap removed = {0}, stopped = {0};
    if (!job_set_fill(&set, jobs, count) || !heap_reserve(&removed, (size_t)self->queue.waiting) ||
        !heap_reserve(&stopped, (size_t)self->running_count)) {
        job_set_clear(&set);
        heap_clear(&removed);
        heap_clear(&stopped);
        self->host->call->fail(call, DESCPIPE_FAILED_LATER, "not enough memory to cancel the jobs", NULL);
        return;
    }
    queue_remove(&self->queue, &set, &removed);
    /* First a list, then the calls: the host may end a stage from inside them. */
    for (const struct running *running = self->running; running != NULL; running = running->next) {
        if (job_set_has(running->job, &set)) {
            stopped.items[stopped.count++] = (struct queued_job){.job = running->job};
        }
    }
    job_set_clear(&set);
    for (size_t i = 0; i < removed.count; i++) {
        observer_tell_not_started(&self->observer, &removed.items[i], DESCPIPE_ENDED_CANCELLED,
                                  "cancelled while it was waiting");
    }
    for (size_t i = 0; i < stopped.count; i++) {
        self->host->stage->stop(self->host, stopped.items[i].job, self->grace_ms);
    }
    heap_clear(&removed);
    heap_clear(&stopped);
    self->host->call->succeed(call);
    pump(self); /* a waiting job that held others back may be gone */
}

static void local_release(void *context, struct descpipe_call *call, const char *token)
{
    struct local *self = context;
    (void)token;
    self->host->call->succeed(call);
}

static const struct descpipe_option jobs_option = {
    .size = sizeof(struct descpipe_option),
    .type = DESCPIPE_OPTION_INTEGER,
    .flags = DESCPIPE_OPTION_RANGED,
    .key = "jobs",
    .default_value = "0",
    .help = "Stages at a time; 0 is as many as there are cpus.",
    .minimum = 0,
    .maximum = 1000000,
};
static const struct descpipe_option cpus_option = {
    .size = sizeof(struct descpipe_option),
    .type = DESCPIPE_OPTION_INTEGER,
    .flags = DESCPIPE_OPTION_RANGED,
    .key = "cpus",
    .default_value = "0",
    .help = "Cpus that all running stages together may ask for; 0 is what this process may use.",
    .minimum = 0,
    .maximum = 1000000,
};
static const struct descpipe_option memory_option = {
    .size = sizeof(struct descpipe_option),
    .type = DESCPIPE_OPTION_BYTES,
    .flags = DESCPIPE_OPTION_RANGED,
    .key = "memory",
    .default_value = "0",
    .help = "Memory that all running stages together may ask for; 0 is what this process may use.",
    .minimum = 0,
    .maximum = INT64_MAX,
};
static const struct descpipe_option gpus_option = {
    .size = sizeof(struct descpipe_option),
    .type = DESCPIPE_OPTION_LIST,
    .key = "gpus",
    .help = "Ids of the gpus to hand out; without it CUDA_VISIBLE_DEVICES or the devices of this machine.",
};
static const struct descpipe_option *const local_options[] = {&jobs_option, &cpus_option,  &memory_option,
                                                              &gpus_option, &grace_option, NULL};

static const uint32_t local_forms[] = {DESCPIPE_FORM_MANAGED, DESCPIPE_FORM_COMMAND, 0};

static const struct descpipe_scheduler local_operations = {
    .size = sizeof(struct descpipe_scheduler),
    .capabilities = DESCPIPE_SCHEDULER_HOST_STARTS | DESCPIPE_SCHEDULER_GPUS | DESCPIPE_SCHEDULER_SHARED_FILES,
    .forms = local_forms,
    .open = local_open,
    .close = local_close,
    .probe = local_probe,
    .submit = local_submit,
    .observe = local_observe,
    .find = local_find,
    .cancel = local_cancel,
    .release = local_release,
};

static const struct descpipe_plugin local_plugin = {
    .size = sizeof(struct descpipe_plugin),
    .abi_major = DESCPIPE_ABI_MAJOR,
    .abi_minor = DESCPIPE_ABI_MINOR,
    .kind = "scheduler",
    .name = "local",
    .version = DESCPIPE_PLUGIN_VERSION,
    .summary = "stages in parallel on this machine, within its cpus, memory and gpus",
    .author = "the descpipe authors",
    .licence = "BSD-3-Clause",
    .url = "",
    .options = local_options,
    .operations = &local_operations,
};

const struct descpipe_plugin *descpipe_plugin_v1(void)
{
    return &local_plugin;
}
