/* SPDX-License-Identifier: BSD-3-Clause */
/* The first process of a developer's container: starts commands for its clients, tells them how they ended, and reaps
 * what nobody waits for; box.h tells how they talk. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "box.h"
#include "init.h"

#define PATIENCE_SECONDS 10 /* with a client that does not send what it announced */

struct command {
    pid_t process;
    int client; /* -1: it went */
};

struct server {
    struct command commands[BOX_COMMANDS_LIMIT];
    size_t count;
    int signals;
    bool ending;
    int64_t deadline_ms;
};

/* What a client sent. */
struct request {
    struct box_wish wish;
    char *texts;
    char **words; /* the command's, NULL, the variables, NULL */
    const char *folder;
    int streams[3];
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void close_streams(struct request *request)
{
    for (size_t i = 0; i < 3; i++)
        if (request->streams[i] >= 0)
            close(request->streams[i]);
}

static void request_clear(struct request *request)
{
    close_streams(request);
    free(request->texts);
    free(request->words);
}

/* Each text ends with NUL, and so does the last. */
static bool split(struct request *request)
{
    const struct box_wish *wish = &request->wish;
    size_t at = strlen(request->texts) + 1, place = 0;
    request->folder = request->texts;
    for (uint32_t i = 0; i < wish->words + wish->variables; i++) {
        if (at >= wish->length)
            return false;
        if (i == wish->words)
            request->words[place++] = NULL;
        request->words[place++] = request->texts + at;
        at += strlen(request->texts + at) + 1;
    }
    return true;
}

static bool receive(int client, struct request *request)
{
    const struct box_wish *wish = &request->wish;
    if (box_receive(client, &request->wish, sizeof request->wish, request->streams, 3) <= 0)
        return false;
    if (wish->kind == BOX_END)
        return true;
    if (wish->words == 0 || wish->words > BOX_WORDS_LIMIT || wish->variables > BOX_WORDS_LIMIT - wish->words ||
        wish->length == 0 || wish->length > BOX_TEXTS_LIMIT)
        return false;
    request->texts = calloc(1, (size_t)wish->length + 1);
    request->words = calloc((size_t)wish->words + wish->variables + 3, sizeof *request->words);
    return request->texts != NULL && request->words != NULL &&
           box_receive(client, request->texts, wish->length, NULL, 0) > 0 && split(request);
}

static void answer(int client, uint32_t kind, int number, int descriptor)
{
    const struct box_answer text = {.kind = kind, .number = number};
    box_send(client, &text, sizeof text, &descriptor, descriptor >= 0 ? 1 : 0); /* a client that is gone is noticed */
}

/* The side that the client gets; the other's path. -1 with errno. */
static int make_terminal(const struct box_wish *wish, char path[64])
{
    const struct winsize size = {.ws_row = (unsigned short)wish->rows, .ws_col = (unsigned short)wish->columns};
    int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (terminal < 0)
        return -1;
    if (grantpt(terminal) != 0 || unlockpt(terminal) != 0 || ptsname_r(terminal, path, 64) != 0 ||
        ioctl(terminal, TIOCSWINSZ, &size) != 0) {
        close(terminal);
        return -1;
    }
    return terminal;
}

static void add_streams(posix_spawn_file_actions_t *actions, const struct request *request, const char *terminal)
{
    if (terminal == NULL) {
        for (int i = 0; i < 3; i++)
            posix_spawn_file_actions_adddup2(actions, request->streams[i], i);
        return;
    }
    posix_spawn_file_actions_addopen(actions, 0, terminal, O_RDWR, 0); /* a session's first: it becomes its own */
    posix_spawn_file_actions_adddup2(actions, 0, 1);
    posix_spawn_file_actions_adddup2(actions, 0, 2);
}

/* The program is looked for where the command's own PATH says. 0 or an errno. */
static int find_program(const char *name, char *const *variables, char place[PATH_MAX])
{
    const char *path = "";
    int number = ENOENT;
    for (; *variables != NULL; variables++)
        if (strncmp(*variables, "PATH=", 5) == 0)
            path = *variables + 5;
    if (strchr(name, '/') != NULL)
        return snprintf(place, PATH_MAX, "%s", name) < PATH_MAX ? 0 : ENAMETOOLONG;
    while (*path != '\0') {
        size_t length = strcspn(path, ":");
        int made = snprintf(place, PATH_MAX, "%.*s/%s", (int)length, path, name);
        if (length > 0 && made < PATH_MAX && access(place, X_OK) == 0)
            return 0;
        if (length > 0 && made < PATH_MAX && access(place, F_OK) == 0)
            number = EACCES;
        path += length + (path[length] == ':');
    }
    return number;
}

/* A session of its own, so that all of it can be ended. 0 or an errno. */
static int spawn(const struct request *request, const char *terminal, pid_t *process)
{
    char **variables = request->words + request->wish.words + 1;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t actions;
    sigset_t signals;
    char program[PATH_MAX];
    int number = find_program(request->words[0], variables, program);
    if (number == 0)
        number = posix_spawnattr_init(&attributes);
    if (number != 0)
        return number;
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    sigemptyset(&signals);
    posix_spawnattr_setsigmask(&attributes, &signals);
    sigaddset(&signals, SIGPIPE);
    posix_spawnattr_setsigdefault(&attributes, &signals);
    number = posix_spawn_file_actions_init(&actions);
    if (number == 0) {
        add_streams(&actions, request, terminal);
        if (request->folder[0] != '\0')
            posix_spawn_file_actions_addchdir_np(&actions, request->folder);
        number = posix_spawn(process, program, &actions, &attributes, request->words, variables);
        posix_spawn_file_actions_destroy(&actions);
    }
    posix_spawnattr_destroy(&attributes);
    return number;
}

/* False: the client is not needed any more. */
static bool start_command(struct server *server, int client, struct request *request)
{
    char path[64];
    pid_t process;
    bool wants_terminal = request->wish.kind == BOX_RUN_TERMINAL;
    if (server->ending || server->count == BOX_COMMANDS_LIMIT ||
        (!wants_terminal && (request->streams[0] < 0 || request->streams[1] < 0 || request->streams[2] < 0))) {
        answer(client, BOX_NOT_STARTED, server->ending ? ESRCH : EAGAIN, -1);
        return false;
    }
    int terminal = wants_terminal ? make_terminal(&request->wish, path) : -1;
    int number = wants_terminal && terminal < 0 ? errno : spawn(request, wants_terminal ? path : NULL, &process);
    if (number == 0 && wants_terminal)
        answer(client, BOX_TERMINAL, 0, terminal);
    if (terminal >= 0)
        close(terminal);
    if (number != 0) {
        answer(client, BOX_NOT_STARTED, number, -1);
        return false;
    }
    server->commands[server->count++] = (struct command){.process = process, .client = client};
    return true;
}

static void begin_end(struct server *server, uint64_t grace_ms)
{
    server->ending = true;
    server->deadline_ms = now_ms() + (int64_t)(grace_ms < INT32_MAX ? grace_ms : INT32_MAX);
    kill(-1, SIGTERM);
    kill(-1, SIGCONT);
}

static void take_client(struct server *server)
{
    const struct timeval patience = {.tv_sec = PATIENCE_SECONDS};
    struct request request = {.streams = {-1, -1, -1}};
    int client = accept4(BOX_SOCKET_DESCRIPTOR, NULL, NULL, SOCK_CLOEXEC);
    if (client < 0)
        return;
    setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    bool good = receive(client, &request);
    if (good && request.wish.kind == BOX_END)
        begin_end(server, request.wish.grace_ms); /* the client waits for our end, which closes the descriptor */
    else if (!good || !start_command(server, client, &request))
        close(client);
    request_clear(&request);
}

static void tell_end(struct server *server, pid_t process, int status)
{
    for (size_t i = 0; i < server->count; i++) {
        struct command *command = &server->commands[i];
        if (command->process != process)
            continue;
        if (command->client >= 0) {
            answer(command->client, BOX_ENDED, status, -1);
            close(command->client);
        }
        *command = server->commands[--server->count];
        return;
    }
}

/* False: there is no process but this one. */
static bool reap(struct server *server)
{
    struct signalfd_siginfo told;
    int status;
    pid_t process;
    while (read(server->signals, &told, sizeof told) == (ssize_t)sizeof told)
        continue;
    while ((process = waitpid(-1, &status, WNOHANG)) > 0)
        tell_end(server, process, status);
    return process == 0;
}

static void client_went(struct command *command)
{
    kill(-command->process, SIGKILL);
    kill(command->process, SIGKILL);
    close(command->client);
    command->client = -1;
}

static void wait_for_news(struct server *server)
{
    struct pollfd places[BOX_COMMANDS_LIMIT + 2] = {{.fd = BOX_SOCKET_DESCRIPTOR, .events = POLLIN},
                                                    {.fd = server->signals, .events = POLLIN}};
    size_t count = server->count;
    int64_t left = server->ending ? server->deadline_ms - now_ms() : -1;
    for (size_t i = 0; i < count; i++)
        places[i + 2] = (struct pollfd){.fd = server->commands[i].client, .events = POLLIN};
    if (poll(places, count + 2, server->ending ? (int)(left > 0 ? left : 0) : -1) < 0)
        return;
    for (size_t i = 0; i < count; i++)
        if (places[i + 2].revents != 0) /* a client sends nothing more: it went */
            client_went(&server->commands[i]);
    if (places[0].revents != 0)
        take_client(server);
}

/* What goes on after the grace ends here; when this process ends nothing else is left. */
static int end_all(void)
{
    kill(-1, SIGKILL);
    while (wait(NULL) > 0 || errno == EINTR)
        continue;
    return 0;
}

int box_serve(void)
{
    static struct server server;
    sigset_t children;
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    sigprocmask(SIG_SETMASK, &children, NULL);
    sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    server.signals = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
    fcntl(BOX_SOCKET_DESCRIPTOR, F_SETFD, FD_CLOEXEC);
    if (server.signals < 0 || write(BOX_READY_DESCRIPTOR, "", 1) != 1)
        return EXIT_NOT_EXECUTABLE;
    close(BOX_READY_DESCRIPTOR);
    for (;;) {
        bool others = reap(&server);
        if (server.ending && (!others || now_ms() >= server.deadline_ms))
            return end_all();
        wait_for_news(&server);
    }
}
