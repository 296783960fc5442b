/* SPDX-License-Identifier: BSD-3-Clause */
/* One submission to a scheduler elsewhere, for the files that share it: remote.c (sending), remote_job.c (what a job
 * is made of), remote_watch.c (what becomes of it),
 * remote_look.c (what its jobs say of themselves). */
#ifndef DESCPIPE_RUN_ELSEWHERE_REMOTE_H
#define DESCPIPE_RUN_ELSEWHERE_REMOTE_H

#include <sys/stat.h>
#include <time.h>

#include "run/elsewhere/job_scripts.h"
#include "run/walk.h"

struct remote_job {
    struct attempt *attempt; /* NULL: never sent, or over */
    uint64_t job;            /* the attempt's, which forgets it at its end */
    bool ready;
    bool known;           /* of a run that is gone on with: its end is in the journal */
    ino_t seen;           /* of its outcome file, when it was last read; 0: it was not */
    struct job_part part; /* its script, in … */
};

struct remote {
    struct remote *next;
    struct engine *engine;
    struct walk_backend *backend;
    uint64_t serial;
    char *folder; /* submissions/SERIAL */
    char *token;
    struct remote_job *jobs;    /* by position */
    struct job_scripts scripts; /* … this file, or that of the submission from which it was split off: */
    char *scripts_of_other;     /* its name, or NULL */
    uint32_t count;
    uint32_t preparing;  /* not ready yet */
    uint32_t open;       /* not over */
    struct arena *arena; /* of the jobs that are sent */
    struct descpipe_submission submission;
    uint32_t *positions; /* of submission.jobs */
    int64_t again_ms;
    struct loop_timer *again;
    void (*then)(void *context); /* what happens again */
    bool sending, releasing;
    struct timespec changed;           /* of its folder, when it was last looked at, */
    int64_t change_seen_ms, looked_ms; /* … when that was new, and when all files in it were looked at */
    bool waits_for_room;               /* while `again` is set: another's end may make some */
};

/* remote.c: a submission of `count` jobs, empty; and the sending of one that is complete, its intent recorded. */
struct remote *remote_new(struct engine *engine, uint32_t backend, uint32_t count);
void remote_announce(struct remote *remote);
void remote_job_over(void *context, uint64_t job); /* the attempt is over, or never became a job */
void remote_taken(struct remote *remote);          /* the scheduler has it */
void remote_over_when_empty(struct remote *remote);

/* remote_watch.c: the end of a job of which its scheduler says no more. */
void remote_look_for_outcome(struct attempt *attempt);
/* … and of one whose outcome says that it went well. */
void remote_take_outcome(struct attempt *attempt);

/* remote_look.c: jobs were sent, or taken over. */
void remote_look_soon(struct engine *engine);
/* The scheduler's word about a job that was over by its own. NULL: it says nothing. */
void remote_accounted(struct engine *engine, uint64_t job, const struct descpipe_ending *ending);

/* remote_job.c: where the node gives the stage its scratch folder, if it wants one. */
void remote_choose_scratch(struct attempt *attempt);
/* Writes the attempt's script among those of its submission and fills attempt->job_made. */
bool remote_make_job(struct attempt *attempt, const struct descpipe_form *form, struct error *error);
/* What jobs with scripts are started with: complete, and on the disk. */
bool remote_finish_scripts(struct remote *remote, struct error *error);
/* Where its output goes. */
void remote_name_logs(struct attempt *attempt, struct descpipe_job *job);
/* With `apart`: what it takes and makes, for schedulers that carry files themselves. */
void remote_name_files(const struct attempt *attempt, struct arena *arena, struct descpipe_job *job);
/* The same job for another submission, which it goes with alone. */
const struct descpipe_job *remote_copy_job(struct attempt *attempt, struct remote *remote);

#endif
