/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One blob from a registry into a file; blob.h tells how.
 *
 * Two things go on side by side: the main thread receives and writes, a helper hashes what is written. The fetch is
 * over when both have reached the end.
 */
#include "registry/image/blob.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "registry/client/retry.h"
#include "registry/client/url.h"
#include "registry/digest.h"

#define HASH_BYTES (8u << 20) /* what the helper is called for */
#define TRIES 6               /* in a row that brought nothing new */
#define SLOW_WINDOW_MS 60000

struct blob_fetch {
    struct blob_request request;
    char *repository, *digest, *path, *what;
    uint64_t written, received;
    uint64_t seen;     /* of `received`, when the slowness was looked at, */
    uint64_t grown_to; /* and the most that was ever written */
    bool complete;     /* the network's part is over */
    bool went_on;      /* from what an earlier try had left */
    bool stopped, slow;
    struct retry retry;
    struct client_exchange *exchange;
    struct descpipe_timer *pause, *watch;
    /* the helper's */
    bool hashing, rehash;
    uint64_t hash_until;
    struct digest_file hash;
    struct failure hash_failure;
    struct failure failure;
};

static const struct descpipe_host *host_of(const struct blob_fetch *fetch)
{
    return registry_client_access(fetch->request.client)->host;
}

static void fetch_free(struct blob_fetch *fetch)
{
    digest_file_clear(&fetch->hash);
    failure_clear(&fetch->hash_failure);
    failure_clear(&fetch->failure);
    free(fetch->repository);
    free(fetch->digest);
    free(fetch->path);
    free(fetch->what);
    registry_client_release(fetch->request.client);
    free(fetch);
}

static void begin(struct blob_fetch *fetch);
static void settle(struct blob_fetch *fetch);

/* Everything again, from the first byte. */
static bool start_over(struct blob_fetch *fetch, struct failure *failure)
{
    if (ftruncate(fetch->request.descriptor, 0) != 0)
        return failure_system(failure, "%s: cannot empty its file", fetch->what);
    fetch->written = 0;
    if (fetch->hashing)
        fetch->rehash = true; /* the helper's hash is its own until it is back */
    else
        digest_file_clear(&fetch->hash);
    return true;
}

/* --- the hash --- */

static void work_on_hash(void *context)
{
    struct blob_fetch *fetch = context;
    if (fetch->hash.hash != NULL || digest_file_begin(&fetch->hash, &fetch->hash_failure))
        digest_file_advance(&fetch->hash, fetch->request.descriptor, fetch->hash_until, &fetch->hash_failure);
}

static void on_hashed(void *context)
{
    struct blob_fetch *fetch = context;
    fetch->hashing = false;
    if (fetch->rehash) {
        fetch->rehash = false;
        digest_file_clear(&fetch->hash);
        failure_clear(&fetch->hash_failure);
    }
    if (fetch->hash_failure.kind != 0 && fetch->failure.kind == 0) {
        failure_copy(&fetch->failure, &fetch->hash_failure);
        failure_wrap(&fetch->failure, "%s", fetch->what);
        client_exchange_stop(fetch->exchange);
    }
    settle(fetch);
}

static void hash_on(struct blob_fetch *fetch)
{
    const struct descpipe_host *host = host_of(fetch);
    uint64_t behind = fetch->written - fetch->hash.hashed;
    if (fetch->hashing || fetch->failure.kind != 0 || behind == 0 || (behind < HASH_BYTES && !fetch->complete))
        return;
    fetch->hashing = true;
    fetch->hash_until = fetch->written;
    host->work->run(host, work_on_hash, on_hashed, fetch);
}

/* --- the end --- */

/* The digest of all that came. False: it is not what it should be. */
static bool check_digest(struct blob_fetch *fetch)
{
    char actual[DIGEST_SIZE];
    if (fetch->hash.hash == NULL && !digest_file_begin(&fetch->hash, &fetch->failure)) /* an empty blob */
        return false;
    if (!digest_file_end(&fetch->hash, actual, &fetch->failure))
        return false;
    if (strcmp(actual, fetch->digest) == 0)
        return true;
    const struct access *access = registry_client_access(fetch->request.client);
    struct failure ignored = FAILURE_INIT;
    start_over(fetch, &ignored); /* nothing of it is worth to go on from */
    failure_clear(&ignored);
    failure_set(&fetch->failure, DESCPIPE_FAILED_REFUSED,
                "%s: '%s' sent something else than it was asked for: its digest is %s", fetch->what, access->server,
                actual);
    return failure_hint(&fetch->failure,
                        "a proxy or the registry has damaged it: try another mirror, or push it again");
}

static void finish(struct blob_fetch *fetch)
{
    const struct descpipe_host *host = host_of(fetch);
    if (fetch->watch != NULL)
        host->timer->stop(fetch->watch);
    fetch->request.done(fetch->request.context, fetch->received, fetch->failure.kind != 0 ? &fetch->failure : NULL);
    fetch_free(fetch);
}

/* Looks whether it is over; whatever ends (network, helper) calls this last. */
static void settle(struct blob_fetch *fetch)
{
    hash_on(fetch);
    if (fetch->hashing || fetch->exchange != NULL || fetch->pause != NULL)
        return;
    if (fetch->failure.kind == 0 && fetch->complete && fetch->hash.hashed == fetch->request.bytes &&
        !check_digest(fetch) && fetch->went_on && !fetch->stopped) {
        /* What lay there from before may have been the damaged part. */
        failure_clear(&fetch->failure);
        fetch->went_on = fetch->complete = false;
        begin(fetch);
        return;
    }
    if (fetch->failure.kind != 0 || fetch->complete)
        finish(fetch);
}

/* --- the network --- */

/* "bytes 100-200/201" begins where we asked? */
static bool range_begins_at(const char *range, uint64_t offset)
{
    static const char unit[] = "bytes ";
    if (range == NULL || strncasecmp(range, unit, strlen(unit)) != 0)
        return false;
    char *rest;
    errno = 0;
    unsigned long long first = strtoull(range + strlen(unit), &rest, 10);
    return errno == 0 && *rest == '-' && first == offset;
}

static bool fail_length(const struct blob_fetch *fetch, const char *length, struct failure *failure)
{
    return failure_set(failure, DESCPIPE_FAILED_REFUSED, "%s: '%s' sends %s bytes, and its manifest says %llu",
                       fetch->what, registry_client_access(fetch->request.client)->server, length,
                       (unsigned long long)fetch->request.bytes);
}

static bool on_started(void *context, const struct client_answer *answer, struct failure *failure)
{
    struct blob_fetch *fetch = context;
    const char *length = client_answer_header(answer, "Content-Length");
    if (answer->status == 206) {
        if (!range_begins_at(client_answer_header(answer, "Content-Range"), fetch->written))
            return failure_set(failure, DESCPIPE_FAILED_REFUSED, "%s: '%s' sends another part than it was asked for",
                               fetch->what, registry_client_access(fetch->request.client)->server);
    } else if (fetch->written > 0 && !start_over(fetch, failure))
        return false;
    if (length != NULL && strtoull(length, NULL, 10) != fetch->request.bytes - fetch->written)
        return fail_length(fetch, length, failure);
    return true;
}

static bool write_all(int descriptor, const char *bytes, size_t length, uint64_t offset)
{
    while (length > 0) {
        ssize_t written = pwrite(descriptor, bytes, length, (off_t)offset);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        bytes += written;
        offset += (uint64_t)written;
        length -= (size_t)written;
    }
    return true;
}

static bool on_data(void *context, const void *bytes, size_t length, struct failure *failure)
{
    struct blob_fetch *fetch = context;
    if (length > fetch->request.bytes - fetch->written)
        return fail_length(fetch, "more", failure);
    if (!write_all(fetch->request.descriptor, bytes, length, fetch->written))
        return failure_system(failure, "%s: cannot write what was received", fetch->what);
    fetch->written += length;
    fetch->received += length;
    if (fetch->request.progress != NULL)
        fetch->request.progress(fetch->request.context, fetch->written);
    hash_on(fetch);
    return true;
}

static void pause_over(void *context)
{
    struct blob_fetch *fetch = context;
    fetch->pause = NULL;
    if (fetch->stopped)
        settle(fetch);
    else
        begin(fetch);
}

/* Again after a pause? Tries count only while nothing new comes. */
static bool try_again(struct blob_fetch *fetch, const struct client_answer *answer, const struct failure *failure)
{
    const struct descpipe_host *host = host_of(fetch);
    bool passes = failure == NULL || fetch->slow || failure->kind == DESCPIPE_FAILED_CANNOT_ASK ||
                  failure->kind == DESCPIPE_FAILED_LATER;
    uint64_t pause_ms;
    if (!passes || fetch->stopped || fetch->failure.kind != 0)
        return false;
    if (fetch->written > fetch->grown_to) {
        fetch->grown_to = fetch->written;
        fetch->retry.tried = 0;
    }
    int64_t named_ms = retry_after_ms(client_answer_header(answer, "Retry-After"), 0);
    if (!retry_next(&fetch->retry, named_ms, &pause_ms))
        return false;
    fetch->slow = false;
    fetch->pause = host->timer->start(host, pause_ms, pause_over, fetch);
    return true;
}

static void on_answer(void *context, const struct client_answer *answer, const struct failure *failure)
{
    struct blob_fetch *fetch = context;
    fetch->exchange = NULL;
    if (failure == NULL && fetch->written == fetch->request.bytes)
        fetch->complete = true;
    else if (!try_again(fetch, answer, failure) && fetch->failure.kind == 0) {
        if (failure != NULL && !fetch->slow)
            failure_copy(&fetch->failure, failure);
        else if (fetch->slow)
            failure_set(&fetch->failure, DESCPIPE_FAILED_CANNOT_ASK, "%s: '%s' sends less than %d bytes a second",
                        fetch->what, registry_client_access(fetch->request.client)->server, BLOB_SLOWEST);
        else
            failure_set(&fetch->failure, DESCPIPE_FAILED_CANNOT_ASK, "%s: '%s' ends the answer too early", fetch->what,
                        registry_client_access(fetch->request.client)->server);
    }
    settle(fetch);
}

/* A server that sends a byte now and then would keep us for ever. */
static void look_at_speed(void *context)
{
    struct blob_fetch *fetch = context;
    const struct descpipe_host *host = host_of(fetch);
    uint64_t window_ms = fetch->request.slow_window_ms;
    bool slow = (fetch->received - fetch->seen) * 1000 < window_ms * BLOB_SLOWEST;
    fetch->seen = fetch->received;
    fetch->watch = host->timer->start(host, window_ms, look_at_speed, fetch);
    if (!slow || fetch->exchange == NULL || fetch->slow)
        return;
    fetch->slow = true;
    client_exchange_stop(fetch->exchange);
}

static void begin(struct blob_fetch *fetch)
{
    char range[64];
    const char *const headers[] = {range, NULL};
    snprintf(range, sizeof range, "Range: bytes=%llu-", (unsigned long long)fetch->written);
    if (fetch->written == fetch->request.bytes) {
        fetch->complete = true;
        settle(fetch);
        return;
    }
    const struct client_request request = {.method = "GET",
                                           .path = fetch->path,
                                           .repository = fetch->repository,
                                           .actions = "pull",
                                           .headers = fetch->written > 0 ? headers : NULL,
                                           .answer_limit = fetch->request.bytes,
                                           .flags = CLIENT_NO_RETRY | CLIENT_LARGE,
                                           .what = fetch->what,
                                           .started = on_started,
                                           .data = on_data,
                                           .done = on_answer,
                                           .context = fetch};
    fetch->exchange = registry_client_send(fetch->request.client, &request, &fetch->failure);
    if (fetch->exchange == NULL)
        settle(fetch);
}

/* What lies there already. */
static bool take_rest(struct blob_fetch *fetch, struct failure *failure)
{
    struct stat status;
    if (fstat(fetch->request.descriptor, &status) != 0)
        return failure_system(failure, "%s: its file", fetch->what);
    fetch->written = (uint64_t)status.st_size;
    if (fetch->written > fetch->request.bytes)
        return start_over(fetch, failure);
    fetch->went_on = fetch->written > 0;
    fetch->grown_to = fetch->written;
    return true;
}

static bool copy_request(struct blob_fetch *fetch, const struct blob_request *request, struct failure *failure)
{
    fetch->request = *request;
    registry_client_retain(request->client);
    if (fetch->request.slow_window_ms == 0)
        fetch->request.slow_window_ms = SLOW_WINDOW_MS;
    fetch->retry = (struct retry){.tries = TRIES, .patience_ms = registry_client_patience(request->client)};
    fetch->repository = strdup(request->repository);
    fetch->digest = strdup(request->digest);
    if (asprintf(&fetch->path, "/v2/%s/blobs/%s", request->repository, request->digest) < 0)
        fetch->path = NULL;
    if (asprintf(&fetch->what, "blob %.19s of '%s/%s'", request->digest,
                 registry_client_access(request->client)->server, request->repository) < 0)
        fetch->what = NULL;
    return fetch->repository != NULL && fetch->digest != NULL && fetch->path != NULL && fetch->what != NULL
               ? true
               : failure_memory(failure);
}

struct blob_fetch *blob_fetch_start(const struct blob_request *request, struct failure *failure)
{
    struct blob_fetch *fetch = calloc(1, sizeof *fetch);
    if (fetch == NULL) {
        failure_memory(failure);
        return NULL;
    }
    if (!copy_request(fetch, request, failure) || !take_rest(fetch, failure)) {
        fetch_free(fetch);
        return NULL;
    }
    const struct descpipe_host *host = host_of(fetch);
    fetch->pause = host->timer->start(host, 0, pause_over, fetch);
    fetch->watch = host->timer->start(host, fetch->request.slow_window_ms, look_at_speed, fetch);
    return fetch;
}

void blob_fetch_stop(struct blob_fetch *fetch)
{
    if (fetch == NULL || fetch->stopped)
        return;
    const struct descpipe_host *host = host_of(fetch);
    fetch->stopped = true;
    if (fetch->failure.kind == 0)
        failure_set(&fetch->failure, DESCPIPE_FAILED_CANCELLED, "%s: cancelled", fetch->what);
    client_exchange_stop(fetch->exchange);
    if (fetch->pause != NULL) {
        host->timer->stop(fetch->pause);
        fetch->pause = host->timer->start(host, 0, pause_over, fetch);
    }
}
