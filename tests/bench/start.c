/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long a command takes that does almost nothing, beside a program that does nothing at all. bench-start
 * [--times=50]
 * [--rounds=15]
 */
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"
#include "measure.h"

extern char **environ;

struct command {
    const char *const *argv;
    size_t times;
};

static void run_often(void *context)
{
    const struct command *command = context;
    char **argv = NULL;
    memcpy(&argv, &command->argv, sizeof(argv));
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    for (size_t i = 0; i < command->times; i++) {
        pid_t child;
        int status = 1;
        if (posix_spawn(&child, argv[0], &actions, NULL, argv, environ) != 0 || waitpid(child, &status, 0) < 0 ||
            status != 0)
            _exit(1);
    }
    posix_spawn_file_actions_destroy(&actions);
}

int main(int count, char **arguments)
{
    size_t times = measure_argument(count, arguments, "--times", 50);
    size_t rounds = measure_argument(count, arguments, "--rounds", 15);
    rounds = rounds == 0 ? 1 : rounds > ROUNDS_LIMIT ? ROUNDS_LIMIT : rounds;
    struct command nothing = {.argv = (const char *const[]){"/bin/true", NULL}, .times = times};
    struct command version = {.argv = (const char *const[]){DESCPIPE, "--version", NULL}, .times = times};
    struct command list = {
        .argv = (const char *const[]){DESCPIPE, "--plugin-dir", DESCPIPE_PLUGINS, "plugins", "list", NULL},
        .times = times};
    struct contestant contestants[] = {
        {.name = "/bin/true", .run = run_often, .context = &nothing},
        {.name = "descpipe --version", .run = run_often, .context = &version},
        {.name = "descpipe plugins list", .run = run_often, .context = &list},
    };
    measure_rounds(contestants, 3, rounds);
    cleanup(memory_free) char *title = memory_format("a command, from start to end, %zu times a round", times);
    measure_print(title, contestants, 3, rounds, times);
    return 0;
}
