/* SPDX-License-Identifier: BSD-3-Clause */
/* A server that does what a test tells it, on plain sockets. */
#include "scripted_registry.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS 256

struct scripted_connection {
    struct scripted_registry *registry;
    int socket;
    bool open, head_only;
    pthread_t thread;
    bool used;
};

struct scripted_registry {
    scripted_serve *serve;
    void *context;
    int listener, port;
    int stop[2]; /* closed writing end: everybody goes */
    pthread_t thread;
    pthread_mutex_t lock;
    unsigned requests, at_once, most_at_once;
    struct scripted_connection connections[CONNECTIONS];
    size_t count;
};

static bool send_all(struct scripted_connection *connection, const char *bytes, size_t length)
{
    while (connection->open && length > 0) {
        ssize_t sent = send(connection->socket, bytes, length, MSG_NOSIGNAL);
        if (sent <= 0) {
            connection->open = false;
            break;
        }
        bytes += sent;
        length -= (size_t)sent;
    }
    return connection->open;
}

static void send_head(struct scripted_connection *connection, int status, const char *headers, size_t length)
{
    char head[8192];
    int size =
        snprintf(head, sizeof head, "HTTP/1.1 %d Scripted\r\nContent-Length: %zu\r\n%s\r\n", status, length, headers);
    send_all(connection, head, (size_t)size);
}

void scripted_answer(struct scripted_connection *connection, int status, const char *headers, const void *body,
                     size_t length)
{
    send_head(connection, status, headers, length);
    if (!connection->head_only)
        send_all(connection, body, length);
}

void scripted_text(struct scripted_connection *connection, int status, const char *headers, const char *body)
{
    scripted_answer(connection, status, headers, body, strlen(body));
}

void scripted_cut(struct scripted_connection *connection, int status, const char *headers, const void *body,
                  size_t length, size_t announced)
{
    send_head(connection, status, headers, announced);
    send_all(connection, body, length);
    connection->open = false;
}

void scripted_close(struct scripted_connection *connection)
{
    connection->open = false;
}

void scripted_drip(struct scripted_connection *connection, size_t announced)
{
    struct pollfd stopped = {.fd = connection->registry->stop[0], .events = POLLIN};
    send_head(connection, 200, "", announced);
    pthread_mutex_unlock(&connection->registry->lock); /* the others go on meanwhile */
    while (poll(&stopped, 1, 20) == 0 && send_all(connection, "x", 1))
        continue;
    pthread_mutex_lock(&connection->registry->lock);
    connection->open = false;
}

bool scripted_header(const struct scripted_request *request, const char *name, char *value, size_t size)
{
    size_t length = strlen(name);
    for (const char *line = request->headers; *line != '\0'; line = strchr(line, '\n') + 1)
        if (strncasecmp(line, name, length) == 0 && line[length] == ':') {
            const char *start = line + length + 1 + strspn(line + length + 1, " ");
            snprintf(value, size, "%.*s", (int)strcspn(start, "\n"), start);
            return true;
        }
    return false;
}

/* Readable, and nobody wants us to stop. */
static bool await_bytes(struct scripted_connection *connection)
{
    struct pollfd both[2] = {{.fd = connection->socket, .events = POLLIN},
                             {.fd = connection->registry->stop[0], .events = POLLIN}};
    return poll(both, 2, -1) > 0 && both[1].revents == 0;
}

static bool read_line(struct scripted_connection *connection, char *line, size_t size)
{
    size_t used = 0;
    while (used + 1 < size && await_bytes(connection) && recv(connection->socket, line + used, 1, 0) == 1) {
        if (line[used] == '\n') {
            line[used > 0 && line[used - 1] == '\r' ? used - 1 : used] = '\0';
            return true;
        }
        used++;
    }
    return false;
}

static bool read_body(struct scripted_connection *connection, struct scripted_request *request)
{
    char value[64];
    size_t length = scripted_header(request, "Content-Length", value, sizeof value) ? strtoul(value, NULL, 10) : 0;
    request->body = calloc(1, length + 1);
    while (request->body_length < length && await_bytes(connection)) {
        ssize_t got = recv(connection->socket, request->body + request->body_length, length - request->body_length, 0);
        if (got <= 0)
            return false;
        request->body_length += (size_t)got;
    }
    return request->body_length == length;
}

static bool read_request(struct scripted_connection *connection, struct scripted_request *request)
{
    char line[8192];
    size_t used = 0;
    *request = (struct scripted_request){.number = 0};
    if (!read_line(connection, line, sizeof line))
        return false;
    char *target = strchr(line, ' '), *end = target != NULL ? strchr(target + 1, ' ') : NULL;
    if (end == NULL)
        return false;
    *target = *end = '\0';
    snprintf(request->method, sizeof request->method, "%.15s", line);
    snprintf(request->target, sizeof request->target, "%.4000s", target + 1);
    while (read_line(connection, line, sizeof line) && line[0] != '\0')
        if (used + strlen(line) + 2 < sizeof request->headers)
            used += (size_t)snprintf(request->headers + used, sizeof request->headers - used, "%s\n", line);
    return read_body(connection, request);
}

static void *serve_connection(void *context)
{
    struct scripted_connection *connection = context;
    struct scripted_registry *registry = connection->registry;
    static _Thread_local struct scripted_request request;
    while (connection->open && read_request(connection, &request)) {
        pthread_mutex_lock(&registry->lock);
        request.number = ++registry->requests;
        if (++registry->at_once > registry->most_at_once)
            registry->most_at_once = registry->at_once;
        connection->head_only = strcmp(request.method, "HEAD") == 0;
        registry->serve(registry->context, &request, connection);
        registry->at_once--;
        pthread_mutex_unlock(&registry->lock);
        free(request.body);
        request.body = NULL;
    }
    free(request.body);
    shutdown(connection->socket, SHUT_RDWR);
    return NULL;
}

static void *accept_connections(void *context)
{
    struct scripted_registry *registry = context;
    struct pollfd both[2] = {{.fd = registry->listener, .events = POLLIN}, {.fd = registry->stop[0], .events = POLLIN}};
    while (poll(both, 2, -1) > 0 && both[1].revents == 0 && registry->count < CONNECTIONS) {
        int accepted = accept4(registry->listener, NULL, NULL, SOCK_CLOEXEC);
        if (accepted < 0)
            continue;
        struct scripted_connection *connection = &registry->connections[registry->count++];
        *connection = (struct scripted_connection){.registry = registry, .socket = accepted, .open = true};
        connection->used = pthread_create(&connection->thread, NULL, serve_connection, connection) == 0;
    }
    return NULL;
}

struct scripted_registry *scripted_start(scripted_serve *serve, void *context)
{
    struct scripted_registry *registry = calloc(1, sizeof *registry);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    registry->serve = serve;
    registry->context = context;
    pthread_mutex_init(&registry->lock, NULL);
    registry->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(registry->listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(registry->listener, 64) != 0 ||
        getsockname(registry->listener, (struct sockaddr *)&address, &length) != 0 || pipe(registry->stop) != 0 ||
        pthread_create(&registry->thread, NULL, accept_connections, registry) != 0)
        abort();
    registry->port = ntohs(address.sin_port);
    return registry;
}

void scripted_stop(struct scripted_registry *registry)
{
    close(registry->stop[1]);
    pthread_join(registry->thread, NULL);
    for (size_t i = 0; i < registry->count; i++) {
        if (registry->connections[i].used)
            pthread_join(registry->connections[i].thread, NULL);
        close(registry->connections[i].socket);
    }
    close(registry->stop[0]);
    close(registry->listener);
    pthread_mutex_destroy(&registry->lock);
    free(registry);
}

int scripted_port(const struct scripted_registry *registry)
{
    return registry->port;
}

unsigned scripted_requests(struct scripted_registry *registry)
{
    pthread_mutex_lock(&registry->lock);
    unsigned requests = registry->requests;
    pthread_mutex_unlock(&registry->lock);
    return requests;
}

unsigned scripted_most_at_once(struct scripted_registry *registry)
{
    pthread_mutex_lock(&registry->lock);
    unsigned most = registry->most_at_once;
    pthread_mutex_unlock(&registry->lock);
    return most;
}
