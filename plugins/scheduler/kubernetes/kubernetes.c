/* SPDX-License-Identifier: BSD-3-Clause */
/* The scheduler `kubernetes`: its table, its opening and closing. kubernetes.h says how its parts work together. */
#include "kubernetes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int32_t kubernetes_open(const struct descpipe_host *host, void **self_out, char *message, uint64_t message_size)
{
    struct kubernetes *self = calloc(1, sizeof(*self));
    if (self != NULL) {
        self->by_name = json_object();
    }
    if (self == NULL || self->by_name == NULL) {
        free(self);
        snprintf(message, message_size, "out of memory");
        return 1;
    }
    self->host = host;
    self->settings = host->settings;
    *self_out = self;
    return 0;
}

static void kubernetes_close(void *context)
{
    struct kubernetes *self = context;
    submissions_close(self);
    tasks_close(self);
    if (self->connected) {
        cluster_close(&self->cluster);
    }
    json_decref(self->by_name);
    free(self->run);
    free(self);
}

static void observe_cancelled(void *context)
{
    struct kubernetes *self = context;
    struct descpipe_call *call = self->observing;
    self->observing = NULL;
    self->sink = NULL;
    self->host->call->succeed(call);
}

static void kubernetes_observe(void *context, struct descpipe_call *call, struct descpipe_sink *sink)
{
    struct kubernetes *self = context;
    self->observing = call;
    self->sink = sink;
    self->host->call->on_cancel(call, observe_cancelled, self);
}

static uint64_t kubernetes_room(void *context)
{
    const struct kubernetes *self = context;
    int64_t jobs = self->host->config->integer(self->settings, "jobs");
    uint64_t most = jobs > 0 ? (uint64_t)jobs : UINT64_MAX;
    return most == UINT64_MAX ? most : most > self->open ? most - self->open : 0;
}

static const uint32_t kubernetes_forms[] = {DESCPIPE_FORM_POD, DESCPIPE_FORM_COMMAND, 0};

static const struct descpipe_scheduler kubernetes_operations = {
    .size = sizeof(struct descpipe_scheduler),
    .capabilities = DESCPIPE_SCHEDULER_OUTLIVES | DESCPIPE_SCHEDULER_GPUS | DESCPIPE_SCHEDULER_SHARED_FILES,
    .forms = kubernetes_forms,
    .open = kubernetes_open,
    .close = kubernetes_close,
    .probe = kubernetes_probe,
    .submit = kubernetes_submit,
    .observe = kubernetes_observe,
    .find = kubernetes_find,
    .cancel = kubernetes_cancel,
    .release = kubernetes_release,
    .queue_estimate = kubernetes_queue_estimate,
    .room = kubernetes_room,
    .apart = kubernetes_apart,
    .accepts = kubernetes_accepts,
};

static const struct descpipe_plugin kubernetes_plugin = {
    .size = sizeof(struct descpipe_plugin),
    .abi_major = DESCPIPE_ABI_MAJOR,
    .abi_minor = DESCPIPE_ABI_MINOR,
    .kind = "scheduler",
    .name = "kubernetes",
    .version = DESCPIPE_PLUGIN_VERSION,
    .summary = "stages as Jobs of a Kubernetes cluster",
    .author = "the descpipe authors",
    .licence = "BSD-3-Clause",
    .url = "",
    .options = kubernetes_options,
    .operations = &kubernetes_operations,
};

const struct descpipe_plugin *descpipe_plugin_v1(void)
{
    return &kubernetes_plugin;
}
