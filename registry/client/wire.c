/* SPDX-License-Identifier: BSD-3-Clause */
/* One HTTP request with its repetitions. */
#include "registry/client/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "registry/client/explain.h"
#include "registry/client/retry.h"
#include "registry/client/url.h"

#define IDLE_TIMEOUT_MS 30000
#define LARGE_IDLE_TIMEOUT_MS 60000
#define TOLD_PAUSE_MS 5000 /* a longer one is told */
#define CONNECT_TRIES 3    /* a name that does not exist will not exist in ten seconds either */

struct wire {
    struct wire_request request; /* pointers into what follows */
    char *method, *url, *what;
    char **headers; /* of the request, end with NULL */
    struct descpipe_secret *bearer;
    void *body;
    struct retry retry;
    struct descpipe_exchange *exchange; /* on the wire */
    struct descpipe_timer *timer;       /* pausing */
    bool stopped;
    struct failure failure; /* why we ended the exchange ourselves */
    /* the answer */
    int status;
    char **answer_headers; /* name, value, ..., NULL */
    size_t headers_count, header_bytes;
    char *answer;
    size_t answer_length, answer_capacity;
};

static void free_texts(char **texts)
{
    for (size_t i = 0; texts != NULL && texts[i] != NULL; i++) {
        explicit_bzero(texts[i], strlen(texts[i]));
        free(texts[i]);
    }
    free((void *)texts);
}

static void forget_answer(struct wire *wire)
{
    free_texts(steal(&wire->answer_headers));
    if (wire->answer != NULL)
        explicit_bzero(wire->answer, wire->answer_length); /* tokens come this way */
    free(steal(&wire->answer));
    wire->headers_count = wire->header_bytes = 0;
    wire->answer_length = wire->answer_capacity = 0;
    wire->status = 0;
    failure_clear(&wire->failure);
}

static void wire_free(struct wire *wire)
{
    const struct descpipe_host *host = wire->request.access->host;
    forget_answer(wire);
    free(wire->method);
    free(wire->url);
    free(wire->what);
    free_texts(wire->headers);
    if (wire->bearer != NULL)
        host->secret->release(wire->bearer);
    if (wire->body != NULL)
        explicit_bzero(wire->body, (size_t)wire->request.body_length);
    free(wire->body);
    free(wire);
}

static struct client_answer answer_of(const struct wire *wire, const char *url)
{
    static const char *const nothing[] = {NULL};
    return (struct client_answer){.status = wire->status,
                                  .url = url != NULL ? url : wire->url,
                                  .body = wire->answer != NULL ? wire->answer : "",
                                  .body_length = wire->answer_length,
                                  .headers = wire->answer_headers != NULL ? (const char *const *)wire->answer_headers
                                                                          : nothing};
}

static void finish(struct wire *wire, const char *url, const struct failure *failure)
{
    struct client_answer answer = answer_of(wire, url);
    wire->request.done(wire->request.context, &answer, failure);
    wire_free(wire);
}

static void end_exchange(struct wire *wire)
{
    if (wire->exchange != NULL)
        wire->request.access->host->http->stop(wire->exchange);
}

static bool streams(const struct wire *wire)
{
    return wire->request.data != NULL && wire->status / 100 == 2;
}

static bool keep_header(struct wire *wire, const char *name, const char *value)
{
    size_t bytes = strlen(name) + strlen(value);
    if (wire->headers_count == WIRE_HEADERS_LIMIT || bytes > WIRE_HEADER_BYTES_LIMIT - wire->header_bytes)
        return failure_set(&wire->failure, DESCPIPE_FAILED_REFUSED, "%s: the answer has too many headers", wire->what);
    if (wire->answer_headers == NULL)
        wire->answer_headers = calloc(2 * WIRE_HEADERS_LIMIT + 1, sizeof *wire->answer_headers);
    char *name_copy = strdup(name), *value_copy = strdup(value);
    if (wire->answer_headers == NULL || name_copy == NULL || value_copy == NULL) {
        free(name_copy);
        free(value_copy);
        return failure_memory(&wire->failure);
    }
    wire->answer_headers[2 * wire->headers_count] = name_copy;
    wire->answer_headers[2 * wire->headers_count + 1] = value_copy;
    wire->headers_count++;
    wire->header_bytes += bytes;
    return true;
}

static void on_header(void *context, const char *name, const char *value)
{
    struct wire *wire = context;
    if (wire->failure.kind == 0 && !keep_header(wire, name, value))
        end_exchange(wire);
}

static void on_started(void *context, int32_t status)
{
    struct wire *wire = context;
    wire->status = status;
    if (wire->failure.kind != 0 || !streams(wire) || wire->request.started == NULL)
        return;
    struct client_answer answer = answer_of(wire, NULL);
    if (!wire->request.started(wire->request.context, &answer, &wire->failure))
        end_exchange(wire);
}

/* What an error says is cut, not refused: only its first words are of use. */
static size_t room_for(const struct wire *wire, size_t length)
{
    if (wire->status / 100 == 2)
        return length; /* the http service holds it to answer_limit */
    size_t left = WIRE_ERROR_BYTES - wire->answer_length;
    return length < left ? length : left;
}

static bool gather(struct wire *wire, const void *bytes, size_t length)
{
    length = room_for(wire, length);
    if (wire->answer_length + length + 1 > wire->answer_capacity) {
        size_t capacity = 2 * (wire->answer_length + length) + 1024;
        char *larger = malloc(capacity);
        if (larger == NULL)
            return failure_memory(&wire->failure);
        if (wire->answer != NULL) {
            memcpy(larger, wire->answer, wire->answer_length);
            explicit_bzero(wire->answer, wire->answer_length);
        }
        free(wire->answer);
        wire->answer = larger;
        wire->answer_capacity = capacity;
    }
    memcpy(wire->answer + wire->answer_length, bytes, length);
    wire->answer_length += length;
    wire->answer[wire->answer_length] = '\0';
    return true;
}

static void on_data(void *context, const void *bytes, uint64_t length)
{
    struct wire *wire = context;
    if (wire->failure.kind != 0)
        return;
    bool good = streams(wire) ? wire->request.data(wire->request.context, bytes, (size_t)length, &wire->failure)
                              : gather(wire, bytes, (size_t)length);
    if (!good)
        end_exchange(wire);
}

static void begin(struct wire *wire);

static void pause_over(void *context)
{
    struct wire *wire = context;
    wire->timer = NULL;
    begin(wire);
}

static bool status_passes(int status)
{
    return status == 408 || status == 429 || status == 500 || status == 502 || status == 503 || status == 504;
}

/* May the same be asked again after this end? */
static bool may_repeat(struct wire *wire, const struct descpipe_http_end *end)
{
    if ((wire->request.flags & CLIENT_NO_RETRY) != 0)
        return false;
    bool once = (wire->request.flags & CLIENT_ONCE) != 0;
    switch (end->outcome) {
    case DESCPIPE_HTTP_DONE:
        return once ? wire->status == 429 || wire->status == 503 : status_passes(wire->status);
    case DESCPIPE_HTTP_CANNOT_CONNECT:
        if (wire->retry.tries > CONNECT_TRIES)
            wire->retry.tries = CONNECT_TRIES;
        return true;
    case DESCPIPE_HTTP_CUT:
    case DESCPIPE_HTTP_TIMED_OUT:
        return !once;
    default:
        return false;
    }
}

/* Who waits for long should know for what. */
static void tell_pause(const struct wire *wire, uint64_t pause_ms)
{
    const struct access *access = wire->request.access;
    char line[512];
    if (pause_ms < TOLD_PAUSE_MS)
        return;
    snprintf(line, sizeof line, "%.300s: '%.100s' wants to be asked again in %llu s; waiting", wire->what,
             access->server, (unsigned long long)((pause_ms + 999) / 1000));
    access->host->log->write(access->host, DESCPIPE_LOG_NOTICE, line);
}

static bool try_again(struct wire *wire, const struct descpipe_http_end *end)
{
    const struct descpipe_host *host = wire->request.access->host;
    struct client_answer answer = answer_of(wire, NULL);
    int64_t named_ms = retry_after_ms(client_answer_header(&answer, "Retry-After"), clock_now_ms());
    uint64_t pause_ms;
    if (!may_repeat(wire, end) || !retry_next(&wire->retry, named_ms, &pause_ms))
        return false;
    forget_answer(wire);
    if (named_ms >= 0)
        tell_pause(wire, pause_ms);
    wire->timer = host->timer->start(host, pause_ms, pause_over, wire);
    return true;
}

static void on_ended(void *context, const struct descpipe_http_end *end)
{
    struct wire *wire = context;
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    wire->exchange = NULL;
    if (wire->stopped)
        failure_set(&failure, DESCPIPE_FAILED_CANCELLED, "%s: cancelled", wire->what);
    else if (wire->failure.kind != 0) {
        failure = wire->failure;
        wire->failure = FAILURE_INIT;
    } else if (try_again(wire, end))
        return;
    else if (end->outcome != DESCPIPE_HTTP_DONE)
        explain_end(&failure, wire->request.access, wire->what, end);
    finish(wire, end->url, failure.kind != 0 ? &failure : NULL);
}

static void begin(struct wire *wire)
{
    const struct wire_request *request = &wire->request;
    const struct access *access = request->access;
    bool large = (request->flags & CLIENT_LARGE) != 0;
    struct descpipe_http_request http = {
        .size = sizeof http,
        .flags = DESCPIPE_HTTP_FOLLOW_REDIRECTS |
                 ((access->flags & DESCPIPE_ACCESS_PLAIN_HTTP) != 0 ? DESCPIPE_HTTP_PLAIN_ALLOWED : 0u) |
                 ((access->flags & DESCPIPE_ACCESS_UNVERIFIED_TLS) != 0 ? DESCPIPE_HTTP_UNVERIFIED_TLS : 0u),
        .method = wire->method,
        .url = wire->url,
        .headers = (const char *const *)wire->headers,
        .bearer = wire->bearer,
        .username = request->basic ? access->username : NULL,
        .password = request->basic ? access->password : NULL,
        .body = wire->body,
        .body_length = request->body_length,
        .body_descriptor = request->body_descriptor,
        .ca_file = access->ca_file,
        .client_certificate = request->stranger ? NULL : access->client_certificate,
        .client_key = request->stranger ? NULL : access->client_key,
        .proxy = access->proxy,
        .idle_timeout_ms = large ? LARGE_IDLE_TIMEOUT_MS : IDLE_TIMEOUT_MS,
        .total_timeout_ms = large ? 0 : WIRE_TOTAL_TIMEOUT_MS,
        .answer_limit = request->answer_limit > 0 ? request->answer_limit : CLIENT_ANSWER_LIMIT,
        .header = on_header,
        .started = on_started,
        .data = on_data,
        .ended = on_ended,
        .context = wire};
    if (request->body_descriptor > 0) /* read from where it stands */
        lseek(request->body_descriptor, (off_t)request->body_offset, SEEK_SET);
    wire->exchange = access->host->http->start(access->host, &http);
}

static char **copy_texts(const char *const *texts)
{
    size_t count = 0;
    while (texts != NULL && texts[count] != NULL)
        count++;
    char **copy = calloc(count + 1, sizeof *copy);
    for (size_t i = 0; copy != NULL && i < count; i++)
        if ((copy[i] = strdup(texts[i])) == NULL) {
            free_texts(copy);
            return NULL;
        }
    return copy;
}

static bool copy_request(struct wire *wire, const struct wire_request *request)
{
    const struct descpipe_host *host = request->access->host;
    uint64_t length = 0;
    wire->request = *request;
    wire->retry = request->retry;
    wire->method = strdup(request->method);
    wire->url = strdup(request->url);
    wire->what = strdup(request->what);
    wire->headers = copy_texts(request->headers);
    if (request->bearer != NULL) {
        const char *bytes = host->secret->reveal(request->bearer, &length);
        wire->bearer = host->secret->make(bytes, length);
    }
    if (request->body != NULL && request->body_length > 0 &&
        (wire->body = malloc((size_t)request->body_length)) != NULL)
        memcpy(wire->body, request->body, (size_t)request->body_length);
    return wire->method != NULL && wire->url != NULL && wire->what != NULL && wire->headers != NULL &&
           (request->bearer == NULL || wire->bearer != NULL) &&
           (request->body == NULL || request->body_length == 0 || wire->body != NULL);
}

struct wire *wire_start(const struct wire_request *request, struct failure *failure)
{
    struct wire *wire = calloc(1, sizeof *wire);
    if (wire == NULL) {
        failure_memory(failure);
        return NULL;
    }
    if (!copy_request(wire, request)) {
        wire_free(wire);
        failure_memory(failure);
        return NULL;
    }
    begin(wire);
    return wire;
}

static void tell_stopped(void *context)
{
    struct wire *wire = context;
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    failure_set(&failure, DESCPIPE_FAILED_CANCELLED, "%s: cancelled", wire->what);
    finish(wire, NULL, &failure);
}

void wire_stop(struct wire *wire)
{
    const struct descpipe_host *host = wire->request.access->host;
    if (wire->stopped)
        return;
    wire->stopped = true;
    if (wire->exchange != NULL)
        host->http->stop(wire->exchange);
    else if (wire->timer != NULL) {
        host->timer->stop(wire->timer);
        wire->timer = host->timer->start(host, 0, tell_stopped, wire);
    }
}

const char *client_answer_header(const struct client_answer *answer, const char *name)
{
    for (const char *const *header = answer->headers; header[0] != NULL; header += 2)
        if (strcasecmp(header[0], name) == 0)
            return header[1];
    return NULL;
}
