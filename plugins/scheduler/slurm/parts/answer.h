/* SPDX-License-Identifier: BSD-3-Clause */
/* What SLURM's commands mean when they fail: was it refused, may it have been done, could nobody be asked? */
#ifndef DESCPIPE_SLURM_ANSWER_H
#define DESCPIPE_SLURM_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum answer_kind {
    ANSWER_REFUSED,    /* the controller said no */
    ANSWER_UNKNOWN,    /* it may have been done */
    ANSWER_CANNOT_ASK, /* nobody was reached */
    ANSWER_LATER,      /* busy, or limited for now */
    ANSWER_TOO_MANY,   /* a limit on the number of jobs that are submitted */
    ANSWER_NO_JOB,     /* the job is not known (any more), or over */
    ANSWER_DISABLED,   /* there is no accounting here */
    ANSWER_NO_FIELD    /* this version has no such column */
};

struct answer {
    enum answer_kind kind;
    char message[256]; /* the line that says it, without the command's name */
    const char *hint;  /* static, or NULL */
};

/* `words` is all that the command wrote to standard error. For a command that failed, or that wrote "error" and nothing
 * else. */
void answer_read(const char *words, struct answer *answer);
/* The controller or the command itself asks to be asked less: "temporarily unable", rate limits, back off. */
bool answer_asks_for_patience(const char *words);
/* The job's id in what `sbatch --parsable` printed, whatever a site's wrapper prints around it; `cluster` may stay
 * empty. */
bool answer_read_job(const char *printed, uint64_t *job, char *cluster, size_t cluster_size);
/* The column that sacct does not know, by the message of ANSWER_NO_FIELD. */
bool answer_names_field(const char *message, const char *field);

#endif
