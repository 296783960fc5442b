/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A job that runs elsewhere: the POSIX script that does it all without descpipe, and the small file in which it says
 * how it ended.
 *
 * Called as `/bin/sh SCRIPT`; its standard streams are the stage's. From its scheduler's plugin it may get
 *     DESCPIPE_LAUNCHER   a script: `sh LAUNCHER ranks ARGV` starts ARGV once per rank with DESCPIPE_RANK and
 *                         DESCPIPE_SIZE set, `sh LAUNCHER nodes ARGV` once per node; needed when ranks start outside
 * It ends with the stage's exit status, 128 + n for one that signal n ended.
 *
 * The outcome file has lines `name=value`: phase (setup, in, run, out, end), host, started, finished (seconds since the
 * epoch, with milliseconds where `date` knows them), exit, stopped (the signal that asked the job to end),
 * warned (the signal by which it was told that its time is nearly up). It is
 * replaced as a whole, so a reader finds an old or a new one. A job that was ended by force leaves `phase=run`.
 *
 * Detached, a job looks after its files itself (job_files.h), and its outcome may also have: attempt (more than 1 when
 * its scheduler has started it before), failed (why its command did not run, or does not count: a word of enum
 * job_failure) and reason, timed_out=yes, and done=yes when nothing is missing. Its exit status then is 0 only when it
 * is done. Before it begins it looks into the run folder for RUN_CANCEL_FILE and RUN_FAILED_FILE, and if one is there
 * it leaves the command alone.
 */
#ifndef DESCPIPE_RUN_ELSEWHERE_JOB_SCRIPT_H
#define DESCPIPE_RUN_ELSEWHERE_JOB_SCRIPT_H

#include <stdbool.h>
#include <stdint.h>

#include <descpipe/types.h>

#include "base/error.h"
#include "base/text.h"
#include "run/files/staging.h"

#define OUTCOME_LIMIT 4096 /* bytes; a longer one is none of ours */

/* What a job needs that nobody watches. */
struct job_detached {
    const char *run;               /* the run folder */
    const char *log;               /* its logs without ".ATTEMPT.out" and ".ATTEMPT.err" */
    const char *output;            /* the attempt's output folder, there */
    const char *mark;              /* a file's name that no other job uses */
    const struct staging_in *in;   /* or NULL */
    const struct staging_out *out; /* or NULL */
    int64_t time_limit_ms;         /* 0: none */
    const char *name;              /* STAGE or STAGE/MEMBER, for RUN_FAILED_FILE; NULL: its failure stops nobody */
};

struct job_script {
    const char *path;      /* of the script itself; NULL: whoever starts it has set $script, to a file that knows it */
    const char *outcome;   /* absolute */
    const char *secrets;   /* absolute, what job_script_print_exports made; removed at the end; or NULL */
    const char *scratch;   /* a folder that is made on the node and removed at the end; or NULL */
    const char *directory; /* to start argv in, or NULL */
    const char *const *argv;
    const char *const *environment; /* "NAME=value", complete */
    const char *const *late_names;  /* of these the job's own environment knows some: CUDA_VISIBLE_DEVICES, DESC_RANK */
    const char *late_prefix;        /* in front of their names; or NULL */
    const char *const *setup;       /* once per node before, or NULL */
    const char *const *removal;     /* once per node after argv was killed or told to stop, or NULL */
    const char *warning;            /* the name of a signal that argv is to get too ("USR1"), or NULL */
    bool ranks_outside;             /* the launcher starts argv once per rank */
    const struct job_detached *detached; /* or NULL: somebody lays its inputs, judges and publishes */
};

/* Appends the script. False with an error when something cannot be said in one (a variable's name). */
bool job_script_print(const struct job_script *script, struct text *text, struct error *error);
/* Appends lines that set `pairs` ("NAME=value"), for the secrets file. */
bool job_script_print_exports(const char *const *pairs, struct text *text, struct error *error);

/* Functions `now` and `say PHASE` and what they use, for other scripts that leave an outcome. */
void job_script_print_saying(const char *outcome, struct text *text);

enum job_phase { JOB_PHASE_NONE = 0, JOB_PHASE_SETUP, JOB_PHASE_IN, JOB_PHASE_RUN, JOB_PHASE_OUT, JOB_PHASE_END };
enum job_failure {
    JOB_FAILURE_NONE = 0,
    JOB_FAILURE_IMAGE, /* its node could not be made ready */
    JOB_FAILURE_STAGE_IN,
    JOB_FAILURE_OUTPUT_MISSING, /* the command itself went well */
    JOB_FAILURE_DISK,
    JOB_FAILURE_CANCELLED, /* before it began, like SKIPPED */
    JOB_FAILURE_SKIPPED,
    JOB_FAILURES
};
struct job_outcome {
    enum job_phase phase; /* NONE: there is no (whole) file */
    int exit_code;        /* -1: it does not say */
    bool stopped;         /* it was asked to end */
    bool warned;          /* it was told that its time is nearly up */
    bool timed_out;       /* … at its time limit */
    bool done;            /* detached: its outputs are published */
    enum job_failure failure;
    uint32_t attempt; /* 0: it does not say */
    char reason[512];
    int64_t started_at_ms, finished_at_ms;
    char host[256];
};
/* Reads what is there now. Unknown names are passed over. */
void job_outcome_read(const char *path, struct job_outcome *outcome);
/* What it witnesses; the texts are the outcome's. A job that did not write its end is LOST, as far as it knows. */
void job_outcome_ending(const struct job_outcome *outcome, struct descpipe_ending *ending);

#endif
