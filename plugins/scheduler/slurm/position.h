/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where a waiting job stands in its partition's queue: one squeue of all that waits, at most once a minute.
 *
 * Not where the site limits the rate of requests, nor where it hides the jobs of others.
 */
#ifndef DESCPIPE_SLURM_POSITION_H
#define DESCPIPE_SLURM_POSITION_H

#include <stdint.h>

struct slurm;
struct tool;
struct watched;

struct position {
    struct tool *tool;
    int64_t asked_ms; /* 0: never */
    uint64_t job;     /* of which it is asked */
};

void position_ask(struct slurm *self, struct watched *watched);
void position_stop(struct slurm *self);

#endif
