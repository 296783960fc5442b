/* SPDX-License-Identifier: BSD-3-Clause */
/* Splitting into front, keeper and engine, and the front's end of their socket. */
#include "run/front.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "io/process.h"
#include "run/engine.h"
#include "run/keeper.h"
#include "run/message.h"

/* The keeper outlives the front: it must not hold the user's terminal or pipe open, nor a folder that may be unmounted.
 */
static void let_go_of_terminal(void)
{
    cleanup(descriptor_close) int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int i = 0; i < 3 && nothing >= 0; i++)
        dup2(nothing, i);
    if (chdir("/") != 0)
        return; /* then it keeps the folder: no harm */
}

/* The engine said so itself when it ended in order, and the front is gone or reads no further: this is for the others.
 */
static void tell_front(void *context, int exit_code, int signal)
{
    int *socket = context;
    struct run_message message = {.kind = RUN_ENGINE_DIED, .status = signal != 0 ? -signal : exit_code};
    send(*socket, &message, sizeof message, MSG_NOSIGNAL | MSG_DONTWAIT);
    close(*socket);
}

struct channels { /* [0] is the front's end, [1] the engine's; -1: not there */
    int sockets[2], messages[2], problems[2];
};

static void channels_close(const struct channels *channels, int side)
{
    descriptor_close(channels->sockets[side]);
    descriptor_close(channels->messages[side]);
    descriptor_close(channels->problems[side]);
}

/* Only the front's end never blocks: what the engine says is never lost. */
static bool make_pipe(bool wanted, int ends[2], struct error *error)
{
    if (wanted && pipe2(ends, O_CLOEXEC) != 0)
        return error_system(error, "cannot make a pipe from the engine");
    return !wanted || fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0;
}

static bool channels_open(const struct run_request *request, struct channels *channels, struct error *error)
{
    *channels = (struct channels){{-1, -1}, {-1, -1}, {-1, -1}};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channels->sockets) != 0)
        return error_system(error, "cannot make a socket to the engine");
    if (make_pipe(request->wants_messages, channels->messages, error) &&
        make_pipe(request->wants_problems, channels->problems, error))
        return true;
    channels_close(channels, 0);
    channels_close(channels, 1);
    return false;
}

/* In the keeper, from here to its end. It has no end of the front's, or the front's death would not be seen. */
static _Noreturn void live_as_keeper(const struct run_request *request, struct keeper_table *table,
                                     const struct channels *channels)
{
    int socket = channels->sockets[1];
    channels_close(channels, 0);
    if (channels->messages[1] >= 0)
        dup2(channels->messages[1], STDERR_FILENO);
    cleanup(error_clear) struct error error = ERROR_INIT;
    if (!keeper_become(&error)) {
        log_error(&error);
        _exit(error_exit_status(error.kind));
    }
    atomic_store(&table->keeper, (int32_t)getpid());
    pid_t engine = process_split(0, &error);
    if (engine == 0) {
        atomic_store(&table->engine, (int32_t)getpid());
        _exit(engine_run(request, table, socket, channels->problems[1]));
    }
    if (engine < 0) {
        log_error(&error);
        _exit(error_exit_status(error.kind));
    }
    let_go_of_terminal();
    keeper_run(table, engine, tell_front, &socket);
    _exit(0);
}

bool run_start(const struct run_request *request, struct run_front *front, struct error *error)
{
    struct channels channels;
    struct keeper_table *table = keeper_table_new(error);
    if (table == NULL)
        return false;
    if (!channels_open(request, &channels, error)) {
        keeper_table_free(table);
        return false;
    }
    pid_t keeper = process_split(0, error);
    if (keeper == 0)
        live_as_keeper(request, table, &channels);
    keeper_table_free(table);
    channels_close(&channels, 1);
    if (keeper < 0) {
        channels_close(&channels, 0);
        return false;
    }
    *front = (struct run_front){.socket = channels.sockets[0],
                                .keeper = keeper,
                                .messages = channels.messages[0],
                                .problems = channels.problems[0]};
    return true;
}

void run_front_clear(struct run_front *front)
{
    if (front->keeper == 0)
        return;
    close(front->socket);
    descriptor_close(front->messages);
    descriptor_close(front->problems);
    memory_free(front->folder);
    *front = (struct run_front){.socket = -1, .messages = -1, .problems = -1};
}

bool run_front_send(struct run_front *front, enum run_wish wish)
{
    struct run_message message = {.kind = (uint32_t)wish};
    return send(front->socket, &message, sizeof message, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)sizeof message;
}

enum run_news run_front_next(struct run_front *front, bool wait)
{
    struct run_message message;
    ssize_t got;
    do {
        got = recv(front->socket, &message, sizeof message, wait ? 0 : MSG_DONTWAIT);
    } while (got < 0 && errno == EINTR);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return 0;
    if (got != (ssize_t)sizeof message) {
        front->exit_status = error_exit_status(ERROR_BUG); /* keeper and engine ended without a word */
        front->died = true;
        return RUN_END;
    }
    if (message.kind == RUN_ENGINE_DIED) {
        front->exit_status = error_exit_status(ERROR_BUG);
        front->died = true;
        front->died_of = message.status < 0 ? -message.status : 0;
        return RUN_END;
    }
    if (message.kind == RUN_FOLDER && front->folder == NULL) {
        message.text[sizeof message.text - 1] = '\0';
        front->folder = memory_copy_text(message.text);
    }
    front->exit_status = message.status;
    return (enum run_news)message.kind;
}
