/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A command in a developer's container, with standard streams or a terminal of ours.
 *
 * How it works: the Engine makes the command (POST .../exec) and then answers its start by handing the connection over
 * (status 101), which carries both directions from then on; the http service cannot do that, so it is a connection of
 * our own to the Engine's Unix socket. What comes is frames of two streams, or the terminal's bytes. With a terminal,
 * ours is made raw and its size is told before anything is typed, and again when it changes. When the connection ends,
 * the Engine is asked for the exit status.
 *
 * An Engine behind tcp:// cannot be had this way: then the call is refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "docker.h"
#include "engine/exec.h"
#include "engine/frames.h"

enum { HEAD_LIMIT = 16384, PIECE = 32768, RESIZE_LOOK_MS = 300, END_LOOK_MS = 50, END_LOOKS = 200 };
enum { API_EXEC_FOLDER = 1035 };

struct entry {
    struct docker *docker;
    struct descpipe_call *call;
    struct exchange *exchange;
    char *name; /* of the container */
    char id[ANSWER_ID];
    int socket;  /* -1: none */
    int sending; /* the same connection, since one descriptor is watched for one thing; -1: none */
    struct descpipe_watch *reading, *writing, *typing;
    struct bytes head; /* of the answer, until it is whole */
    bool handed_over, input_ended, cancelled;
    struct frames frames;
    int32_t streams[3]; /* below 0: none */
    bool terminal, raw;
    struct termios modes; /* as they were */
    struct winsize size;
    struct descpipe_timer *timer;
    unsigned looks;
    char piece[PIECE]; /* what goes to the command */
    size_t piece_length, piece_sent;
};

/* ---- the end ---- */

static void unwatch(struct entry *entry, struct descpipe_watch **watch)
{
    if (*watch != NULL) {
        entry->docker->host->descriptor->unwatch(*watch);
    }
    *watch = NULL;
}

static void hang_up(struct entry *entry)
{
    unwatch(entry, &entry->reading);
    unwatch(entry, &entry->writing);
    unwatch(entry, &entry->typing);
    if (entry->timer != NULL) {
        entry->docker->host->timer->stop(entry->timer);
    }
    entry->timer = NULL;
    if (entry->socket >= 0) {
        close(entry->socket);
    }
    if (entry->sending >= 0) {
        close(entry->sending);
    }
    entry->socket = entry->sending = -1;
    if (entry->raw) {
        tcsetattr(STDIN_FILENO, TCSADRAIN, &entry->modes);
    }
    entry->raw = false;
}

static void free_entry(struct entry *entry)
{
    hang_up(entry);
    bytes_wipe(&entry->head);
    free(entry->name);
    explicit_bzero(entry->piece, sizeof(entry->piece));
    free(entry);
}

static void fail(struct entry *entry, uint32_t failure, const char *hint, const char *words)
{
    hang_up(entry);
    docker_fail(entry->docker, entry->call, failure, hint, "a command in container %.100s: %s", entry->name, words);
    free_entry(entry);
}

static void fail_memory(struct entry *entry)
{
    fail(entry, DESCPIPE_FAILED_LATER, NULL, "not enough memory");
}

/* Takes `path`. False: the entry is gone. */
static bool ask(struct entry *entry, const char *method, char *path,
                void (*done)(void *context, const struct docker_reply *reply))
{
    struct docker_request request = {.method = method, .path = path, .done = done, .context = entry};
    entry->exchange = path != NULL ? docker_ask(entry->docker, &request) : NULL;
    free(path);
    if (entry->exchange == NULL) {
        fail_memory(entry);
        return false;
    }
    return true;
}

static char *exec_path(const struct entry *entry, const char *rest)
{
    char *path = NULL;
    return asprintf(&path, "/exec/%s%s", entry->id, rest) < 0 ? NULL : path;
}

static void look_at_end(void *context);

static void end_inspected(void *context, const struct docker_reply *reply)
{
    struct entry *entry = context;
    struct docker *docker = entry->docker;
    struct exec_facts facts;
    entry->exchange = NULL;
    if (entry->cancelled) {
        fail(entry, DESCPIPE_FAILED_CANCELLED, NULL, "cancelled; it may go on in the container");
    } else if (!docker_answered(reply, 200)) {
        fail(entry, DESCPIPE_FAILED_UNKNOWN, reply->hint, reply->words);
    } else if (!answer_read_exec(reply->body, reply->length, &facts)) {
        fail(entry, DESCPIPE_FAILED_UNKNOWN, NULL, "Docker's answer cannot be read");
    } else if (facts.running && ++entry->looks < END_LOOKS) {
        entry->timer = docker->host->timer->start(docker->host, END_LOOK_MS, look_at_end, entry);
    } else if (facts.running) {
        fail(entry, DESCPIPE_FAILED_UNKNOWN, NULL, "its output has ended, and Docker says that it still runs");
    } else {
        struct descpipe_ending ending = {.size = sizeof(ending),
                                         .flags = DESCPIPE_ENDED_EXITED,
                                         .exit_code = facts.exit_code,
                                         .witness = "docker inspect"};
        docker->host->answer->ending(entry->call, &ending);
        docker->host->call->succeed(entry->call);
        free_entry(entry);
    }
}

static void look_at_end(void *context)
{
    struct entry *entry = context;
    entry->timer = NULL;
    ask(entry, "GET", exec_path(entry, "/json"), end_inspected);
}

static void connection_ended(struct entry *entry)
{
    hang_up(entry);
    if (entry->exchange == NULL) { /* else a resize is on its way, and looks afterwards */
        look_at_end(entry);
    }
}

/* ---- what goes to the command ---- */

static void read_input(struct entry *entry);

static void socket_writable(void *context, uint32_t events)
{
    struct entry *entry = context;
    (void)events;
    ssize_t put = send(entry->socket, entry->piece + entry->piece_sent, entry->piece_length - entry->piece_sent,
                       MSG_NOSIGNAL | MSG_DONTWAIT);
    if (put < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    entry->piece_sent += put > 0 ? (size_t)put : 0;
    if (put >= 0 && entry->piece_sent < entry->piece_length) {
        return;
    }
    unwatch(entry, &entry->writing);
    entry->piece_length = entry->piece_sent = 0;
    if (put < 0) {
        entry->input_ended = true; /* it does not want the rest: the other direction tells how it ended */
    } else {
        read_input(entry);
    }
}

static void end_input(struct entry *entry)
{
    entry->input_ended = true;
    shutdown(entry->socket, SHUT_WR);
}

static void take_input(struct entry *entry)
{
    ssize_t got = read(entry->streams[0], entry->piece, sizeof(entry->piece));
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    unwatch(entry, &entry->typing);
    if (got <= 0) {
        end_input(entry);
        return;
    }
    const struct descpipe_host *host = entry->docker->host;
    entry->piece_length = (size_t)got;
    entry->writing = host->descriptor->watch(host, entry->sending, DESCPIPE_WRITABLE, socket_writable, entry);
}

static void input_readable(void *context, uint32_t events)
{
    (void)events;
    take_input(context);
}

/* A file is always readable, and nothing that one can wait for. */
static void read_input(struct entry *entry)
{
    const struct descpipe_host *host = entry->docker->host;
    struct stat status;
    if (entry->streams[0] < 0) {
        end_input(entry);
    } else if (fstat(entry->streams[0], &status) == 0 && (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode))) {
        take_input(entry);
    } else {
        entry->typing = host->descriptor->watch(host, entry->streams[0], DESCPIPE_READABLE, input_readable, entry);
    }
}

/* ---- the terminal ---- */

static void look_at_size(void *context);

static void resized(void *context, const struct docker_reply *reply)
{
    struct entry *entry = context;
    const struct descpipe_host *host = entry->docker->host;
    (void)reply; /* a command that has ended has no size */
    entry->exchange = NULL;
    if (entry->cancelled) {
        fail(entry, DESCPIPE_FAILED_CANCELLED, NULL, "cancelled; it may go on in the container");
    } else if (entry->socket < 0) {
        look_at_end(entry);
    } else {
        entry->timer = host->timer->start(host, RESIZE_LOOK_MS, look_at_size, entry);
        if (entry->typing == NULL && entry->writing == NULL && !entry->input_ended) {
            read_input(entry);
        }
    }
}

static void tell_size(struct entry *entry)
{
    char rest[64];
    snprintf(rest, sizeof(rest), "/resize?h=%u&w=%u", (unsigned)entry->size.ws_row, (unsigned)entry->size.ws_col);
    ask(entry, "POST", exec_path(entry, rest), resized);
}

static void look_at_size(void *context)
{
    struct entry *entry = context;
    const struct descpipe_host *host = entry->docker->host;
    struct winsize size;
    entry->timer = NULL;
    if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0 &&
        (size.ws_row != entry->size.ws_row || size.ws_col != entry->size.ws_col)) {
        entry->size = size;
        tell_size(entry);
    } else {
        entry->timer = host->timer->start(host, RESIZE_LOOK_MS, look_at_size, entry);
    }
}

static void take_terminal(struct entry *entry)
{
    struct termios raw;
    if (tcgetattr(STDIN_FILENO, &entry->modes) == 0) {
        raw = entry->modes;
        cfmakeraw(&raw);
        entry->raw = tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
    }
    if (ioctl(STDIN_FILENO, TIOCGWINSZ, &entry->size) == 0 && entry->size.ws_row > 0) {
        tell_size(entry);
    } else {
        read_input(entry);
    }
}

/* ---- what comes from it ---- */

static bool content_came(void *context, uint8_t stream, const char *data, size_t length)
{
    const struct entry *entry = context;
    int32_t descriptor = entry->streams[stream == 2 ? 2 : 1];
    return descriptor < 0 || docker_write_all(descriptor, data, length);
}

static void bytes_came(struct entry *entry, const char *data, size_t length)
{
    if (!frames_read(&entry->frames, data, length, content_came, entry)) {
        fail(entry, DESCPIPE_FAILED_UNKNOWN, NULL, "its output cannot be written, or is none");
    }
}

/* The head of the answer is read as little as can be: it says 101, or what is wrong. */
static void head_came(struct entry *entry, const char *data, size_t length)
{
    char words[ANSWER_WORDS];
    if (!bytes_add(&entry->head, data, length)) {
        fail_memory(entry);
        return;
    }
    const char *end = memmem(entry->head.data, entry->head.length, "\r\n\r\n", 4);
    if (end == NULL && entry->head.length < HEAD_LIMIT) {
        return;
    }
    bool good = end != NULL && (strncmp(entry->head.data, "HTTP/1.1 101", 12) == 0 ||
                                strncmp(entry->head.data, "HTTP/1.1 200", 12) == 0);
    if (!good) {
        const char *body = end != NULL ? end + 4 : entry->head.data;
        answer_read_words(body, entry->head.length - (size_t)(body - entry->head.data), words);
        fail(entry, DESCPIPE_FAILED_REFUSED, NULL, words);
        return;
    }
    entry->handed_over = true;
    if (entry->terminal) {
        take_terminal(entry);
    } else {
        read_input(entry);
    }
    size_t rest = entry->head.length - (size_t)(end + 4 - entry->head.data);
    if (rest > 0) {
        bytes_came(entry, end + 4, rest);
    }
}

static void socket_readable(void *context, uint32_t events)
{
    struct entry *entry = context;
    char data[PIECE];
    (void)events;
    ssize_t got = recv(entry->socket, data, sizeof(data), MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got > 0 && entry->handed_over) {
        bytes_came(entry, data, (size_t)got);
    } else if (got > 0) {
        head_came(entry, data, (size_t)got);
    } else if (entry->handed_over) {
        connection_ended(entry);
    } else {
        fail(entry, DESCPIPE_FAILED_UNKNOWN, NULL, "Docker closed the connection");
    }
}

/* ---- the beginning ---- */

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor >= 0 && connect(descriptor, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        int number = errno;
        close(descriptor);
        errno = number;
        return -1;
    }
    return descriptor;
}

static void start_it(struct entry *entry)
{
    const struct descpipe_host *host = entry->docker->host;
    char request[ANSWER_ID + 512], body[64];
    snprintf(body, sizeof(body), "{\"Detach\":false,\"Tty\":%s}", entry->terminal ? "true" : "false");
    int length = snprintf(request, sizeof(request),
                          "POST /v%" PRIu32 ".%" PRIu32 "/exec/%s/start HTTP/1.1\r\nHost: localhost\r\n"
                          "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: application/json\r\n"
                          "Content-Length: %zu\r\n\r\n%s",
                          entry->docker->api / 1000, entry->docker->api % 1000, entry->id, strlen(body), body);
    entry->socket = connect_to(entry->docker->address.socket);
    /* So few bytes fit into a fresh socket. */
    entry->sending = entry->socket >= 0 ? fcntl(entry->socket, F_DUPFD_CLOEXEC, 3) : -1;
    if (entry->sending < 0 || send(entry->socket, request, (size_t)length, MSG_NOSIGNAL) != length) {
        fail(entry, DESCPIPE_FAILED_CANNOT_ASK, NULL, strerrordesc_np(errno));
        return;
    }
    entry->frames = (struct frames){.raw = entry->terminal};
    entry->reading = host->descriptor->watch(host, entry->socket, DESCPIPE_READABLE, socket_readable, entry);
}

static void created(void *context, const struct docker_reply *reply)
{
    struct entry *entry = context;
    entry->exchange = NULL;
    if (entry->cancelled) {
        fail(entry, DESCPIPE_FAILED_CANCELLED, NULL, "cancelled");
    } else if (!docker_answered(reply, 201)) {
        fail(entry, docker_change_failure(reply), reply->hint, reply->words);
    } else if (!answer_read_created(reply->body, reply->length, entry->id) ||
               strspn(entry->id, "0123456789abcdef") != strlen(entry->id)) {
        fail(entry, DESCPIPE_FAILED_UNKNOWN, NULL, "Docker's answer cannot be read");
    } else {
        start_it(entry);
    }
}

/* The Engine has no way to end a command that it was told to start. */
static void cancelled(void *context)
{
    struct entry *entry = context;
    entry->cancelled = true;
    if (entry->exchange != NULL) {
        docker_stop_asking(entry->exchange);
    } else {
        fail(entry, DESCPIPE_FAILED_CANCELLED, NULL, "cancelled; it may go on in the container");
    }
}

void docker_exec(void *self, struct descpipe_call *call, const struct descpipe_exec *exec)
{
    struct docker *docker = self;
    struct bytes body = {0};
    if (!docker_has_api(docker, call)) {
        return;
    }
    if (docker->address.socket[0] == '\0') {
        docker_fail(docker, call, DESCPIPE_FAILED_UNSUPPORTED, "use an Engine on this machine",
                    "commands in containers need Docker's Unix socket, and the Engine is at %.200s",
                    docker->address.text);
        return;
    }
    struct entry *entry = calloc(1, sizeof(*entry));
    char *name = strdup(container_name(exec->container));
    if (entry == NULL || name == NULL || !exec_write(exec, &body)) {
        bool memory = entry == NULL || name == NULL;
        bytes_wipe(&body);
        free(entry);
        free(name);
        docker->host->call->fail(call, memory ? DESCPIPE_FAILED_LATER : DESCPIPE_FAILED_REFUSED,
                                 memory ? "not enough memory" : "a word of the command or its environment is not UTF-8",
                                 NULL);
        return;
    }
    *entry = (struct entry){.docker = docker,
                            .call = call,
                            .name = name,
                            .socket = -1,
                            .sending = -1,
                            .terminal = exec->terminal != 0,
                            .streams = {exec->input_descriptor, exec->output_descriptor, exec->error_descriptor}};
    for (int32_t i = 0; i < 3 && entry->terminal; i++) {
        entry->streams[i] = i;
    }
    struct docker_request request = {.method = "POST",
                                     .path = container_path(name, "/exec"),
                                     .body = body.data,
                                     .body_length = body.length,
                                     .oldest_api = exec->directory != NULL ? API_EXEC_FOLDER : 0,
                                     .feature = "a working folder for a command",
                                     .done = created,
                                     .context = entry};
    entry->exchange = request.path != NULL ? docker_ask(docker, &request) : NULL;
    bytes_wipe(&body);
    free((char *)(uintptr_t)request.path);
    if (entry->exchange == NULL) {
        fail_memory(entry);
        return;
    }
    docker->host->call->on_cancel(call, cancelled, entry);
}
