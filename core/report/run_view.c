/* SPDX-License-Identifier: BSD-3-Clause */
/* What is known of a run, to those who ask. */
#include "report/run_view.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/path.h"
#include "base/text.h"
#include "report/run_reader.h"
#include "run/journal/lease.h"
#include "run/journal/run_folder.h"

enum { SHOWN_NAME_LIMIT = 300 };

static const char *const state_names[TASK_STATES] = {"planned", "ready",     "submitted", "queued",
                                                     "running", "ended",     "succeeded", "cached",
                                                     "failed",  "cancelled", "skipped",   "lost"};

const char *task_state_name(enum task_state state)
{
    return (unsigned)state < TASK_STATES ? state_names[state] : "unknown";
}

struct run_view *run_view_open(const char *run_folder, unsigned options, struct error *error)
{
    cleanup(memory_free) char *folder = path_real(run_folder, error);
    if (folder == NULL)
        return NULL;
    struct run_reader *reader = memory_allocate(sizeof *reader);
    reader->options = options;
    reader->texts = arena_new();
    reader->view.folder = steal(&folder);
    reader->view.symbols = symbols_new();
    run_reader_plan(reader);
    return &reader->view;
}

void run_view_free(struct run_view *view)
{
    if (view == NULL)
        return;
    struct run_reader *reader = (struct run_reader *)view;
    journal_reader_close(reader->journal);
    arena_free(reader->texts);
    number_index_clear(&reader->jobs);
    number_index_clear(&reader->tasks);
    number_index_clear(&reader->stages);
    for (size_t i = 0; i < view->tasks.count; i++)
        memory_free(view->tasks.items[i].evidence);
    list_clear(&view->tasks);
    list_clear(&view->stages);
    symbols_free(view->symbols);
    memory_free(view->folder);
    memory_free(view->run);
    memory_free(view->pipeline);
    memory_free(view->name);
    memory_free(view->user);
    memory_free(view->host);
    memory_free(view->backend);
    memory_free(view->output);
    memory_free(view->version);
    memory_free(view->boot);
    memory_free(view->pids);
    memory_free(view->end_state);
    memory_free(view->end_reason);
    memory_free(view->cancel_by);
    memory_free(view->left_for);
    memory_free(reader);
}

size_t run_view_read(struct run_view *view, size_t limit,
                     void (*changed)(void *context, const struct run_view *view, const struct run_change *change),
                     void *context)
{
    struct run_reader *reader = (struct run_reader *)view;
    if (reader->journal == NULL) {
        cleanup(memory_free) char *path = path_join(view->folder, "journal.jsonl");
        if (!file_exists(path))
            return 0;
        reader->journal = journal_reader_open(view->folder, NULL);
        if (reader->journal == NULL)
            return 0;
        if (reader->options & RUN_VIEW_OWN)
            journal_reader_trust(reader->journal);
    }
    reader->changed = changed;
    reader->context = context;
    size_t count = 0;
    struct journal_record record;
    while ((limit == 0 || count < limit) && journal_reader_next(reader->journal, &record)) {
        run_reader_apply(reader, &record);
        count++;
    }
    reader->changed = NULL;
    return count;
}

size_t run_view_skipped(const struct run_view *view)
{
    const struct run_reader *reader = (const struct run_reader *)view;
    return reader->journal != NULL ? journal_reader_skipped(reader->journal) : 0;
}

const char *run_view_text(const struct run_view *view, symbol wanted)
{
    return symbol_text(view->symbols, wanted);
}

void run_view_append_task(const struct run_view *view, uint32_t task, struct text *out)
{
    const struct task_view *item = &view->tasks.items[task];
    text_append_printable(out, run_view_text(view, item->stage), SHOWN_NAME_LIMIT);
    if (item->member == 0)
        return;
    text_append(out, "/");
    text_append_printable(out, run_view_text(view, item->member), SHOWN_NAME_LIMIT);
}

void run_view_append_verdict(const struct run_view *view, const struct task_view *task, struct text *out)
{
    const char *verdict = run_view_text(view, task->verdict);
    bool judged = verdict[0] != '\0' && task->state != TASK_CACHED && task->state != TASK_SKIPPED;
    if (!judged) {
        text_append(out, task_state_name(task->state));
        if (task->state == TASK_ENDED && task->signal > 0)
            text_format(out, ", signal %d", (int)task->signal);
        else if (task->state == TASK_ENDED && task->exit_code >= 0)
            text_format(out, ", exit %d", (int)task->exit_code);
        return;
    }
    text_append_printable(out, verdict, SHOWN_NAME_LIMIT);
    if (text_equal(verdict, "EXIT") && task->exit_code >= 0)
        text_format(out, " %d", (int)task->exit_code);
    else if (text_equal(verdict, "SIGNAL") && task->signal > 0)
        text_format(out, " %d", (int)task->signal);
}

const char *run_view_reason(const struct run_view *view, const struct task_view *task)
{
    char plain[32];
    const char *reason = run_view_text(view, task->reason);
    snprintf(plain, sizeof plain, "exit status %d", (int)task->exit_code);
    bool says_more = strcmp(reason, plain) != 0 && strcasecmp(reason, run_view_text(view, task->verdict)) != 0;
    return says_more ? reason : "";
}

const struct stage_view *run_view_stage(const struct run_view *view, const char *name)
{
    const struct run_reader *reader = (const struct run_reader *)view;
    uint32_t number = number_index_get(&reader->stages, symbol_find(view->symbols, name, strlen(name)));
    return number != UINT32_MAX ? &view->stages.items[number] : NULL;
}

uint32_t run_view_task(const struct run_view *view, const char *stage, const char *member)
{
    const struct run_reader *reader = (const struct run_reader *)view;
    symbol stage_name = symbol_find(view->symbols, stage, strlen(stage));
    symbol member_name = member != NULL ? symbol_find(view->symbols, member, strlen(member)) : 0;
    if (stage_name == 0 || (member != NULL && member_name == 0))
        return TASK_NONE;
    return number_index_get(&reader->tasks, run_reader_task_key(stage_name, member_name));
}

uint32_t run_view_task_of_job(const struct run_view *view, uint64_t job)
{
    const struct run_reader *reader = (const struct run_reader *)view;
    uint32_t task = number_index_get(&reader->jobs, job);
    return task != UINT32_MAX && view->tasks.items[task].job == job ? task : TASK_NONE;
}

enum task_state stage_view_state(const struct stage_view *stage)
{
    /* What goes on, then the worst end; `planned` also while some members have ended and the rest wait. */
    static const enum task_state order[] = {TASK_RUNNING,   TASK_QUEUED,  TASK_SUBMITTED, TASK_READY,
                                            TASK_PLANNED,   TASK_ENDED,   TASK_FAILED,    TASK_LOST,
                                            TASK_CANCELLED, TASK_SKIPPED, TASK_SUCCEEDED, TASK_CACHED};
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++)
        if (stage->counts[order[i]] > 0)
            return order[i];
    return TASK_PLANNED;
}

uint32_t run_view_ended(const struct run_view *view)
{
    uint32_t count = 0;
    for (unsigned state = TASK_SUCCEEDED; state < TASK_STATES; state++)
        count += view->counts[state];
    return count;
}

uint32_t run_view_bad(const struct run_view *view)
{
    return view->counts[TASK_FAILED] + view->counts[TASK_LOST];
}

const char *run_view_state(const struct run_view *view)
{
    if (view->end_state != NULL)
        return view->end_state;
    if (view->abandoned)
        return "stopped";
    if (view->started_at_ms == 0)
        return "planned";
    return view->cancel_requested ? "cancelling" : "running";
}

void run_view_look_alive(struct run_view *view)
{
    struct run_reader *reader = (struct run_reader *)view;
    enum lease_state state;
    struct lease_holder holder;
    view->abandoned = false;
    if (view->end_state != NULL || !lease_look(view->folder, &state, &holder, NULL))
        return;
    if (view->detached) {
        run_reader_jobs(reader, state == LEASE_FREE);
        cleanup(memory_free) char *cancel = path_join(view->folder, RUN_CANCEL_FILE);
        view->cancel_requested = file_exists(cancel);
    }
    view->abandoned = view->end_state == NULL && state != LEASE_HELD && state != LEASE_RUN;
    if (view->abandoned)
        run_reader_outcomes(reader);
}

void run_view_follow(struct run_view *view,
                     void (*changed)(void *context, const struct run_view *view, const struct run_change *change),
                     void *context)
{
    struct run_reader *reader = (struct run_reader *)view;
    run_view_read(view, 0, changed, context);
    reader->changed = changed;
    run_view_look_alive(view);
    /* Its engine may have written its end, and gone, between the two. */
    if (view->abandoned && run_view_read(view, 0, changed, context) > 0)
        run_view_look_alive(view);
    reader->changed = NULL;
}

int64_t run_view_wall_ms(const struct run_view *view, int64_t now_ms)
{
    int64_t end = view->finished_at_ms != 0 ? view->finished_at_ms : now_ms;
    if (view->started_at_ms == 0)
        return -1;
    return end > view->started_at_ms ? end - view->started_at_ms : 0;
}

int64_t task_view_wall_ms(const struct task_view *task, int64_t now_ms)
{
    if (task->started_at_ms == 0)
        return -1;
    int64_t end = task->finished_at_ms != 0 ? task->finished_at_ms : task->state == TASK_RUNNING ? now_ms : 0;
    return end == 0 ? -1 : end > task->started_at_ms ? end - task->started_at_ms : 0;
}
