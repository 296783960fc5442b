/* SPDX-License-Identifier: BSD-3-Clause */
/* A submission on its way: submit.c walks it, command.c says what sbatch gets. */
#ifndef DESCPIPE_SLURM_SUBMIT_H
#define DESCPIPE_SLURM_SUBMIT_H

#include "slurm.h"

struct accepted { /* where a job went; by position */
    uint64_t array;
    int64_t index;
    uint32_t members; /* of its array */
    char cluster[JOBS_CLUSTER];
};

struct submitting {
    struct slurm *slurm;
    struct descpipe_call *call;
    const struct descpipe_submission *submission;
    struct limits_question *limits_question;
    struct tool *tool;
    struct descpipe_timer *timer;
    struct request_groups groups;
    size_t next; /* group */
    struct accepted *accepted;
    size_t accepted_groups;
    int64_t look_until_ms, wait_ms;
    bool cancelled;
    uint64_t counted;      /* so many of slurm->sending are its jobs */
    struct answer failure; /* to be told after what was accepted is cancelled */
};

/* The batch script, the index and the launcher, in the submission's folder. */
bool command_write_files(const struct submitting *submitting, char *message, size_t size);
/* The token, so that `find` knows it again; where there are no arrays the position as well. */
void command_write_name(const struct submitting *submitting, const struct request_group *group, struct buffer *name);
/* The whole sbatch; false: a job waits for one that comes after it. */
bool command_add(const struct submitting *submitting, const struct request_group *group, struct arguments *arguments);

#endif
