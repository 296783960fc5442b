/* SPDX-License-Identifier: BSD-3-Clause */
/* The rules of ending.h. */
#include "parts/ending.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { SIGNAL_KILL = 9, SHELL_SIGNAL = 128, SIGNAL_NO_OUTPUT = 53, SIGNAL_OF_MEMORY = 125 };

static void say(struct verdict *verdict, uint32_t flags, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void say(struct verdict *verdict, uint32_t flags, const char *format, ...)
{
    va_list arguments;
    verdict->flags |= flags;
    va_start(arguments, format);
    vsnprintf(verdict->reason, sizeof(verdict->reason), format, arguments);
    va_end(arguments);
}

/* " on n1", or nothing. */
static const char *where(const struct record *job, char *text, size_t size)
{
    snprintf(text, size, "%s%s", job->nodes[0] != '\0' ? " on " : "", job->nodes);
    return text;
}

/* Accounting gives a start even to jobs that were cancelled while they waited; it gives them no node. */
static bool never_started(const struct record *job)
{
    return job->nodes[0] == '\0';
}

/* Exit code and signal as the witness has them; the batch step knows them where the job's own record is silent. */
static void keep_exit(const struct evidence *evidence, struct verdict *verdict)
{
    const struct record *job = evidence->job, *batch = evidence->batch;
    const struct record *source = job->has_exit && (job->exit_code != 0 || job->exit_signal != 0) ? job : batch;
    if (source == NULL || !source->has_exit) {
        source = job;
    }
    if (!source->has_exit) {
        return;
    }
    if (source->exit_signal != 0) {
        verdict->flags |= DESCPIPE_ENDED_SIGNALLED;
        verdict->signal = source->exit_signal;
    } else {
        verdict->flags |= DESCPIPE_ENDED_EXITED;
        verdict->exit_code = source->exit_code;
    }
}

/* Killed by SIGKILL, and by more memory than was asked for: so says the kernel, slurmstepd or the account. */
static bool was_out_of_memory(const struct evidence *evidence, const struct verdict *verdict)
{
    if (evidence->log & LOG_MEMORY) {
        return true;
    }
    bool killed = verdict->signal == SIGNAL_KILL || verdict->exit_code == SHELL_SIGNAL + SIGNAL_KILL;
    uint64_t limit = evidence->memory_limit;
    if (limit == 0 && evidence->job->requested_memory > 0 && !evidence->job->memory_is_per_cpu) {
        limit = evidence->job->requested_memory;
    }
    return killed && limit > 0 && evidence->peak_memory > limit;
}

static void say_memory(const struct evidence *evidence, struct verdict *verdict)
{
    uint64_t limit = evidence->memory_limit > 0 ? evidence->memory_limit : evidence->job->requested_memory;
    if (evidence->peak_memory > 0 && limit > 0) {
        say(verdict, DESCPIPE_ENDED_OUT_OF_MEMORY, "out of memory: it used %" PRIu64 " MiB of %" PRIu64 " MiB",
            evidence->peak_memory >> 20, limit >> 20);
    } else {
        say(verdict, DESCPIPE_ENDED_OUT_OF_MEMORY, "out of memory");
    }
    if ((verdict->flags & (DESCPIPE_ENDED_EXITED | DESCPIPE_ENDED_SIGNALLED)) == 0 ||
        (verdict->exit_code == 0 && verdict->signal == 0)) {
        verdict->flags = (verdict->flags & ~(uint32_t)DESCPIPE_ENDED_EXITED) | DESCPIPE_ENDED_SIGNALLED;
        verdict->signal = SIGNAL_KILL; /* what the kernel ends with */
    }
}

/* What slurmstepd said when it ended the job, where SLURM's state is a word for several things. */
static bool judge_by_log(const struct evidence *evidence, struct verdict *verdict)
{
    char place[RECORD_NODES + 8];
    const char *on = where(evidence->job, place, sizeof(place));
    if (evidence->log & LOG_NOT_STARTED) {
        say(verdict, DESCPIPE_ENDED_NOT_STARTED, "%s",
            evidence->log_words != NULL ? evidence->log_words : "the batch script could not begin");
        verdict->flags &= ~(uint32_t)(DESCPIPE_ENDED_EXITED | DESCPIPE_ENDED_SIGNALLED);
        verdict->exit_code = verdict->signal = 0;
    } else if (was_out_of_memory(evidence, verdict)) {
        say_memory(evidence, verdict);
    } else if (evidence->log & LOG_TIME) {
        say(verdict, DESCPIPE_ENDED_TIMED_OUT, "its time limit was reached%s", on);
    } else if (evidence->log & LOG_NODE) {
        say(verdict, DESCPIPE_ENDED_NODE_FAILED, "a node failed%s", on);
    } else if (evidence->log & LOG_PREEMPTED) {
        say(verdict, DESCPIPE_ENDED_PREEMPTED, "preempted%s", on);
    } else {
        return false;
    }
    return true;
}

static void judge_cancelled(const struct evidence *evidence, struct verdict *verdict)
{
    const struct record *job = evidence->job;
    uint32_t flags = DESCPIPE_ENDED_CANCELLED | (never_started(job) ? DESCPIPE_ENDED_NOT_STARTED : 0);
    if (strncmp(job->reason, "Dependency", strlen("Dependency")) == 0) {
        say(verdict, flags, "a job that it depends on did not succeed (%s)", job->reason);
    } else if (job->by >= 0 && job->by == evidence->user) {
        say(verdict, flags, "cancelled by you (uid %" PRId64 ")", job->by);
    } else if (job->by >= 0) {
        say(verdict, flags, "cancelled by uid %" PRId64 "%s", job->by, job->by == 0 ? " (root, or SLURM itself)" : "");
    } else {
        say(verdict, flags, "cancelled%s%s", job->reason[0] != '\0' ? ": " : "", job->reason);
    }
}

static void judge_failed(const struct evidence *evidence, struct verdict *verdict)
{
    char place[RECORD_NODES + 8];
    const char *on = where(evidence->job, place, sizeof(place));
    if (judge_by_log(evidence, verdict)) {
        return;
    }
    if (verdict->signal == SIGNAL_NO_OUTPUT) {
        verdict->flags &= ~(uint32_t)DESCPIPE_ENDED_SIGNALLED;
        verdict->signal = 0;
        say(verdict, DESCPIPE_ENDED_NOT_STARTED,
            "SLURM could not open its output or enter its folder%s (0:53): is the working folder visible there?", on);
    } else if (verdict->signal != 0) {
        say(verdict, 0, "ended by signal %d%s", verdict->signal, on);
    } else if ((verdict->flags & DESCPIPE_ENDED_EXITED) != 0 && verdict->exit_code != 0) {
        say(verdict, 0, "exit status %d%s", verdict->exit_code, on);
    } else {
        /* Failed, and no witness says how: no number is made up. */
        verdict->flags &= ~(uint32_t)DESCPIPE_ENDED_EXITED;
        say(verdict, DESCPIPE_ENDED_LOST, "FAILED%s, and SLURM does not say how%s%s", on,
            evidence->job->reason[0] != '\0' ? ": " : "", evidence->job->reason);
    }
}

/* The states that say it all. Their exit code is SLURM's own doing and would only mislead. */
static const struct {
    enum state state;
    uint32_t flags;
    const char *words;
} plain[] = {
    {STATE_TIMEOUT, DESCPIPE_ENDED_TIMED_OUT, "its time limit was reached"},
    {STATE_NODE_FAIL, DESCPIPE_ENDED_NODE_FAILED, "a node failed"},
    {STATE_PREEMPTED, DESCPIPE_ENDED_PREEMPTED, "preempted"},
    {STATE_BOOT_FAIL, DESCPIPE_ENDED_NODE_FAILED | DESCPIPE_ENDED_NOT_STARTED, "a node could not be booted"},
    {STATE_RECONFIG_FAIL, DESCPIPE_ENDED_NODE_FAILED | DESCPIPE_ENDED_NOT_STARTED, "a node could not be made ready"},
    {STATE_LAUNCH_FAILED, DESCPIPE_ENDED_NOT_STARTED, "SLURM could not launch it"},
    {STATE_DEADLINE, DESCPIPE_ENDED_CANCELLED, "its deadline had passed"},
};

static bool judge_plain(const struct evidence *evidence, struct verdict *verdict)
{
    char place[RECORD_NODES + 8];
    for (size_t i = 0; i < sizeof(plain) / sizeof(*plain); i++) {
        if (plain[i].state == evidence->job->state) {
            uint32_t not_started = never_started(evidence->job) ? DESCPIPE_ENDED_NOT_STARTED : 0;
            verdict->flags = 0;
            verdict->exit_code = verdict->signal = 0;
            say(verdict, plain[i].flags | not_started, "%s%s", plain[i].words,
                where(evidence->job, place, sizeof(place)));
            return true;
        }
    }
    return false;
}

bool ending_judge(const struct evidence *evidence, struct verdict *verdict)
{
    struct verdict judged = {0};
    if (state_phase(evidence->job->state) != PHASE_ENDED) {
        return false;
    }
    keep_exit(evidence, &judged);
    switch (evidence->job->state) {
    case STATE_COMPLETED:
        judged.flags = DESCPIPE_ENDED_EXITED;
        judged.exit_code = judged.signal = 0;
        break;
    case STATE_OUT_OF_MEMORY:
        if (judged.signal == SIGNAL_OF_MEMORY) { /* 0:125 is SLURM's own word for it */
            judged.signal = 0;
        }
        say_memory(evidence, &judged);
        break;
    case STATE_CANCELLED:
        judged = (struct verdict){0};
        if (!judge_by_log(evidence, &judged)) {
            judge_cancelled(evidence, &judged);
        }
        break;
    default:
        if (!judge_plain(evidence, &judged)) {
            judge_failed(evidence, &judged);
        }
    }
    *verdict = judged;
    return true;
}
