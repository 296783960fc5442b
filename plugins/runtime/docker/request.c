/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One request to the Docker Engine.
 *
 * How it works: the first request asks for the Engine's API version; the ones that come meanwhile wait for the answer.
 * A version that could not be had is asked for again by the next request. An exchange lives in the list of its Engine
 * until its `done`; when the plugin closes it is cut loose, so that a late word of the host finds no freed memory.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "docker.h"

struct exchange {
    struct docker *docker; /* NULL: cut loose */
    struct exchange *next, *previous;
    struct descpipe_exchange *http;
    struct docker_request request; /* its texts are these: */
    char *path, *body, *header;
    struct bytes answer;
    int32_t status;
    bool bare;    /* the question for the version itself */
    bool waiting; /* for the version */
    bool too_large;
    bool stopped;
    char words[ANSWER_WORDS];
};

static const char hint_socket_missing[] =
    "start Docker, point DOCKER_HOST or the option `host` to it, or use --runtime=native";
static const char hint_socket_forbidden[] =
    "become a member of the group docker (sudo usermod -aG docker \"$USER\", then log in again), set the option "
    "`command: [sudo, docker]`, or use --runtime=native";
static const char hint_tls[] = "check the files ca.pem, cert.pem and key.pem in the folder that DOCKER_CERT_PATH names";

static void free_exchange(struct exchange *exchange)
{
    if (exchange->docker != NULL) {
        if (exchange->previous != NULL) {
            exchange->previous->next = exchange->next;
        } else {
            exchange->docker->exchanges = exchange->next;
        }
        if (exchange->next != NULL) {
            exchange->next->previous = exchange->previous;
        }
    }
    /* Both may hold secrets: the environment of a stage, the login of a registry. */
    if (exchange->body != NULL) {
        explicit_bzero(exchange->body, exchange->request.body_length);
    }
    if (exchange->header != NULL) {
        explicit_bzero(exchange->header, strlen(exchange->header));
    }
    free(exchange->path);
    free(exchange->body);
    free(exchange->header);
    bytes_clear(&exchange->answer);
    free(exchange);
}

/* Why a Unix socket cannot be reached, asked once more when the host's HTTP does not know. */
static int socket_error(const char *path)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    if (length >= sizeof(name.sun_path)) {
        return ENAMETOOLONG;
    }
    memcpy(name.sun_path, path, length + 1);
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0) {
        return errno;
    }
    int error = connect(descriptor, (const struct sockaddr *)&name, sizeof(name)) == 0 ? 0 : errno;
    close(descriptor);
    return error;
}

static const char *unreachable_words(struct exchange *exchange, const struct descpipe_http_end *end)
{
    const struct address *address = &exchange->docker->address;
    int error = end->system_error;
    if (error == 0 && address->socket[0] != '\0') {
        error = socket_error(address->socket);
    }
    const char *why = error != 0 ? strerrordesc_np(error) : end->message;
    snprintf(exchange->words, sizeof(exchange->words), "cannot reach Docker at %.300s: %.180s", address->text,
             why != NULL ? why : "no connection");
    return error == EACCES || error == EPERM ? hint_socket_forbidden : hint_socket_missing;
}

static void finish(struct exchange *exchange, const struct descpipe_http_end *end)
{
    struct docker_reply reply = {.outcome = end->outcome, .status = exchange->status};
    reply.body = bytes_text(&exchange->answer);
    reply.length = exchange->answer.length;
    if (exchange->too_large || end->outcome == DESCPIPE_HTTP_TOO_LARGE) {
        reply.outcome = DESCPIPE_HTTP_TOO_LARGE;
        snprintf(exchange->words, sizeof(exchange->words), "Docker's answer is larger than %d MiB", ANSWER_LIMIT >> 20);
    } else if (exchange->stopped) {
        reply.outcome = DESCPIPE_HTTP_STOPPED;
        snprintf(exchange->words, sizeof(exchange->words), "stopped");
    } else if (end->outcome == DESCPIPE_HTTP_CANNOT_CONNECT) {
        reply.hint = unreachable_words(exchange, end);
    } else if (end->outcome == DESCPIPE_HTTP_TLS) {
        snprintf(exchange->words, sizeof(exchange->words), "no trusted connection to Docker at %.200s: %.250s",
                 exchange->docker->address.text, end->message != NULL ? end->message : "TLS failed");
        reply.hint = hint_tls;
    } else if (end->outcome != DESCPIPE_HTTP_DONE) {
        snprintf(exchange->words, sizeof(exchange->words), "the connection to Docker at %.200s broke: %.250s",
                 exchange->docker->address.text, end->message != NULL ? end->message : "no words");
    } else if (exchange->status >= 400 && exchange->words[0] == '\0') {
        answer_read_words(reply.body, reply.length, exchange->words);
    }
    reply.words = exchange->words;
    exchange->request.done(exchange->request.context, &reply);
    free_exchange(exchange);
}

static void http_started(void *context, int32_t status)
{
    struct exchange *exchange = context;
    exchange->status = status;
    if (exchange->docker != NULL && !exchange->stopped && exchange->request.started != NULL) {
        exchange->request.started(exchange->request.context, status);
    }
}

static void http_data(void *context, const void *bytes, uint64_t length)
{
    struct exchange *exchange = context;
    if (exchange->docker == NULL || exchange->stopped || exchange->too_large) {
        return;
    }
    bool good = exchange->status >= 200 && exchange->status < 300;
    if (good && exchange->request.stream) {
        exchange->request.data(exchange->request.context, bytes, (size_t)length);
        return;
    }
    uint64_t limit = good ? ANSWER_LIMIT : ERROR_BODY_LIMIT;
    uint64_t room = limit - exchange->answer.length;
    if (length > room && good) {
        exchange->too_large = true;
        exchange->docker->host->http->stop(exchange->http);
        return;
    }
    if (!bytes_add(&exchange->answer, bytes, (size_t)(length < room ? length : room))) {
        exchange->too_large = true;
        exchange->docker->host->http->stop(exchange->http);
    }
}

static void http_ended(void *context, const struct descpipe_http_end *end)
{
    struct exchange *exchange = context;
    exchange->http = NULL;
    if (exchange->docker == NULL) {
        free_exchange(exchange);
        return;
    }
    if (end->status != 0) {
        exchange->status = end->status;
    }
    finish(exchange, end);
}

static void begin(struct exchange *exchange)
{
    struct docker *docker = exchange->docker;
    const struct docker_request *given = &exchange->request;
    struct bytes url = {0}, type = {0}, ca = {0}, certificate = {0}, key = {0};
    bytes_add_text(&url, docker->address.base);
    if (!exchange->bare) {
        bytes_format(&url, "/v%" PRIu32 ".%" PRIu32, docker->api / 1000, docker->api % 1000);
    }
    bytes_add_text(&url, given->path);
    bytes_format(&type, "Content-Type: %s", given->type != NULL ? given->type : "application/json");
    const char *headers[3] = {NULL};
    size_t count = 0;
    if (given->body != NULL || given->body_descriptor > 0) {
        headers[count++] = bytes_text(&type);
    }
    if (given->header != NULL) {
        headers[count++] = given->header;
    }
    struct descpipe_http_request request = {
        .size = sizeof(request),
        .flags = DESCPIPE_HTTP_PLAIN_ALLOWED, /* tcp:// without TLS is what the user wrote */
        .method = given->method,
        .url = bytes_text(&url),
        .unix_socket = docker->address.socket[0] != '\0' ? docker->address.socket : NULL,
        .headers = headers,
        .body = given->body,
        .body_length = given->body_length,
        .body_descriptor = given->body_descriptor,
        .proxy = "",
        .idle_timeout_ms = given->idle_timeout_ms > 0 ? given->idle_timeout_ms : REQUEST_TIMEOUT_MS,
        .answer_limit = UINT64_MAX, /* counted here, where a stream is told from a text */
        .started = http_started,
        .data = http_data,
        .ended = http_ended,
        .context = exchange,
    };
    if (docker->certificate_folder != NULL) {
        bytes_format(&ca, "%s/ca.pem", docker->certificate_folder);
        bytes_format(&certificate, "%s/cert.pem", docker->certificate_folder);
        bytes_format(&key, "%s/key.pem", docker->certificate_folder);
        request.flags |= docker->tls_verified ? 0 : DESCPIPE_HTTP_UNVERIFIED_TLS;
        request.ca_file = docker->tls_verified ? bytes_text(&ca) : NULL;
        /* Without a client certificate the Engine may still let us in: it says so itself when not. */
        if (access(bytes_text(&certificate), R_OK) == 0) {
            request.client_certificate = bytes_text(&certificate);
            request.client_key = bytes_text(&key);
        }
    }
    exchange->waiting = false;
    exchange->http = docker->host->http->start(docker->host, &request);
    bytes_clear(&url);
    bytes_clear(&type);
    bytes_clear(&ca);
    bytes_clear(&certificate);
    bytes_clear(&key);
}

static void unlink_exchange(struct exchange *exchange)
{
    if (exchange->previous != NULL) {
        exchange->previous->next = exchange->next;
    } else {
        exchange->docker->exchanges = exchange->next;
    }
    if (exchange->next != NULL) {
        exchange->next->previous = exchange->previous;
    }
    exchange->next = exchange->previous = NULL;
}

/* All that waited for the version get the same bad news. */
static void fail_waiting(struct docker *docker, uint32_t outcome, const char *words, const char *hint)
{
    struct exchange *failed = NULL;
    for (struct exchange *exchange = docker->exchanges, *next = NULL; exchange != NULL; exchange = next) {
        next = exchange->next;
        if (!exchange->waiting) {
            continue;
        }
        unlink_exchange(exchange); /* first: `done` may start new requests */
        exchange->next = failed;
        failed = exchange;
    }
    while (failed != NULL) {
        struct exchange *exchange = failed;
        failed = exchange->next;
        struct docker_reply reply = {.outcome = outcome, .body = "", .words = words, .hint = hint};
        exchange->request.done(exchange->request.context, &reply);
        exchange->docker = NULL;
        free_exchange(exchange);
    }
}

const char docker_update_hint[] = "update the Docker Engine, or use --runtime=native";

bool docker_too_old(const struct docker *docker, uint32_t oldest_api, const char *feature, char words[ANSWER_WORDS])
{
    if (docker->api == 0 || docker->api >= oldest_api) {
        return false;
    }
    snprintf(words, ANSWER_WORDS,
             "%.100s need Docker's API 1.%" PRIu32 "; Docker at %.200s speaks only up to 1.%" PRIu32, feature,
             oldest_api % 1000, docker->address.text, docker->api % 1000);
    return true;
}

/* Sends what waited for the version, except what this Engine is too old for. */
static void begin_waiting(struct docker *docker)
{
    struct exchange *refused = NULL;
    for (struct exchange *exchange = docker->exchanges, *next = NULL; exchange != NULL; exchange = next) {
        next = exchange->next;
        if (!exchange->waiting) {
            continue;
        }
        if (!docker_too_old(docker, exchange->request.oldest_api, exchange->request.feature, exchange->words)) {
            begin(exchange);
            continue;
        }
        unlink_exchange(exchange); /* first: `done` may start new requests */
        exchange->next = refused;
        refused = exchange;
    }
    while (refused != NULL) {
        struct exchange *exchange = refused;
        struct docker_reply reply = {
            .outcome = DESCPIPE_HTTP_DONE, .body = "", .words = exchange->words, .hint = docker_update_hint};
        refused = exchange->next;
        exchange->request.done(exchange->request.context, &reply);
        exchange->docker = NULL;
        free_exchange(exchange);
    }
}

static void version_came(void *context, const struct docker_reply *reply)
{
    struct docker *docker = context;
    struct engine_version version;
    char words[ANSWER_WORDS];
    docker->asking_version = NULL;
    if (reply->outcome != DESCPIPE_HTTP_DONE) {
        /* Whatever happened to this question: what waited behind it was never sent. */
        snprintf(words, sizeof(words), "%s", reply->words);
        uint32_t outcome = reply->outcome == DESCPIPE_HTTP_TLS ? DESCPIPE_HTTP_TLS : DESCPIPE_HTTP_CANNOT_CONNECT;
        fail_waiting(docker, outcome, words, reply->hint);
        return;
    }
    if (reply->status != 200 || !answer_read_version(reply->body, reply->length, &version)) {
        snprintf(words, sizeof(words), "what answers at %.300s is not a Docker Engine (status %" PRId32 ")",
                 docker->address.text, reply->status);
        fail_waiting(docker, DESCPIPE_HTTP_CANNOT_CONNECT, words, "point DOCKER_HOST or the option `host` to Docker");
        return;
    }
    if (version.api < API_OLDEST || version.oldest_api > API_NEWEST) {
        snprintf(words, sizeof(words),
                 "Docker %s at %.200s speaks API 1.%" PRIu32 " to 1.%" PRIu32 "; this plugin speaks 1.%d to 1.%d",
                 version.version, docker->address.text, version.oldest_api % 1000, version.api % 1000,
                 API_OLDEST % 1000, API_NEWEST % 1000);
        fail_waiting(docker, DESCPIPE_HTTP_CANNOT_CONNECT, words,
                     version.api < API_OLDEST ? docker_update_hint : "update descpipe, or use --runtime=native");
        return;
    }
    docker->api = version.api < API_NEWEST ? version.api : API_NEWEST;
    begin_waiting(docker);
}

static struct exchange *new_exchange(struct docker *docker, const struct docker_request *request)
{
    struct exchange *exchange = calloc(1, sizeof(*exchange));
    if (exchange == NULL) {
        return NULL;
    }
    exchange->request = *request;
    exchange->path = strdup(request->path);
    exchange->header = request->header != NULL ? strdup(request->header) : NULL;
    exchange->body = request->body != NULL ? malloc(request->body_length + 1) : NULL;
    if (exchange->body != NULL) {
        memcpy(exchange->body, request->body, request->body_length);
    }
    exchange->request.path = exchange->path;
    exchange->request.header = exchange->header;
    exchange->request.body = exchange->body;
    if (exchange->path == NULL || (request->header != NULL && exchange->header == NULL) ||
        (request->body != NULL && exchange->body == NULL)) {
        free_exchange(exchange);
        return NULL;
    }
    exchange->docker = docker;
    exchange->next = docker->exchanges;
    if (exchange->next != NULL) {
        exchange->next->previous = exchange;
    }
    docker->exchanges = exchange;
    return exchange;
}

struct exchange *docker_ask(struct docker *docker, const struct docker_request *request)
{
    struct exchange *exchange = docker->closing ? NULL : new_exchange(docker, request);
    if (exchange == NULL) {
        return NULL;
    }
    if (docker->api != 0) {
        begin(exchange);
        return exchange;
    }
    exchange->waiting = true;
    if (docker->asking_version == NULL) {
        struct docker_request question = {.method = "GET", .path = "/version", .done = version_came, .context = docker};
        docker->asking_version = new_exchange(docker, &question);
        if (docker->asking_version == NULL) {
            free_exchange(exchange);
            return NULL;
        }
        docker->asking_version->bare = true;
        begin(docker->asking_version);
    }
    return exchange;
}

void docker_stop_asking(struct exchange *exchange)
{
    exchange->stopped = true;
    if (exchange->waiting) {
        struct descpipe_http_end end = {.size = sizeof(end), .outcome = DESCPIPE_HTTP_STOPPED};
        finish(exchange, &end);
    } else {
        exchange->docker->host->http->stop(exchange->http);
    }
}

void docker_drop_exchanges(struct docker *docker)
{
    docker->closing = true;
    while (docker->exchanges != NULL) {
        struct exchange *exchange = docker->exchanges;
        struct docker_reply reply = {.outcome = DESCPIPE_HTTP_STOPPED, .body = "", .words = "stopped"};
        docker->exchanges = exchange->next;
        if (exchange->next != NULL) {
            exchange->next->previous = NULL;
        }
        if (!exchange->bare) {
            exchange->request.done(exchange->request.context, &reply);
        }
        exchange->docker = NULL;
        exchange->next = NULL;
        if (exchange->http != NULL) {
            docker->host->http->stop(exchange->http);
        } else {
            free_exchange(exchange);
        }
    }
    docker->asking_version = NULL;
}

uint32_t docker_failure(const struct docker_reply *reply)
{
    switch (reply->outcome) {
    case DESCPIPE_HTTP_DONE:
        if (reply->status == 404) {
            return DESCPIPE_FAILED_NOT_FOUND;
        }
        return reply->status == 401 || reply->status == 403   ? DESCPIPE_FAILED_NEEDS_LOGIN
               : reply->status == 429 || reply->status == 503 ? DESCPIPE_FAILED_LATER
                                                              : DESCPIPE_FAILED_REFUSED;
    case DESCPIPE_HTTP_TOO_LARGE:
        return DESCPIPE_FAILED_REFUSED;
    case DESCPIPE_HTTP_STOPPED:
        return DESCPIPE_FAILED_CANCELLED;
    default:
        return DESCPIPE_FAILED_CANNOT_ASK;
    }
}

uint32_t docker_change_failure(const struct docker_reply *reply)
{
    switch (reply->outcome) {
    case DESCPIPE_HTTP_DONE:
    case DESCPIPE_HTTP_CANNOT_CONNECT:
    case DESCPIPE_HTTP_TLS:
        return docker_failure(reply);
    default:
        return DESCPIPE_FAILED_UNKNOWN;
    }
}

void docker_fail(struct docker *docker, struct descpipe_call *call, uint32_t failure, const char *hint,
                 const char *format, ...)
{
    char message[MESSAGE_LIMIT];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    docker->host->call->fail(call, failure, message, hint);
}

void docker_fail_memory(struct docker *docker, struct descpipe_call *call)
{
    docker->host->call->fail(call, DESCPIPE_FAILED_LATER, "not enough memory for a question to Docker", NULL);
}
