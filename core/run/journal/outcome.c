/* SPDX-License-Identifier: BSD-3-Clause */
/* The rules from evidence to verdict, and the words for each. */
#include "run/journal/outcome.h"

#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "base/path.h"

#define REASON_LIMIT 500
#define SHELL_SIGNAL 128     /* a shell or launcher says 128 + n for a child that signal n ended */
#define EXIT_NOT_STARTED 127 /* as shells and container engines say it */

static const char *const names[VERDICTS] = {
    [VERDICT_NONE] = "NONE",
    [VERDICT_OK] = "OK",
    [VERDICT_EXIT] = "EXIT",
    [VERDICT_SIGNAL] = "SIGNAL",
    [VERDICT_OOM] = "OOM",
    [VERDICT_TIMEOUT] = "TIMEOUT",
    [VERDICT_NODE_FAIL] = "NODE_FAIL",
    [VERDICT_PREEMPTED] = "PREEMPTED",
    [VERDICT_CANCELLED] = "CANCELLED",
    [VERDICT_IMAGE] = "IMAGE",
    [VERDICT_STAGE_IN] = "STAGE_IN",
    [VERDICT_OUTPUT_MISSING] = "OUTPUT_MISSING",
    [VERDICT_DISK] = "DISK",
    [VERDICT_LOST] = "LOST",
};

const char *verdict_name(enum verdict verdict)
{
    return verdict > VERDICT_NONE && verdict < VERDICTS ? names[verdict] : names[VERDICT_NONE];
}

enum verdict verdict_from_name(const char *name)
{
    for (enum verdict i = VERDICT_OK; i < VERDICTS; i++)
        if (text_equal(names[i], name))
            return i;
    return VERDICT_NONE;
}

void outcome_append_signal(struct text *text, int signal)
{
    const char *abbreviation = sigabbrev_np(signal);
    text_format(text, "signal %d", signal);
    if (abbreviation != NULL)
        text_format(text, " (SIG%s)", abbreviation);
}

/*
 * Launchers that fail before the stage's command runs, and end like a command that failed. Their own complaint, and
 * nothing else, on standard error is what tells; a stage that only imitates it gets a wrong reason, never a wrong
 * success.
 */
static const struct launcher {
    const char *name;   /* the last part of argv[0] */
    int exit_code;      /* how it ends then */
    const char *prefix; /* of its complaint */
    const char *advice; /* how the one line begins that may follow it, or NULL */
    bool brings;        /* it was about bringing the command to where it runs, not about the command */
} launchers[] = {
    {"native-init", 1, "bwrap: ", NULL, false},
    {"native-init", 127, "descpipe: cannot run ", NULL, false},
    {"native-init", 126, "descpipe: cannot run ", NULL, false},
    {"bwrap", 1, "bwrap: ", NULL, false}, /* a rank: its launcher is given bubblewrap itself */
    {"docker", 125, "docker: ", "See 'docker run --help'", true},
    {"docker", 126, "docker: ", "See 'docker run --help'", false},
    {"docker", 127, "docker: ", "See 'docker run --help'", false},
    {"podman", 125, "Error: ", NULL, true},
    {"podman", 1, "ERROR (catatonit:", NULL, false}, /* its init, which has no other status for it */
    {"podman-hpc", 125, "Error: ", NULL, true},
    {"ch-run", 1, "ch-run[", NULL, false},
    {"shifter", 127, "shifter: ", NULL, false},
    {"shifter", 1, "FAILED ", NULL, true},
    {"singularity", 255, "FATAL: ", NULL, false},
    {"apptainer", 255, "FATAL: ", NULL, false},
};

/* The complaint and nothing else, besides the launcher's own advice. */
static bool is_alone(const char *text, const char *advice)
{
    const char *newline = strchr(text, '\n');
    const char *rest = newline != NULL ? newline + strspn(newline, "\n") : "";
    if (*rest == '\0')
        return true;
    newline = strchr(rest, '\n');
    return advice != NULL && text_starts_with(rest, advice) &&
           (newline == NULL || newline[strspn(newline, "\n")] == '\0');
}

static const struct launcher *launcher_that_failed(const struct outcome_case *evidence, int exit_code)
{
    if (evidence->argv0 == NULL || evidence->error_tail == NULL || !evidence->error_tail_whole)
        return NULL;
    const char *name = path_name(evidence->argv0);
    for (size_t i = 0; i < sizeof launchers / sizeof *launchers; i++)
        if (strcmp(name, launchers[i].name) == 0 && exit_code == launchers[i].exit_code &&
            text_starts_with(evidence->error_tail, launchers[i].prefix) &&
            is_alone(evidence->error_tail, launchers[i].advice))
            return &launchers[i];
    return NULL;
}

struct seen { /* all witnesses together */
    uint32_t flags;
    bool ended;            /* somebody saw an exit or a signal */
    bool spoiled;          /* … who also looked for the outputs: a success without them */
    int exit_code, signal; /* the first failure, else 0 */
    const char *words[32]; /* the reason of the first witness per flag bit */
};

static void look(const struct descpipe_ending *ending, struct seen *seen)
{
    seen->flags |= ending->flags;
    const uint32_t both = DESCPIPE_ENDED_EXITED | DESCPIPE_ENDED_OUTPUT_MISSING;
    if ((ending->flags & both) == both && ending->exit_code == 0)
        seen->spoiled = true;
    bool failed_before = seen->exit_code != 0 || seen->signal != 0;
    if (ending->flags & (DESCPIPE_ENDED_EXITED | DESCPIPE_ENDED_SIGNALLED))
        seen->ended = true;
    if ((ending->flags & DESCPIPE_ENDED_SIGNALLED) && !failed_before)
        seen->signal = ending->signal;
    else if ((ending->flags & DESCPIPE_ENDED_EXITED) && !failed_before)
        seen->exit_code = ending->exit_code;
    for (unsigned bit = 0; bit < 32; bit++)
        if ((ending->flags & (1u << bit)) && seen->words[bit] == NULL)
            seen->words[bit] = ending->reason;
}

static const char *words_for(const struct seen *seen, uint32_t flag)
{
    return seen->words[__builtin_ctz(flag)];
}

/* "what", and the witness's own words where it had any. */
static void say(struct text *reason, const char *what, const char *words)
{
    text_append(reason, what);
    if (words == NULL || words[0] == '\0')
        return;
    text_append(reason, ": ");
    text_append_printable(reason, words, REASON_LIMIT);
}

static void say_timeout(const struct outcome_case *evidence, const struct seen *seen, struct text *reason)
{
    if (evidence->time_limit_ms == 0) {
        say(reason, "stopped at its time limit", words_for(seen, DESCPIPE_ENDED_TIMED_OUT));
        return;
    }
    text_append(reason, "stopped after its limit of ");
    uint64_t limit = evidence->time_limit_ms;
    if (limit % 60000 == 0)
        text_format(reason, "%llu minute%s", (unsigned long long)(limit / 60000), limit == 60000 ? "" : "s");
    else
        clock_append_length(reason, (int64_t)limit);
}

static void say_memory(const struct outcome_case *evidence, const struct outcome *outcome, struct text *reason)
{
    text_append(reason, "ran out of memory");
    if (outcome->peak_memory == 0 && evidence->memory_limit == 0)
        return;
    text_append(reason, " (");
    if (outcome->peak_memory > 0) {
        text_append(reason, "peak ");
        bytes_append(reason, outcome->peak_memory);
        if (evidence->memory_limit > 0)
            text_append(reason, " of ");
    } else {
        text_append(reason, "limit ");
    }
    if (evidence->memory_limit > 0)
        bytes_append(reason, evidence->memory_limit);
    text_append(reason, ")");
}

static void say_exit(int exit_code, struct text *reason)
{
    text_format(reason, "exit status %d", exit_code);
    int signal = exit_code - SHELL_SIGNAL;
    if (signal <= 0 || sigabbrev_np(signal) == NULL)
        return;
    text_append(reason, " (as a shell says it: ");
    outcome_append_signal(reason, signal);
    text_append(reason, ")");
}

/* Rules 1 to 3: flags that explain everything after them. In the order of their strength. */
static const struct rule {
    uint32_t flag;
    enum verdict verdict;
    const char *what;
} rules[] = {
    {DESCPIPE_ENDED_CANCELLED, VERDICT_CANCELLED, "cancelled"},
    {DESCPIPE_ENDED_TIMED_OUT, VERDICT_TIMEOUT, NULL},
    {DESCPIPE_ENDED_NODE_FAILED, VERDICT_NODE_FAIL, "its node failed"},
    {DESCPIPE_ENDED_PREEMPTED, VERDICT_PREEMPTED, "preempted"},
    {DESCPIPE_ENDED_IMAGE, VERDICT_IMAGE, "its image could not be had"},
    {DESCPIPE_ENDED_STAGE_IN, VERDICT_STAGE_IN, "its inputs could not be brought to it"},
};

static bool judge_by_rules(const struct outcome_case *evidence, const struct seen *seen, struct outcome *outcome)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        if (!(seen->flags & rules[i].flag))
            continue;
        outcome->verdict = rules[i].verdict;
        if (rules[i].verdict == VERDICT_TIMEOUT)
            say_timeout(evidence, seen, &outcome->reason);
        else
            say(&outcome->reason, rules[i].what, words_for(seen, rules[i].flag));
        return true;
    }
    return false;
}

/* An exit that is the launcher's, not the command's. */
static void say_launcher(const struct outcome_case *evidence, struct outcome *outcome)
{
    const struct launcher *launcher = launcher_that_failed(evidence, outcome->exit_code);
    if (launcher == NULL)
        return;
    cleanup(text_clear) struct text words = TEXT_INIT;
    text_append_bytes(&words, evidence->error_tail, strcspn(evidence->error_tail, "\n"));
    text_reset(&outcome->reason);
    if (launcher->brings) {
        outcome->verdict = VERDICT_STAGE_IN;
        outcome->exit_code = 0;
    }
    say(&outcome->reason, launcher->brings ? "it could not be started" : "its command could not be started",
        text_bytes(&words));
}

static void judge_failure(const struct outcome_case *evidence, const struct seen *seen, struct outcome *outcome)
{
    struct text *reason = &outcome->reason;
    if (seen->flags & DESCPIPE_ENDED_OUT_OF_MEMORY) {
        outcome->verdict = VERDICT_OOM;
        say_memory(evidence, outcome, reason);
    } else if (seen->flags & DESCPIPE_ENDED_DISK) {
        outcome->verdict = VERDICT_DISK;
        say(reason, "the disk is full", words_for(seen, DESCPIPE_ENDED_DISK));
    } else if (seen->signal != 0) {
        outcome->verdict = VERDICT_SIGNAL;
        outcome->signal = seen->signal;
        text_append(reason, "killed by ");
        outcome_append_signal(reason, seen->signal);
    } else {
        outcome->verdict = VERDICT_EXIT;
        outcome->exit_code = seen->exit_code;
        say_exit(seen->exit_code, reason);
        say_launcher(evidence, outcome);
    }
}

/* The command never ran, and nobody said that it was the image or the inputs. EXIT is for a command: one that cannot be
 * executed has the status that shells and launchers give it. Whatever else was missing belongs to bringing it there. */
static void judge_not_started(const struct seen *seen, struct outcome *outcome)
{
    if (!seen->ended) {
        bool full = (seen->flags & DESCPIPE_ENDED_DISK) != 0;
        outcome->verdict = full ? VERDICT_DISK : VERDICT_STAGE_IN;
        say(&outcome->reason, full ? "the disk is full" : "it could not be started",
            words_for(seen, DESCPIPE_ENDED_NOT_STARTED));
        return;
    }
    outcome->verdict = VERDICT_EXIT;
    outcome->exit_code = seen->exit_code != 0 ? seen->exit_code : EXIT_NOT_STARTED;
    say(&outcome->reason, "its command could not be started", words_for(seen, DESCPIPE_ENDED_NOT_STARTED));
}

static void judge_end(const struct outcome_case *evidence, const struct seen *seen, struct outcome *outcome)
{
    bool failed = seen->exit_code != 0 || seen->signal != 0;
    if (seen->flags & DESCPIPE_ENDED_NOT_STARTED) {
        judge_not_started(seen, outcome);
    } else if (seen->spoiled) {
        outcome->verdict = seen->flags & DESCPIPE_ENDED_DISK ? VERDICT_DISK : VERDICT_OUTPUT_MISSING;
        const char *words = words_for(seen, DESCPIPE_ENDED_OUTPUT_MISSING);
        text_append_printable(&outcome->reason, words != NULL ? words : "an output is missing", REASON_LIMIT);
    } else if (failed) {
        judge_failure(evidence, seen, outcome);
    } else if (seen->flags & DESCPIPE_ENDED_OUTPUT_MISSING) {
        outcome->verdict = VERDICT_OUTPUT_MISSING;
        say(&outcome->reason, "an output is missing", words_for(seen, DESCPIPE_ENDED_OUTPUT_MISSING));
    } else if (seen->flags & DESCPIPE_ENDED_LOST && !seen->ended) {
        outcome->verdict = VERDICT_LOST;
        say(&outcome->reason, "nobody knows how it ended", words_for(seen, DESCPIPE_ENDED_LOST));
    } else if (seen->ended) {
        outcome->verdict = VERDICT_OK;
        text_append(&outcome->reason, "done");
    } else if (seen->flags & (DESCPIPE_ENDED_OUT_OF_MEMORY | DESCPIPE_ENDED_DISK)) {
        judge_failure(evidence, seen, outcome); /* the cause is known, the status is not */
    } else {
        outcome->verdict = VERDICT_LOST;
        text_append(&outcome->reason, "nobody knows how it ended");
    }
}

void outcome_judge(const struct outcome_case *evidence, struct outcome *outcome)
{
    struct seen seen = {.flags = 0};
    *outcome = (struct outcome){.verdict = VERDICT_NONE};
    for (size_t i = 0; i < evidence->endings_count; i++) {
        const struct descpipe_ending *ending = &evidence->endings[i];
        look(ending, &seen);
        if (ending->peak_memory > outcome->peak_memory)
            outcome->peak_memory = ending->peak_memory;
        if (ending->cpu_ms > outcome->cpu_ms)
            outcome->cpu_ms = ending->cpu_ms;
        if (outcome->started_at_ms == 0)
            outcome->started_at_ms = ending->started_at_ms;
        if (outcome->finished_at_ms == 0)
            outcome->finished_at_ms = ending->finished_at_ms;
    }
    if (outcome->finished_at_ms != 0 && outcome->finished_at_ms < outcome->started_at_ms)
        outcome->finished_at_ms = outcome->started_at_ms; /* clocks of two machines, or a runtime's rounding */
    if (!judge_by_rules(evidence, &seen, outcome))
        judge_end(evidence, &seen, outcome);
}

void outcome_spoil(struct outcome *outcome, enum verdict verdict, const char *reason)
{
    outcome->verdict = verdict;
    text_reset(&outcome->reason);
    text_append_printable(&outcome->reason, reason, REASON_LIMIT);
}
