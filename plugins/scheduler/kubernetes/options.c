/* SPDX-License-Identifier: BSD-3-Clause */
/* The options of kubernetes: which cluster, which volume, and what a site says of pods. */
#include <stdio.h>
#include <string.h>

#include "cluster/pod_options.h"
#include "kubernetes.h"

#define OPTION POD_OPTION
#define PER_STAGE POD_OPTION_PER_STAGE

static const struct descpipe_option options[] = {
    {OPTION(TEXT, "namespace", "Where the Jobs are made; without it the context's.")},
    {OPTION(TEXT, "service-account", "The service account of the pods."), PER_STAGE},
    {OPTION(
         LIST, "pull-secrets",
         "Secrets of the namespace that hold registry logins; without it the run's own logins go there as Secrets and "
         "leave with its Jobs; [] says none."),
     PER_STAGE},
    {OPTION(MAP, "node-selector", "Labels that a node must have."), PER_STAGE},
    {OPTION(LIST, "tolerations", "Taints that do not matter: KEY[=VALUE][:EFFECT]."), PER_STAGE},
    {OPTION(INTEGER, "jobs", "Jobs at a time; 0 is as many as there are."), .flags = DESCPIPE_OPTION_RANGED,
     .default_value = "0", .minimum = 0, .maximum = 1000000},
};

const struct descpipe_option *const kubernetes_options[] = {&pod_options[POD_OPTION_KUBECONFIG],
                                                            &pod_options[POD_OPTION_CONTEXT],
                                                            &options[0],
                                                            &pod_options[POD_OPTION_VOLUME],
                                                            &pod_options[POD_OPTION_HELPER_IMAGE],
                                                            &pod_options[POD_OPTION_LAUNCHER_IMAGE],
                                                            &pod_options[POD_OPTION_LAUNCHER_PRIVILEGED],
                                                            &options[1],
                                                            &options[2],
                                                            &options[3],
                                                            &options[4],
                                                            &pod_options[POD_OPTION_PRIORITY_CLASS],
                                                            &pod_options[POD_OPTION_LABELS],
                                                            &pod_options[POD_OPTION_GPU_RESOURCE],
                                                            &pod_options[POD_OPTION_USER],
                                                            &options[5],
                                                            &pod_options[POD_OPTION_GRACE],
                                                            &pod_options[POD_OPTION_IMAGE_PATIENCE],
                                                            &pod_options[POD_OPTION_SETUP_PATIENCE],
                                                            &pod_options[POD_OPTION_PLACE_PATIENCE],
                                                            NULL};

_Static_assert(sizeof(options) / sizeof(*options) + POD_OPTIONS + 1 ==
                   sizeof(kubernetes_options) / sizeof(*kubernetes_options),
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
    return pod_accepts(self->host, form, message, message_size);
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
        self->host->call->fail(call, DESCPIPE_FAILED_REFUSED, words, POD_VOLUME_HINT);
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

/* Nobody has said with what its image is pulled. */
bool kubernetes_wants_login(const void *context, const struct descpipe_job *job)
{
    const struct kubernetes *self = context;
    return !self->host->config->given(pod_settings_for(self->host, job, "pull-secrets"), "pull-secrets");
}

void kubernetes_wishes(const struct kubernetes *self, const struct descpipe_job *job, struct pod_wishes *wishes)
{
    *wishes = self->wishes;
    pod_read_options(self->host, job, wishes);
    wishes->pull_secrets = self->host->config->list(pod_settings_for(self->host, job, "pull-secrets"), "pull-secrets");
}
