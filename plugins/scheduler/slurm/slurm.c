/* SPDX-License-Identifier: BSD-3-Clause */
/* The scheduler `slurm`: its table, its opening and closing. slurm.h says how its parts work together. */
#include "slurm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int64_t slurm_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void slurm_close(void *context)
{
    struct slurm *self = context;
    watch_close(self);
    steps_close(self);
    tools_close(&self->tools); /* what waited ends now, and frees what it was for */
    broker_close(&self->broker);
    jobs_clear(&self->jobs);
    jobs_clear(&self->sent);
    limits_clear(&self->limits);
    free(self);
}

/* Whose answers may be shared: of the same SLURM, asked about the same clusters. */
static bool open_broker(struct slurm *self)
{
    struct buffer key = {0};
    const char *configuration = secure_getenv("SLURM_CONF"), *clusters = slurm_text(self, "clusters");
    const char *commands = slurm_text(self, "commands");
    buffer_format(&key, "%lld\n%s\n%s\n%s", (long long)self->user, configuration != NULL ? configuration : "",
                  clusters != NULL ? clusters : "", commands != NULL ? commands : "");
    bool done = !key.failed && broker_open(&self->broker, self->host->cache_folder, buffer_text(&key), slurm_now_ms());
    buffer_clear(&key);
    return done;
}

static int32_t slurm_open(const struct descpipe_host *host, void **self_out, char *message, uint64_t message_size)
{
    struct slurm *self = calloc(1, sizeof(*self));
    if (self == NULL) {
        snprintf(message, message_size, "out of memory");
        return 1;
    }
    self->host = host;
    self->settings = host->settings;
    self->user = (int64_t)getuid();
    self->room = UINT64_MAX;
    self->watch.shortest_ms = host->config->integer(host->settings, "poll");
    self->watch.longest_ms = host->config->integer(host->settings, "poll-limit");
    accounts_open(self);
    if (!open_broker(self) || !tools_open(&self->tools, host, &self->broker, slurm_text(self, "commands"))) {
        snprintf(message, message_size, "out of memory");
        slurm_close(self);
        return 1;
    }
    /* What every stage would be refused for, before there is one; a stage's own is looked at with it. */
    char refusal[REQUEST_MESSAGE];
    if (!request_allows_extra(host->config->list(host->settings, "extra"), refusal)) {
        snprintf(message, message_size, "%s", refusal);
        slurm_close(self);
        return 1;
    }
    if (!steps_open(self, message, message_size)) {
        slurm_close(self);
        return 1;
    }
    *self_out = self;
    return 0;
}

static void slurm_release(void *context, struct descpipe_call *call, const char *token)
{
    struct slurm *self = context;
    jobs_release(&self->jobs, token);
    accounts_settle(self);
    self->host->call->succeed(call);
}

uint64_t slurm_most_jobs(struct slurm *self)
{
    int64_t wanted = self->host->config->integer(self->settings, "jobs");
    uint64_t most = wanted > 0 && (uint64_t)wanted < self->room ? (uint64_t)wanted : self->room;
    if (self->limits_known) {
        const struct descpipe_job any = {.size = sizeof(any)};
        struct wishes wishes = {0};
        slurm_wishes(self, &any, &wishes);
        uint64_t allowed = request_jobs_allowed(&self->limits, &wishes);
        most = allowed < most ? allowed : most;
    }
    return most;
}

/* As many as one array may have, and no more than the site, or the user, lets wait. Under a limit an eighth of it must
 * be free: one submission for each job that ends would be many small ones. */
static uint64_t slurm_room(void *context)
{
    struct slurm *self = context;
    if (self->steps.allocation[0] != '\0') {
        return UINT64_MAX;
    }
    slurm_recall_limits(self);
    uint64_t most = slurm_most_jobs(self);
    uint64_t there = self->jobs.count + self->sending;
    uint64_t room = most == UINT64_MAX ? UINT64_MAX : most > there ? most - there : 0;
    uint64_t array = self->limits_known && self->limits.array_size > 1 ? self->limits.array_size : 1000;
    if (room < most / 8) {
        return 0;
    }
    return room < array ? room : array;
}

static const uint32_t slurm_forms[] = {DESCPIPE_FORM_COMMAND, 0};

static const struct descpipe_scheduler slurm_operations = {
    .size = sizeof(struct descpipe_scheduler),
    .capabilities = DESCPIPE_SCHEDULER_SIGNALS | DESCPIPE_SCHEDULER_OUTLIVES | DESCPIPE_SCHEDULER_ARRAYS | DESCPIPE_SCHEDULER_GRAPH |
                    DESCPIPE_SCHEDULER_MPI | DESCPIPE_SCHEDULER_GPUS | DESCPIPE_SCHEDULER_SHARED_FILES,
    .forms = slurm_forms,
    .open = slurm_open,
    .close = slurm_close,
    .probe = slurm_probe,
    .submit = slurm_submit,
    .observe = slurm_observe,
    .find = slurm_find,
    .cancel = slurm_cancel,
    .release = slurm_release,
    .queue_estimate = slurm_queue_estimate,
    .room = slurm_room,
    .pilot = steps_pilot,
};

static const struct descpipe_plugin slurm_plugin = {
    .size = sizeof(struct descpipe_plugin),
    .abi_major = DESCPIPE_ABI_MAJOR,
    .abi_minor = DESCPIPE_ABI_MINOR,
    .kind = "scheduler",
    .name = "slurm",
    .version = DESCPIPE_PLUGIN_VERSION,
    .summary = "stages as jobs of a SLURM cluster, many alike as one array",
    .author = "the descpipe authors",
    .licence = "BSD-3-Clause",
    .url = "",
    .options = slurm_options,
    .operations = &slurm_operations,
};

const struct descpipe_plugin *descpipe_plugin_v1(void)
{
    return &slurm_plugin;
}
