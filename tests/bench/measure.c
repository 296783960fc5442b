/* SPDX-License-Identifier: BSD-3-Clause */
/* Measuring side by side. */
#include "measure.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"

#define STRAGGLERS_LIMIT_S 30 /* what a contestant left behind must end by itself within this time */

extern char **environ;

static double seconds(struct timespec time)
{
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static pid_t start(const struct contestant *contestant)
{
    pid_t child;
    if (!contestant->argv) {
        fflush(stdout);
        child = fork();
        if (child == 0) {
            contestant->run(contestant->context);
            _exit(0);
        }
        return child;
    }
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    char **argv = NULL;
    memcpy(&argv, &contestant->argv, sizeof(argv));
    int failure = posix_spawnp(&child, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failure != 0) {
        fprintf(stderr, "cannot start %s: %s\n", argv[0], strerror(failure));
        exit(1);
    }
    return child;
}

static double cpu_seconds(const struct rusage *used)
{
    return (double)used->ru_utime.tv_sec + (double)used->ru_utime.tv_usec / 1e6 + (double)used->ru_stime.tv_sec +
           (double)used->ru_stime.tv_usec / 1e6;
}

/* What the kernel tells of a child holds the children it waited for itself. */
static void add_used(struct sample *sample, const struct rusage *used)
{
    uint64_t peak = (uint64_t)used->ru_maxrss * 1024;
    sample->cpu_s += cpu_seconds(used);
    sample->peak_memory = peak > sample->peak_memory ? peak : sample->peak_memory;
}

static void interrupt(int signal)
{
    (void)signal;
}

/* The work of an engine that its front did not wait for counts too: we inherit it and wait for it (see `adopt`). */
static void wait_for_stragglers(const struct contestant *contestant, struct sample *sample)
{
    struct rusage used;
    alarm(STRAGGLERS_LIMIT_S);
    while (wait4(-1, NULL, 0, &used) >= 0)
        add_used(sample, &used);
    if (errno != ECHILD) {
        fprintf(stderr, "%s left a process behind that runs on after %d s\n", contestant->name, STRAGGLERS_LIMIT_S);
        exit(1);
    }
    alarm(0);
}

/* Descendants whose parent ended become our children instead of init's. */
static void adopt(void)
{
    struct sigaction action = {.sa_handler = interrupt}; /* no SA_RESTART: ends wait4 */
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0 || sigaction(SIGALRM, &action, NULL) != 0) {
        fprintf(stderr, "cannot become the reaper of descendants: %s\n", strerror(errno));
        exit(1);
    }
}

static struct sample measure_one(const struct contestant *contestant)
{
    struct timespec from, to;
    struct rusage used;
    struct sample sample = {0};
    if (contestant->before)
        contestant->before(contestant->context);
    clock_gettime(CLOCK_MONOTONIC, &from);
    pid_t child = start(contestant);
    while (wait4(child, &sample.status, 0, &used) < 0 && errno == EINTR)
        ;
    clock_gettime(CLOCK_MONOTONIC, &to);
    if (sample.status != 0) {
        fprintf(stderr, "%s failed (wait status %d): nothing to compare\n", contestant->name, sample.status);
        exit(1);
    }
    sample.wall_s = seconds(to) - seconds(from);
    add_used(&sample, &used);
    wait_for_stragglers(contestant, &sample);
    return sample;
}

void measure_rounds(struct contestant *contestants, size_t count, size_t rounds)
{
    adopt();
    for (size_t round = 0; round < rounds; round++) {
        for (size_t turn = 0; turn < count; turn++) {
            struct contestant *contestant = &contestants[round % 2 ? count - 1 - turn : turn];
            if (!contestant->absent)
                contestant->samples[round] = measure_one(contestant);
        }
        fprintf(stderr, "\rround %zu of %zu", round + 1, rounds);
    }
    fprintf(stderr, "\r%40s\r", "");
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return a < b ? -1 : a > b;
}

static void print_spread(double *values, size_t count, int decimals)
{
    qsort(values, count, sizeof(*values), compare);
    double middle = count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
    char text[100];
    snprintf(text, sizeof(text), "%.*f [%.*f-%.*f]", decimals, middle, decimals, values[0], decimals,
             values[count - 1]);
    printf(" %26s", text);
}

void measure_print(const char *title, const struct contestant *contestants, size_t count, size_t rounds, size_t per)
{
    double scale = per ? 1e6 / (double)per : 1e3;
    printf("\n%s (%zu rounds, order turned each round; median [min-max])\n", title, rounds);
    printf("%-28s %26s %26s %26s %10s\n", "", per ? "wall, us per task" : "wall, ms", "wall / first", "cpu / first",
           "peak MiB");
    for (size_t i = 0; i < count; i++) {
        double wall[ROUNDS_LIMIT], wall_ratio[ROUNDS_LIMIT], cpu_ratio[ROUNDS_LIMIT];
        uint64_t peak = 0;
        printf("%-28s", contestants[i].name);
        if (contestants[i].absent) {
            printf(" %s\n", contestants[i].absent_why != NULL ? contestants[i].absent_why : "not installed here");
            continue;
        }
        for (size_t round = 0; round < rounds; round++) {
            const struct sample *sample = &contestants[i].samples[round], *first = &contestants[0].samples[round];
            wall[round] = sample->wall_s * scale;
            wall_ratio[round] = sample->wall_s / first->wall_s;
            cpu_ratio[round] = first->cpu_s > 0 ? sample->cpu_s / first->cpu_s : 0;
            peak = sample->peak_memory > peak ? sample->peak_memory : peak;
        }
        print_spread(wall, rounds, 1);
        print_spread(wall_ratio, rounds, 2);
        print_spread(cpu_ratio, rounds, 2);
        printf(" %10.1f\n", (double)peak / 1048576.0);
    }
    fflush(stdout);
}

char *measure_folder(void)
{
    const char *base = secure_getenv("TMPDIR");
    char *folder = memory_format("%s/descpipe-bench-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(folder)) {
        fprintf(stderr, "cannot make a folder in %s: %s\n", base ? base : "/tmp", strerror(errno));
        exit(1);
    }
    return folder;
}

void measure_folder_remove(char *folder)
{
    folder_remove(folder, NULL);
    memory_free(folder);
}

char *measure_find(const char *program)
{
    const char *path = secure_getenv("PATH");
    for (const char *at = path; at && *at;) {
        size_t length = strcspn(at, ":");
        char *candidate = memory_format("%.*s/%s", (int)length, at, program);
        if (access(candidate, X_OK) == 0)
            return candidate;
        memory_free(candidate);
        at += length + (at[length] == ':');
    }
    return NULL;
}

uint64_t measure_argument(int count, char **arguments, const char *name, uint64_t fallback)
{
    size_t length = strlen(name);
    for (int i = 1; i < count; i++) {
        uint64_t number;
        if (strncmp(arguments[i], name, length) == 0 && arguments[i][length] == '=' &&
            text_to_unsigned(arguments[i] + length + 1, &number))
            return number;
    }
    return fallback;
}
