/* SPDX-License-Identifier: BSD-3-Clause */
/* One job's search for its end, after accounting or the controller was asked: it has ended, or they are asked again. */
#ifndef DESCPIPE_SLURM_SEARCH_H
#define DESCPIPE_SLURM_SEARCH_H

#include "jobs.h"
#include "parts/buffer.h"

enum { SEARCH_LONGEST_DELAY_MS = 30000 };

struct slurm;

/* What slurmstepd and our batch script wrote, as far as it is there yet; read once for all jobs of a batch. The text is
 * cleared by whoever asked. */
struct log_file {
    const struct batch *batch;
    struct buffer text;
};

/* After an answer that was one. */
void search_decide(struct slurm *self, struct watched *watched, struct log_file *log);
/* Nobody answered. Ends that squeue tells by itself need not wait; and the controller may know what accounting cannot
 * say. */
void search_unanswered(struct slurm *self, struct watched *watched, struct log_file *log);

#endif
