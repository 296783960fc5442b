/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The options that all schedulers of pods have, and what they say of a stage's pod.
 *
 * How it works: a plugin's table takes its rows from `pod_options` and adds its own. Where a row is per stage, a
 * stage's own word comes before the backend's.
 */
#ifndef DESCPIPE_CLUSTER_POD_OPTIONS_H
#define DESCPIPE_CLUSTER_POD_OPTIONS_H

#include <descpipe/host.h>
#include <descpipe/option.h>

#include "cluster/pod.h"

#define POD_OPTION(kind, name, text)                                                                                   \
    .size = sizeof(struct descpipe_option), .type = DESCPIPE_OPTION_##kind, .key = name, .help = text
#define POD_OPTION_PER_STAGE .flags = DESCPIPE_OPTION_PER_STAGE

#define POD_VOLUME_HINT                                                                                                \
    "volume: {claim: NAME, mount: /where/it/is/here} under the backend's scheduler; without mount where it is not "    \
    "seen from here"

enum pod_option {
    POD_OPTION_KUBECONFIG,
    POD_OPTION_CONTEXT,
    POD_OPTION_VOLUME,
    POD_OPTION_HELPER_IMAGE,
    POD_OPTION_LAUNCHER_IMAGE,
    POD_OPTION_LAUNCHER_PRIVILEGED,
    POD_OPTION_PRIORITY_CLASS,
    POD_OPTION_LABELS,
    POD_OPTION_GPU_RESOURCE,
    POD_OPTION_USER,
    POD_OPTION_GRACE,
    POD_OPTION_IMAGE_PATIENCE,
    POD_OPTION_SETUP_PATIENCE,
    POD_OPTION_PLACE_PATIENCE,
    POD_OPTIONS
};
extern const struct descpipe_option pod_options[POD_OPTIONS];

/* The settings in which a stage's word about `key` is found, else the backend's. */
const struct descpipe_settings *pod_settings_for(const struct descpipe_host *host, const struct descpipe_job *job,
                                                 const char *key);
/* NULL when it is empty or not given. */
const char *pod_text_for(const struct descpipe_host *host, const struct descpipe_job *job, const char *key);
/* What these options, 'service-account', 'node-selector' and 'tolerations' say of a stage's pod (NULL: of all); the
 * volume, pull secrets and what is not said here stay as they are. */
void pod_read_options(const struct descpipe_host *host, const struct descpipe_job *job, struct pod_wishes *wishes);

/* Whether pods of that form can be had, as the options stand. False with words that name the one that is missing. */
bool pod_accepts(const struct descpipe_host *host, uint32_t form, char *message, uint64_t message_size);
/* How long what is wrong may last, in milliseconds; below 0: for ever. */
int64_t pod_patience(const struct descpipe_host *host, enum pod_trouble trouble);

#endif
