/* SPDX-License-Identifier: BSD-3-Clause */
/* Options of pods; pod_options.h says how it works. */
#include "cluster/pod_options.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const users[] = {"caller", "image", NULL};

const struct descpipe_option pod_options[POD_OPTIONS] = {
    [POD_OPTION_KUBECONFIG] = {POD_OPTION(
        PATH, "kubeconfig", "The kubeconfig; without it KUBECONFIG, ~/.kube/config, or the pod's service account.")},
    [POD_OPTION_CONTEXT] = {POD_OPTION(TEXT, "context", "The context of the kubeconfig; without it the current one.")},
    [POD_OPTION_VOLUME] = {POD_OPTION(
        MAP, "volume",
        "What holds the working folder: {claim: NAME} or {host-path: /FOLDER}, with path: a folder of the volume, "
        "and mount: where that is on this machine. A claim without mount, or mount: none, is not seen from here: "
        "the volume stands for the working folder.")},
    [POD_OPTION_HELPER_IMAGE] =
        {POD_OPTION(TEXT, "helper-image",
                    "An image with a POSIX shell and its usual tools: by it pods bring in and publish files."),
         POD_OPTION_PER_STAGE},
    [POD_OPTION_LAUNCHER_IMAGE] =
        {POD_OPTION(TEXT, "launcher-image",
                    "An image that holds the runtime of stages whose runtime is a command (singularity, shifter)."),
         POD_OPTION_PER_STAGE},
    [POD_OPTION_LAUNCHER_PRIVILEGED] = {POD_OPTION(BOOLEAN, "launcher-privileged",
                                                   "Whether pods of the launcher image are privileged."),
                                        POD_OPTION_PER_STAGE, .default_value = "false"},
    [POD_OPTION_PRIORITY_CLASS] = {POD_OPTION(TEXT, "priority-class", "The priority class of the pods."),
                                   POD_OPTION_PER_STAGE},
    [POD_OPTION_LABELS] = {POD_OPTION(MAP, "labels", "More labels, for accounting."), POD_OPTION_PER_STAGE},
    [POD_OPTION_GPU_RESOURCE] = {POD_OPTION(TEXT, "gpu-resource", "What the cluster calls a gpu."),
                                 POD_OPTION_PER_STAGE, .default_value = "nvidia.com/gpu"},
    [POD_OPTION_USER] = {POD_OPTION(CHOICE, "user", "As whom a stage runs: the caller, or whom its image names."),
                         POD_OPTION_PER_STAGE, .default_value = "caller", .choices = users},
    [POD_OPTION_GRACE] = {POD_OPTION(DURATION, "grace", "From SIGTERM to SIGKILL when a stage is ended."),
                          .flags = DESCPIPE_OPTION_RANGED, .default_value = "10s", .minimum = 1000, .maximum = 3600000},
    [POD_OPTION_IMAGE_PATIENCE] = {POD_OPTION(DURATION, "image-patience",
                                              "How long an image may fail to come before its stage fails."),
                                   .flags = DESCPIPE_OPTION_RANGED, .default_value = "5m", .minimum = 0,
                                   .maximum = 86400000},
    [POD_OPTION_SETUP_PATIENCE] = {POD_OPTION(DURATION, "setup-patience",
                                              "How long a container may fail to be made before its stage fails."),
                                   .flags = DESCPIPE_OPTION_RANGED, .default_value = "2m", .minimum = 0,
                                   .maximum = 86400000},
    [POD_OPTION_PLACE_PATIENCE] = {POD_OPTION(DURATION, "place-patience",
                                              "How long a stage may find no node before it fails; 0 is for ever."),
                                   .flags = DESCPIPE_OPTION_RANGED, .default_value = "0", .minimum = 0,
                                   .maximum = 2592000000},
};

const struct descpipe_settings *pod_settings_for(const struct descpipe_host *host, const struct descpipe_job *job,
                                                 const char *key)
{
    bool own = job != NULL && job->settings != NULL && host->config->given(job->settings, key);
    return own ? job->settings : host->settings;
}

const char *pod_text_for(const struct descpipe_host *host, const struct descpipe_job *job, const char *key)
{
    const char *text = host->config->text(pod_settings_for(host, job, key), key);
    return text != NULL && text[0] != '\0' ? text : NULL;
}

static const char *const *map_for(const struct descpipe_host *host, const struct descpipe_job *job, const char *key)
{
    return host->config->map(pod_settings_for(host, job, key), key);
}

void pod_read_options(const struct descpipe_host *host, const struct descpipe_job *job, struct pod_wishes *wishes)
{
    const struct descpipe_config_service *config = host->config;
    const char *user = pod_text_for(host, job, "user");
    wishes->service_account = pod_text_for(host, job, "service-account");
    wishes->helper_image = pod_text_for(host, job, "helper-image");
    wishes->launcher_image = pod_text_for(host, job, "launcher-image");
    wishes->launcher_privileged =
        config->boolean(pod_settings_for(host, job, "launcher-privileged"), "launcher-privileged") != 0;
    wishes->priority_class = pod_text_for(host, job, "priority-class");
    wishes->gpu_resource = pod_text_for(host, job, "gpu-resource");
    wishes->node_selector = map_for(host, job, "node-selector");
    wishes->tolerations = config->list(pod_settings_for(host, job, "tolerations"), "tolerations");
    wishes->labels = map_for(host, job, "labels");
    wishes->image_user = user != NULL && strcmp(user, "image") == 0;
    wishes->uid = getuid();
    wishes->gid = getgid();
    wishes->grace_ms = (uint64_t)config->integer(host->settings, "grace");
}

bool pod_accepts(const struct descpipe_host *host, uint32_t form, char *message, uint64_t message_size)
{
    bool apart = pod_volume_is_apart(host->config->map(host->settings, "volume"));
    const char *words = NULL;
    if (form == DESCPIPE_FORM_COMMAND && pod_text_for(host, NULL, "launcher-image") == NULL) {
        words = "the runtime is a command, which runs in pods of an image that holds it; the option 'launcher-image' "
                "names none";
    } else if (form == DESCPIPE_FORM_COMMAND && apart) {
        words = "the runtime is a command, whose script must be seen by the cluster and from here; the option 'volume' "
                "has no 'mount'";
    } else if (form == DESCPIPE_FORM_POD && apart && pod_text_for(host, NULL, "helper-image") == NULL) {
        words = "its volume is not seen from here (no 'mount'), so pods look after their files with the option "
                "'helper-image', which names none";
    }
    if (words != NULL) {
        snprintf(message, message_size, "%s", words);
    }
    return words == NULL;
}

int64_t pod_patience(const struct descpipe_host *host, enum pod_trouble trouble)
{
    static const enum pod_option options[] = {[POD_TROUBLE_IMAGE] = POD_OPTION_IMAGE_PATIENCE,
                                              [POD_TROUBLE_PLACE] = POD_OPTION_PLACE_PATIENCE,
                                              [POD_TROUBLE_SETUP] = POD_OPTION_SETUP_PATIENCE};
    if (trouble == POD_FINE) {
        return -1;
    }
    int64_t patience = host->config->integer(host->settings, pod_options[options[trouble]].key);
    return patience == 0 && trouble == POD_TROUBLE_PLACE ? -1 : patience;
}
