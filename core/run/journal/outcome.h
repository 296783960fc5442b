/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From evidence to verdict: what several witnesses saw of one attempt's end becomes one word and one readable line.
 *
 * Pure: no clock, no file, no process. The rules, strongest first:
 *   1. What we did ourselves explains what followed: cancelled, stopped at its limit.
 *   2. What the system did to the job (node failure, preemption, its time limit, its cancel) explains how the command
 * ended.
 *   3. A command that never ran: image, stage-in, not started.
 *   4. How the command ended. A failure seen by any witness beats a success seen by another, since systems report 0 for
 *      what they cut short. Out of memory explains a failure, not a success.
 *   5. A success still needs its outputs. A job that looked for them itself, and ended with a failure because of them,
 *      says so: that is no failure of the command.
 *   6. No witness at all is LOST: "not found" is never success.
 */
#ifndef DESCPIPE_RUN_JOURNAL_OUTCOME_H
#define DESCPIPE_RUN_JOURNAL_OUTCOME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <descpipe/types.h>

#include "base/text.h"

enum verdict {
    VERDICT_NONE = 0,
    VERDICT_OK,
    VERDICT_EXIT,
    VERDICT_SIGNAL,
    VERDICT_OOM,
    VERDICT_TIMEOUT,
    VERDICT_NODE_FAIL,
    VERDICT_PREEMPTED,
    VERDICT_CANCELLED,
    VERDICT_IMAGE,
    VERDICT_STAGE_IN,
    VERDICT_OUTPUT_MISSING,
    VERDICT_DISK,
    VERDICT_LOST,
    VERDICTS
};
const char *verdict_name(enum verdict verdict);   /* "OK", "EXIT", "OUTPUT_MISSING" ... as in the journal */
enum verdict verdict_from_name(const char *name); /* NONE when it is none */

struct outcome_case {
    const struct descpipe_ending *endings; /* in order: nearest to the command first */
    size_t endings_count;
    uint64_t memory_limit;  /* bytes, 0: none; for the reason */
    uint64_t time_limit_ms; /* 0: none */
    uint32_t form;          /* DESCPIPE_FORM_ the attempt was started with */
    const char *argv0;      /* COMMAND: the launcher's path, or NULL */
    const char *error_tail; /* the first bytes of its standard error (all of it when short), or NULL */
    bool error_tail_whole;  /* that is all it wrote */
};

struct outcome {
    enum verdict verdict;
    int exit_code;   /* EXIT; 0 with OK */
    int signal;      /* SIGNAL */
    bool checkpoint; /* TIMEOUT: it left a new one */
    uint64_t peak_memory, cpu_ms;
    int64_t started_at_ms, finished_at_ms;
    struct text reason; /* one line, printable; text_clear it */
};

void outcome_judge(const struct outcome_case *evidence, struct outcome *outcome);
/* Takes OK back because of what its outputs are: the reason names the output. */
void outcome_spoil(struct outcome *outcome, enum verdict verdict, const char *reason);
/* "signal 9 (SIGKILL)", appended. */
void outcome_append_signal(struct text *text, int signal);

#endif
