/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The first process of a native container: starts the stage's command and ends when it ends, with its exit status (128
 * and the signal's number when it was killed). The kernel then ends whatever the stage left behind, because this is pid
 * 1 of the container's pid namespace. It also reaps orphans, and being pid 1 is deaf to the signals meant for the
 * stage, which reach the stage itself as members of the same process group.
 *
 * It is linked statically because it runs inside any image, and bound there at a path of the container's own /dev.
 */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_NOT_EXECUTABLE 126
#define EXIT_NOT_FOUND 127

int main(int count, char **words)
{
    if (count < 2) {
        fputs("descpipe: native-init is started by runtime 'native' only\n", stderr);
        return EXIT_NOT_FOUND;
    }
    pid_t command;
    int number = posix_spawnp(&command, words[1], NULL, NULL, words + 1, environ);
    if (number != 0) {
        fprintf(stderr, "descpipe: cannot run '%s' in the container: %s\n", words[1], strerror(number));
        return number == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
    }
    for (;;) {
        int status;
        pid_t ended = wait(&status);
        if (ended < 0 && errno != EINTR)
            return EXIT_NOT_EXECUTABLE; /* cannot happen: the command has not been waited for */
        if (ended == command)
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
}
