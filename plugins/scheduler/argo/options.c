/* SPDX-License-Identifier: BSD-3-Clause */
/* The options of argo: which cluster, which volume, and what a site says of Workflows and their pods. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "argo.h"
#include "cluster/pod_options.h"

static const char *const pod_gcs[] = {"OnPodCompletion", "OnPodSuccess", "OnWorkflowCompletion", "OnWorkflowSuccess",
                                      NULL};
static const char *const modes[] = {"kubernetes", "server", NULL};
static const char *const stops[] = {"stop", "terminate", NULL};

#define OPTION POD_OPTION
#define PER_STAGE POD_OPTION_PER_STAGE

static const struct descpipe_option options[] = {
    {OPTION(CHOICE, "mode", "Who is asked: the API server of Kubernetes, or Argo Server, which takes a token."),
     .default_value = "kubernetes", .choices = modes},
    {OPTION(TEXT, "server", "Of mode 'server': Argo Server, https://HOST; without it PIPELINE_HOST.")},
    {OPTION(SECRET, "token", "Of mode 'server': who we are there; without it PIPELINE_TOKEN.")},
    {OPTION(PATH, "certificate-authority", "Of mode 'server': whom its certificate is from, if not who all trust.")},
    {OPTION(
        MAP, "artifacts",
        "Instead of a volume: {bucket, endpoint: https://HOST, secret} of an S3-compatible store that pods and this "
        "machine reach, with region and folder; the Secret has accesskey and secretkey.")},
    {OPTION(TEXT, "namespace", "Where Workflows are made; without it PIPELINE_NS or WORKFLOW_NS, or the context's.")},
    {OPTION(TEXT, "ui", "Where people look at Workflows: https://HOST; without it PIPELINE_HOST.")},
    {OPTION(TEXT, "service-account", "The service account of the pods; without it WORKFLOW_SA."), PER_STAGE},
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
    {OPTION(INTEGER, "priority", "Among the Workflows that wait for a controller; higher first."),
     .flags = DESCPIPE_OPTION_RANGED, .default_value = "0", .minimum = 0, .maximum = 1000000000},
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
};

const struct descpipe_option *const argo_options[] = {&options[0],
                                                      &options[1],
                                                      &options[2],
                                                      &options[3],
                                                      &pod_options[POD_OPTION_KUBECONFIG],
                                                      &pod_options[POD_OPTION_CONTEXT],
                                                      &options[5],
                                                      &options[6],
                                                      &pod_options[POD_OPTION_VOLUME],
                                                      &options[4],
                                                      &pod_options[POD_OPTION_HELPER_IMAGE],
                                                      &pod_options[POD_OPTION_LAUNCHER_IMAGE],
                                                      &pod_options[POD_OPTION_LAUNCHER_PRIVILEGED],
                                                      &options[7],
                                                      &options[8],
                                                      &options[9],
                                                      &options[10],
                                                      &options[11],
                                                      &pod_options[POD_OPTION_PRIORITY_CLASS],
                                                      &options[12],
                                                      &pod_options[POD_OPTION_LABELS],
                                                      &pod_options[POD_OPTION_GPU_RESOURCE],
                                                      &pod_options[POD_OPTION_USER],
                                                      &options[13],
                                                      &options[14],
                                                      &options[15],
                                                      &options[16],
                                                      &options[17],
                                                      &options[18],
                                                      &options[19],
                                                      &options[20],
                                                      &pod_options[POD_OPTION_GRACE],
                                                      &pod_options[POD_OPTION_IMAGE_PATIENCE],
                                                      &pod_options[POD_OPTION_SETUP_PATIENCE],
                                                      &pod_options[POD_OPTION_PLACE_PATIENCE],
                                                      NULL};

_Static_assert(sizeof(options) / sizeof(*options) + POD_OPTIONS + 1 == sizeof(argo_options) / sizeof(*argo_options),
               "all of them");

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

static bool has_artifacts(const struct argo *self)
{
    const char *const *artifacts = self->host->config->map(self->settings, "artifacts");
    return artifacts != NULL && artifacts[0] != NULL;
}

/* Argo goes on without us, so that files are the pods' own affair, wherever there are any. */
int32_t argo_apart(void *context)
{
    const struct argo *self = context;
    const char *const *volume = self->host->config->map(self->settings, "volume");
    if (has_artifacts(self)) {
        return 3;
    }
    if (pod_volume_is_apart(volume)) {
        return 1;
    }
    return volume != NULL && volume[0] != NULL && argo_text(self, "helper-image") != NULL ? 2 : 0;
}

int32_t argo_accepts(void *context, uint32_t form, char *message, uint64_t message_size)
{
    const struct argo *self = context;
    if (argo_apart(context) == 1 && server_is_asked(self)) {
        snprintf(message, message_size,
                 "its volume is not seen from here (no 'mount'), so pods get their scripts from ConfigMaps, which Argo "
                 "Server does not make; use mode: kubernetes");
        return 0;
    }
    if (has_artifacts(self) && form == DESCPIPE_FORM_COMMAND) {
        snprintf(message, message_size,
                 "the runtime is a command, whose script must be on a volume; the option 'artifacts' has none");
        return 0;
    }
    return pod_accepts(self->host, form, message, message_size);
}

/* False: the call has failed. */
static bool read_artifacts(struct argo *self, struct descpipe_call *call)
{
    char words[STORE_WORDS] = "the options 'artifacts' and 'volume' say both where files are";
    if (!has_artifacts(self)) {
        return true;
    }
    bool alone = self->volume.claim == NULL && self->volume.host_path == NULL;
    if (!alone || !store_read(&self->store, self->host, self->host->config->map(self->settings, "artifacts"), words)) {
        self->store.bucket = NULL;
        self->host->call->fail(call, DESCPIPE_FAILED_REFUSED, words,
                               "artifacts: {bucket: NAME, endpoint: https://HOST, secret: NAME} under the backend's "
                               "scheduler, without 'volume'");
        return false;
    }
    return true;
}

bool argo_connect(struct argo *self, struct descpipe_call *call)
{
    char words[CLUSTER_WORDS] = "";
    if (self->connected) {
        return true;
    }
    const char *const *volume = self->host->config->map(self->settings, "volume");
    if (volume != NULL && volume[0] != NULL &&
        !pod_read_volume(volume, &self->volume, self->mount, sizeof(self->mount), words)) {
        self->host->call->fail(call, DESCPIPE_FAILED_REFUSED, words, POD_VOLUME_HINT);
        return false;
    }
    if (!read_artifacts(self, call)) {
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

/* What nobody has said in the pipeline or its backend. */
static void read_environment(const struct argo *self, const struct descpipe_job *job, struct pod_wishes *pods)
{
    const struct descpipe_config_service *config = self->host->config;
    if (self->given_selector[0] != NULL &&
        !config->given(pod_settings_for(self->host, job, "node-selector"), "node-selector")) {
        pods->node_selector = self->given_selector;
    }
    if (self->given_tolerations[0] != NULL &&
        !config->given(pod_settings_for(self->host, job, "tolerations"), "tolerations")) {
        pods->tolerations = self->given_tolerations;
    }
    if (pods->service_account == NULL) {
        pods->service_account = environment("WORKFLOW_SA");
    }
}

void argo_read_environment(struct argo *self)
{
    const char *key = environment("WORKFLOW_NODE_SELECTOR_KEY"), *value = environment("WORKFLOW_NODE_SELECTOR_VALUE");
    value = value != NULL ? value : environment("WORKFLOW_NODE_SELECTOR_VALUE_SMALL");
    if (key != NULL && value != NULL) {
        self->given_selector[0] = key;
        self->given_selector[1] = value;
    }
    key = environment("WORKFLOW_NODE_TOLERATION_KEY");
    value = environment("WORKFLOW_NODE_TOLERATION_VALUE");
    if (key != NULL) {
        snprintf(self->given_toleration, sizeof(self->given_toleration), "%.200s%s%.200s:NoSchedule", key,
                 value != NULL ? "=" : "", value != NULL ? value : "");
        self->given_tolerations[0] = self->given_toleration;
    }
    if (!self->host->config->given(self->settings, "pull-secrets")) {
        self->given_secrets[0] = environment("REGISTRY_PULL_SECRET");
    }
}

static void wishes_for_job(const void *context, const struct descpipe_job *job, struct pod_wishes *wishes)
{
    const struct argo *self = context;
    pod_read_options(self->host, job, wishes);
    wishes->affinity = self->host->config->list(pod_settings_for(self->host, job, "affinity"), "affinity");
    read_environment(self, job, wishes);
}

void argo_wishes(struct argo *self, struct workflow_wishes *wishes)
{
    const struct descpipe_config_service *config = self->host->config;
    *wishes = (struct workflow_wishes){.pods = self->volume,
                                       .for_job = wishes_for_job,
                                       .context = self,
                                       .parallelism = config->integer(self->settings, "parallelism"),
                                       .priority = config->integer(self->settings, "priority"),
                                       .ttl_ms = config->integer(self->settings, "ttl"),
                                       .deadline_ms = config->integer(self->settings, "deadline"),
                                       .pod_gc = argo_text(self, "pod-gc"),
                                       .on_exit = argo_text(self, "on-exit"),
                                       .schedule = argo_text(self, "schedule"),
                                       .timezone = argo_text(self, "timezone")};
    wishes->store = self->store.bucket != NULL ? &self->store : NULL;
    wishes->pods.carried = has_artifacts(self);
    wishes_for_job(self, NULL, &wishes->pods);
    wishes->pods.pull_secrets =
        self->given_secrets[0] != NULL ? self->given_secrets : config->list(self->settings, "pull-secrets");
}
