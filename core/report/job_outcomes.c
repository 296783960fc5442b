/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the jobs of a run that was handed over say of themselves: nobody has met their outcomes yet.
 *
 * How it works: submissions/N/index says which job has which position, submissions/N/outcome.POSITION how far it is.
 * The states are those that an engine would have given, as far as a job knows itself: of one that was ended by force it
 * is told when the run's last job is over, which waits for all others. Reading again gives what is true then.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/path.h"
#include "report/run_reader.h"
#include "run/elsewhere/job_script.h"
#include "run/journal/evidence.h"
#include "run/journal/outcome.h"
#include "run/journal/run_folder.h"

#define INDEX_LIMIT ((uint64_t)16 * 1024 * 1024)
#define MAY_COME_BACK "its job was asked to end; its scheduler may start it again"
#define ENDED_BY_FORCE "its job was ended by force, and nobody saw why"
#define NEVER_BEGAN "its job never began: what it waits for failed, or it was cancelled"

static symbol intern(struct run_reader *reader, const char *text)
{
    return text != NULL && text[0] != '\0' ? symbol_intern(reader->view.symbols, text, strlen(text)) : 0;
}

static void set_end(struct run_reader *reader, uint32_t task, const struct job_outcome *outcome, bool over)
{
    struct task_view *item = &reader->view.tasks.items[task];
    struct descpipe_ending endings[2];
    size_t count = 1;
    job_outcome_ending(outcome, &endings[0]);
    bool stopped = outcome->stopped && !outcome->timed_out && !outcome->done && outcome->failure == JOB_FAILURE_NONE;
    if (stopped && !over) {
        item->reason = intern(reader, MAY_COME_BACK);
        item->exit_code = outcome->exit_code;
        run_reader_set_state(reader, task, TASK_ENDED);
        return;
    }
    if (stopped)
        endings[count++] = (struct descpipe_ending){.size = sizeof *endings,
                                                    .flags = DESCPIPE_ENDED_CANCELLED,
                                                    .witness = "outcome file",
                                                    .reason = "its job was asked to end"};
    struct outcome judged;
    outcome_judge(&(struct outcome_case){.endings = endings, .endings_count = count}, &judged);
    bool skipped = outcome->failure == JOB_FAILURE_SKIPPED;
    item->verdict = skipped ? 0 : intern(reader, verdict_name(judged.verdict));
    item->reason = intern(reader, skipped ? outcome->reason : text_bytes(&judged.reason));
    item->exit_code = judged.verdict == VERDICT_OK || judged.verdict == VERDICT_EXIT ? judged.exit_code : -1;
    if (reader->options & RUN_VIEW_EVIDENCE) {
        cleanup(text_clear) struct text evidence = TEXT_INIT;
        evidence_append_list(&evidence, endings, count);
        memory_free(item->evidence);
        item->evidence = text_take(&evidence);
    }
    text_clear(&judged.reason);
    run_reader_set_state(reader, task, skipped ? TASK_SKIPPED : run_reader_verdict_state(verdict_name(judged.verdict)));
}

static void set_left(struct run_reader *reader, uint32_t task, const struct job_outcome *outcome)
{
    struct task_view *item = &reader->view.tasks.items[task];
    bool began = outcome->phase != JOB_PHASE_NONE;
    item->verdict = began ? intern(reader, verdict_name(VERDICT_LOST)) : 0;
    item->reason = intern(reader, began ? ENDED_BY_FORCE : NEVER_BEGAN);
    run_reader_set_state(reader, task, began ? TASK_LOST : TASK_SKIPPED);
}

static void tell(struct run_reader *reader, uint32_t task, enum run_event event, int64_t at_ms)
{
    reader->change = (struct run_change){.event = event, .task = task, .at_ms = at_ms};
    if (at_ms == 0) /* nobody saw when */
        reader->change.at_ms = clock_wall_ms();
    run_reader_tell(reader);
}

/* As an engine would have told it: each attempt's start, then its end. */
static void tell_difference(struct run_reader *reader, uint32_t task, const struct task_view *before)
{
    const struct task_view *item = &reader->view.tasks.items[task];
    bool another = item->attempt != before->attempt;
    if (!another && item->state == before->state)
        return;
    if (item->started_at_ms != 0 && (another || before->state < TASK_RUNNING)) {
        enum task_state state = item->state;
        run_reader_set_state(reader, task, TASK_RUNNING);
        tell(reader, task, RUN_EVENT_TASK_STARTED, item->started_at_ms);
        run_reader_set_state(reader, task, state);
    }
    if (item->state != TASK_RUNNING && item->state != TASK_SUBMITTED)
        tell(reader, task, item->verdict != 0 ? RUN_EVENT_TASK_ENDED : RUN_EVENT_TASK_STATE, item->finished_at_ms);
}

static void apply(struct run_reader *reader, uint32_t task, const char *path, bool over)
{
    struct task_view *item = &reader->view.tasks.items[task];
    const struct task_view before = *item;
    struct job_outcome outcome;
    job_outcome_read(path, &outcome);
    item->started_at_ms = outcome.started_at_ms;
    item->finished_at_ms = outcome.finished_at_ms;
    if (outcome.host[0] != '\0')
        item->host = intern(reader, outcome.host);
    if (outcome.attempt > 0)
        item->attempt = outcome.attempt;
    if (outcome.phase == JOB_PHASE_END) {
        set_end(reader, task, &outcome, over);
    } else if (over) {
        set_left(reader, task, &outcome);
    } else {
        item->reason = 0;
        run_reader_set_state(reader, task, outcome.phase == JOB_PHASE_NONE ? TASK_SUBMITTED : TASK_RUNNING);
    }
    tell_difference(reader, task, &before);
}

/* "POSITION <TAB> JOB <TAB> ..." */
static void read_submission(struct run_reader *reader, uint64_t serial, bool over)
{
    cleanup(memory_free) char *folder =
        memory_format("%s/submissions/%llu", reader->view.folder, (unsigned long long)serial);
    cleanup(memory_free) char *path = path_join(folder, "index");
    cleanup(text_clear) struct text index = TEXT_INIT;
    if (!file_read(path, INDEX_LIMIT, &index, NULL))
        return;
    for (const char *line = text_bytes(&index), *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        char *after = NULL;
        unsigned long long position = strtoull(line, &after, 10);
        uint64_t job = *after == '\t' ? strtoull(after + 1, NULL, 10) : 0;
        uint32_t task = job > 0 ? number_index_get(&reader->jobs, job) : TASK_NONE;
        if (task == TASK_NONE || reader->view.tasks.items[task].job != job || reader->view.tasks.items[task].judged)
            continue;
        cleanup(memory_free) char *outcome = memory_format("%s/outcome.%llu", folder, position);
        apply(reader, task, outcome, over);
    }
}

static void set_run_end(struct run_reader *reader, const struct job_outcome *last)
{
    struct run_view *view = &reader->view;
    cleanup(memory_free) char *cancel = path_join(view->folder, RUN_CANCEL_FILE);
    const char *state = last->done ? "succeeded" : file_exists(cancel) ? "cancelled" : "failed";
    memory_free(view->end_state);
    view->end_state = memory_copy_text(state);
    view->finished_at_ms = last->finished_at_ms;
    memory_free(view->end_reason);
    view->end_reason = last->reason[0] != '\0' ? memory_copy_text(last->reason) : NULL;
    tell(reader, TASK_NONE, RUN_EVENT_ENDED, last->finished_at_ms);
}

bool run_reader_last_job(const char *run_folder, uint64_t serial, struct job_outcome *last)
{
    cleanup(memory_free) char *path =
        memory_format("%s/submissions/%llu/outcome.0", run_folder, (unsigned long long)serial);
    job_outcome_read(path, last);
    return last->phase == JOB_PHASE_END;
}

void run_reader_jobs(struct run_reader *reader, bool lease_is_free)
{
    struct job_outcome last;
    bool over = run_reader_last_job(reader->view.folder, reader->last_submission, &last) && lease_is_free;
    for (uint64_t serial = 1; serial < reader->last_submission; serial++)
        read_submission(reader, serial, over);
    if (over)
        set_run_end(reader, &last);
}

void run_view_jobs_are_over(struct run_view *view)
{
    struct run_reader *reader = (struct run_reader *)view;
    struct job_outcome last;
    bool ended = run_reader_last_job(view->folder, reader->last_submission, &last);
    for (uint64_t serial = 1; serial < reader->last_submission; serial++)
        read_submission(reader, serial, true);
    if (ended)
        set_run_end(reader, &last);
}
