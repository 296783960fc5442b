/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Preloaded into descpipe by crash_points.py: ends the engine by SIGKILL at one of its steps.
 *
 * How it works: a step is a write to the journal, or a change of names in a folder, from the journal's first write on;
 * so only the process that writes a journal has any. CRASH_STEP is the number of the step, from 1. At it CRASH_HOW says
 * what is left of it: `before` nothing, `half` half of a journal's bytes (of another step: nothing), `after` all.
 */
#include <dlfcn.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXPORTED __attribute__((visibility("default")))

static atomic_bool writes_journal;
static atomic_int steps;

static _Noreturn void die(void)
{
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

static bool is_how(const char *how)
{
    const char *wanted = getenv("CRASH_HOW");
    return wanted != NULL && strcmp(wanted, how) == 0;
}

/* True at the step to die at. */
static bool is_the_step(void)
{
    const char *number = getenv("CRASH_STEP");
    return number != NULL && atomic_load(&writes_journal) && atomic_fetch_add(&steps, 1) + 1 == atoi(number);
}

static bool is_journal(int descriptor)
{
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return false;
    path[length] = '\0';
    const char *name = strrchr(path, '/');
    return name != NULL && strcmp(name, "/journal.jsonl") == 0;
}

EXPORTED ssize_t write(int descriptor, const void *bytes, size_t length)
{
    static ssize_t (*next)(int, const void *, size_t);
    if (next == NULL)
        *(void **)&next = dlsym(RTLD_NEXT, "write");
    if (!is_journal(descriptor))
        return next(descriptor, bytes, length);
    atomic_store(&writes_journal, true);
    if (!is_the_step())
        return next(descriptor, bytes, length);
    if (!is_how("before"))
        (void)!next(descriptor, bytes, is_how("half") ? length / 2 : length);
    die();
}

#define STEP(type, name, parameters, arguments)                                                                        \
    EXPORTED type name parameters                                                                                      \
    {                                                                                                                  \
        static type(*next) parameters;                                                                                 \
        if (next == NULL)                                                                                              \
            *(void **)&next = dlsym(RTLD_NEXT, #name);                                                                 \
        if (!is_the_step())                                                                                            \
            return next arguments;                                                                                     \
        if (is_how("after"))                                                                                           \
            (void)!next arguments;                                                                                     \
        die();                                                                                                         \
    }

STEP(int, link, (const char *from, const char *to), (from, to))
STEP(int, linkat, (int from_folder, const char *from, int to_folder, const char *to, int flags),
     (from_folder, from, to_folder, to, flags))
STEP(int, rename, (const char *from, const char *to), (from, to))
STEP(int, renameat, (int from_folder, const char *from, int to_folder, const char *to),
     (from_folder, from, to_folder, to))
STEP(int, symlink, (const char *target, const char *path), (target, path))
STEP(int, mkdir, (const char *path, mode_t mode), (path, mode))
STEP(int, mkdirat, (int folder, const char *path, mode_t mode), (folder, path, mode))
STEP(int, rmdir, (const char *path), (path))
STEP(int, unlink, (const char *path), (path))
STEP(int, unlinkat, (int folder, const char *path, int flags), (folder, path, flags))
