/* SPDX-License-Identifier: BSD-3-Clause */
/* The form POD: what a cluster needs to run the stage's image itself. Nothing of this machine's Docker takes part. */
#include <string.h>

#include "docker.h"

/* "host:5000/owner/name:tag" → "host:5000/owner/name@sha256:..."; without a digest it stays as it is. */
static bool write_reference(const struct descpipe_image *image, struct bytes *reference)
{
    const char *name = image->reference, *at = strchr(name, '@');
    if (at != NULL || image->manifest_digest == NULL) {
        return bytes_add_text(reference, name);
    }
    const char *slash = strrchr(name, '/');
    const char *colon = strchr(slash != NULL ? slash : name, ':');
    size_t length = colon != NULL ? (size_t)(colon - name) : strlen(name);
    return bytes_add(reference, name, length) && bytes_format(reference, "@%s", image->manifest_digest);
}

void docker_launch_pod(struct docker *docker, struct descpipe_call *call, const struct descpipe_stage *stage)
{
    struct bytes reference = {0};
    if (stage->image == NULL || !write_reference(stage->image, &reference)) {
        bytes_clear(&reference);
        docker_fail_memory(docker, call);
        return;
    }
    const struct descpipe_form form = {
        .size = sizeof(form),
        .form = DESCPIPE_FORM_POD,
        .argv = stage->command,
        .environment = stage->environment,
        .directory = stage->directory,
        .image = bytes_text(&reference),
        .mounts = stage->mounts,
    };
    docker->host->answer->form(call, &form);
    docker->host->call->succeed(call);
    bytes_clear(&reference);
}
