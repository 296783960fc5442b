/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A web server for tests that plays a script: a thread that accepts one connection after the other and gives each to a
 * thread, which reads requests and answers each with what the test's function wrote. Faults are just other bytes.
 */
#ifndef DESCPIPE_TESTS_HTTP_SERVER_H
#define DESCPIPE_TESTS_HTTP_SERVER_H

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/text.h"

enum { SERVER_REQUESTS = 64, SERVER_THREADS = 64 };

struct server_request {
    unsigned connection; /* counted from 1 */
    char head[8192];
    char body[8192]; /* its beginning */
    size_t body_length;
};

struct server {
    int listener;
    unsigned short port;
    pthread_t thread;
    pthread_mutex_t lock; /* for what follows */
    struct server_request requests[SERVER_REQUESTS];
    unsigned request_count, connection_count;
    pthread_t workers[SERVER_THREADS];
    int connections[SERVER_THREADS];
    /* Writes the answer with server_send; false closes the connection. */
    bool (*answer)(struct server *server, int connection, const struct server_request *request);
    atomic_bool stopping;
    const void *context;
};

struct server_connection {
    struct server *server;
    int descriptor;
    unsigned number;
};

static inline void server_send(int connection, const char *bytes)
{
    size_t length = strlen(bytes);
    while (length > 0) {
        ssize_t sent = send(connection, bytes, length, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        bytes += sent;
        length -= (size_t)sent;
    }
}

/* True once a whole request has been read into `request`. */
static inline bool server_receive(int connection, struct server_request *request)
{
    size_t length = 0;
    char *end = NULL;
    while (end == NULL) {
        ssize_t got = recv(connection, request->head + length, sizeof request->head - 1 - length, 0);
        if (got <= 0)
            return false;
        length += (size_t)got;
        request->head[length] = '\0';
        end = strstr(request->head, "\r\n\r\n");
    }
    size_t head_length = (size_t)(end - request->head) + 4;
    size_t have = length - head_length;
    memcpy(request->body, request->head + head_length, have);
    request->head[head_length] = '\0';
    uint64_t wanted = 0;
    const char *line = strcasestr(request->head, "\r\ncontent-length: ");
    if (line != NULL) {
        char number[32] = "";
        memcpy(number, line + 18, strcspn(line + 18, "\r"));
        ck_assert(text_to_unsigned(number, &wanted));
    }
    char rest[65536];
    request->body_length = have;
    while (request->body_length < wanted) {
        ssize_t got = recv(connection, rest, sizeof rest, 0);
        if (got <= 0)
            return false;
        size_t room = sizeof request->body - 1 - have;
        size_t kept = (size_t)got < room ? (size_t)got : room;
        memcpy(request->body + have, rest, kept);
        have += kept;
        request->body_length += (size_t)got;
    }
    request->body[have] = '\0';
    return true;
}

static inline void *server_serve(void *context)
{
    struct server_connection connection = *(struct server_connection *)context;
    struct server *server = connection.server;
    free(context);
    struct server_request *request = memory_allocate(sizeof *request);
    while (server_receive(connection.descriptor, request)) {
        request->connection = connection.number;
        pthread_mutex_lock(&server->lock);
        if (server->request_count < SERVER_REQUESTS)
            server->requests[server->request_count++] = *request;
        pthread_mutex_unlock(&server->lock);
        if (!server->answer(server, connection.descriptor, request))
            break;
    }
    free(request);
    shutdown(connection.descriptor, SHUT_RDWR);
    pthread_mutex_lock(&server->lock);
    close(connection.descriptor);
    server->connections[connection.number - 1] = -1;
    pthread_mutex_unlock(&server->lock);
    return NULL;
}

static inline void *server_run(void *context)
{
    struct server *server = context;
    for (;;) {
        int descriptor = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
        if (descriptor < 0 || atomic_load(&server->stopping)) {
            if (descriptor >= 0)
                close(descriptor);
            return NULL;
        }
        struct server_connection *connection = memory_allocate(sizeof *connection);
        pthread_mutex_lock(&server->lock);
        ck_assert_uint_lt(server->connection_count, SERVER_THREADS);
        unsigned number = server->connection_count++;
        *connection = (struct server_connection){server, descriptor, number + 1};
        server->connections[number] = descriptor;
        pthread_create(&server->workers[number], NULL, server_serve, connection);
        pthread_mutex_unlock(&server->lock);
    }
}

static inline void server_begin(struct server *server)
{
    ck_assert_int_eq(listen(server->listener, 64), 0);
    pthread_mutex_init(&server->lock, NULL);
    ck_assert_int_eq(pthread_create(&server->thread, NULL, server_run, server), 0);
}

static inline void server_start(struct server *server, bool (*answer)(struct server *server, int connection,
                                                                      const struct server_request *request))
{
    memset(server, 0, sizeof *server);
    server->answer = answer;
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    ck_assert_int_eq(bind(server->listener, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(getsockname(server->listener, (struct sockaddr *)&address, &length), 0);
    server->port = ntohs(address.sin_port);
    server_begin(server);
}

static inline void server_start_unix(struct server *server, const char *path,
                                     bool (*answer)(struct server *server, int connection,
                                                    const struct server_request *request))
{
    memset(server, 0, sizeof *server);
    server->answer = answer;
    server->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    ck_assert_uint_lt(strlen(path), sizeof address.sun_path);
    memcpy(address.sun_path, path, strlen(path));
    ck_assert_int_eq(bind(server->listener, (struct sockaddr *)&address, sizeof address), 0);
    server_begin(server);
}

/* Ends every connection and thread. The requests stay readable. */
static inline void server_stop(struct server *server)
{
    atomic_store(&server->stopping, true);
    shutdown(server->listener, SHUT_RDWR); /* wakes accept */
    pthread_join(server->thread, NULL);
    close(server->listener);
    pthread_mutex_lock(&server->lock);
    for (unsigned i = 0; i < server->connection_count; i++)
        if (server->connections[i] >= 0)
            shutdown(server->connections[i], SHUT_RDWR);
    pthread_mutex_unlock(&server->lock);
    for (unsigned i = 0; i < server->connection_count; i++)
        pthread_join(server->workers[i], NULL);
    pthread_mutex_destroy(&server->lock);
}

#endif
