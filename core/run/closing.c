/* SPDX-License-Identifier: BSD-3-Clause */
/* The records about a run that is ended from outside. */
#include "run/closing.h"

#include <string.h>

#include "base/clock.h"
#include "base/path.h"
#include "run/journal/evidence.h"
#include "run/journal/journal.h"
#include "run/journal/lease.h"
#include "run/journal/outcome.h"
#include "run/journal/record_members.h"

struct closing {
    struct lease *lease;
    struct journal *journal;
};

/* An engine that left took its lease with it. */
static uint64_t last_epoch(const char *run_folder)
{
    uint64_t epoch = 0;
    cleanup(journal_reader_close) struct journal_reader *reader = journal_reader_open(run_folder, NULL);
    struct journal_record record;
    while (reader != NULL && journal_reader_next(reader, &record))
        epoch = record.epoch > epoch ? record.epoch : epoch;
    return epoch;
}

struct closing *closing_open(const char *run_folder, const char *version, const char *by, struct error *error)
{
    cleanup(closing_close) struct closing *closing = memory_allocate(sizeof *closing);
    const struct lease_request request = {
        .folder = run_folder, .subject = "the run", .run = path_name(run_folder), .epoch = last_epoch(run_folder) + 1};
    closing->lease = lease_take(&request, 0, error);
    if (closing->lease == NULL)
        return NULL;
    closing->journal = journal_open(run_folder, lease_epoch(closing->lease), version, error);
    if (closing->journal == NULL)
        return NULL;
    if (by != NULL) {
        struct text *text = journal_begin(closing->journal, "request");
        text_append(text, ",\"cancel\":true");
        member_text(text, "by", by);
        journal_end(closing->journal);
    }
    return steal(&closing);
}

static void write_ended(struct closing *closing, const struct closing_attempt *attempt,
                        const struct descpipe_ending *endings, size_t count, const struct outcome *outcome)
{
    struct text *text = journal_begin(closing->journal, "ended");
    member_unsigned(text, "job", attempt->job);
    evidence_append(text, endings, count);
    member_signed(text, "started_at", attempt->started_at_ms);
    member_signed(text, "finished_at", outcome->finished_at_ms);
    journal_end(closing->journal);
}

static void write_verdict(struct closing *closing, const struct closing_attempt *attempt, const struct outcome *outcome)
{
    struct text *text = journal_begin(closing->journal, "verdict");
    member_unsigned(text, "job", attempt->job);
    member_text(text, "stage", attempt->stage);
    if (attempt->member != NULL)
        member_text(text, "member", attempt->member);
    member_unsigned(text, "attempt", attempt->attempt);
    member_text(text, "verdict", verdict_name(outcome->verdict));
    member_text(text, "reason", text_bytes(&outcome->reason));
    member_unsigned(text, "cpu_ms", outcome->cpu_ms);
    member_unsigned(text, "peak_memory", outcome->peak_memory);
    journal_end(closing->journal);
}

bool closing_cancelled(struct closing *closing, const struct closing_attempt *attempt,
                       const struct descpipe_ending *evidence, struct error *error)
{
    struct descpipe_ending endings[2];
    size_t count = 0;
    if (evidence != NULL)
        endings[count++] = *evidence;
    endings[count++] =
        (struct descpipe_ending){.size = sizeof *endings,
                                 .flags = DESCPIPE_ENDED_CANCELLED,
                                 .finished_at_ms = clock_wall_ms(),
                                 .witness = "descpipe",
                                 .reason = attempt->why != NULL ? attempt->why : "its run had lost its engine"};
    struct outcome outcome;
    outcome_judge(&(struct outcome_case){.endings = endings, .endings_count = count}, &outcome);
    write_ended(closing, attempt, endings, count, &outcome);
    write_verdict(closing, attempt, &outcome);
    text_clear(&outcome.reason);
    return journal_flush(closing->journal, true, error);
}

static struct text *begin_task(struct closing *closing, const struct closing_attempt *attempt, const char *kind)
{
    struct text *text = journal_begin(closing->journal, kind);
    if (strcmp(kind, "state") != 0)
        member_unsigned(text, "job", attempt->job);
    if (strcmp(kind, "ended") == 0)
        return text;
    member_text(text, "stage", attempt->stage);
    if (attempt->member != NULL)
        member_text(text, "member", attempt->member);
    return text;
}

static void write_verdict_of(struct closing *closing, const struct closing_attempt *attempt, const char *verdict,
                             const char *reason)
{
    struct text *text = begin_task(closing, attempt, "verdict");
    member_unsigned(text, "attempt", attempt->attempt);
    member_text(text, "verdict", verdict);
    member_text(text, "reason", reason);
    member_unsigned(text, "cpu_ms", 0);
    member_unsigned(text, "peak_memory", 0);
    journal_end(closing->journal);
}

bool closing_ended(struct closing *closing, const struct closing_attempt *attempt, const struct closing_end *end,
                   struct error *error)
{
    struct text *text = begin_task(closing, attempt, "ended");
    if (end->exit_code >= 0)
        member_signed(text, "exit", end->exit_code);
    text_append(text, ",\"evidence\":");
    text_append(text, end->evidence != NULL ? end->evidence : "[]");
    member_signed(text, "started_at", attempt->started_at_ms);
    member_signed(text, "finished_at", end->finished_at_ms != 0 ? end->finished_at_ms : clock_wall_ms());
    journal_end(closing->journal);
    write_verdict_of(closing, attempt, end->verdict, end->reason);
    return journal_flush(closing->journal, false, error);
}

bool closing_never_began(struct closing *closing, const struct closing_attempt *attempt, const char *state,
                         const char *reason, struct error *error)
{
    if (attempt->job != 0)
        write_verdict_of(closing, attempt, verdict_name(VERDICT_CANCELLED), reason); /* its job is over */
    struct text *text = begin_task(closing, attempt, "state");
    member_text(text, "state", state);
    member_text(text, "reason", reason);
    journal_end(closing->journal);
    return journal_flush(closing->journal, false, error);
}

bool closing_ends(struct closing *closing, const char *state, struct error *error)
{
    struct text *text = journal_begin(closing->journal, "end");
    member_text(text, "state", state);
    journal_end(closing->journal);
    return journal_flush(closing->journal, true, error);
}

void closing_close(struct closing *closing)
{
    if (closing == NULL)
        return;
    journal_close(closing->journal);
    lease_release(closing->lease);
    memory_free(closing);
}
