/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From a job's resources and the site's words to the options of sbatch, and from many jobs to few arrays.
 *
 * nodes → --nodes, ranks → --ntasks-per-node, cpus → --cpus-per-task, memory → --mem (of a node), gpus → --gres or
 * --gpus-per-node, minutes → --time, scratch → --tmp. Memory and time are rounded up to what SLURM counts in.
 */
#ifndef DESCPIPE_SLURM_REQUEST_H
#define DESCPIPE_SLURM_REQUEST_H

#include <descpipe/scheduler.h>

#include "parts/buffer.h"
#include "parts/limits.h"

enum { REQUEST_MESSAGE = 512 };

/* The options of a job, its own or the backend's. Borrowed; NULL or "": not said. */
struct wishes {
    const char *account, *partition, *qos, *constraint, *reservation, *licenses;
    const char *gpu_request; /* "gres" or "gpus-per-node" */
    const char *gpu_type;
    const char *const *extra;
};

/* Options of sbatch that say what this job needs; jobs with equal ones can be one array. */
void request_add(struct arguments *arguments, const struct wishes *wishes, const struct descpipe_job *job);
/* False: `extra` holds an option that is ours; `message` says which and what to do. */
bool request_allows_extra(const char *const *extra, char message[REQUEST_MESSAGE]);
/* False: this site will never run it; `message` has the number. */
bool request_fits(const struct limits *limits, const struct wishes *wishes, const struct descpipe_job *job,
                  char message[REQUEST_MESSAGE]);

/* How many jobs of these wishes the user may have in the queue, LIMITS_NONE: as many as wanted. */
uint64_t request_jobs_allowed(const struct limits *limits, const struct wishes *wishes);

/* Jobs that go as one sbatch. */
struct request_group {
    struct arguments options;
    uint32_t *positions; /* in the submission, rising */
    uint32_t count;
    uint32_t limit; /* of members at a time, 0: none */
    uint32_t level; /* groups of lower levels are submitted first: this one depends on them */
    /* What it waits for, jobs in our numbers and arrays in SLURM's: "ok:7 end:9 corr:1234", or "". Each member of
     * `corr` waits for the member of that array which has the same index. */
    char *after;
};

struct request_groups {
    struct request_group *items;
    size_t count;
};

/* Who knows what a submission does not say itself. */
struct request_source {
    void (*wishes)(void *context, const struct descpipe_job *job, struct wishes *wishes); /* a job's options */
    /* Which member of which array a job of an earlier submission is; false: it is none. NULL: there are none. */
    bool (*locate)(void *context, uint64_t job, uint64_t *array, int64_t *index);
    void *context;
};

/* At most `size` members in a group. False: no memory, or `message` says what is wrong. */
bool request_group(const struct descpipe_submission *submission, uint64_t size, const struct request_source *source,
                   struct request_groups *groups, char message[REQUEST_MESSAGE]);
void request_groups_clear(struct request_groups *groups);
/* "0-2,7", with "%limit". */
void request_add_indices(struct buffer *text, const struct request_group *group);

#endif
