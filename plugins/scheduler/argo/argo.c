/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The scheduler `argo`: a run as one Workflow.
 *
 * Today it renders (`descpipe export --format argo`); it does not submit. Until files are moved
 * inside the cluster it does not claim that jobs see ours, so that a run is refused before anything is sent.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <descpipe/plugin.h>

#include "workflow.h"

struct argo {
    const struct descpipe_host *host;
    const struct descpipe_settings *settings;
};

static const char *const pod_gcs[] = {"OnPodCompletion", "OnPodSuccess", "OnWorkflowCompletion", "OnWorkflowSuccess",
                                      NULL};
static const char *const users[] = {"caller", "image", NULL};

#define OPTION(kind, name, text)                                                                                       \
    .size = sizeof(struct descpipe_option), .type = DESCPIPE_OPTION_##kind, .key = name, .help = text
#define PER_STAGE .flags = DESCPIPE_OPTION_PER_STAGE

static const struct descpipe_option options[] = {
    {OPTION(TEXT, "service-account", "The service account of the pods.")},
    {OPTION(LIST, "pull-secrets", "Secrets of the namespace that hold registry logins.")},
    {OPTION(MAP, "node-selector", "Labels that a node must have."), PER_STAGE},
    {OPTION(LIST, "tolerations", "Taints that do not matter: KEY[=VALUE][:EFFECT]."), PER_STAGE},
    {OPTION(TEXT, "priority-class", "The priority class of the pods.")},
    {OPTION(MAP, "labels", "More labels, for accounting.")},
    {OPTION(TEXT, "gpu-resource", "What the cluster calls a gpu."), PER_STAGE, .default_value = "nvidia.com/gpu"},
    {OPTION(CHOICE, "user", "As whom stages run: the caller, or whom their image names."), .default_value = "caller",
     .choices = users},
    {OPTION(INTEGER, "parallelism", "Pods at a time; 0 is as many as there are."), .flags = DESCPIPE_OPTION_RANGED,
     .default_value = "0", .minimum = 0, .maximum = 1000000},
    {OPTION(DURATION, "deadline", "How long the whole Workflow may take; 0 is for ever."),
     .flags = DESCPIPE_OPTION_RANGED, .default_value = "0", .minimum = 0, .maximum = 31536000000},
    {OPTION(DURATION, "ttl", "How long the Workflow stays when it is over; 0 is as the cluster says."),
     .flags = DESCPIPE_OPTION_RANGED, .default_value = "0", .minimum = 0, .maximum = 31536000000},
    {OPTION(CHOICE, "pod-gc", "When pods that are over go."), .choices = pod_gcs},
};

static const struct descpipe_option *const argo_options[] = {
    &options[0], &options[1], &options[2], &options[3],  &options[4],  &options[5], &options[6],
    &options[7], &options[8], &options[9], &options[10], &options[11], NULL};

_Static_assert(sizeof(options) / sizeof(*options) + 1 == sizeof(argo_options) / sizeof(*argo_options), "all of them");

static int32_t argo_open(const struct descpipe_host *host, void **self_out, char *message, uint64_t message_size)
{
    struct argo *self = calloc(1, sizeof(*self));
    if (self == NULL) {
        snprintf(message, message_size, "out of memory");
        return 1;
    }
    *self = (struct argo){.host = host, .settings = host->settings};
    *self_out = self;
    return 0;
}

static void argo_close(void *self)
{
    free(self);
}

static const char *text_of(const struct argo *self, const char *key)
{
    const char *text = self->host->config->text(self->settings, key);
    return text != NULL && text[0] != '\0' ? text : NULL;
}

/* A stage's own words come over the backend's. */
static void wishes_for_job(const void *context, const struct descpipe_job *job, struct pod_wishes *wishes)
{
    const struct argo *self = context;
    const struct descpipe_config_service *config = self->host->config;
    const struct descpipe_settings *own = job->settings;
    if (own != NULL && config->given(own, "node-selector")) {
        wishes->node_selector = config->map(own, "node-selector");
    }
    if (own != NULL && config->given(own, "tolerations")) {
        wishes->tolerations = config->list(own, "tolerations");
    }
    if (own != NULL && config->given(own, "gpu-resource")) {
        wishes->gpu_resource = config->text(own, "gpu-resource");
    }
}

static void read_wishes(const struct argo *self, struct workflow_wishes *wishes)
{
    const struct descpipe_config_service *config = self->host->config;
    const char *user = text_of(self, "user");
    *wishes = (struct workflow_wishes){.for_job = wishes_for_job,
                                       .context = self,
                                       .parallelism = config->integer(self->settings, "parallelism"),
                                       .ttl_ms = config->integer(self->settings, "ttl"),
                                       .deadline_ms = config->integer(self->settings, "deadline"),
                                       .pod_gc = text_of(self, "pod-gc")};
    wishes->pods = (struct pod_wishes){.service_account = text_of(self, "service-account"),
                                       .priority_class = text_of(self, "priority-class"),
                                       .gpu_resource = text_of(self, "gpu-resource"),
                                       .pull_secrets = config->list(self->settings, "pull-secrets"),
                                       .node_selector = config->map(self->settings, "node-selector"),
                                       .tolerations = config->list(self->settings, "tolerations"),
                                       .labels = config->map(self->settings, "labels"),
                                       .image_user = user != NULL && strcmp(user, "image") == 0,
                                       .uid = getuid(),
                                       .gid = getgid()};
}

static void argo_render(void *context, struct descpipe_call *call, const struct descpipe_submission *submission)
{
    const struct argo *self = context;
    struct workflow_wishes wishes;
    char words[POD_WORDS];
    read_wishes(self, &wishes);
    json_t *workflow = workflow_make(&wishes, submission, words);
    char *text = workflow != NULL ? json_dumps(workflow, JSON_INDENT(2)) : NULL;
    if (text == NULL) {
        self->host->call->fail(call, DESCPIPE_FAILED_REFUSED, words, NULL);
    } else {
        self->host->answer->text(call, text);
        self->host->call->succeed(call);
    }
    free(text);
    json_decref(workflow);
}

static void not_yet(struct argo *self, struct descpipe_call *call)
{
    self->host->call->fail(call, DESCPIPE_FAILED_UNSUPPORTED, "this version of descpipe does not submit Workflows",
                           "write it with: descpipe export --format argo, and hand it to: kubectl create -f");
}

static void argo_probe(void *self, struct descpipe_call *call)
{
    not_yet(self, call);
}

static void argo_submit(void *self, struct descpipe_call *call, const struct descpipe_submission *submission)
{
    (void)submission;
    not_yet(self, call);
}

static void argo_observe(void *self, struct descpipe_call *call, struct descpipe_sink *sink)
{
    (void)sink;
    not_yet(self, call);
}

static void argo_find(void *self, struct descpipe_call *call, const char *run)
{
    (void)run;
    not_yet(self, call);
}

static void argo_cancel(void *self, struct descpipe_call *call, const uint64_t *jobs, uint64_t count)
{
    (void)jobs;
    (void)count;
    not_yet(self, call);
}

static void argo_release(void *self, struct descpipe_call *call, const char *token)
{
    (void)token;
    not_yet(self, call);
}

static const uint32_t argo_forms[] = {DESCPIPE_FORM_POD, 0};

static const struct descpipe_scheduler argo_operations = {
    .size = sizeof(struct descpipe_scheduler),
    .capabilities = DESCPIPE_SCHEDULER_OUTLIVES | DESCPIPE_SCHEDULER_GRAPH | DESCPIPE_SCHEDULER_GPUS,
    .forms = argo_forms,
    .open = argo_open,
    .close = argo_close,
    .probe = argo_probe,
    .submit = argo_submit,
    .observe = argo_observe,
    .find = argo_find,
    .cancel = argo_cancel,
    .release = argo_release,
    .render = argo_render,
};

static const struct descpipe_plugin argo_plugin = {
    .size = sizeof(struct descpipe_plugin),
    .abi_major = DESCPIPE_ABI_MAJOR,
    .abi_minor = DESCPIPE_ABI_MINOR,
    .kind = "scheduler",
    .name = "argo",
    .version = DESCPIPE_PLUGIN_VERSION,
    .summary = "a pipeline as an Argo Workflow, for now only written (descpipe export)",
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
