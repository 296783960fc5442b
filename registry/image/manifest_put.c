/* SPDX-License-Identifier: BSD-3-Clause */
/* A manifest to a registry: the last step of a push, which makes a tag name it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "registry/digest.h"
#include "registry/image/upload.h"
#include "registry/manifest.h"

struct put {
    struct manifest_put_request request;
    char digest[DIGEST_SIZE];
    char *what;
};

static void put_free(struct put *put)
{
    registry_client_release(put->request.client);
    free(put->what);
    free(put);
}

static void on_answer(void *context, const struct client_answer *answer, const struct failure *given)
{
    struct put *put = context;
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    const char *said = client_answer_header(answer, "Docker-Content-Digest");
    if (given == NULL && said != NULL && oci_digest_valid(said) && strcmp(said, put->digest) != 0)
        failure_set(&failure, DESCPIPE_FAILED_REFUSED, "%s: '%s' keeps something else than was sent: %s, not %s",
                    put->what, registry_client_access(put->request.client)->server, said, put->digest);
    const struct failure *told = given != NULL ? given : failure.kind != 0 ? &failure : NULL;
    put->request.done(put->request.context, told == NULL ? put->digest : NULL, told);
    put_free(put);
}

bool manifest_put(const struct manifest_put_request *given, struct failure *failure)
{
    cleanup(memory_free) char *path = NULL, *type = NULL;
    struct put *put = calloc(1, sizeof *put);
    if (put == NULL)
        return failure_memory(failure);
    put->request = *given;
    registry_client_retain(given->client);
    if (asprintf(&put->what, "image '%s/%s%s%s'", registry_client_access(given->client)->server, given->repository,
                 strncmp(given->object, "sha256:", 7) == 0 ? "@" : ":", given->object) < 0)
        put->what = NULL;
    if (asprintf(&path, "/v2/%s/manifests/%s", given->repository, given->object) < 0)
        path = NULL;
    if (asprintf(&type, "Content-Type: %s", given->media_type) < 0)
        type = NULL;
    const char *const headers[] = {type, NULL};
    const struct client_request request = {.method = "PUT",
                                           .path = path,
                                           .repository = given->repository,
                                           .actions = "pull,push",
                                           .headers = headers,
                                           .body = given->bytes,
                                           .body_length = given->length,
                                           .what = put->what,
                                           .done = on_answer,
                                           .context = put};
    if (put->what == NULL || path == NULL || type == NULL || !digest_of_bytes(given->bytes, given->length, put->digest))
        failure_memory(failure);
    else if (registry_client_send(given->client, &request, failure) != NULL)
        return true;
    put_free(put);
    return false;
}
