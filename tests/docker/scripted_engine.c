/* SPDX-License-Identifier: BSD-3-Clause */
/* The thread behind scripted_engine.h: one connection is one request, and connections are served side by side by poll.
 */
#include "scripted_engine.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/text.h"

enum { CONNECTIONS = 64, REQUEST_LIMIT = 1 << 20, LINES = 64, FLOOD_PIECE = 65536 };

struct connection {
    int descriptor; /* -1: free */
    struct text request;
    bool answered, flooding;
};

struct scripted_engine {
    int listener, wake;
    pthread_t thread;
    pthread_mutex_t lock;
    const struct script_line *script;
    int used[LINES];
    struct text asked;
    struct connection connections[CONNECTIONS];
};

static void close_connection(struct connection *connection)
{
    close(connection->descriptor);
    text_clear(&connection->request);
    *connection = (struct connection){.descriptor = -1};
}

/* Blocks only as long as the other side reads. */
static void send_all(struct connection *connection, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(connection->descriptor, bytes, length, MSG_NOSIGNAL);
        if (sent <= 0) {
            return;
        }
        bytes += sent;
        length -= (size_t)sent;
    }
}

static const struct script_line *choose(struct scripted_engine *engine, const char *request)
{
    for (size_t i = 0; i < LINES && engine->script[i].request != NULL; i++) {
        const struct script_line *line = &engine->script[i];
        if (text_starts_with(request, line->request) && (line->times == 0 || engine->used[i] < line->times)) {
            engine->used[i]++;
            return line;
        }
    }
    return NULL;
}

static void answer(struct scripted_engine *engine, struct connection *connection)
{
    static const struct script_line nothing = {.status = 500, .body = "{\"message\":\"not in the script\"}"};
    const char *request = text_bytes(&connection->request);
    pthread_mutex_lock(&engine->lock);
    text_append_bytes(&engine->asked, request, strcspn(request, "\r") - strlen(" HTTP/1.1"));
    text_append(&engine->asked, "\n");
    const char *login = strcasestr(request, "\r\nX-Registry-Auth: ");
    if (login != NULL) {
        text_append_bytes(&engine->asked, login + 2, strcspn(login + 2, "\r"));
        text_append(&engine->asked, "\n");
    }
    pthread_mutex_unlock(&engine->lock);
    const struct script_line *line = choose(engine, request);
    line = line != NULL ? line : &nothing;
    size_t length = line->length > 0 ? line->length : line->body != NULL ? strlen(line->body) : 0;
    connection->answered = true;
    if (line->mode == SCRIPT_MUTE) {
        close_connection(connection);
        return;
    }
    cleanup(text_clear) struct text head = TEXT_INIT;
    text_format(&head, "HTTP/1.1 %d Scripted\r\nConnection: close\r\n", line->status);
    if (line->mode != SCRIPT_FLOOD && line->status != 204 && line->status != 304) {
        text_format(&head, "Content-Length: %zu\r\n", length + (line->mode == SCRIPT_WHOLE ? 0 : 10));
    }
    text_append(&head, "\r\n");
    send_all(connection, text_bytes(&head), head.length);
    send_all(connection, line->body, length);
    connection->flooding = line->mode == SCRIPT_FLOOD;
    if (line->mode == SCRIPT_WHOLE || line->mode == SCRIPT_CUT) {
        close_connection(connection);
    }
}

static bool is_complete(const struct text *request)
{
    const char *end = strstr(text_bytes(request), "\r\n\r\n");
    const char *stated = strcasestr(text_bytes(request), "\r\nContent-Length: ");
    uint64_t length = 0;
    if (end == NULL) {
        return false;
    }
    if (stated != NULL) {
        cleanup(memory_free) char *number = memory_copy_bytes(stated + strlen("\r\nContent-Length: "),
                                                              strcspn(stated + strlen("\r\nContent-Length: "), "\r"));
        text_to_unsigned(number, &length);
    }
    return request->length >= (size_t)(end + 4 - text_bytes(request)) + length;
}

static void serve(struct scripted_engine *engine, struct connection *connection)
{
    char bytes[FLOOD_PIECE];
    if (connection->flooding) {
        memset(bytes, ' ', sizeof(bytes));
        ssize_t sent = send(connection->descriptor, bytes, sizeof(bytes), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN) {
            close_connection(connection);
        }
        return;
    }
    ssize_t got = recv(connection->descriptor, bytes, sizeof(bytes), 0);
    if (got <= 0 || connection->request.length > REQUEST_LIMIT) {
        close_connection(connection);
        return;
    }
    text_append_bytes(&connection->request, bytes, (size_t)got);
    if (!connection->answered && is_complete(&connection->request)) {
        answer(engine, connection);
    }
}

static void accept_one(struct scripted_engine *engine)
{
    int descriptor = accept4(engine->listener, NULL, NULL, SOCK_CLOEXEC);
    for (size_t i = 0; i < CONNECTIONS && descriptor >= 0; i++) {
        if (engine->connections[i].descriptor < 0) {
            engine->connections[i].descriptor = descriptor;
            return;
        }
    }
    close(descriptor);
}

static void *run(void *context)
{
    struct scripted_engine *engine = context;
    for (;;) {
        struct pollfd waiting[CONNECTIONS + 2];
        for (size_t i = 0; i < CONNECTIONS; i++) {
            const struct connection *connection = &engine->connections[i];
            waiting[i] =
                (struct pollfd){.fd = connection->descriptor, .events = connection->flooding ? POLLOUT : POLLIN};
        }
        waiting[CONNECTIONS] = (struct pollfd){.fd = engine->listener, .events = POLLIN};
        waiting[CONNECTIONS + 1] = (struct pollfd){.fd = engine->wake, .events = POLLIN};
        if (poll(waiting, CONNECTIONS + 2, -1) < 0 || waiting[CONNECTIONS + 1].revents != 0) {
            return NULL;
        }
        for (size_t i = 0; i < CONNECTIONS; i++) {
            if (waiting[i].revents != 0) {
                serve(engine, &engine->connections[i]);
            }
        }
        if (waiting[CONNECTIONS].revents != 0) {
            accept_one(engine);
        }
    }
}

struct scripted_engine *scripted_engine_start(const char *socket_path, const struct script_line *script)
{
    struct scripted_engine *engine = memory_allocate(sizeof(*engine));
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    snprintf(name.sun_path, sizeof(name.sun_path), "%s", socket_path);
    engine->script = script;
    for (size_t i = 0; i < CONNECTIONS; i++) {
        engine->connections[i].descriptor = -1;
    }
    pthread_mutex_init(&engine->lock, NULL);
    engine->wake = eventfd(0, EFD_CLOEXEC);
    engine->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(engine->listener, (const struct sockaddr *)&name, sizeof(name)) != 0 ||
        listen(engine->listener, 64) != 0 || pthread_create(&engine->thread, NULL, run, engine) != 0) {
        perror("scripted engine");
        memory_exhausted();
    }
    return engine;
}

void scripted_engine_stop(struct scripted_engine *engine)
{
    eventfd_write(engine->wake, 1);
    pthread_join(engine->thread, NULL);
    for (size_t i = 0; i < CONNECTIONS; i++) {
        if (engine->connections[i].descriptor >= 0) {
            close_connection(&engine->connections[i]);
        }
    }
    close(engine->listener);
    close(engine->wake);
    text_clear(&engine->asked);
    pthread_mutex_destroy(&engine->lock);
    memory_free(engine);
}

const char *scripted_engine_asked(struct scripted_engine *engine)
{
    pthread_mutex_lock(&engine->lock);
    const char *asked = text_bytes(&engine->asked);
    pthread_mutex_unlock(&engine->lock);
    return asked;
}
