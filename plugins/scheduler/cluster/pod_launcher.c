/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A stage whose runtime is a command (singularity, shifter) in a pod: the launcher image holds that runtime, and runs
 * the same script that a batch system would.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/pod.h"

/* The script names files by their paths on this machine, so the volume is mounted where it is here. */
static bool is_seen(const struct pod_wishes *wishes, const char *script, char words[POD_WORDS])
{
    char *real = realpath(script, NULL);
    size_t length = wishes->mount != NULL ? strlen(wishes->mount) : 0;
    bool seen = real != NULL && strcmp(real, script) == 0 && length > 0 &&
                strncmp(script, wishes->mount, length) == 0 && script[length] == '/';
    if (!seen && length == 0) {
        snprintf(words, POD_WORDS, "a runtime of the launcher image needs a volume that this machine sees as well");
    } else if (!seen && real != NULL && strcmp(real, script) != 0) {
        snprintf(words, POD_WORDS, "its script '%.150s' is really '%.150s': name the working folder without links",
                 script, real);
    } else if (!seen) {
        snprintf(words, POD_WORDS, "the cluster cannot see its script '%.250s'; the option 'volume' names %.150s",
                 script, wishes->mount);
    }
    free(real);
    return seen;
}

json_t *pod_launcher_container(const struct pod_wishes *wishes, const struct descpipe_job *job, uint32_t index,
                               json_t *volumes, char words[POD_WORDS])
{
    const struct descpipe_resources *resources = job->resources;
    char number[16];
    snprintf(number, sizeof(number), "%" PRIu32, index);
    if (wishes->launcher_image == NULL) {
        snprintf(words, POD_WORDS, "its runtime is a command, which needs the option 'launcher-image'");
        return NULL;
    }
    if (resources != NULL && resources->nodes * resources->ranks_per_node > 1) {
        snprintf(words, POD_WORDS,
                 "it asks for %" PRIu32 " ranks, which nobody starts in a pod of the launcher image; a runtime that "
                 "starts them inside (docker) can",
                 resources->nodes * resources->ranks_per_node);
        return NULL;
    }
    if (job->script == NULL || !is_seen(wishes, job->script, words)) {
        return NULL;
    }
    pod_add_volume(volumes, pod_work_volume(wishes));
    json_t *work = json_pack("{s:s, s:s}", "name", "work", "mountPath", wishes->mount);
    if (wishes->path != NULL) {
        json_object_set_new(work, "subPath", json_string(wishes->path));
    }
    json_t *container = json_pack("{s:s, s:s, s:[s, s], s:[{s:s, s:s}, {s:s, s:s}], s:o, s:[o]}", "name", POD_CONTAINER,
                                  "image", wishes->launcher_image, "command", "/bin/sh", job->script, "env", "name",
                                  "DESCPIPE_INDEX", "value", number, "name", "DESCPIPE_RESTART", "value", "0",
                                  "resources", pod_resources(wishes, resources, true), "volumeMounts", work);
    if (wishes->launcher_privileged) {
        json_object_set_new(container, "securityContext", json_pack("{s:b}", "privileged", 1));
    }
    return container;
}
