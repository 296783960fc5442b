/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What all runs of a user on one machine share, so that ten runs ask as often as one: the last answer of squeue, what
 * the controller allows, and the token bucket.
 *
 * How it works: a few small files in the plugin's cache folder, named by machine and by what is asked. Each is replaced
 * as a whole. Who reads and writes the bucket, or asks squeue, holds a symbolic link that says which process it is; the
 * link of a process that is gone is taken away by the next. All of it serves politeness only: without it, or with it
 * broken, runs are as right as ever.
 */
#ifndef DESCPIPE_SLURM_BROKER_H
#define DESCPIPE_SLURM_BROKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "parts/bucket.h"
#include "parts/buffer.h"

struct broker {
    char *base;           /* "FOLDER/HOST-KEY", or NULL: nothing is shared */
    char self[96];        /* this process, as its links say it */
    char boot[40];        /* times of another boot mean nothing */
    struct bucket bucket; /* when nothing is shared, and the last known when it is */
};

/* `key` is what distinguishes one SLURM, or one set of clusters, from another. */
bool broker_open(struct broker *broker, const char *folder, const char *key, int64_t now_ms);
void broker_close(struct broker *broker);

/* bucket_take on the shared bucket: 0, or milliseconds to wait. */
int64_t broker_take(struct broker *broker, double cost, int64_t now_ms);
void broker_slow_down(struct broker *broker, int64_t now_ms);
void broker_went_well(struct broker *broker, int64_t now_ms);
void broker_limit(struct broker *broker, double capacity, double per_second, int64_t now_ms);

/* The right to ask squeue for everybody; false: another process is at it. */
bool broker_ask_begin(struct broker *broker);
void broker_ask_end(struct broker *broker);

/* Answers that are shared, by what was asked. */
#define BROKER_QUEUE "queue"
#define BROKER_LIMITS "limits"
void broker_publish(struct broker *broker, const char *what, int64_t began_ms, const struct buffer *answer);
/* The last one published when it began at or after `since_ms`. */
bool broker_read(struct broker *broker, const char *what, int64_t since_ms, int64_t *began_ms, struct buffer *answer);

#endif
