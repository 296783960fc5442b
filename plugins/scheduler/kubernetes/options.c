/* SPDX-License-Identifier: BSD-3-Clause */
/* The options of kubernetes: which cluster, which volume, and what a site says of pods. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kubernetes.h"

#define OPTION(kind, name, text)                                                                                       \
    .size = sizeof(struct descpipe_option), .type = DESCPIPE_OPTION_##kind, .key = name, .help = text
#define PER_STAGE .flags = DESCPIPE_OPTION_PER_STAGE

static const char *const users[] = {"caller", "image", NULL};

static const struct descpipe_option options[] = {
    {OPTION(PATH, "kubeconfig",
            "The kubeconfig; without it KUBECONFIG, ~/.kube/config, or the pod's service account.")},
    {OPTION(TEXT, "context", "The context of the kubeconfig; without it the current one.")},
    {OPTION(TEXT, "namespace", "Where the Jobs are made; without it the context's.")},
    {OPTION(
        MAP, "volume",
        "What holds the working folder: {claim: NAME} or {host-path: /FOLDER}, with path: a folder of the volume, and "
        "mount: where that is on this machine. A claim without mount, or mount: none, is not seen from here: the "
        "volume stands for the working folder.")},
    {OPTION(TEXT, "helper-image",
            "An image with a POSIX shell: it brings in and publishes files on a volume that is not seen from here."),
     PER_STAGE},
    {OPTION(TEXT, "launcher-image",
            "An image that holds the runtime of stages whose runtime is a command (singularity, shifter)."),
     PER_STAGE},
    {OPTION(BOOLEAN, "launcher-privileged", "Whether pods of the launcher image are privileged."), PER_STAGE,
     .default_value = "false"},
    {OPTION(TEXT, "service-account", "The service account of the pods."), PER_STAGE},
    {OPTION(
         LIST, "pull-secrets",
         "Secrets of the namespace that hold registry logins; without it the run's own logins go there as Secrets and "
         "leave with its Jobs; [] says none."),
     PER_STAGE},
    {OPTION(MAP, "node-selector", "Labels that a node must have."), PER_STAGE},
    {OPTION(LIST, "tolerations", "Taints that do not matter: KEY[=VALUE][:EFFECT]."), PER_STAGE},
    {OPTION(TEXT, "priority-class", "The priority class of the pods."), PER_STAGE},
    {OPTION(MAP, "labels", "More labels, for accounting."), PER_STAGE},
    {OPTION(TEXT, "gpu-resource", "What the cluster calls a gpu."), PER_STAGE, .default_value = "nvidia.com/gpu"},
    {OPTION(CHOICE, "user", "As whom a stage runs: the caller, or whom its image names."), PER_STAGE,
     .default_value = "caller", .choices = users},
    {OPTION(INTEGER, "jobs", "Jobs at a time; 0 is as many as there are."), .flags = DESCPIPE_OPTION_RANGED,
     .default_value = "0", .minimum = 0, .maximum = 1000000},
    {OPTION(DURATION, "grace", "From SIGTERM to SIGKILL when a stage is ended."), .flags = DESCPIPE_OPTION_RANGED,
     .default_value = "10s", .minimum = 1000, .maximum = 3600000},
    {OPTION(DURATION, "image-patience", "How long an image may fail to come before its stage fails."),
     .flags = DESCPIPE_OPTION_RANGED, .default_value = "5m", .minimum = 0, .maximum = 86400000},
    {OPTION(DURATION, "setup-patience", "How long a container may fail to be made before its stage fails."),
     .flags = DESCPIPE_OPTION_RANGED, .default_value = "2m", .minimum = 0, .maximum = 86400000},
    {OPTION(DURATION, "place-patience", "How long a stage may find no node before it fails; 0 is for ever."),
     .flags = DESCPIPE_OPTION_RANGED, .default_value = "0", .minimum = 0, .maximum = 2592000000},
};

const struct descpipe_option *const kubernetes_options[] = {
    &options[0],  &options[1],  &options[2],  &options[3],  &options[4],  &options[5],  &options[6],
    &options[7],  &options[8],  &options[9],  &options[10], &options[11], &options[12], &options[13],
    &options[14], &options[15], &options[16], &options[17], &options[18], &options[19], NULL};

_Static_assert(sizeof(options) / sizeof(*options) + 1 == sizeof(kubernetes_options) / sizeof(*kubernetes_options),
               "all of them");

const char *kubernetes_text(const struct kubernetes *self, const char *key)
{
    const char *text = self->host->config->text(self->settings, key);
    return text != NULL && text[0] != '\0' ? text : NULL;
}

int32_t kubernetes_apart(void *context)
{
    const struct kubernetes *self = context;
    return pod_volume_is_apart(self->host->config->map(self->settings, "volume"));
}

int32_t kubernetes_accepts(void *context, uint32_t form, char *message, uint64_t message_size)
{
    const struct kubernetes *self = context;
    bool apart = kubernetes_apart(context) != 0;
    if (form == DESCPIPE_FORM_COMMAND && kubernetes_text(self, "launcher-image") == NULL) {
        snprintf(message, message_size,
                 "the runtime is a command, which runs in pods of an image that holds it; the option 'launcher-image' "
                 "names none");
        return 0;
    }
    if (form == DESCPIPE_FORM_COMMAND && apart) {
        snprintf(
            message, message_size,
            "the runtime is a command, whose script must be seen by the cluster and from here; the option 'volume' "
            "has no 'mount'");
        return 0;
    }
    if (form == DESCPIPE_FORM_POD && apart && kubernetes_text(self, "helper-image") == NULL) {
        snprintf(message, message_size,
                 "its volume is not seen from here (no 'mount'), so pods look after their files with the option "
                 "'helper-image', which names none");
        return 0;
    }
    return 1;
}

bool kubernetes_connect(struct kubernetes *self, struct descpipe_call *call)
{
    char words[CLUSTER_WORDS] = "";
    if (self->connected) {
        return true;
    }
    const char *const *volume = self->host->config->map(self->settings, "volume");
    if (volume != NULL && volume[0] != NULL &&
        !pod_read_volume(volume, &self->wishes, self->mount, sizeof(self->mount), words)) {
        self->host->call->fail(call, DESCPIPE_FAILED_REFUSED, words,
                               "volume: {claim: NAME, mount: /where/it/is/here} under the backend's scheduler; without "
                               "mount where it is not seen from here");
        return false;
    }
    self->connected = cluster_open(&self->cluster, self->host, kubernetes_text(self, "kubeconfig"),
                                   kubernetes_text(self, "context"), kubernetes_text(self, "namespace"), words);
    if (!self->connected) {
        self->host->call->fail(call, DESCPIPE_FAILED_REFUSED, words,
                               "name the cluster's kubeconfig: the option 'kubeconfig', or the variable KUBECONFIG");
    }
    return self->connected;
}

/* A stage's own word, else the backend's. */
static const struct descpipe_settings *settings_for(const struct kubernetes *self, const struct descpipe_job *job,
                                                    const char *key)
{
    bool own = job != NULL && job->settings != NULL && self->host->config->given(job->settings, key);
    return own ? job->settings : self->settings;
}

static const char *text_for(const struct kubernetes *self, const struct descpipe_job *job, const char *key)
{
    const char *text = self->host->config->text(settings_for(self, job, key), key);
    return text != NULL && text[0] != '\0' ? text : NULL;
}

/* Nobody has said with what its image is pulled. */
bool kubernetes_wants_login(const void *context, const struct descpipe_job *job)
{
    const struct kubernetes *self = context;
    return !self->host->config->given(settings_for(self, job, "pull-secrets"), "pull-secrets");
}

void kubernetes_wishes(const struct kubernetes *self, const struct descpipe_job *job, struct pod_wishes *wishes)
{
    const struct descpipe_config_service *config = self->host->config;
    const char *user = text_for(self, job, "user");
    *wishes = self->wishes;
    wishes->service_account = text_for(self, job, "service-account");
    wishes->helper_image = text_for(self, job, "helper-image");
    wishes->launcher_image = text_for(self, job, "launcher-image");
    wishes->launcher_privileged =
        config->boolean(settings_for(self, job, "launcher-privileged"), "launcher-privileged") != 0;
    wishes->priority_class = text_for(self, job, "priority-class");
    wishes->gpu_resource = text_for(self, job, "gpu-resource");
    wishes->pull_secrets = config->list(settings_for(self, job, "pull-secrets"), "pull-secrets");
    wishes->node_selector = config->map(settings_for(self, job, "node-selector"), "node-selector");
    wishes->tolerations = config->list(settings_for(self, job, "tolerations"), "tolerations");
    wishes->labels = config->map(settings_for(self, job, "labels"), "labels");
    wishes->image_user = user != NULL && strcmp(user, "image") == 0;
    wishes->uid = getuid();
    wishes->gid = getgid();
    wishes->grace_ms = (uint64_t)config->integer(self->settings, "grace");
}
