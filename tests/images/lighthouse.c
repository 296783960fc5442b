/* SPDX-License-Identifier: BSD-3-Clause */
/* A scheduler that runs stages elsewhere and refuses every one: what is told before a submission can be seen. */
#include <descpipe/plugin.h>

#include <stdio.h>

static const struct descpipe_host *services;

static int32_t lighthouse_open(const struct descpipe_host *host, void **self, char *message, uint64_t message_size)
{
    (void)message;
    (void)message_size;
    services = host;
    *self = &services;
    return 0;
}

static void lighthouse_close(void *self)
{
    (void)self;
}

static void answer_nothing(void *self, struct descpipe_call *call)
{
    (void)self;
    services->call->succeed(call);
}

static void submit(void *self, struct descpipe_call *call, const struct descpipe_submission *submission)
{
    (void)self;
    (void)submission;
    services->call->fail(call, DESCPIPE_FAILED_REFUSED, "there is fog", NULL);
}

static void end_observing(void *context)
{
    services->call->fail(context, DESCPIPE_FAILED_CANCELLED, "cancelled", NULL);
}

static void observe(void *self, struct descpipe_call *call, struct descpipe_sink *sink)
{
    (void)self;
    (void)sink;
    services->call->on_cancel(call, end_observing, call);
}

static void find(void *self, struct descpipe_call *call, const char *run)
{
    (void)run;
    answer_nothing(self, call);
}

static void cancel(void *self, struct descpipe_call *call, const uint64_t *jobs, uint64_t count)
{
    (void)jobs;
    (void)count;
    answer_nothing(self, call);
}

static void release(void *self, struct descpipe_call *call, const char *token)
{
    (void)token;
    answer_nothing(self, call);
}

static const uint32_t forms[] = {DESCPIPE_FORM_COMMAND, 0};

static const struct descpipe_scheduler table = {
    .size = sizeof table,
    .capabilities = DESCPIPE_SCHEDULER_SHARED_FILES,
    .forms = forms,
    .open = lighthouse_open,
    .close = lighthouse_close,
    .probe = answer_nothing,
    .submit = submit,
    .observe = observe,
    .find = find,
    .cancel = cancel,
    .release = release,
};

static const struct descpipe_plugin descriptor = {
    .size = sizeof descriptor,
    .abi_major = DESCPIPE_ABI_MAJOR,
    .abi_minor = DESCPIPE_ABI_MINOR,
    .kind = "scheduler",
    .name = "lighthouse",
    .version = "0.1",
    .summary = "Runs stages elsewhere, never",
    .author = "descpipe",
    .licence = "BSD-3-Clause",
    .url = "",
    .operations = &table,
};

const struct descpipe_plugin *descpipe_plugin_v1(void)
{
    return &descriptor;
}
