/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inside an allocation (salloc, or a job): stages as steps of it, packed by their cpus and memory, no job of their own.
 *
 * How it works: a stage of one rank is one `srun --exact` of the batch script; a stage of several runs its script here,
 * with the variables from which the launcher's srun takes its share of the allocation. A step begins when the
 * allocation has cpus and memory left for it; which node has them is SLURM's matter, and srun waits for it. Steps end
 * with us, as the allocation does.
 */
#ifndef DESCPIPE_SLURM_STEPS_H
#define DESCPIPE_SLURM_STEPS_H

#include <stdbool.h>
#include <stdint.h>

#include <descpipe/scheduler.h>

struct slurm;
struct step;

struct steps {
    char allocation[24];          /* the job's id; "": there is none, or it is not to be used */
    char node[64];                /* when it has only one */
    uint64_t nodes, cpus, memory; /* of it all; UINT64_MAX: not known */
    uint64_t used_cpus, used_memory;
    struct step *waiting, *running;
    unsigned overtaken; /* so many have passed the first that waits */
    struct descpipe_timer *timer;
};

/* Looks at what surrounds us, as the option `mode` says. False with a message: it wants an allocation and there is
 * none. */
bool steps_open(struct slurm *self, char *message, uint64_t message_size);
void steps_close(struct slurm *self);
void steps_submit(struct slurm *self, struct descpipe_call *call, const struct descpipe_submission *submission);
/* The operation `pilot`. */
const struct descpipe_pilot *steps_pilot(void *slurm);
bool steps_has(const struct slurm *self, uint64_t job); /* waiting or running */
void steps_cancel(struct slurm *self, struct descpipe_call *call, const uint64_t *jobs, uint64_t count);

#endif
