/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From what SLURM's witnesses say of a job to how it ended. A pure function: tests/slurm has the table of its cases.
 *
 * The rules, in this order:
 *   1. A state that is not an end is not an end; a word that nobody knows is not one either.
 *   2. The job's state wins over its steps': a batch step is CANCELLED in TIMEOUT, NODE_FAIL, OUT_OF_MEMORY and scancel
 * alike.
 *   3. FAILED and CANCELLED are words for several things: slurmstepd's own lines, the exit code and the memory that was
 * used tell which. SLURM's Reason does not (a segmentation fault reads JobLaunchFailure).
 */
#ifndef DESCPIPE_SLURM_ENDING_H
#define DESCPIPE_SLURM_ENDING_H

#include <descpipe/types.h>

#include "parts/record.h"

enum {
    LOG_MEMORY = 1u << 0,     /* "exceeded memory limit", "oom-kill" */
    LOG_TIME = 1u << 1,       /* "DUE TO TIME LIMIT" */
    LOG_NODE = 1u << 2,       /* "DUE TO NODE FAILURE" */
    LOG_PREEMPTED = 1u << 3,  /* "DUE TO PREEMPTION" */
    LOG_NOT_STARTED = 1u << 4 /* our own batch script says that it could not begin */
};

enum { ENDING_REASON = 256 };

/* How our own batch script ends when it could not begin; script.c */
#define SCRIPT_COULD_NOT_BEGIN 120

struct evidence {
    const struct record *job;   /* never NULL */
    const struct record *batch; /* its batch step, or NULL */
    uint64_t peak_memory;       /* the most of any of its steps, 0: not known */
    uint64_t memory_limit;      /* what was asked for a node, 0: not said */
    unsigned log;               /* LOG_ bits of scheduler.log */
    const char *log_words;      /* with LOG_NOT_STARTED: what it says; or NULL */
    int64_t user;               /* who we are, for "cancelled by" */
};

struct verdict {
    uint32_t flags; /* DESCPIPE_ENDED_ */
    int exit_code, signal;
    char reason[ENDING_REASON];
};

/* False: the job has not ended, or nobody can tell; *verdict is untouched. */
bool ending_judge(const struct evidence *evidence, struct verdict *verdict);

#endif
