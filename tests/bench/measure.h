/* SPDX-License-Identifier: BSD-3-Clause */
/* Measuring side by side: contestants take turns in one run, and what counts is the ratio to the first one, round by
 * round. */
#ifndef DESCPIPE_BENCH_MEASURE_H
#define DESCPIPE_BENCH_MEASURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ROUNDS_LIMIT 100
#define CONTESTANTS_LIMIT 12

struct sample {
    double wall_s, cpu_s; /* cpu: user + system, of the process and all its descendants, also those it left running */
    uint64_t peak_memory; /* bytes, of the largest process */
    int status;           /* wait status; 0 is success */
};

struct contestant {
    const char *name;
    const char *const *argv;    /* a command, or */
    void (*run)(void *context); /* a floor, run in a child of its own */
    void *context;
    void (*before)(void *context); /* not timed: a fresh state for each round; may be NULL */
    bool absent;                   /* its program is not installed: shown, not run */
    const char *absent_why;        /* what is shown then instead of that, or NULL */
    struct sample samples[ROUNDS_LIMIT];
};

/* Runs every contestant once per round, the order turned around each round. A failing one ends the program: a wrong
 * result has no speed. Output of the commands is thrown away. */
void measure_rounds(struct contestant *contestants, size_t count, size_t rounds);
/* A table: median [minimum-maximum] of wall, CPU and their ratios to contestant 0, peak memory. `per` divides times
 * (tasks), 0: whole. */
void measure_print(const char *title, const struct contestant *contestants, size_t count, size_t rounds, size_t per);
/* A fresh folder under $TMPDIR or /tmp, removed by measure_folder_remove. */
char *measure_folder(void);
void measure_folder_remove(char *folder);
/* The absolute path of a program on PATH, or NULL. */
char *measure_find(const char *program);
/* "--name=value" or the fallback. */
uint64_t measure_argument(int count, char **arguments, const char *name, uint64_t fallback);

#endif
