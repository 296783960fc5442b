/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs the built program. */
#include "program.h"

#include <check.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/list.h"
#include "base/path.h"

static struct words variables;

char *program_folder;

void result_clear(struct result *result)
{
    text_clear(&result->out);
    text_clear(&result->err);
}

void program_set_up(void)
{
    words_clear(&variables);
    const char *tmp = secure_getenv("TMPDIR");
    prctl(PR_SET_CHILD_SUBREAPER, 1); /* keepers outlive the program and write into the folder */
    program_folder = memory_format("%s/descpipe-cli-XXXXXX", tmp != NULL ? tmp : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(program_folder));
}

/* Podman leaves one for a user who is not root, which holds the user's namespace and would never end. */
static void end_podmans_pauses(void)
{
    cleanup(text_clear) struct text children = TEXT_INIT;
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    ck_assert(file_read(path, 65536, &children, NULL));
    for (char *place = children.bytes, *end; place != NULL; place = end) {
        long pid = strtol(place, &end, 10);
        if (end == place)
            return;
        cleanup(text_clear) struct text name = TEXT_INIT;
        snprintf(path, sizeof path, "/proc/%ld/comm", pid);
        if (file_read(path, 256, &name, NULL) && strcmp(text_bytes(&name), "catatonit\n") == 0)
            kill((pid_t)pid, SIGKILL);
    }
}

void program_wait_for_orphans(void)
{
    end_podmans_pauses();
    while (waitpid(-1, NULL, 0) > 0)
        ;
}

void program_tear_down(void)
{
    program_wait_for_orphans();
    ck_assert(folder_remove(program_folder, NULL));
    memory_free(steal(&program_folder));
}

void program_file(const char *name, const char *text)
{
    cleanup(memory_free) char *path = path_join(program_folder, name);
    cleanup(memory_free) char *folder = path_folder(path);
    ck_assert(folder_make(folder, 0700, NULL));
    ck_assert(file_write(path, text, strlen(text), 0600, NULL));
}

void program_file_time(const char *name, int64_t seconds)
{
    cleanup(memory_free) char *path = path_join(program_folder, name);
    const struct timespec time = {.tv_sec = (time_t)(clock_wall_ms() / 1000 + seconds)};
    ck_assert_int_eq(utimensat(AT_FDCWD, path, (const struct timespec[]){time, time}, 0), 0);
}

void program_variable(const char *assignment)
{
    words_add(&variables, assignment);
}

static struct words split(const char *line)
{
    struct words words = {0};
    words_add(&words, PROGRAM);
    for (line += strspn(line, " "); *line != '\0'; line += strspn(line, " ")) {
        size_t length = strcspn(line, " ");
        char *word = memory_copy_bytes(line, length);
        for (char *c = word; *c != '\0'; c++)
            *c = *c == '~' ? ' ' : *c;
        words_take(&words, word);
        line += length;
    }
    return words;
}

pid_t program_start(const char *line, const int descriptors[3])
{
    cleanup(words_clear) struct words argv = split(line);
    cleanup(words_clear) struct words environment = {0};
    words_add_all(&environment, words_list(&variables));
    words_format(&environment, "HOME=%s", program_folder);
    words_format(&environment, "XDG_STATE_HOME=%s/state", program_folder);
    words_format(&environment, "XDG_CONFIG_HOME=%s/config", program_folder);
    words_format(&environment, "XDG_CACHE_HOME=%s/cache", program_folder);
    words_format(&environment, "XDG_RUNTIME_DIR=%s", program_folder);
    words_add(&environment, "PATH=/usr/local/bin:/usr/bin:/bin");
    words_add(&environment, "LANG=C.UTF-8");
    words_add(&environment, "TERM=xterm");
    const char *asan = secure_getenv("ASAN_OPTIONS"), *lsan = secure_getenv("LSAN_OPTIONS");
    if (asan != NULL)
        words_format(&environment, "ASAN_OPTIONS=%s", asan);
    if (lsan != NULL)
        words_format(&environment, "LSAN_OPTIONS=%s", lsan);
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    ck_assert_int_eq(posix_spawn_file_actions_init(&actions), 0);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(descriptors[i] < 0 ? posix_spawn_file_actions_addclose(&actions, i)
                                            : posix_spawn_file_actions_adddup2(&actions, descriptors[i], i),
                         0);
    ck_assert_int_eq(posix_spawn_file_actions_addchdir_np(&actions, program_folder), 0);
    posix_spawnattr_init(&attributes);
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
    pid_t pid;
    ck_assert_int_eq(posix_spawn(&pid, PROGRAM, &actions, &attributes, argv.items, environment.items), 0);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return pid;
}

int program_wait(pid_t pid)
{
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Both streams until both have ended. */
static void collect(int out, int err, struct result *result)
{
    struct pollfd events[2] = {{.fd = out, .events = POLLIN}, {.fd = err, .events = POLLIN}};
    struct text *texts[2] = {&result->out, &result->err};
    while (events[0].fd >= 0 || events[1].fd >= 0) {
        ck_assert_int_gt(poll(events, 2, -1), 0);
        for (int i = 0; i < 2; i++) {
            char buffer[4096];
            if (events[i].fd < 0 || events[i].revents == 0)
                continue;
            ssize_t got = read(events[i].fd, buffer, sizeof buffer);
            if (got > 0)
                text_append_bytes(texts[i], buffer, (size_t)got);
            else
                events[i].fd = -1;
        }
    }
}

struct result program_run(const char *line)
{
    struct result result = {0};
    int out[2], err[2];
    ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(err, O_CLOEXEC), 0);
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    pid_t pid = program_start(line, (const int[]){nothing, out[1], err[1]});
    close(nothing);
    close(out[1]);
    close(err[1]);
    collect(out[0], err[0], &result);
    close(out[0]);
    close(err[0]);
    result.status = program_wait(pid);
    return result;
}
