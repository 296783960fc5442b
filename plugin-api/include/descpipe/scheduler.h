/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A scheduler says when and where. The unit is the submission: one act that starts n jobs.
 *
 *     submit(submission) ─► changes through the sink of `observe` ─► release(submission)
 *
 * A scheduler on this machine (HOST_STARTS) keeps a queue and calls the host's stage service; every other
 * one hands the forms to its system. `observe` is open from before the first submit until the host
 * cancels its call; changes may come at any time in between, each at least once, in any order across jobs.
 */
#ifndef DESCPIPE_SCHEDULER_H
#define DESCPIPE_SCHEDULER_H

#include <descpipe/host.h>
#include <descpipe/types.h>

enum {
    DESCPIPE_SCHEDULER_HOST_STARTS = 1u << 0, /* uses the stage service; jobs come without a form */
    DESCPIPE_SCHEDULER_OUTLIVES = 1u << 1,    /* jobs go on when descpipe ends */
    DESCPIPE_SCHEDULER_ARRAYS = 1u << 2,      /* many equal jobs are one act */
    DESCPIPE_SCHEDULER_GRAPH = 1u << 3,       /* understands `after` */
    DESCPIPE_SCHEDULER_MPI = 1u << 4,         /* can start ranks over nodes */
    DESCPIPE_SCHEDULER_GPUS = 1u << 5,
    DESCPIPE_SCHEDULER_RETRIES = 1u << 6,     /* repeats failed jobs itself, as told */
    DESCPIPE_SCHEDULER_SHARED_FILES = 1u << 7, /* jobs see our file system (after `paths`) */
    DESCPIPE_SCHEDULER_WHOLE = 1u << 8,       /* wants all jobs of a run in one submission, their edges among them; implies GRAPH */
    DESCPIPE_SCHEDULER_SIGNALS = 1u << 9      /* honours a job's `signal` */
};

enum {
    DESCPIPE_AFTER_OK = 0,  /* the other job succeeded */
    DESCPIPE_AFTER_END = 1  /* the other job ended */
};

struct descpipe_edge {
    uint32_t size;
    uint32_t condition; /* DESCPIPE_AFTER_ */
    uint64_t job;       /* a job of this submission or an earlier one */
};

/* What may be tried again by a scheduler with RETRIES, which tells each such end as DESCPIPE_JOB_REPEATED. */
enum {
    DESCPIPE_RETRY_NODE_FAILED = 1u << 0,
    DESCPIPE_RETRY_PREEMPTED = 1u << 1,
    DESCPIPE_RETRY_TIMED_OUT = 1u << 2,
    DESCPIPE_RETRY_OUT_OF_MEMORY = 1u << 3,
    DESCPIPE_RETRY_LOST = 1u << 4,
    DESCPIPE_RETRY_IMAGE = 1u << 5,
    DESCPIPE_RETRY_FAILED = 1u << 6,    /* any exit status but 0 */
    DESCPIPE_RETRY_EXIT_CODES = 1u << 7 /* one of `exit_codes` */
};

struct descpipe_retries {
    uint32_t size;
    uint32_t limit;             /* attempts after the first */
    uint32_t reasons;           /* DESCPIPE_RETRY_ */
    uint32_t exit_codes_count;
    const uint8_t *exit_codes;
    int64_t backoff_ms;         /* before the second attempt; doubled each time, at most an hour */
};

/*
 * What a `script` finds when the scheduler runs it (with /bin/sh, no argument, standard input empty, output and error at their
 * paths), beside what the system itself sets:
 *   DESCPIPE_INDEX     its position in the submission
 *   DESCPIPE_RESTART   how often the system has started it before; 0 the first time
 *   DESCPIPE_LAUNCHER  for nodes * ranks_per_node above 1: the path of a script that starts things over the job's nodes:
 *       /bin/sh "$DESCPIPE_LAUNCHER" ranks ARGV...   ARGV once per rank, each with its DESCPIPE_RANK and DESCPIPE_SIZE
 *       /bin/sh "$DESCPIPE_LAUNCHER" nodes ARGV...   ARGV once per node
 * It ends with the stage's exit status. The system's signal before the end (time limit, cancel) is SIGTERM.
 */
/* With `apart` 3: a file of a job's, by its name below the job's input or output folder. */
struct descpipe_job_file {
    uint32_t size;
    uint32_t is_folder;
    const char *name;
    const char *path; /* absolute: where the input is on this machine, or the `path` of another job's output; of an output its own */
    const char *here; /* of an output: where the host looks for it when the job has ended; else NULL */
};

struct descpipe_job {
    uint32_t size;
    uint32_t members_limit;       /* at most this many jobs with the same `group` at a time, 0: no limit */
    uint64_t job;                 /* the host's name for it, unique in the run */
    uint64_t order;               /* position in a stable topological order; lower first */
    uint64_t attempt;
    const char *stage;
    const char *member;           /* or NULL */
    const char *group;            /* equal for the members of one stage */
    const struct descpipe_resources *resources;
    const struct descpipe_form *form;     /* NULL with HOST_STARTS */
    const char *script;                   /* COMMAND elsewhere: absolute path of a POSIX script that does it all, or NULL; see below */
    const char *output_path;              /* where the job's standard output belongs; NULL with HOST_STARTS */
    const char *error_path;               /* likewise */
    const struct descpipe_edge *const *after; /* ends with NULL */
    const struct descpipe_settings *settings; /* the stage's `on: {NAME: ...}`, or NULL */
    const char *native_id;                /* with ADOPT: what the system calls it; else NULL */
    const char *source;                   /* POD: the text of the file that the last word of argv names, a script; or NULL */
    const char *const *late_environment;  /* POD: "NAME=value", secrets: they belong in no manifest and no message */
    const struct descpipe_retries *retries; /* with RETRIES; NULL: none */
    /* With `apart`: texts of POSIX scripts, or NULL where there is nothing to do. The first lays the stage's folders before its
     * command starts; the second looks at its outputs and publishes them after the command ended with 0. Both are run by
     * something that sees the working folder at its own path. One that cannot do its part writes lines "failed=WORD"
     * (stage_in, output_missing, disk) and "reason=TEXT" to the file $DESCPIPE_WORD and ends with 1. */
    const char *bring_in;
    const char *publish;
    /* With SIGNALS: the number of a signal that the job's `script`, it alone, is to get this long before the end of its time,
     * so that its stage can write a checkpoint; 0: none. A minute more is no harm. */
    uint64_t signal_before_ms;
    uint32_t signal;
    uint32_t reserved;
    /* With `apart` 3, ends with NULL; NULL: none. */
    const struct descpipe_job_file *const *takes;
    const struct descpipe_job_file *const *makes;
};

enum {
    /* Nobody will watch: what the system can repeat by itself (a failed node, a preemption) it shall repeat, and a job whose
     * `after` can never hold ends as cancelled. */
    DESCPIPE_SUBMISSION_DETACHED = 1u << 0,
    /* The system has these jobs already, from this or another process. Nothing is started; their changes come through the sink
     * from now on, for jobs that are over too. Token, folder and the position of each job are as when it was submitted; a job
     * without `native_id` is left out. */
    DESCPIPE_SUBMISSION_ADOPT = 1u << 1,
    /* With WHOLE: when a job fails, those that do not wait for it go on. Else nothing new starts then. */
    DESCPIPE_SUBMISSION_KEEP_GOING = 1u << 2,
    /* Its one job is the allocation that `pilot` told of, in which the host goes on: whole nodes where its resources say nothing. */
    DESCPIPE_SUBMISSION_PILOT = 1u << 3
};

/* A job's position in `jobs` is part of its name: `find` answers it as `index`. */
struct descpipe_submission {
    uint32_t size;
    uint32_t count;                     /* of jobs */
    const char *token;                  /* <run>-<serial>: a legal job, pod and container name, at most 40 */
    const char *run;
    const char *folder;                 /* submissions/<serial>, for the scheduler's own files; NULL with HOST_STARTS */
    const struct descpipe_job *const *jobs;
    uint32_t flags;                     /* DESCPIPE_SUBMISSION_ */
    uint32_t reserved;
    const char *working;                /* the working folder, absolute; NULL with HOST_STARTS */
};

enum {
    DESCPIPE_JOB_QUEUED = 1,   /* `reason` says what it waits for */
    DESCPIPE_JOB_RUNNING = 2,
    DESCPIPE_JOB_ENDED = 3,    /* `ending` is the scheduler's evidence, or NULL when it has none */
    DESCPIPE_JOB_REPEATED = 4  /* with RETRIES: `attempt` has ended as `ending` says, and the system tries again: of the same job,
                                * `attempt` + 1 follows. Its output belongs beside the first's, with its own number in the name */
};

struct descpipe_change {
    uint32_t size;
    uint32_t state;               /* DESCPIPE_JOB_ */
    uint64_t job;
    uint64_t attempt;             /* of the scheduler's own repeating, else as submitted */
    int64_t at_ms;
    const char *native_id;
    const char *host;
    const char *reason;
    const struct descpipe_ending *ending;
};

/* One allocation for a whole run: the host moves into it, and stages need no job of their own. */
struct descpipe_pilot {
    uint32_t size;
    uint32_t inside;                              /* 1: this process is in the allocation already */
    const struct descpipe_resources *resources;   /* what it is to have; inside: what it has. 0 memory: all of a node */
};

struct descpipe_scheduler {
    uint32_t size;
    uint32_t capabilities;             /* DESCPIPE_SCHEDULER_ */
    const uint32_t *forms;             /* accepted DESCPIPE_FORM_, best first, ends with 0 */

    int32_t (*open)(const struct descpipe_host *host, void **self, char *message, uint64_t message_size);
    void (*close)(void *self);

    void (*probe)(void *self, struct descpipe_call *call);
    /* Our absolute path → the path the job sees. Answers text. NULL: the same. */
    void (*paths)(void *self, struct descpipe_call *call, const char *path);
    /* Answers native_id for each job where the system gives one. All jobs or none. */
    void (*submit)(void *self, struct descpipe_call *call, const struct descpipe_submission *submission);
    void (*observe)(void *self, struct descpipe_call *call, struct descpipe_sink *sink);
    /* Answers found for every job of the run that the system knows, ended ones too. One query. A job that it does not name
     * was not submitted. */
    void (*find)(void *self, struct descpipe_call *call, const char *run);
    /* `jobs` has `count` entries. Their end comes through the sink. */
    void (*cancel)(void *self, struct descpipe_call *call, const uint64_t *jobs, uint64_t count);
    /* The host has journalled the end: what was kept for it may go. */
    void (*release)(void *self, struct descpipe_call *call, const char *token);
    /* Optional. */
    void (*logs)(void *self, struct descpipe_call *call, uint64_t job, int32_t output_descriptor, int32_t follow);
    void (*queue_estimate)(void *self, struct descpipe_call *call, const struct descpipe_job *job); /* answers moment; 0: it would be taken, when is not known */
    void (*shell)(void *self, struct descpipe_call *call, const struct descpipe_job *job);
    /* Pure: room for a submission now; the host sends no more jobs than that. NULL: no limit. */
    uint64_t (*room)(void *self);
    /* What `submit` would send, for people and other tools. Pure: it ends before it returns. Answers text. Optional. */
    void (*render)(void *self, struct descpipe_call *call, const struct descpipe_submission *submission);
    /* Pure, of the options alone: 1 when nobody but the jobs looks after their files. Then each job has `bring_in` and `publish`;
     * of the paths in its form those below the working folder are the jobs' own, except that of the configuration, which is laid
     * here. 2: the same, and this machine sees the files as well, and publishes them once more. 3: files go through the
     * scheduler, which has what a job `takes` from here or from the jobs that make it, and lays what it `makes` where the
     * host looks for it before it tells that the job has ended well; the host publishes it. NULL: never. */
    int32_t (*apart)(void *self);
    /* Pure, of the options alone: whether a form of `forms` can be had as this backend is set. 0 with words that say which option
     * is missing. NULL: every one of them can. */
    int32_t (*accepts)(void *self, uint32_t form, char *message, uint64_t message_size);
    /* NULL: no pilot is wanted. Inside an allocation of one node the host runs the stages like on any machine, of several by `submit`.
     * Pure; the answer lives as long as `self`. Optional. */
    const struct descpipe_pilot *(*pilot)(void *self);
};

#endif
