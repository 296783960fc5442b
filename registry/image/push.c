/* SPDX-License-Identifier: BSD-3-Clause */
/* A whole image to a registry; push.h tells how. */
#include "registry/image/push.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "registry/digest.h"
#include "registry/image/upload.h"

static const char *const head_headers[] = {"Accept: application/vnd.oci.image.index.v1+json",
                                           "Accept: application/vnd.oci.image.manifest.v1+json",
                                           "Accept: application/vnd.docker.distribution.manifest.list.v2+json",
                                           "Accept: application/vnd.docker.distribution.manifest.v2+json", NULL};

/* One blob on its way. */
struct lane {
    struct push *push;
    struct upload *upload; /* NULL: free */
    size_t index;
    int descriptor;
};

struct push {
    struct push_request request;
    struct reference reference;
    char *what;
    char digest[DIGEST_SIZE];
    struct push_summary summary;
    struct lane lanes[PUSH_UPLOADS];
    size_t next, open;
    uint64_t settled_bytes, total_bytes;
    uint64_t moving[PUSH_UPLOADS];
    bool stopped, putting;
    struct client_exchange *exchange;
    struct failure failure;
};

static void push_free(struct push *push)
{
    reference_clear(&push->reference);
    failure_clear(&push->failure);
    free(push->what);
    registry_client_release(push->request.client);
    free(push);
}

static void finish(struct push *push)
{
    bool good = push->failure.kind == 0;
    push->summary.digest = push->digest;
    push->request.done(push->request.context, good ? &push->summary : NULL, good ? NULL : &push->failure);
    push_free(push);
}

static void on_put(void *context, const char *digest, const struct failure *failure)
{
    struct push *push = context;
    (void)digest; /* manifest_put has compared it */
    if (failure != NULL)
        failure_copy(&push->failure, failure);
    finish(push);
}

static void put_manifest(struct push *push)
{
    const struct manifest_put_request request = {.client = push->request.client,
                                                 .repository = push->reference.repository,
                                                 .object =
                                                     push->reference.tag != NULL ? push->reference.tag : push->digest,
                                                 .media_type = push->request.media_type,
                                                 .bytes = push->request.manifest,
                                                 .length = push->request.manifest_length,
                                                 .done = on_put,
                                                 .context = push};
    push->putting = true;
    if (!manifest_put(&request, &push->failure))
        finish(push);
}

static void tell_progress(struct push *push)
{
    uint64_t done = push->settled_bytes;
    if (push->request.progress == NULL)
        return;
    for (size_t i = 0; i < PUSH_UPLOADS; i++)
        done += push->moving[i];
    push->request.progress(push->request.context, done, push->total_bytes);
}

static void on_moved(void *context, uint64_t bytes)
{
    struct lane *lane = context;
    lane->push->moving[lane - lane->push->lanes] = bytes;
    tell_progress(lane->push);
}

static void fill_lanes(struct push *push);

static void on_uploaded(void *context, enum upload_way way, const struct failure *failure)
{
    struct lane *lane = context;
    struct push *push = lane->push;
    uint64_t bytes = push->request.blobs[lane->index].bytes;
    lane->upload = NULL;
    descriptor_close(lane->descriptor);
    push->open--;
    push->moving[lane - push->lanes] = 0;
    push->settled_bytes += bytes;
    push->summary.existed += way == UPLOAD_EXISTED;
    push->summary.mounted += way == UPLOAD_MOUNTED;
    if (failure == NULL && way == UPLOAD_SENT) {
        push->summary.sent++;
        push->summary.sent_bytes += bytes;
    }
    if (failure != NULL && push->failure.kind == 0) {
        failure_copy(&push->failure, failure);
        for (size_t i = 0; i < PUSH_UPLOADS; i++)
            upload_stop(push->lanes[i].upload);
    }
    tell_progress(push);
    fill_lanes(push);
}

static bool is_twin(const struct push *push, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (strcmp(push->request.blobs[i].digest, push->request.blobs[index].digest) == 0)
            return true;
    return false;
}

static bool begin_upload(struct push *push, struct lane *lane, size_t index)
{
    const struct push_blob *blob = &push->request.blobs[index];
    lane->push = push;
    lane->index = index;
    lane->descriptor = push->request.open(push->request.context, index, &push->failure);
    if (push->failure.kind != 0)
        return false;
    const struct upload_request request = {.client = push->request.client,
                                           .repository = push->reference.repository,
                                           .digest = blob->digest,
                                           .bytes = blob->bytes,
                                           .descriptor = lane->descriptor,
                                           .mount_from = push->request.mount_from,
                                           .progress = on_moved,
                                           .done = on_uploaded,
                                           .context = lane};
    lane->upload = upload_start(&request, &push->failure);
    if (lane->upload == NULL) {
        descriptor_close(lane->descriptor);
        return false;
    }
    push->open++;
    return true;
}

/* Begins as many uploads as may run, and goes on to the manifest when all are done. */
static void fill_lanes(struct push *push)
{
    for (size_t i = 0; i < PUSH_UPLOADS && push->failure.kind == 0; i++) {
        while (push->next < push->request.count && is_twin(push, push->next))
            push->settled_bytes += push->request.blobs[push->next++].bytes;
        if (push->lanes[i].upload == NULL && push->next < push->request.count)
            begin_upload(push, &push->lanes[i], push->next++);
    }
    if (push->open > 0)
        return;
    if (push->failure.kind != 0)
        finish(push);
    else
        put_manifest(push);
}

static void on_head(void *context, const struct client_answer *answer, const struct failure *failure)
{
    struct push *push = context;
    const char *digest = client_answer_header(answer, "Docker-Content-Digest");
    push->exchange = NULL;
    if (failure != NULL)
        failure_copy(&push->failure, failure);
    else if (push->stopped)
        failure_set(&push->failure, DESCPIPE_FAILED_CANCELLED, "%s: cancelled", push->what);
    push->summary.unchanged =
        failure == NULL && answer->status == 200 && digest != NULL && strcmp(digest, push->digest) == 0;
    if (push->failure.kind != 0 || push->summary.unchanged) {
        push->summary.existed = push->summary.unchanged ? push->request.count : 0;
        finish(push);
        return;
    }
    fill_lanes(push);
}

static bool ask_what_is_there(struct push *push, struct failure *failure)
{
    cleanup(memory_free) char *path = NULL;
    if (asprintf(&path, "/v2/%s/manifests/%s", push->reference.repository,
                 push->reference.tag != NULL ? push->reference.tag : push->digest) < 0) {
        path = NULL;
        return failure_memory(failure);
    }
    const struct client_request request = {.method = "HEAD",
                                           .path = path,
                                           .repository = push->reference.repository,
                                           .actions = "pull,push",
                                           .headers = head_headers,
                                           .expected = {404},
                                           .what = push->what,
                                           .done = on_head,
                                           .context = push};
    push->exchange = registry_client_send(push->request.client, &request, failure);
    return push->exchange != NULL;
}

static bool copy_request(struct push *push, const struct push_request *request, struct failure *failure)
{
    push->request = *request;
    registry_client_retain(request->client);
    for (size_t i = 0; i < request->count; i++)
        push->total_bytes += request->blobs[i].bytes;
    if (!reference_copy(&push->reference, request->reference, failure))
        return false;
    cleanup(memory_free) char *text = reference_text(&push->reference, failure);
    if (text == NULL)
        return false;
    if (!digest_of_bytes(request->manifest, request->manifest_length, push->digest) ||
        asprintf(&push->what, "image '%s'", text) < 0) {
        push->what = NULL;
        return failure_memory(failure);
    }
    return true;
}

struct push *push_start(const struct push_request *request, struct failure *failure)
{
    struct push *push = calloc(1, sizeof *push);
    if (push == NULL) {
        failure_memory(failure);
        return NULL;
    }
    if (copy_request(push, request, failure) && ask_what_is_there(push, failure))
        return push;
    push_free(push);
    return NULL;
}

void push_stop(struct push *push)
{
    if (push == NULL || push->stopped || push->putting)
        return; /* the manifest is one small request: too late to stop */
    push->stopped = true;
    client_exchange_stop(push->exchange);
    if (push->open > 0 && push->failure.kind == 0)
        failure_set(&push->failure, DESCPIPE_FAILED_CANCELLED, "%s: cancelled", push->what);
    for (size_t i = 0; i < PUSH_UPLOADS; i++)
        upload_stop(push->lanes[i].upload);
}
