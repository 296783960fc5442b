/* SPDX-License-Identifier: BSD-3-Clause */
/* The scheduler `argo`: its table, its opening and closing. argo.h says how its parts work together. */
#include "argo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int32_t argo_open(const struct descpipe_host *host, void **self_out, char *message, uint64_t message_size)
{
    struct argo *self = calloc(1, sizeof(*self));
    if (self == NULL) {
        snprintf(message, message_size, "out of memory");
        return 1;
    }
    *self = (struct argo){.host = host, .settings = host->settings};
    argo_read_environment(self);
    *self_out = self;
    return 0;
}

static void argo_close(void *context)
{
    struct argo *self = context;
    sendings_close(self);
    flow_close(self);
    store_close(&self->store);
    if (self->connected) {
        cluster_close(&self->cluster);
    }
    if (self->given_token != NULL) {
        self->host->secret->release(self->given_token);
    }
    free(self);
}

static void observe_cancelled(void *context)
{
    struct argo *self = context;
    struct descpipe_call *call = self->observing;
    self->observing = NULL;
    self->sink = NULL;
    self->host->call->succeed(call);
}

static void argo_observe(void *context, struct descpipe_call *call, struct descpipe_sink *sink)
{
    struct argo *self = context;
    self->observing = call;
    self->sink = sink;
    self->host->call->on_cancel(call, observe_cancelled, self);
}

void argo_render(void *context, struct descpipe_call *call, const struct descpipe_submission *submission)
{
    struct argo *self = context;
    struct workflow_wishes wishes;
    char words[POD_WORDS];
    argo_wishes(self, &wishes);
    json_t *workflow = workflow_make(&wishes, submission, words);
    json_t *whole = workflow != NULL && wishes.schedule != NULL ? workflow_schedule(&wishes, workflow) : workflow;
    char *text = whole != NULL ? json_dumps(whole, JSON_INDENT(2)) : NULL;
    if (text == NULL) {
        self->host->call->fail(call, DESCPIPE_FAILED_REFUSED, words, NULL);
    } else {
        self->host->answer->text(call, text);
        self->host->call->succeed(call);
    }
    free(text);
    json_decref(whole);
}

static const uint32_t argo_forms[] = {DESCPIPE_FORM_POD, DESCPIPE_FORM_COMMAND, 0};

static const struct descpipe_scheduler argo_operations = {
    .size = sizeof(struct descpipe_scheduler),
    .capabilities = DESCPIPE_SCHEDULER_OUTLIVES | DESCPIPE_SCHEDULER_GRAPH | DESCPIPE_SCHEDULER_WHOLE |
                    DESCPIPE_SCHEDULER_RETRIES | DESCPIPE_SCHEDULER_GPUS | DESCPIPE_SCHEDULER_SHARED_FILES,
    .forms = argo_forms,
    .open = argo_open,
    .close = argo_close,
    .probe = argo_probe,
    .submit = argo_submit,
    .observe = argo_observe,
    .find = argo_find,
    .cancel = argo_cancel,
    .release = argo_release,
    .queue_estimate = argo_queue_estimate,
    .render = argo_render,
    .apart = argo_apart,
    .accepts = argo_accepts,
};

static const struct descpipe_plugin argo_plugin = {
    .size = sizeof(struct descpipe_plugin),
    .abi_major = DESCPIPE_ABI_MAJOR,
    .abi_minor = DESCPIPE_ABI_MINOR,
    .kind = "scheduler",
    .name = "argo",
    .version = DESCPIPE_PLUGIN_VERSION,
    .summary = "a pipeline as one Argo Workflow of a Kubernetes cluster",
    .author = "the descpipe authors",
    .licence = "BSD-3-Clause",
    .url = "",
    .options = argo_options,
    .operations = &argo_operations,
};

const struct descpipe_plugin *descpipe_plugin_v1(void)
{
    return &argo_plugin;
}
