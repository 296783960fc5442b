/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Child processes.
 *
 * How it works: the children of a loop hang in a small hash by pid. SIGCHLD only says that there may be something;
 * waitid with WNOWAIT then names the next ended child without reaping it. Its `ended` runs while it is a zombie, wait4
 * reaps it and says what it used, and `reaped` runs. With WNOWAIT the same child is named until it is reaped, so every
 * one that is named is reaped before the next is asked for, ours or not.
 */
#include "io/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/list.h"
#include "base/path.h"
#include "io/spawn.h"

enum { BUCKETS = 4096, REAPED_AT_ONCE = 256 };

struct process {
    struct process *next; /* in its bucket */
    struct children *children;
    pid_t pid;
    bool own_session;
    bool is_reaped;                     /* the pid may belong to somebody else by now */
    uint64_t ticks_before, ticks_after; /* of the clock, around its start */
    void (*ended)(void *context, const struct process_end *end);
    void (*reaped)(void *context, const struct process_end *end);
    void *context;
};

struct children {
    struct loop *loop;
    struct process *buckets[BUCKETS];
    int null;                                                      /* /dev/null, opened once */
    struct spawner *spawner;                                       /* NULL: there was no memory for it */
    enum { CLOCK_UNTRIED = 0, CLOCK_AGREES, CLOCK_DIFFERS } clock; /* our reading of it and /proc's */
    bool looks_again;
    void (*stranger)(void *context, pid_t pid, const struct process_end *end);
    void *stranger_context;
};

static struct process **bucket_of(struct children *children, pid_t pid)
{
    return &children->buckets[(unsigned)pid % BUCKETS];
}

static struct process *children_find(struct children *children, pid_t pid)
{
    for (struct process *process = *bucket_of(children, pid); process != NULL; process = process->next)
        if (process->pid == pid)
            return process;
    return NULL;
}

static void children_remove(struct children *children, struct process *process)
{
    struct process **place = bucket_of(children, process->pid);
    while (*place != process)
        place = &(*place)->next;
    *place = process->next;
    free(process);
}

static void children_release(void *context)
{
    struct children *children = context;
    for (size_t i = 0; i < BUCKETS; i++)
        while (children->buckets[i] != NULL) {
            struct process *process = children->buckets[i];
            children->buckets[i] = process->next;
            free(process);
        }
    descriptor_close(children->null);
    spawner_free(children->spawner);
    free(children);
}

/* How it ended, from what wait gives. A struct, because waitid and wait4 say it differently. */
static struct process_end end_of(int code, int status)
{
    bool exited = code == CLD_EXITED;
    return (struct process_end){.exit_code = exited ? status : -1, .signal = exited ? 0 : status};
}

static int64_t milliseconds(struct timeval time)
{
    return (int64_t)time.tv_sec * 1000 + time.tv_usec / 1000;
}

/* A child that we spawned begins in our memory, and the kernel counts that as its own: only a larger peak is surely
 * its. */
static uint64_t peak_of(const struct rusage *used)
{
    static long known; /* ours never goes down: asked for anew only when it decides */
    struct rusage own;
    if (used->ru_maxrss > known && getrusage(RUSAGE_SELF, &own) == 0)
        known = own.ru_maxrss;
    return used->ru_maxrss > known ? (uint64_t)used->ru_maxrss * 1024 : 0;
}

static void reap(struct children *children, const siginfo_t *what)
{
    pid_t pid = what->si_pid;
    struct process_end end = end_of(what->si_code, what->si_status);
    struct process *process = children_find(children, pid);
    if (process != NULL && process->ended != NULL)
        process->ended(process->context, &end);
    struct rusage used = {0};
    pid_t waited;
    do {
        waited = wait4(pid, NULL, 0, &used);
    } while (waited < 0 && errno == EINTR);
    end.cpu_ms = milliseconds(used.ru_utime) + milliseconds(used.ru_stime);
    end.peak_memory = peak_of(&used);
    if (process != NULL) {
        process->is_reaped = true;
        if (process->reaped != NULL)
            process->reaped(process->context, &end);
        children_remove(children, process);
    } else if (children->stranger != NULL) {
        children->stranger(children->stranger_context, pid, &end);
    }
}

/* At most so many at a time that the rest of the loop has its turn even when children end as fast as they start. */
static void look_for_ended(void *context)
{
    struct children *children = context;
    children->looks_again = false;
    for (int i = 0; i < REAPED_AT_ONCE; i++) {
        siginfo_t what = {0};
        if (waitid(P_ALL, 0, &what, WEXITED | WNOWAIT | WNOHANG) != 0 || what.si_pid == 0)
            return;
        reap(children, &what);
    }
    if (!children->looks_again) {
        children->looks_again = true;
        loop_post(children->loop, look_for_ended, children);
    }
}

static void child_signal(void *context, int signal, int sender_pid)
{
    (void)signal;
    (void)sender_pid;
    look_for_ended(context);
}

/* What we were started with, open and without the mark, is not for our children either. */
static void mark_inherited_descriptors(void)
{
    DIR *descriptors = opendir("/proc/self/fd");
    const struct dirent *entry;
    while (descriptors != NULL && (entry = readdir(descriptors)) != NULL) {
        uint64_t descriptor;
        if (text_to_unsigned(entry->d_name, &descriptor) && descriptor > 2 && descriptor <= INT_MAX)
            (void)fcntl((int)descriptor, F_SETFD, FD_CLOEXEC);
    }
    if (descriptors != NULL)
        closedir(descriptors);
}

static struct children *children_of(struct loop *loop)
{
    struct loop_children *place = loop_children(loop);
    if (place->children != NULL)
        return place->children;
    struct children *children = memory_allocate(sizeof *children);
    children->loop = loop;
    children->null = open("/dev/null", O_RDWR | O_CLOEXEC);
    mark_inherited_descriptors();
    /* Whoever started us may ignore SIGCHLD, and the kernel would then reap our children unseen. */
    struct sigaction normal = {.sa_handler = SIG_DFL};
    sigaction(SIGCHLD, &normal, NULL);
    children->spawner = spawner_new(); /* after SIGCHLD is as it will be */
    loop_signal(loop, SIGCHLD, child_signal, children);
    *place = (struct loop_children){.children = children, .release = children_release};
    return children;
}

static struct process *children_add(struct children *children, pid_t pid, const struct process_request *request)
{
    struct process *process = memory_allocate(sizeof *process);
    struct process **bucket = bucket_of(children, pid);
    *process = (struct process){.next = *bucket,
                                .children = children,
                                .pid = pid,
                                .own_session = request->new_session,
                                .ended = request->ended,
                                .reaped = request->reaped,
                                .context = request->context};
    *bucket = process;
    return process;
}

static bool is_executable(const char *path)
{
    struct stat status;
    return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0 && stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

/* Only absolute folders: what runs must not hang on where we stand. */
static char *find_on_path(const char *path, const char *name)
{
    cleanup(text_clear) struct text candidate = TEXT_INIT;
    while (path != NULL && *path != '\0' && *name != '\0') {
        size_t length = strcspn(path, ":");
        if (*path == '/') {
            text_reset(&candidate);
            text_append_bytes(&candidate, path, length);
            text_append_character(&candidate, '/');
            text_append(&candidate, name);
            if (is_executable(candidate.bytes))
                return text_take(&candidate);
        }
        path += length;
        path += *path == ':';
    }
    return NULL;
}

char *process_find(const char *name)
{
    if (strchr(name, '/') != NULL)
        return is_executable(name) ? memory_copy_text(name) : NULL;
    return find_on_path(secure_getenv("PATH"), name);
}

/* The three descriptors as they may be handed to dup2 one after the other: none of them lies where an earlier one goes.
 */
struct descriptors {
    int given[3];
    int owned[3];
};

static void descriptors_clear_at(struct descriptors *descriptors)
{
    for (size_t i = 0; i < 3; i++)
        descriptor_close(descriptors->owned[i]);
}

static bool descriptors_prepare(struct descriptors *descriptors, const struct children *children)
{
    for (int i = 0; i < 3; i++) {
        int given = descriptors->given[i] >= 0 ? descriptors->given[i] : children->null;
        if (given < 3 && given != i)
            given = descriptors->owned[i] = fcntl(given, F_DUPFD_CLOEXEC, 3);
        if (given < 0)
            return false;
        descriptors->given[i] = given;
    }
    return true;
}

static int spawn(const char *path, const struct process_request *request, const struct descriptors *descriptors,
                 const struct children *children, pid_t *pid)
{
    static const char *const nothing[] = {NULL};
    const struct spawn_request wanted = {
        .path = path,
        .argv = request->argv,
        .environment = request->environment != NULL ? request->environment : nothing,
        .directory = request->directory,
        .streams = {descriptors->given[0], descriptors->given[1], descriptors->given[2]},
        .new_session = request->new_session,
        .known_as = request->known_as,
    };
    return children->spawner != NULL ? spawner_start(children->spawner, &wanted, pid) : ENOMEM;
}

/* exec gives one number for several causes; what can be looked at is looked at. */
static void explain(int reason, const char *path, const struct process_request *request, struct error *error)
{
    struct stat status;
    const char *directory = request->directory;
    if (directory != NULL && (stat(directory, &status) != 0 || !S_ISDIR(status.st_mode) || access(directory, X_OK))) {
        error_set(error, ERROR_SYSTEM, "cannot start '%s': cannot enter the folder '%s'", path, directory);
        return;
    }
    errno = reason;
    error_system(error, "cannot start '%s'", path);
    if (reason == ENOENT && access(path, F_OK) == 0)
        error_hint(error, "the interpreter its first line names, or its loader, does not exist here");
    else if (reason == ENOEXEC)
        error_hint(error, "it is made for another machine, or is a script without a first line like '#!/bin/sh'");
    else if (reason == EAGAIN)
        error_hint(error, "the limit of processes is reached (ulimit -u)");
    else if (reason == E2BIG)
        error_hint(error, "arguments and environment together are larger than the system takes");
}

/* In the unit and by the clock with which the kernel stamps a new process. */
static uint64_t clock_ticks(void)
{
    struct timespec now;
    uint64_t per_second = (uint64_t)sysconf(_SC_CLK_TCK);
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * per_second + (uint64_t)now.tv_nsec / (1000000000 / per_second);
}

struct process *process_start(struct loop *loop, const struct process_request *request, struct error *error)
{
    struct children *children = children_of(loop);
    const char *name = request->argv != NULL ? request->argv[0] : NULL;
    if (name == NULL || name[0] == '\0') {
        error_set(error, ERROR_INPUT, "cannot start a process: the command is empty");
        return NULL;
    }
    cleanup(memory_free) char *found = NULL;
    if (strchr(name, '/') == NULL) {
        const char *path = words_environment(request->environment, "PATH");
        found = find_on_path(path, name);
        if (found == NULL) {
            error_set(error, ERROR_SYSTEM, "cannot start '%s': not found on PATH", name);
            error_hint(error, "PATH is %s%s%s", path != NULL ? "'" : "", path != NULL ? path : "not set",
                       path != NULL ? "'" : "");
            return NULL;
        }
    }
    cleanup(descriptors_clear) struct descriptors descriptors = {
        .given = {request->input, request->output, request->error}, .owned = {-1, -1, -1}};
    if (!descriptors_prepare(&descriptors, children)) {
        error_system(error, "cannot start '%s': no descriptor for its input or output", name);
        return NULL;
    }
    pid_t pid;
    uint64_t ticks_before = clock_ticks();
    int reason = spawn(found != NULL ? found : name, request, &descriptors, children, &pid);
    if (reason != 0) {
        explain(reason, found != NULL ? found : name, request, error);
        return NULL;
    }
    struct process *process = children_add(children, pid, request);
    process->ticks_before = ticks_before;
    process->ticks_after = clock_ticks();
    return process;
}

struct process *process_adopt(struct loop *loop, pid_t pid, const struct process_request *request)
{
    struct children *children = children_of(loop);
    /* It may have ended before SIGCHLD came through the loop. */
    if (!children->looks_again) {
        children->looks_again = true;
        loop_post(loop, look_for_ended, children);
    }
    return children_add(children, pid, request);
}

void process_on_stranger(struct loop *loop, void (*ended)(void *context, pid_t pid, const struct process_end *end),
                         void *context)
{
    struct children *children = children_of(loop);
    children->stranger = ended;
    children->stranger_context = context;
}

/* When no tick went by while it was made, its stamp is known. That this holds on this system is tried once. */
uint64_t process_started(const struct process *process)
{
    struct children *children = process->children;
    bool known = process->ticks_before == process->ticks_after && process->ticks_before > 0;
    if (known && children->clock == CLOCK_AGREES)
        return process->ticks_before;
    uint64_t told = process_start_time(process->pid);
    if (known && children->clock == CLOCK_UNTRIED)
        children->clock = told == process->ticks_before ? CLOCK_AGREES : CLOCK_DIFFERS;
    return told;
}

pid_t process_pid(const struct process *process)
{
    return process->pid;
}

void process_signal(struct process *process, int signal)
{
    if (process->is_reaped)
        return;
    kill(process->own_session ? -process->pid : process->pid, signal);
}

pid_t process_split(int death_signal, struct error *error)
{
    pid_t parent = getpid();
    fflush(NULL); /* or both would write what lies in the buffers */
    pid_t child = fork();
    if (child < 0)
        error_system(error, "cannot split off a process");
    if (child != 0 || death_signal == 0)
        return child;
    /* The parent may have ended before the wish was noted; then nobody sends the signal any more. */
    if (prctl(PR_SET_PDEATHSIG, death_signal) != 0 || getppid() != parent) {
        raise(death_signal);
        _exit(7);
    }
    return 0;
}
