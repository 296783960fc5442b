/* SPDX-License-Identifier: BSD-3-Clause */
/* Starts a developer's container that goes on after its starter: its socket is listened on before bubblewrap starts,
 * and this process ends when the first process inside says that it is there. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "box.h"
#include "init.h"

static int listen_here(void)
{
    const struct sockaddr_un place = {.sun_family = AF_UNIX, .sun_path = BOX_SOCKET};
    int listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    unlink(BOX_SOCKET);
    if (listening < 0 || bind(listening, (const struct sockaddr *)&place, sizeof place) != 0 ||
        listen(listening, BOX_COMMANDS_LIMIT) != 0 || dup2(listening, BOX_SOCKET_DESCRIPTOR) < 0)
        return -1;
    if (listening != BOX_SOCKET_DESCRIPTOR)
        close(listening);
    return 0;
}

/* Its writing end is BOX_READY_DESCRIPTOR. */
static int make_ready_pipe(void)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    int reader = fcntl(ends[0], F_DUPFD_CLOEXEC, BOX_SOCKET_DESCRIPTOR + 1);
    int writer = fcntl(ends[1], F_DUPFD_CLOEXEC, BOX_SOCKET_DESCRIPTOR + 1);
    close(ends[0]);
    close(ends[1]);
    int made = reader >= 0 && writer >= 0 && dup2(writer, BOX_READY_DESCRIPTOR) >= 0;
    close(writer);
    return made ? reader : -1;
}

static int start_bubblewrap(char **words, pid_t *child)
{
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t streams;
    int number = posix_spawnattr_init(&attributes);
    if (number != 0)
        return number;
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
    number = posix_spawn_file_actions_init(&streams);
    if (number == 0) {
        posix_spawn_file_actions_addopen(&streams, 0, "/dev/null", O_RDONLY, 0);
        posix_spawn_file_actions_addopen(&streams, 1, BOX_LOG, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        posix_spawn_file_actions_adddup2(&streams, 1, 2);
        number = posix_spawnp(child, words[0], &streams, &attributes, words, environ);
        posix_spawn_file_actions_destroy(&streams);
    }
    posix_spawnattr_destroy(&attributes);
    return number;
}

static void repeat_log(void)
{
    char text[4096];
    int log = open(BOX_LOG, O_RDONLY | O_CLOEXEC);
    ssize_t got = log >= 0 ? read(log, text, sizeof text) : 0;
    if (got > 0)
        fwrite(text, 1, (size_t)got, stderr);
    else
        fputs("descpipe: the container ended as it began\n", stderr);
    if (log >= 0)
        close(log);
}

int box_keep(char **words)
{
    char byte;
    int status;
    pid_t child;
    ssize_t got;
    int reader = listen_here() == 0 ? make_ready_pipe() : -1;
    int number = reader >= 0 ? start_bubblewrap(words, &child) : errno;
    if (number != 0)
        return say_failure("", words[0], number);
    close(BOX_READY_DESCRIPTOR);
    close(BOX_SOCKET_DESCRIPTOR);
    do {
        got = read(reader, &byte, 1);
    } while (got < 0 && errno == EINTR);
    if (got == 1)
        return 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    repeat_log();
    return EXIT_NOT_EXECUTABLE;
}
