/* SPDX-License-Identifier: BSD-3-Clause */
/* A scheduler that starts what it is given through the stage service, and reports every state it can think of. */
#include <descpipe/plugin.h>

#include <stdlib.h>
#include <string.h>

struct unruly {
    const struct descpipe_host *host;
    struct descpipe_call *observing;
    struct descpipe_sink *sink;
};

static int32_t unruly_open(const struct descpipe_host *host, void **self, char *message, uint64_t message_size)
{
    struct unruly *unruly = calloc(1, sizeof(*unruly));
    (void)message;
    (void)message_size;
    if (!unruly)
        return 1;
    unruly->host = host;
    *self = unruly;
    return 0;
}

static void unruly_close(void *self)
{
    free(self);
}

static void probe(void *self, struct descpipe_call *call)
{
    const struct unruly *unruly = self;
    unruly->host->call->succeed(call);
}

static void job_ended(void *context, uint64_t job)
{
    struct unruly *unruly = context;
    struct descpipe_ending ending = {
        .size = sizeof(ending), .flags = DESCPIPE_ENDED_EXITED, .exit_code = 3, .witness = "wait"};
    struct descpipe_change change = {.size = sizeof(change),
                                     .state = DESCPIPE_JOB_ENDED,
                                     .job = job,
                                     .attempt = 1,
                                     .native_id = "n1",
                                     .ending = &ending};
    unruly->host->observe->changed(unruly->sink, &change);
    change.ending = 0;
    change.size = 16;
    unruly->host->observe->changed(unruly->sink, &change); /* too small: dropped */
}

static void submit(void *self, struct descpipe_call *call, const struct descpipe_submission *submission)
{
    struct unruly *unruly = self;
    const struct descpipe_host *host = unruly->host;
    const char *const gpus[] = {"0", "3", 0};
    struct descpipe_placement placement = {.size = sizeof(placement), .gpus = gpus};
    for (uint32_t i = 0; i < submission->count; i++) {
        uint64_t job = submission->jobs[i]->job;
        if (!host->stage->start(host, job, &placement, job_ended, unruly)) {
            host->call->fail(call, DESCPIPE_FAILED_REFUSED, "the host does not want it", 0);
            return;
        }
        host->answer->native_id(call, job, "n1");
    }
    host->call->succeed(call);
}

static void stop_observing(void *context)
{
    struct unruly *unruly = context;
    struct descpipe_call *call = unruly->observing;
    unruly->observing = 0;
    unruly->host->observe->blind(unruly->sink, 0);
    unruly->host->call->succeed(call);
    struct descpipe_change change = {.size = sizeof(change), .state = DESCPIPE_JOB_RUNNING, .job = 9};
    unruly->host->observe->changed(unruly->sink, &change); /* after the end */
}

static void observe(void *self, struct descpipe_call *call, struct descpipe_sink *sink)
{
    struct unruly *unruly = self;
    unruly->observing = call;
    unruly->sink = sink;
    unruly->host->call->on_cancel(call, stop_observing, unruly);
    unruly->host->observe->blind(sink, "the queue does not answer");
}

static void find(void *self, struct descpipe_call *call, const char *run)
{
    const struct unruly *unruly = self;
    struct descpipe_found found = {.size = sizeof(found), .running = 1, .token = run, .native_id = "77", .index = 2};
    unruly->host->answer->found(call, &found);
    found.running = 0;
    unruly->host->answer->found(call, &found);
    unruly->host->call->succeed(call);
}

static void cancel(void *self, struct descpipe_call *call, const uint64_t *jobs, uint64_t count)
{
    const struct unruly *unruly = self;
    for (uint64_t i = 0; i < count; i++)
        unruly->host->stage->stop(unruly->host, jobs[i], 1500);
    unruly->host->call->succeed(call);
}

static void release(void *self, struct descpipe_call *call, const char *token)
{
    const struct unruly *unruly = self;
    (void)token;
    unruly->host->call->succeed(call);
}

static void paths(void *self, struct descpipe_call *call, const char *path)
{
    const struct unruly *unruly = self;
    unruly->host->answer->text(call, path);
    unruly->host->call->succeed(call);
}

static uint64_t room(void *self)
{
    (void)self;
    return 5;
}

static const uint32_t forms[] = {DESCPIPE_FORM_MANAGED, DESCPIPE_FORM_COMMAND, 0};
static const struct descpipe_scheduler table = {
    .size = sizeof(table),
    .capabilities = DESCPIPE_SCHEDULER_HOST_STARTS,
    .forms = forms,
    .open = unruly_open,
    .close = unruly_close,
    .probe = probe,
    .paths = paths,
    .submit = submit,
    .observe = observe,
    .find = find,
    .cancel = cancel,
    .release = release,
    .room = room,
};

static const struct descpipe_plugin descriptor = {
    .size = sizeof(descriptor),
    .abi_major = DESCPIPE_ABI_MAJOR,
    .abi_minor = DESCPIPE_ABI_MINOR,
    .kind = "scheduler",
    .name = "unruly",
    .version = "0.1",
    .summary = "Reports everything there is",
    .author = "descpipe",
    .licence = "BSD-3-Clause",
    .url = "",
    .operations = &table,
};

const struct descpipe_plugin *descpipe_plugin_v1(void)
{
    return &descriptor;
}
