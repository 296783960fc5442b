/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests to a Kubernetes API server; client.h says how it works. */
#include "cluster/client.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum { PAUSE_MS = 250, PAUSE_LIMIT_MS = 15000, PATIENCE_MS = 60000, RETRY_AFTER_LIMIT_MS = 120000, CONNECT_MS = 15000 };
enum { REQUEST_IDLE_MS = 60000 };

struct cluster_exchange {
    struct cluster *cluster; /* NULL: cut loose, its last word is awaited */
    struct cluster_exchange *next, *previous;
    struct descpipe_exchange *http;
    struct descpipe_timer *timer;
    struct cluster_request request; /* its texts are these: */
    char *url, *body, *method, *type;
    size_t body_length;
    char *answer;
    size_t answer_length, answer_capacity;
    bool too_large, no_memory, refreshed, waits_for_token;
    int32_t status;
    int64_t began_ms, pause_ms, retry_after_ms;
    char token_words[ACCESS_WORDS];
};

int64_t cluster_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t cluster_moment(const json_t *text)
{
    struct tm when = {0};
    const char *moment = json_string_value(text);
    const char *rest = moment != NULL ? strptime(moment, "%Y-%m-%dT%H:%M:%S", &when) : NULL;
    return rest != NULL && (*rest == 'Z' || *rest == '.') ? (int64_t)timegm(&when) * 1000 : 0;
}

static void unlink_exchange(struct cluster_exchange *exchange)
{
    struct cluster *cluster = exchange->cluster;
    if (cluster == NULL) {
        return;
    }
    if (exchange->previous != NULL) {
        exchange->previous->next = exchange->next;
    } else {
        cluster->exchanges = exchange->next;
    }
    if (exchange->next != NULL) {
        exchange->next->previous = exchange->previous;
    }
    exchange->cluster = NULL;
}

static void free_exchange(struct cluster_exchange *exchange)
{
    unlink_exchange(exchange);
    if (exchange->body != NULL) {
        explicit_bzero(exchange->body, exchange->body_length); /* it may be a Secret */
    }
    free(exchange->url);
    free(exchange->body);
    free(exchange->method);
    free(exchange->type);
    free(exchange->answer);
    free(exchange);
}

void cluster_drop(struct cluster_exchange *exchange)
{
    if (exchange == NULL || exchange->cluster == NULL) {
        return;
    }
    const struct descpipe_host *host = exchange->cluster->host;
    if (exchange->timer != NULL) {
        host->timer->stop(exchange->timer);
        exchange->timer = NULL;
    }
    unlink_exchange(exchange);
    if (exchange->http != NULL) {
        host->http->stop(exchange->http); /* freed by its last word */
    } else {
        free_exchange(exchange);
    }
}

/* Its access is there. */
static bool name_server(struct cluster *cluster, const char *namespace, char *words)
{
    const char *own = cluster->access.config.namespace;
    cluster->server = strdup(cluster->access.config.server);
    cluster->namespace = strdup(namespace != NULL ? namespace : own != NULL ? own : "default");
    if (cluster->server == NULL || cluster->namespace == NULL) {
        snprintf(words, CLUSTER_WORDS, "out of memory");
        cluster_close(cluster);
        return false;
    }
    for (size_t length = strlen(cluster->server); length > 0 && cluster->server[length - 1] == '/'; length--) {
        cluster->server[length - 1] = '\0';
    }
    return true;
}

bool cluster_open(struct cluster *cluster, const struct descpipe_host *host, const char *kubeconfig,
                  const char *context, const char *namespace, char words[CLUSTER_WORDS])
{
    *cluster = (struct cluster){.host = host};
    return access_open(&cluster->access, host, kubeconfig, context, words) && name_server(cluster, namespace, words);
}

bool cluster_open_server(struct cluster *cluster, const struct descpipe_host *host, const struct access_server *server,
                         const char *namespace, char words[CLUSTER_WORDS])
{
    *cluster = (struct cluster){.host = host};
    return access_open_server(&cluster->access, host, server, words) && name_server(cluster, namespace, words);
}

void cluster_close(struct cluster *cluster)
{
    cluster->closed = true;
    access_close(&cluster->access);
    while (cluster->exchanges != NULL) {
        cluster_drop(cluster->exchanges);
    }
    json_decref(cluster->told);
    cluster->told = NULL;
    free(cluster->server);
    free(cluster->namespace);
    cluster->server = cluster->namespace = NULL;
}

char *cluster_path(const struct cluster *cluster, const char *format, ...)
{
    (void)cluster;
    char *path = NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&path, format, arguments);
    va_end(arguments);
    return length < 0 ? NULL : path;
}

char *cluster_escape(const char *text)
{
    static const char digits[] = "0123456789ABCDEF";
    char *escaped = malloc(strlen(text) * 3 + 1), *to = escaped;
    for (; escaped != NULL && *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (isalnum(c) || strchr("-._~", c) != NULL) {
            *to++ = *text;
        } else {
            *to++ = '%';
            *to++ = digits[c >> 4];
            *to++ = digits[c & 15];
        }
    }
    if (escaped != NULL) {
        *to = '\0';
    }
    return escaped;
}

/* What a server says in words that it will soon not say any more. */
static bool may_pass(const char *message)
{
    static const char *const passing[] = {"leader changed",
                                          "etcdserver: request timed out",
                                          "etcdserver: too many requests",
                                          "etcdserver: no leader",
                                          "timeout: ",
                                          "context deadline exceeded",
                                          "connection refused",
                                          "transport is closing",
                                          "please try again"};
    for (size_t i = 0; message != NULL && i < sizeof(passing) / sizeof(*passing); i++) {
        if (strstr(message, passing[i]) != NULL) {
            return true;
        }
    }
    return false;
}

static bool is_transient(const struct cluster_exchange *exchange, const struct descpipe_http_end *end,
                         const char *message)
{
    switch (end->outcome) {
    case DESCPIPE_HTTP_CANNOT_CONNECT:
    case DESCPIPE_HTTP_CUT:
    case DESCPIPE_HTTP_TIMED_OUT:
        return true;
    case DESCPIPE_HTTP_DONE:
        return exchange->status == 429 || exchange->status == 502 || exchange->status == 503 ||
               exchange->status == 504 || (exchange->status == 500 && (message == NULL || may_pass(message)));
    default:
        return false;
    }
}

static void send_exchange(struct cluster_exchange *exchange);

static void token_ready(void *context, const char *failure);

static void fail_soon(void *context)
{
    struct cluster_exchange *exchange = context;
    exchange->timer = NULL;
    const struct cluster_reply reply = {.failure = DESCPIPE_FAILED_NEEDS_LOGIN,
                                        .reason = "",
                                        .words = exchange->token_words,
                                        .hint = exchange->cluster->access.remedy};
    void (*done)(void *, const struct cluster_reply *) = exchange->request.done;
    void *for_whom = exchange->request.context;
    unlink_exchange(exchange);
    done(for_whom, &reply);
    free_exchange(exchange);
}

static void ask_token(struct cluster *cluster)
{
    if (!cluster->preparing) {
        cluster->preparing = true;
        access_prepare(&cluster->access, token_ready, cluster);
    }
}

/* Everybody who waits goes on, or hears why not. */
static void token_ready(void *context, const char *failure)
{
    struct cluster *cluster = context;
    cluster->preparing = false;
    for (struct cluster_exchange *exchange = cluster->exchanges, *next; exchange != NULL; exchange = next) {
        next = exchange->next;
        if (!exchange->waits_for_token) {
            continue;
        }
        exchange->waits_for_token = false;
        if (failure == NULL) {
            send_exchange(exchange);
        } else {
            snprintf(exchange->token_words, sizeof(exchange->token_words), "%s", failure);
            exchange->timer = cluster->host->timer->start(cluster->host, 0, fail_soon, exchange);
        }
    }
}

static void begin(void *context)
{
    struct cluster_exchange *exchange = context;
    exchange->timer = NULL;
    exchange->waits_for_token = true;
    ask_token(exchange->cluster);
}

static void again_in(struct cluster_exchange *exchange, int64_t pause_ms)
{
    const struct descpipe_host *host = exchange->cluster->host;
    exchange->answer_length = 0;
    exchange->timer = host->timer->start(host, (uint64_t)pause_ms, begin, exchange);
}

/* True: it will be sent again. */
static bool try_again(struct cluster_exchange *exchange, const struct descpipe_http_end *end, const char *message)
{
    if (end->outcome == DESCPIPE_HTTP_DONE && exchange->status == 401 && !exchange->refreshed &&
        (access_refused(&exchange->cluster->access) || exchange->cluster->access.stale)) {
        exchange->refreshed = true;
        again_in(exchange, 0);
        return true;
    }
    int64_t patience = exchange->request.patience_ms == 0 ? PATIENCE_MS : exchange->request.patience_ms;
    if (patience < 0 || !is_transient(exchange, end, message)) {
        return false;
    }
    exchange->pause_ms = exchange->pause_ms == 0 ? PAUSE_MS : exchange->pause_ms * 2;
    if (exchange->pause_ms > PAUSE_LIMIT_MS) {
        exchange->pause_ms = PAUSE_LIMIT_MS;
    }
    /* Many at once shall not come back at once. */
    int64_t pause = exchange->retry_after_ms > 0 ? exchange->retry_after_ms : exchange->pause_ms;
    pause += cluster_now_ms() % (exchange->pause_ms / 4 + 1);
    if (cluster_now_ms() + pause > exchange->began_ms + patience) {
        return false;
    }
    again_in(exchange, pause);
    return true;
}

/* Why there was no answer, or none that can be used. */
static void word_outcome(const struct cluster_exchange *exchange, const struct descpipe_http_end *end,
                         struct cluster_reply *reply, char words[CLUSTER_WORDS])
{
    const char *server = exchange->cluster->server;
    const char *why = end->message != NULL ? end->message : "no words";
    reply->failure = DESCPIPE_FAILED_CANNOT_ASK;
    if (exchange->no_memory) {
        snprintf(words, CLUSTER_WORDS, "out of memory");
    } else if (exchange->too_large || end->outcome == DESCPIPE_HTTP_TOO_LARGE) {
        snprintf(words, CLUSTER_WORDS, "the answer of %.200s is larger than %d MiB", server,
                 CLUSTER_ANSWER_BYTES >> 20);
    } else if (end->outcome == DESCPIPE_HTTP_TLS) {
        snprintf(words, CLUSTER_WORDS, "no trusted connection to %.200s: %.300s", server, why);
        reply->hint = "the kubeconfig's certificate authority must be that of the server";
        reply->failure = DESCPIPE_FAILED_REFUSED;
    } else if (end->outcome == DESCPIPE_HTTP_CANNOT_CONNECT) {
        snprintf(words, CLUSTER_WORDS, "cannot reach the API server %.200s: %.300s", server, why);
    } else {
        snprintf(words, CLUSTER_WORDS, "the connection to the API server %.200s broke: %.300s", server, why);
    }
}

static void word_status(const struct cluster_exchange *exchange, const char *message, struct cluster_reply *reply,
                        char words[CLUSTER_WORDS])
{
    const struct access *access = &exchange->cluster->access;
    snprintf(words, CLUSTER_WORDS, "the API server says: %.500s (%d)", message != NULL ? message : "no words",
             exchange->status);
    switch (exchange->status) {
    case 401:
        reply->failure = DESCPIPE_FAILED_NEEDS_LOGIN;
        snprintf(words, CLUSTER_WORDS, "the API server %.200s does not know us (401); we came by %.250s",
                 exchange->cluster->server, access->origin);
        reply->hint = access->remedy;
        break;
    case 403:
        /* A full quota is no refusal for good. */
        reply->failure = message != NULL && strstr(message, "exceeded quota") != NULL
                             ? (uint32_t)DESCPIPE_FAILED_LATER
                             : (uint32_t)DESCPIPE_FAILED_REFUSED;
        reply->hint = reply->failure == DESCPIPE_FAILED_LATER ? NULL : "ask the cluster's administrator for this right";
        break;
    case 404:
        reply->failure = DESCPIPE_FAILED_NOT_FOUND;
        break;
    case 429:
        reply->failure = DESCPIPE_FAILED_LATER;
        break;
    default:
        reply->failure =
            exchange->status >= 500 ? (uint32_t)DESCPIPE_FAILED_CANNOT_ASK : (uint32_t)DESCPIPE_FAILED_REFUSED;
    }
}

static void finish(struct cluster_exchange *exchange, const struct descpipe_http_end *end)
{
    json_error_t error;
    char words[CLUSTER_WORDS] = "";
    json_t *json =
        exchange->answer_length > 0 ? json_loadb(exchange->answer, exchange->answer_length, 0, &error) : NULL;
    const char *message = json_string_value(json_object_get(json, "message"));
    const char *reason = json_string_value(json_object_get(json, "reason"));
    struct cluster_reply reply = {
        .status = exchange->status, .json = json, .reason = reason != NULL ? reason : "", .words = words};
    bool answered = end->outcome == DESCPIPE_HTTP_DONE && !exchange->too_large && !exchange->no_memory;
    reply.ok = answered && exchange->status >= 200 && exchange->status < 300;
    if (!reply.ok && try_again(exchange, end, message)) {
        json_decref(json);
        return;
    }
    if (!answered) {
        word_outcome(exchange, end, &reply, words);
    } else if (!reply.ok) {
        word_status(exchange, message, &reply, words);
    }
    void (*done)(void *, const struct cluster_reply *) = exchange->request.done;
    void *context = exchange->request.context;
    unlink_exchange(exchange); /* `done` may close the cluster */
    done(context, &reply);
    json_decref(json);
    free_exchange(exchange);
}

static void http_header(void *context, const char *name, const char *value)
{
    struct cluster_exchange *exchange = context;
    char *end = NULL;
    if (strcasecmp(name, "Retry-After") != 0) {
        return;
    }
    unsigned long seconds = strtoul(value, &end, 10);
    if (end != value && *end == '\0' && seconds > 0) {
        exchange->retry_after_ms =
            seconds < RETRY_AFTER_LIMIT_MS / 1000 ? (int64_t)seconds * 1000 : RETRY_AFTER_LIMIT_MS;
    }
}

static void http_started(void *context, int32_t status)
{
    struct cluster_exchange *exchange = context;
    exchange->status = status;
}

static void http_data(void *context, const void *bytes, uint64_t length)
{
    struct cluster_exchange *exchange = context;
    if (exchange->cluster == NULL) {
        return;
    }
    bool fine = exchange->status >= 200 && exchange->status < 300;
    if (fine && exchange->request.data != NULL) {
        exchange->request.data(exchange->request.context, bytes, length);
        return;
    }
    size_t limit = fine ? CLUSTER_ANSWER_BYTES : CLUSTER_ERROR_BYTES;
    if (exchange->answer_length + length > limit) {
        exchange->too_large = exchange->too_large || fine; /* of an error the beginning is enough to know its status */
        return;
    }
    if (exchange->answer_length + length > exchange->answer_capacity) {
        size_t capacity = (exchange->answer_length + length) * 2;
        char *grown = realloc(exchange->answer, capacity);
        if (grown == NULL) {
            exchange->no_memory = true;
            return;
        }
        exchange->answer = grown;
        exchange->answer_capacity = capacity;
    }
    memcpy(exchange->answer + exchange->answer_length, bytes, length);
    exchange->answer_length += length;
}

static void http_ended(void *context, const struct descpipe_http_end *end)
{
    struct cluster_exchange *exchange = context;
    exchange->http = NULL;
    if (exchange->cluster == NULL) {
        free_exchange(exchange);
        return;
    }
    if (end->status != 0) {
        exchange->status = end->status;
    }
    finish(exchange, end);
}

static void send_exchange(struct cluster_exchange *exchange)
{
    struct cluster *cluster = exchange->cluster;
    const char *const headers[] = {"Accept: application/json", exchange->type, NULL};
    bool stream = exchange->request.data != NULL;
    struct descpipe_http_request request = {
        .size = sizeof(request),
        .method = exchange->method,
        .url = exchange->url,
        .headers = headers,
        .body = exchange->body,
        .body_length = exchange->body_length,
        .connect_timeout_ms = CONNECT_MS,
        .idle_timeout_ms = exchange->request.idle_timeout_ms != 0 ? exchange->request.idle_timeout_ms : REQUEST_IDLE_MS,
        .answer_limit = stream ? UINT64_MAX : CLUSTER_ANSWER_BYTES,
        .header = http_header,
        .started = http_started,
        .data = http_data,
        .ended = http_ended,
        .context = exchange};
    access_apply(&cluster->access, &request);
    exchange->answer_length = 0;
    exchange->status = 0;
    exchange->retry_after_ms = 0;
    cluster->sent++;
    exchange->http = cluster->host->http->start(cluster->host, &request);
}

struct cluster_exchange *cluster_ask(struct cluster *cluster, const struct cluster_request *request)
{
    struct cluster_exchange *exchange = calloc(1, sizeof(*exchange));
    if (exchange == NULL) {
        return NULL;
    }
    exchange->request = *request;
    exchange->began_ms = cluster_now_ms();
    exchange->method = strdup(request->method);
    exchange->body = request->body != NULL ? json_dumps(request->body, JSON_COMPACT) : NULL;
    exchange->body_length = exchange->body != NULL ? strlen(exchange->body) : 0;
    bool made = asprintf(&exchange->url, "%s%s", cluster->server, request->path) >= 0;
    if (request->body != NULL && made) {
        made = asprintf(&exchange->type, "Content-Type: %s",
                        request->type != NULL ? request->type : "application/json") >= 0;
    }
    if (!made || exchange->method == NULL || (request->body != NULL && exchange->body == NULL)) {
        free_exchange(exchange);
        return NULL;
    }
    exchange->cluster = cluster;
    exchange->next = cluster->exchanges;
    if (cluster->exchanges != NULL) {
        cluster->exchanges->previous = exchange;
    }
    cluster->exchanges = exchange;
    again_in(exchange, 0);
    return exchange;
}

void cluster_fail(const struct cluster *cluster, struct descpipe_call *call, const char *what,
                  const struct cluster_reply *reply)
{
    char message[CLUSTER_WORDS + 128];
    snprintf(message, sizeof(message), "cannot %.100s: %s", what, reply->words);
    cluster->host->call->fail(call, reply->failure, message, reply->hint);
}
