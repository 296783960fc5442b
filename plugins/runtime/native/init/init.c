/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The two processes of ours around bubblewrap: one outside the container, one that is its first process.
 *
 *     native-init outside UMASK BWRAP ARGUMENTS...   starts bubblewrap, and ends exactly as the stage's command ended
 *     native-init inside COMMAND...                  starts the stage's command, and ends when it ends
 *     native-init become UMASK BWRAP ARGUMENTS...    becomes bubblewrap: for a rank, whose launcher has its own ways
 *
 * Those of a developer's container (box.h), all but `serve` in its folder:
 *
 *     native-init keep UMASK BWRAP ARGUMENTS...           starts it
 *     native-init serve                                   is its first process
 *     native-init enter streams|terminal FOLDER COMMAND...  runs a command in it
 *     native-init end MILLISECONDS                        stops all that runs in it
 *
 * How it works: bubblewrap can only say 128 + n of a command that signal n ended, which is what a stage that exits with
 * that status says too. So the inner one writes how the command ended, as wait() has it, to a pipe whose other end the
 * outer one holds, and the outer one exits, or ends itself by the same signal. Nothing in the pipe: the command never
 * ran, or the inner one was killed; then it ends as bubblewrap did.
 *
 * The inner one is pid 1 of the container's pid namespace: the kernel ends whatever the stage left behind when it ends.
 * It also reaps orphans, and being pid 1 is deaf to the signals meant for the stage, which reach the stage itself as
 * members of the same process group. The outer one blocks them, so that it is there to tell how the stage took them.
 *
 * The umask is a stage's own, whatever that of the user who started the run: bubblewrap hands on the one it got.
 *
 * It is linked statically because it runs inside any image, and bound there at a path of the container's own /dev.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "init.h"

#define STATUS_DESCRIPTOR 9 /* of the pipe, in both; shells let a user's own reach from 3 on */

int say_failure(const char *what, const char *program, int number)
{
    fprintf(stderr, "descpipe: cannot run '%s'%s: %s\n", program, what, strerror(number));
    return number == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
}

static int run_inside(char **words)
{
    pid_t command;
    fcntl(STATUS_DESCRIPTOR, F_SETFD, FD_CLOEXEC); /* not the stage's; there is none when started without `outside` */
    int number = posix_spawnp(&command, words[0], NULL, NULL, words, environ);
    if (number != 0)
        return say_failure(" in the container", words[0], number);
    for (;;) {
        int status;
        pid_t ended = wait(&status);
        if (ended < 0 && errno != EINTR)
            return EXIT_NOT_EXECUTABLE; /* cannot happen: the command has not been waited for */
        if (ended != command)
            continue;
        if (write(STATUS_DESCRIPTOR, &status, sizeof status) != (ssize_t)sizeof status)
            errno = 0; /* nobody listens: the exit status says what it can */
        return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_SIGNALLED + WTERMSIG(status);
    }
}

static int start_outside(char **words, const sigset_t *signals, pid_t *child)
{
    posix_spawnattr_t attributes;
    int number = posix_spawnattr_init(&attributes);
    if (number != 0)
        return number;
    posix_spawnattr_setsigmask(&attributes, signals);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    number = posix_spawnp(child, words[0], NULL, &attributes, words, environ);
    posix_spawnattr_destroy(&attributes);
    return number;
}

/* Does not come back, unless the signal is none that ends a process. */
static void end_by_signal(int number)
{
    const struct rlimit none = {0, 0};
    sigset_t only;
    setrlimit(RLIMIT_CORE, &none); /* the stage's own core is enough */
    prctl(PR_SET_DUMPABLE, 0);
    sigaction(number, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    raise(number);
    sigemptyset(&only);
    sigaddset(&only, number);
    sigprocmask(SIG_UNBLOCK, &only, NULL);
}

int end_alike(int status)
{
    if (WIFEXITED(status))
        return WEXITSTATUS(status);
    end_by_signal(WTERMSIG(status));
    return EXIT_SIGNALLED + WTERMSIG(status);
}

/* The command's end when the pipe has it, else bubblewrap's. */
static int end_of(pid_t child, int pipe_end)
{
    int command_status, status = 0;
    ssize_t got;
    do {
        got = read(pipe_end, &command_status, sizeof command_status);
    } while (got < 0 && errno == EINTR);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    if (got == (ssize_t)sizeof command_status)
        return end_alike(command_status);
    if (WIFEXITED(status) && WEXITSTATUS(status) > EXIT_SIGNALLED)
        end_by_signal(WEXITSTATUS(status) - EXIT_SIGNALLED); /* the inner one, for it has no such exit status itself */
    return end_alike(status);
}

/* Its writing end is STATUS_DESCRIPTOR, whatever numbers the kernel has given. */
static int make_pipe(int *reader)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return 0;
    *reader = fcntl(ends[0], F_DUPFD_CLOEXEC, STATUS_DESCRIPTOR + 1);
    int writer = fcntl(ends[1], F_DUPFD_CLOEXEC, STATUS_DESCRIPTOR + 1);
    close(ends[0]);
    close(ends[1]);
    int made = *reader >= 0 && writer >= 0 && dup2(writer, STATUS_DESCRIPTOR) >= 0;
    close(writer);
    return made;
}

static int run_outside(char **words)
{
    int reader;
    sigset_t all, before;
    pid_t child;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    if (!make_pipe(&reader))
        return say_failure("", words[0], errno);
    int number = start_outside(words, &before, &child);
    if (number != 0)
        return say_failure("", words[0], number);
    close(STATUS_DESCRIPTOR);
    return end_of(child, reader);
}

static int become(char **words)
{
    execvp(words[0], words);
    return say_failure("", words[0], errno);
}

int main(int count, char **words)
{
    if (count > 3 && (strcmp(words[1], "outside") == 0 || strcmp(words[1], "become") == 0)) {
        umask((mode_t)strtoul(words[2], NULL, 8) & 0777);
        return words[1][0] == 'o' ? run_outside(words + 3) : become(words + 3);
    }
    if (count > 2 && strcmp(words[1], "inside") == 0)
        return run_inside(words + 2);
    if (count > 3 && strcmp(words[1], "keep") == 0) {
        umask((mode_t)strtoul(words[2], NULL, 8) & 0777);
        return box_keep(words + 3);
    }
    if (count == 2 && strcmp(words[1], "serve") == 0)
        return box_serve();
    if (count > 4 && strcmp(words[1], "enter") == 0)
        return box_enter(words[2], words + 3);
    if (count == 3 && strcmp(words[1], "end") == 0)
        return box_end(strtoull(words[2], NULL, 10));
    fputs("descpipe: native-init is started by runtime 'native' only\n", stderr);
    return EXIT_NOT_FOUND;
}
