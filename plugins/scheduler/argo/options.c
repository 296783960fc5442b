/* SPDX-License-Identifier: BSD-3-Clause */
/* The options of argo: which cluster, which volume, and what a site says of Workflows and their pods. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "argo.h"

static const char *const pod_gcs[] = {"OnPodCompletion", "OnPodSuccess", "OnWorkflowCompletion", "OnWorkflowSuccess",
                                      NULL};
static const char *const users[] = {"caller", "image", NULL};
static const char *const modes[] = {"kubernetes", "server", NULL};
static const char *const stops[] = {"stop", "terminate", NULL};

#define OPTION(kind, name, text)                                                                                       \
    .size = sizeof(struct descpipe_option), .type = DESCPIPE_OPTION_##kind, .key = name, .help = text
#define PER_STAGE .flags = DESCPIPE_OPTION_PER_STAGE

static const struct descpipe_option options[] = {
    {OPTION(CHOICE, "mode", "Who is asked: the API server of Kubernetes, or Argo Server, which takes a token."),
     .default_value = "kubernetes", .choices = modes},
    {OPTION(TEXT, "server", "Of mode 'server': Argo Server, https://HOST; without it PIPELINE_HOST.")},
    {OPTION(SECRET, "token", "Of mode 'server': who we are there; without it PIPELINE_TOKEN.")},
    {OPTION(PATH, "certificate-authority", "Of mode 'server': whom its certificate is from, if not who all trust.")},
    {OPTION(PATH, "kubeconfig",
            "The kubeconfig; without it KUBECONFIG, ~/.kube/config, or the pod's service account.")},
    {OPTION(TEXT, "context", "The context of the kubeconfig; without it the current one.")},
    {OPTION(TEXT, "namespace", "Where Workflows are made; without it PIPELINE_NS or WORKFLOW_NS, or the context's.")},
    {OPTION(TEXT, "ui", "Where people look at Workflows: https://HOST; without it PIPELINE_HOST.")},
    {OPTION(MAP, "volume",
            "What holds the working folder: {claim: NAME} or {host-path: /FOLDER}, with mount: where it is on this "
            "machine, and path: which folder of the volume that is.")},
    {OPTION(TEXT, "helper-image",
            "An image with a POSIX shell and its usual tools, by which pods bring in and publish their files.")},
    {OPTION(TEXT, "service-account", "The service account of the pods; without it WORKFLOW_SA.")},
    {OPTION(LIST, "pull-secrets",
            "Secrets of the namespace that hold registry logins; without it REGISTRY_PULL_SECRET.")},
    {OPTION(MAP, "node-selector",
            "Labels that a node must have; without it WORKFLOW_NODE_SELECTOR_KEY and WORKFLOW_NODE_SELECTOR_VALUE."),
     PER_STAGE},
    {OPTION(LIST, "tolerations",
            "Taints that do not matter: KEY[=VALUE][:EFFECT]; without it WORKFLOW_NODE_TOLERATION_KEY and _VALUE."),
     PER_STAGE},
    {OPTION(LIST, "affinity", "Labels that a node must have one of: KEY=VALUE[,VALUE...], all of the list."),
     PER_STAGE},
    {OPTION(TEXT, "priority-class", "The priority class of the pods.")},
    {OPTION(INTEGER, "priority", "Among the Workflows that wait for a controller; higher first."),
     .flags = DESCPIPE_OPTION_RANGED, .default_value = "0", .minimum = 0, .maximum = 1000000000},
    {OPTION(MAP, "labels", "More labels, of the Workflow and of its pods, for accounting.")},
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
    {OPTION(TEXT, "on-exit",
            "A WorkflowTemplate of the namespace that runs when all is over, however it ended: NAME/TEMPLATE.")},
    {OPTION(TEXT, "schedule", "For 'descpipe export': when it begins, as cron writes it; makes a CronWorkflow.")},
    {OPTION(TEXT, "timezone", "Of 'schedule'; without it the cluster's.")},
    {OPTION(CHOICE, "stop", "What a cancelled Workflow still does: 'stop' runs its on-exit, 'terminate' does not."),
     .default_value = "stop", .choices = stops},
    {OPTION(DURATION, "grace", "From SIGTERM to SIGKILL when a stage is ended."), .flags = DESCPIPE_OPTION_RANGED,
     .default_value = "10s", .minimum = 1000, .maximum = 3600000},
    {OPTION(DURATION, "image-patience", "How long an image may fail to come before its stage fails."),
     .flags = DESCPIPE_OPTION_RANGED, .default_value = "5m", .minimum = 0, .maximum = 86400000},
    {OPTION(DURATION, "setup-patience", "How long a container may fail to be made before its stage fails."),
     .flags = DESCPIPE_OPTION_RANGED, .default_value = "2m", .minimum = 0, .maximum = 86400000},
    {OPTION(DURATION, "place-patience", "How long a stage may find no node before it fails; 0 is for ever."),
     .flags = DESCPIPE_OPTION_RANGED, .default_value = "0", .minimum = 0, .maximum = 2592000000},
};

const struct descpipe_option *const argo_options[] = {
    &options[0],  &options[1],  &options[2],  &options[3],  &options[4],  &options[5],  &options[6],
    &options[7],  &options[8],  &options[9],  &options[10], &options[11], &options[12], &options[13],
    &options[14], &options[15], &options[16], &options[17], &options[18], &options[19], &options[20],
    &options[21], &options[22], &options[23], &options[24], &options[25], &options[26], &options[27],
    &options[28], &options[29], &options[30], &options[31], NULL};

_Static_assert(sizeof(options) / sizeof(*options) + 1 == sizeof(argo_options) / sizeof(*argo_options), "all of them");

/* Names that people of one facility have in their environment already. */
static const char *environment(const char *name)
{
    const char *value = secure_getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

const char *argo_text(const struct argo *self, const char *key)
{
    static const struct {
        const char *key, *variable;
    } defaults[] = {{"namespace", "PIPELINE_NS"},
                    {"namespace", "WORKFLOW_NS"},
                    {"service-account", "WORKFLOW_SA"},
                    {"ui", "PIPELINE_HOST"},
                    {"server", "PIPELINE_HOST"}};
    const char *text = self->host->config->text(self->settings, key);
    for (size_t i = 0; (text == NULL || text[0] == '\0') && i < sizeof(defaults) / sizeof(*defaults); i++) {
        text = strcmp(key, defaults[i].key) == 0 ? environment(defaults[i].variable) : text;
    }
    return text != NULL && text[0] != '\0' ? text : NULL;
}

/* Argo goes on without us, so that files are the pods' own affair, wherever there are any. */
int32_t argo_apart(void *context)
{
    const struct argo *self = context;
    const char *const *volume = self->host->config->map(self->settings, "volume");
    return volume != NULL && volume[0] != NULL && argo_text(self, "helper-image") != NULL ? 2 : 0;
}

static bool is_unseen(const struct argo *self, char *words)
{
    if (self->volume.apart) {
        snprintf(words, POD_WORDS, "the option 'volume' does not say where this machine has it mounted");
    }
    return self->volume.apart;
}

bool argo_connect(struct argo *self, struct descpipe_call *call)
{
    char words[CLUSTER_WORDS] = "";
    if (self->connected) {
        return true;
    }
    const char *const *volume = self->host->config->map(self->settings, "volume");
    if (volume != NULL && volume[0] != NULL &&
        (!pod_read_volume(volume, &self->volume, self->mount, sizeof(self->mount), words) || is_unseen(self, words))) {
        self->host->call->fail(call, DESCPIPE_FAILED_REFUSED, words,
                               "volume: {claim: NAME, mount: /where/it/is/here} under the backend's scheduler");
        return false;
    }
    if (server_is_asked(self)) {
        return server_connect(self, call);
    }
    self->connected = cluster_open(&self->cluster, self->host, argo_text(self, "kubeconfig"),
                                   argo_text(self, "context"), argo_text(self, "namespace"), words);
    if (!self->connected) {
        self->host->call->fail(call, DESCPIPE_FAILED_REFUSED, words,
                               "name the cluster's kubeconfig: the option 'kubeconfig', or the variable KUBECONFIG");
    }
    return self->connected;
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
    if (own != NULL && config->given(own, "affinity")) {
        wishes->affinity = config->list(own, "affinity");
    }
    if (own != NULL && config->given(own, "gpu-resource")) {
        wishes->gpu_resource = config->text(own, "gpu-resource");
    }
}

static void read_environment(struct argo *self, struct pod_wishes *pods)
{
    const char *key = environment("WORKFLOW_NODE_SELECTOR_KEY"), *value = environment("WORKFLOW_NODE_SELECTOR_VALUE");
    value = value != NULL ? value : environment("WORKFLOW_NODE_SELECTOR_VALUE_SMALL");
    if (!self->host->config->given(self->settings, "node-selector") && key != NULL && value != NULL) {
        self->given_selector[0] = key;
        self->given_selector[1] = value;
        pods->node_selector = self->given_selector;
    }
    key = environment("WORKFLOW_NODE_TOLERATION_KEY");
    value = environment("WORKFLOW_NODE_TOLERATION_VALUE");
    if (!self->host->config->given(self->settings, "tolerations") && key != NULL) {
        snprintf(self->given_toleration, sizeof(self->given_toleration), "%.200s%s%.200s:NoSchedule", key,
                 value != NULL ? "=" : "", value != NULL ? value : "");
        self->given_tolerations[0] = self->given_toleration;
        pods->tolerations = self->given_tolerations;
    }
    if (!self->host->config->given(self->settings, "pull-secrets")) {
        self->given_secrets[0] = environment("REGISTRY_PULL_SECRET");
        pods->pull_secrets = self->given_secrets;
    }
}

void argo_wishes(struct argo *self, struct workflow_wishes *wishes)
{
    const struct descpipe_config_service *config = self->host->config;
    const char *user = argo_text(self, "user");
    *wishes = (struct workflow_wishes){.for_job = wishes_for_job,
                                       .context = self,
                                       .parallelism = config->integer(self->settings, "parallelism"),
                                       .priority = config->integer(self->settings, "priority"),
                                       .ttl_ms = config->integer(self->settings, "ttl"),
                                       .deadline_ms = config->integer(self->settings, "deadline"),
                                       .pod_gc = argo_text(self, "pod-gc"),
                                       .on_exit = argo_text(self, "on-exit"),
                                       .schedule = argo_text(self, "schedule"),
                                       .timezone = argo_text(self, "timezone")};
    wishes->pods = (struct pod_wishes){.claim = self->volume.claim,
                                       .host_path = self->volume.host_path,
                                       .mount = self->volume.mount,
                                       .path = self->volume.path,
                                       .helper_image = argo_text(self, "helper-image"),
                                       .service_account = argo_text(self, "service-account"),
                                       .priority_class = argo_text(self, "priority-class"),
                                       .gpu_resource = argo_text(self, "gpu-resource"),
                                       .pull_secrets = config->list(self->settings, "pull-secrets"),
                                       .node_selector = config->map(self->settings, "node-selector"),
                                       .tolerations = config->list(self->settings, "tolerations"),
                                       .affinity = config->list(self->settings, "affinity"),
                                       .labels = config->map(self->settings, "labels"),
                                       .image_user = user != NULL && strcmp(user, "image") == 0,
                                       .uid = getuid(),
                                       .gid = getgid(),
                                       .grace_ms = (uint64_t)config->integer(self->settings, "grace")};
    read_environment(self, &wishes->pods);
}
