/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One blob to a registry; upload.h tells how.
 *
 *     ask (HEAD) → mount (POST, once for each candidate) → session (POST) → part (PATCH ...) → close (PUT)
 *                                                          ↑     ↓ lost
 *                                                          where (GET)
 */
#include "registry/image/upload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "registry/client/retry.h"
#include "registry/client/url.h"

#define TRIES 6 /* in a row that sent nothing new */
/* Of one request, once something on the way (a proxy, 413) has refused a longer one. */
#define CHUNK_BYTES (8ull << 20)
#define CHUNK_BYTES_LEAST (256ull << 10)
#define EXPECTED 3

struct upload {
    struct upload_request request;
    char *repository, *digest, *what;
    char **mounts; /* ends with NULL */
    size_t mount;  /* the next one to be tried */
    char *place;   /* the session's URL; NULL: none yet */
    uint64_t sent, part, grown_to;
    uint64_t chunk_bytes; /* of one request; 0: all that is left */
    bool closing;         /* the last request was the one that closes the session */
    bool stopped;
    struct retry retry;
    struct client_exchange *exchange;
    struct descpipe_timer *pause;
    void (*next)(struct upload *upload); /* what the pause is before */
    struct failure failure;
};

static const struct access *access_of(const struct upload *upload)
{
    return registry_client_access(upload->request.client);
}

static void upload_free(struct upload *upload)
{
    failure_clear(&upload->failure);
    free(upload->repository);
    free(upload->digest);
    free(upload->what);
    for (size_t i = 0; upload->mounts != NULL && upload->mounts[i] != NULL; i++)
        free(upload->mounts[i]);
    free((void *)upload->mounts);
    free(upload->place);
    registry_client_release(upload->request.client);
    free(upload);
}

static void finish(struct upload *upload, enum upload_way way, const struct failure *failure)
{
    upload->request.done(upload->request.context, way, failure);
    upload_free(upload);
}

static void fail(struct upload *upload)
{
    finish(upload, UPLOAD_SENT, &upload->failure);
}

struct question {
    const char *method;
    const char *path; /* or a whole URL */
    const char *mount_from;
    const char *const *headers;
    uint64_t offset, length; /* of the blob */
    unsigned flags;
    int expected[EXPECTED];
    void (*answered)(void *context, const struct client_answer *answer, const struct failure *failure);
};

static bool send(struct upload *upload, const struct question *question)
{
    struct client_request request = {.method = question->method,
                                     .path = question->path,
                                     .repository = upload->repository,
                                     .actions = "pull,push",
                                     .mount_from = question->mount_from,
                                     .headers = question->headers,
                                     .body_descriptor = question->length > 0 ? upload->request.descriptor : 0,
                                     .body_offset = question->offset,
                                     .body_length = question->length,
                                     .flags = question->flags,
                                     .what = upload->what,
                                     .done = question->answered,
                                     .context = upload};
    memcpy(request.expected, question->expected, sizeof question->expected);
    upload->exchange = registry_client_send(upload->request.client, &request, &upload->failure);
    return upload->exchange != NULL;
}

/* The common beginning of every answer; true: there is one to judge. */
static bool take_answer(struct upload *upload, const struct failure *failure)
{
    upload->exchange = NULL;
    if (failure == NULL && !upload->stopped)
        return true;
    if (failure != NULL)
        failure_copy(&upload->failure, failure);
    else
        failure_set(&upload->failure, DESCPIPE_FAILED_CANCELLED, "%s: cancelled", upload->what);
    return false;
}

/* Where the next part goes, as the answer says; false: a failure. */
static bool take_place(struct upload *upload, const struct client_answer *answer)
{
    const char *location = client_answer_header(answer, "Location");
    if (location == NULL)
        return failure_set(&upload->failure, DESCPIPE_FAILED_REFUSED, "%s: '%s' does not say where to send it",
                           upload->what, access_of(upload)->server);
    const char *endpoint = access_of(upload)->endpoint;
    cleanup(memory_free) char *place = url_resolve(answer->url, location, &upload->failure);
    if (place == NULL)
        return failure_wrap(&upload->failure, "%s", upload->what);
    if (!url_same_origin(place, endpoint) && url_same_host(place, endpoint)) {
        /* Behind a proxy that speaks TLS for it a registry may write http, or its own port. */
        size_t length;
        const char *host = url_host(place, &length);
        char *path = url_resolve(endpoint, host[length] != '\0' ? host + length : "/", &upload->failure);
        if (path == NULL)
            return failure_wrap(&upload->failure, "%s", upload->what);
        free(place);
        place = path;
    }
    free(upload->place);
    upload->place = steal(&place);
    return true;
}

static void ask_for_session(struct upload *upload);
static void send_part(struct upload *upload);
static void ask_where(struct upload *upload);

/* --- repeating --- */

static void pause_over(void *context)
{
    struct upload *upload = context;
    upload->pause = NULL;
    if (upload->stopped) {
        failure_set(&upload->failure, DESCPIPE_FAILED_CANCELLED, "%s: cancelled", upload->what);
        fail(upload);
        return;
    }
    upload->next(upload);
}

/* After something was lost: `next` after a pause, or the end with the failure. */
static void recover(struct upload *upload, const struct failure *failure, void (*next)(struct upload *upload))
{
    const struct descpipe_host *host = access_of(upload)->host;
    bool passes = failure->kind == DESCPIPE_FAILED_CANNOT_ASK || failure->kind == DESCPIPE_FAILED_LATER;
    uint64_t pause_ms;
    if (upload->sent > upload->grown_to) {
        upload->grown_to = upload->sent;
        upload->retry.tried = 0;
    }
    if (upload->stopped || !passes || !retry_next(&upload->retry, -1, &pause_ms)) {
        if (&upload->failure != failure)
            failure_copy(&upload->failure, failure);
        fail(upload);
        return;
    }
    failure_clear(&upload->failure);
    upload->next = next;
    upload->pause = host->timer->start(host, pause_ms, pause_over, upload);
}

static void forget_session(struct upload *upload)
{
    free(upload->place);
    upload->place = NULL;
    upload->sent = 0;
}

/* --- closing --- */

static void on_existence_after_loss(void *context, const struct client_answer *answer, const struct failure *failure)
{
    struct upload *upload = context;
    if (!take_answer(upload, failure)) {
        fail(upload);
        return;
    }
    if (answer->status == 200) {
        finish(upload, UPLOAD_SENT, NULL);
        return;
    }
    forget_session(upload);
    failure_set(&upload->failure, DESCPIPE_FAILED_LATER, "%s: '%s' lost it at the end", upload->what,
                access_of(upload)->server);
    recover(upload, &upload->failure, ask_for_session);
}

static bool ask_existence(struct upload *upload,
                          void (*answered)(void *, const struct client_answer *, const struct failure *))
{
    cleanup(memory_free) char *path = NULL;
    if (asprintf(&path, "/v2/%s/blobs/%s", upload->repository, upload->digest) < 0) {
        path = NULL;
        return failure_memory(&upload->failure);
    }
    return send(upload, &(struct question){.method = "HEAD", .path = path, .expected = {404}, .answered = answered});
}

static void ask_existence_after_loss(struct upload *upload)
{
    if (!ask_existence(upload, on_existence_after_loss))
        fail(upload);
}

static void on_closed(void *context, const struct client_answer *answer, const struct failure *failure)
{
    struct upload *upload = context;
    (void)answer;
    upload->exchange = NULL;
    if (failure == NULL)
        finish(upload, UPLOAD_SENT, NULL);
    else if (failure->kind == DESCPIPE_FAILED_NOT_FOUND) { /* the session is over: with the blob, or without? */
        failure_set(&upload->failure, DESCPIPE_FAILED_LATER, "%s", failure_message(failure));
        recover(upload, &upload->failure, ask_existence_after_loss);
    } else
        recover(upload, failure, ask_existence_after_loss);
}

static void close_session(struct upload *upload)
{
    cleanup(memory_free) char *url = url_add_parameter(upload->place, "digest", upload->digest, &upload->failure);
    if (url == NULL ||
        !send(upload, &(struct question){.method = "PUT", .path = url, .flags = CLIENT_ONCE, .answered = on_closed}))
        fail(upload);
}

/* --- sending --- */

/* "0-99", how far it got → 100; "0-0" is nothing at all, as registries write it. */
static bool read_range(const char *range, uint64_t *sent)
{
    char *rest;
    if (range == NULL)
        return false;
    if (strncasecmp(range, "bytes=", 6) == 0)
        range += 6;
    errno = 0;
    unsigned long long first = strtoull(range, &rest, 10);
    if (errno != 0 || first != 0 || *rest != '-')
        return false;
    unsigned long long last = strtoull(rest + 1, &rest, 10);
    if (errno != 0 || *rest != '\0')
        return false;
    *sent = last > 0 ? last + 1 : 0;
    return true;
}

static void on_where(void *context, const struct client_answer *answer, const struct failure *failure)
{
    struct upload *upload = context;
    uint64_t sent;
    if (!take_answer(upload, failure)) {
        recover(upload, &upload->failure, ask_where);
        return;
    }
    bool known = answer->status / 100 == 2 && read_range(client_answer_header(answer, "Range"), &sent) &&
                 sent <= upload->request.bytes && take_place(upload, answer);
    failure_clear(&upload->failure);
    if (!known) {
        forget_session(upload);
        ask_for_session(upload);
        return;
    }
    upload->sent = sent;
    send_part(upload);
}

static void ask_where(struct upload *upload)
{
    if (!send(upload,
              &(struct question){.method = "GET", .path = upload->place, .expected = {404, 400}, .answered = on_where}))
        fail(upload);
}

/* The session is as it was: nothing of the part came that far. */
static void send_in_shorter_parts(struct upload *upload)
{
    upload->chunk_bytes = upload->part > 2 * CHUNK_BYTES ? CHUNK_BYTES : (upload->part + 1) / 2;
    if (upload->chunk_bytes >= CHUNK_BYTES_LEAST) {
        ask_where(upload);
        return;
    }
    failure_set(&upload->failure, DESCPIPE_FAILED_REFUSED, "%s: '%s' takes no request of %llu bytes", upload->what,
                access_of(upload)->server, (unsigned long long)upload->part);
    failure_hint(&upload->failure, "it answered 413: a proxy before the registry may limit what is sent through it");
    fail(upload);
}

static void on_part(void *context, const struct client_answer *answer, const struct failure *failure)
{
    struct upload *upload = context;
    uint64_t sent = upload->sent + upload->part;
    if (!take_answer(upload, failure)) {
        recover(upload, &upload->failure, ask_where);
        return;
    }
    if (answer->status == 413) {
        send_in_shorter_parts(upload);
        return;
    }
    if (answer->status == 404 || answer->status == 416) { /* it has lost the session, or counts otherwise than we */
        failure_set(&upload->failure, DESCPIPE_FAILED_LATER, "%s: '%s' answered %d to a part of it", upload->what,
                    access_of(upload)->server, answer->status);
        recover(upload, &upload->failure, ask_where);
        return;
    }
    uint64_t told;
    if (read_range(client_answer_header(answer, "Range"), &told) && told < sent)
        sent = told;
    upload->sent = sent;
    if (!take_place(upload, answer)) {
        fail(upload);
        return;
    }
    if (upload->request.progress != NULL)
        upload->request.progress(upload->request.context, upload->sent);
    send_part(upload);
}

static void send_part(struct upload *upload)
{
    uint64_t left = upload->request.bytes - upload->sent, chunk = upload->chunk_bytes;
    char range[64];
    const char *const headers[] = {"Content-Type: application/octet-stream", range, NULL};
    if (left == 0) {
        close_session(upload);
        return;
    }
    upload->part = chunk > 0 && chunk < left ? chunk : left;
    snprintf(range, sizeof range, "Content-Range: %llu-%llu", (unsigned long long)upload->sent,
             (unsigned long long)(upload->sent + upload->part - 1));
    if (!send(upload, &(struct question){.method = "PATCH",
                                         .path = upload->place,
                                         .headers = headers,
                                         .offset = upload->sent,
                                         .length = upload->part,
                                         .flags = CLIENT_ONCE | CLIENT_LARGE | CLIENT_NO_RETRY,
                                         .expected = {404, 413, 416},
                                         .answered = on_part}))
        fail(upload);
}

/* --- beginning --- */

static void on_session(void *context, const struct client_answer *answer, const struct failure *failure)
{
    struct upload *upload = context;
    if (take_answer(upload, failure) && take_place(upload, answer))
        send_part(upload);
    else
        fail(upload);
}

static void ask_for_session(struct upload *upload)
{
    cleanup(memory_free) char *path = NULL;
    bool good = true;
    if (upload->request.descriptor < 0)
        good = failure_set(&upload->failure, DESCPIPE_FAILED_NOT_FOUND, "%s: neither '%s' nor this machine has it",
                           upload->what, access_of(upload)->server);
    else if (asprintf(&path, "/v2/%s/blobs/uploads/", upload->repository) < 0) {
        path = NULL;
        good = failure_memory(&upload->failure);
    }
    if (!good || !send(upload, &(struct question){.method = "POST", .path = path, .answered = on_session}))
        fail(upload);
}

static void try_mount(struct upload *upload);

/* What does not allow it, or does not have it, only means that the blob must be sent. */
static void on_mount(void *context, const struct client_answer *answer, const struct failure *failure)
{
    struct upload *upload = context;
    bool refused =
        failure != NULL && (failure->kind == DESCPIPE_FAILED_NEEDS_LOGIN ||
                            failure->kind == DESCPIPE_FAILED_NOT_FOUND || failure->kind == DESCPIPE_FAILED_REFUSED);
    if (!take_answer(upload, failure) && (!refused || upload->stopped)) {
        fail(upload);
        return;
    }
    failure_clear(&upload->failure);
    if (failure == NULL && answer->status == 201) {
        finish(upload, UPLOAD_MOUNTED, NULL);
        return;
    }
    /* 202: a session for sending it. It serves when there is nothing left to mount from. */
    bool last = upload->mounts[upload->mount] == NULL;
    if (failure == NULL && last && upload->request.descriptor >= 0 && take_place(upload, answer)) {
        send_part(upload);
        return;
    }
    failure_clear(&upload->failure);
    try_mount(upload);
}

static void try_mount(struct upload *upload)
{
    cleanup(memory_free) char *base = NULL, *with_digest = NULL, *path = NULL;
    const char *from = upload->mounts[upload->mount];
    while (from != NULL && strcmp(from, upload->repository) == 0)
        from = upload->mounts[++upload->mount];
    if (from == NULL) {
        ask_for_session(upload);
        return;
    }
    upload->mount++;
    if (asprintf(&base, "/v2/%s/blobs/uploads/", upload->repository) < 0) {
        base = NULL;
        failure_memory(&upload->failure);
    } else if ((with_digest = url_add_parameter(base, "mount", upload->digest, &upload->failure)) != NULL)
        path = url_add_parameter(with_digest, "from", from, &upload->failure);
    if (path == NULL ||
        !send(upload, &(struct question){.method = "POST", .path = path, .mount_from = from, .answered = on_mount}))
        fail(upload);
}

static void on_existence(void *context, const struct client_answer *answer, const struct failure *failure)
{
    struct upload *upload = context;
    if (!take_answer(upload, failure))
        fail(upload);
    else if (answer->status == 200)
        finish(upload, UPLOAD_EXISTED, NULL);
    else
        try_mount(upload);
}

static bool copy_mounts(struct upload *upload, const char *const *mounts)
{
    size_t count = 0;
    while (mounts != NULL && mounts[count] != NULL)
        count++;
    upload->mounts = calloc(count + 1, sizeof *upload->mounts);
    for (size_t i = 0; upload->mounts != NULL && i < count; i++)
        if ((upload->mounts[i] = strdup(mounts[i])) == NULL)
            return false;
    return upload->mounts != NULL;
}

struct upload *upload_start(const struct upload_request *request, struct failure *failure)
{
    struct upload *upload = calloc(1, sizeof *upload);
    if (upload == NULL) {
        failure_memory(failure);
        return NULL;
    }
    upload->request = *request;
    registry_client_retain(request->client);
    upload->retry = (struct retry){.tries = TRIES, .patience_ms = 10 * RETRY_LONGEST_MS};
    upload->repository = strdup(request->repository);
    upload->digest = strdup(request->digest);
    if (asprintf(&upload->what, "blob %.19s to '%s/%s'", request->digest, access_of(upload)->server,
                 request->repository) < 0)
        upload->what = NULL;
    bool good = upload->repository != NULL && upload->digest != NULL && upload->what != NULL &&
                copy_mounts(upload, request->mount_from);
    if (!good)
        failure_memory(failure);
    else if (ask_existence(upload, on_existence))
        return upload;
    else
        failure_copy(failure, &upload->failure);
    upload_free(upload);
    return NULL;
}

void upload_stop(struct upload *upload)
{
    if (upload == NULL || upload->stopped)
        return;
    const struct descpipe_host *host = access_of(upload)->host;
    upload->stopped = true;
    client_exchange_stop(upload->exchange);
    if (upload->pause != NULL) {
        host->timer->stop(upload->pause);
        upload->pause = host->timer->start(host, 0, pause_over, upload);
    }
}
