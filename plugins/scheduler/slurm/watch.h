/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Watching all jobs with one squeue, at a polite rhythm: fast after a change, slower while nothing happens.
 */
#ifndef DESCPIPE_SLURM_WATCH_H
#define DESCPIPE_SLURM_WATCH_H

#include "accounts.h"
#include "jobs.h"
#include "position.h"
#include "tool.h"

struct slurm;

struct watch {
    struct descpipe_call *call; /* observe, or NULL */
    struct descpipe_sink *sink;
    struct descpipe_timer *timer;
    struct tool *tool;
    int64_t shortest_ms, longest_ms; /* options */
    int64_t due_ms;
    int64_t last_began_ms; /* of the last answer that was used */
    int64_t last_change_ms;
    int64_t took_ms, took_before_ms;
    uint64_t serial;                  /* of the answers */
    unsigned failures;                /* in a row */
    char blind[320], said_blind[320]; /* why the queue cannot be asked; what the host was told; "" */
    struct accounts accounts;
    struct position position;
};

void watch_wake(struct slurm *self); /* jobs were added, or something happened: look soon */
void watch_close(struct slurm *self);
/* Tells the host whether something cannot be asked. */
void watch_say_blind(struct slurm *self);
/* The place in the queue of a job of its batch that waits is known, or another. */
void watch_found_position(struct slurm *self, struct watched *watched);
/* Says the end to the host and forgets the job. */
void watch_ended(struct slurm *self, struct watched *watched, const struct descpipe_ending *ending);
/* Rows of squeue about watched jobs or, for `find`, whatever the caller wants. `complete` false: not every line could
 * be read. */
void watch_read_queue(const struct buffer *answer,
                      void (*row)(void *context, const struct record *record, const char *cluster), void *context,
                      bool *complete);
/* "squeue -h -r -t all -u UID -o FORMAT" */
void watch_add_question(struct slurm *self, struct arguments *arguments);

#endif
