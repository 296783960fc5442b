/* SPDX-License-Identifier: BSD-3-Clause */
/* One line per event, plain or JSON. */
#include "report/events.h"

#include "base/clock.h"
#include "base/path.h"
#include "report/status.h"

enum { REASON_LIMIT = 500, CLOCK_AT = 11, CLOCK_LENGTH = 8 };

const char event_documentation[] =
    "Every line of --json has \"event\" and \"at\" (2026-11-21T06:30:00.123Z); those of a\n"
    "task also \"stage\", \"member\" (null without members), \"attempt\" and \"job\". What is\n"
    "not known is null. Members may be added, never renamed.\n"
    "  problem           level (error, warning, note), file, line, column, message,\n"
    "                    hint; of the file, or of what ended the run\n"
    "  run-started       run, pipeline, folder, host, tasks\n"
    "  run-resumed       run, folder, host\n"
    "  image             image, failure (null: it is ready)\n"
    "  input             input, url, state (started, done, kept, failed), bytes,\n"
    "                    failure\n"
    "  task-submitted    native (the system's name for it)\n"
    "  task-started      host, native\n"
    "  task-retried      verdict, reason, retry_reason, retry_at\n"
    "  task-ended        state, verdict, reason, exit, signal, wall_ms, cpu_ms,\n"
    "                    peak_memory, host\n"
    "  task-state        state, reason (queued, cached, skipped, cancelled)\n"
    "  blind             failure (cannot be asked; null: it answers again)\n"
    "  cancel-requested  by\n"
    "  run-detached      scheduler: the run is its now, and these events end\n"
    "  run-up-to-date    run, folder, stages, tasks: nothing is to be done, that run\n"
    "                    has the results; no run is begun, this is the only event\n"
    "  run-ended         run, state, folder, wall_ms, counts {state: tasks}";

static const char *const event_names[] = {
    [RUN_EVENT_STARTED] = "run-started",
    [RUN_EVENT_RESUMED] = "run-resumed",
    [RUN_EVENT_IMAGE] = "image",
    [RUN_EVENT_INPUT] = "input",
    [RUN_EVENT_BLIND] = "blind",
    [RUN_EVENT_SUBMITTED] = "task-submitted",
    [RUN_EVENT_TASK_STARTED] = "task-started",
    [RUN_EVENT_TASK_ENDED] = "task-ended",
    [RUN_EVENT_TASK_RETRY] = "task-retried",
    [RUN_EVENT_TASK_STATE] = "task-state",
    [RUN_EVENT_CANCEL] = "cancel-requested",
    [RUN_EVENT_DETACHED] = "run-detached",
    [RUN_EVENT_ENDED] = "run-ended",
};

const char *event_name(enum run_event event)
{
    return event_names[event];
}

static void json_text(struct text *out, const char *name, const char *value)
{
    text_format(out, ",\"%s\":", name);
    if (value == NULL || value[0] == '\0')
        text_append(out, "null");
    else
        text_append_json(out, value);
}

static void json_number(struct text *out, const char *name, bool known, int64_t number)
{
    text_format(out, ",\"%s\":", name);
    if (known)
        text_append_signed(out, number);
    else
        text_append(out, "null");
}

static void json_task(const struct run_view *view, const struct task_view *task, struct text *out)
{
    json_text(out, "stage", run_view_text(view, task->stage));
    json_text(out, "member", run_view_text(view, task->member));
    json_number(out, "attempt", task->attempt > 0, task->attempt);
    json_number(out, "job", task->job > 0, (int64_t)task->job);
}

static void json_ended(const struct run_view *view, const struct task_view *task, struct text *out)
{
    json_text(out, "state", task_state_name(task->state));
    json_text(out, "verdict", run_view_text(view, task->verdict));
    json_text(out, "reason", run_view_text(view, task->reason));
    json_number(out, "exit", task->exit_code >= 0, task->exit_code);
    json_number(out, "signal", task->signal > 0, task->signal);
    int64_t wall_ms = task_view_wall_ms(task, task->finished_at_ms);
    json_number(out, "wall_ms", wall_ms >= 0, wall_ms);
    json_number(out, "cpu_ms", task->cpu_ms > 0, task->cpu_ms);
    json_number(out, "peak_memory", task->peak_memory > 0, (int64_t)task->peak_memory);
    json_text(out, "host", run_view_text(view, task->host));
}

static void json_run_ended(const struct run_view *view, struct text *out)
{
    json_text(out, "run", view->run);
    json_text(out, "state", view->end_state);
    json_text(out, "folder", view->folder);
    int64_t wall_ms = run_view_wall_ms(view, view->last_at_ms);
    json_number(out, "wall_ms", wall_ms >= 0, wall_ms);
    text_append(out, ",\"counts\":{");
    for (unsigned state = 0; state < TASK_STATES; state++)
        text_format(out, "%s\"%s\":%u", state > 0 ? "," : "", task_state_name((enum task_state)state),
                    view->counts[state]);
    text_append(out, "}");
}

static void json_run(const struct run_view *view, bool started, struct text *out)
{
    json_text(out, "run", view->run);
    if (started)
        json_text(out, "pipeline", view->name);
    json_text(out, "folder", view->folder);
    json_text(out, "host", view->host);
    if (started)
        json_number(out, "tasks", true, view->tasks.count > 0 ? (int64_t)view->tasks.count : view->announced_tasks);
}

void event_append_json(const struct run_view *view, const struct run_change *change, struct text *out)
{
    const struct task_view *task = change->task != TASK_NONE ? &view->tasks.items[change->task] : NULL;
    text_format(out, "{\"event\":\"%s\",\"at\":\"", event_names[change->event]);
    clock_append_stamp(out, change->at_ms);
    text_append(out, "\"");
    if (task != NULL)
        json_task(view, task, out);
    switch (change->event) {
    case RUN_EVENT_STARTED:
    case RUN_EVENT_RESUMED:
        json_run(view, change->event == RUN_EVENT_STARTED, out);
        break;
    case RUN_EVENT_IMAGE:
        json_text(out, "image", change->text);
        json_text(out, "failure", change->failure);
        break;
    case RUN_EVENT_INPUT:
        json_text(out, "input", change->text);
        json_text(out, "url", change->url);
        json_text(out, "state", change->state);
        json_number(out, "bytes", true, (int64_t)change->bytes);
        json_text(out, "failure", change->failure);
        break;
    case RUN_EVENT_BLIND:
        json_text(out, "failure", change->failure);
        break;
    case RUN_EVENT_TASK_STARTED:
        json_text(out, "host", run_view_text(view, task->host));
        json_text(out, "native", run_view_text(view, task->native));
        break;
    case RUN_EVENT_SUBMITTED:
        json_text(out, "native", run_view_text(view, task->native));
        break;
    case RUN_EVENT_TASK_RETRY:
        json_text(out, "verdict", run_view_text(view, task->verdict));
        json_text(out, "reason", run_view_text(view, task->reason));
        json_text(out, "retry_reason", change->text);
        text_append(out, ",\"retry_at\":");
        if (change->retry_at_ms > 0) {
            text_append(out, "\"");
            clock_append_stamp(out, change->retry_at_ms);
            text_append(out, "\"");
        } else {
            text_append(out, "null");
        }
        break;
    case RUN_EVENT_TASK_ENDED:
        json_ended(view, task, out);
        break;
    case RUN_EVENT_TASK_STATE:
        json_text(out, "state", task_state_name(task->state));
        json_text(out, "reason", run_view_text(view, task->reason));
        break;
    case RUN_EVENT_CANCEL:
        json_text(out, "by", change->text);
        break;
    case RUN_EVENT_DETACHED:
        json_text(out, "scheduler", change->text);
        break;
    case RUN_EVENT_ENDED:
        json_run_ended(view, out);
        break;
    }
    text_append(out, "}\n");
}

void event_append_problem_json(int64_t at_ms, const char *problem, struct text *out)
{
    text_append(out, "{\"event\":\"problem\",\"at\":\"");
    clock_append_stamp(out, at_ms);
    text_format(out, "\",%s\n", problem + 1); /* behind its '{' */
}

/* Plain lines. */

/* The time of day of the stamp: a log of one run seldom needs the date, and the headline has it. */
static void append_clock(int64_t at_ms, struct text *out)
{
    cleanup(text_clear) struct text stamp = TEXT_INIT;
    clock_append_stamp(&stamp, at_ms);
    if (stamp.length > CLOCK_AT + CLOCK_LENGTH)
        text_append_bytes(out, stamp.bytes + CLOCK_AT, CLOCK_LENGTH);
    text_append(out, "Z ");
}

static void append_reason(const struct run_view *view, const struct task_view *task, struct text *out)
{
    const char *reason = run_view_reason(view, task);
    if (reason[0] == '\0')
        return;
    text_append(out, ": ");
    text_append_printable(out, reason, REASON_LIMIT);
}

static void append_ended(const struct run_view *view, const struct task_view *task, struct text *out)
{
    run_view_append_verdict(view, task, out);
    if (task->state != TASK_SUCCEEDED)
        append_reason(view, task, out);
    int64_t wall_ms = task_view_wall_ms(task, task->finished_at_ms);
    if (wall_ms >= 0) {
        text_append(out, task->state == TASK_SUCCEEDED ? " in " : ", after ");
        clock_append_length(out, wall_ms);
    }
    if (task->cpu_ms > 0) {
        text_append(out, ", CPU ");
        clock_append_length(out, task->cpu_ms);
    }
    if (task->peak_memory > 0) {
        text_append(out, ", peak memory ");
        bytes_append(out, task->peak_memory);
    }
}

static void append_task_event(const struct run_view *view, const struct run_change *change, struct text *out)
{
    const struct task_view *task = &view->tasks.items[change->task];
    if (change->event == RUN_EVENT_TASK_ENDED || task_state_is_end(task->state))
        text_format(out, "[%u/%zu] ", run_view_ended(view), view->tasks.count);
    run_view_append_task(view, change->task, out);
    text_append(out, ": ");
    switch (change->event) {
    case RUN_EVENT_SUBMITTED:
        text_append(out, "submitted");
        if (task->native != 0) {
            text_append(out, " as ");
            text_append_printable(out, run_view_text(view, task->native), REASON_LIMIT);
        }
        break;
    case RUN_EVENT_TASK_STARTED:
        text_append(out, "started");
        if (task->host != 0) {
            text_append(out, " on ");
            text_append_printable(out, run_view_text(view, task->host), REASON_LIMIT);
        }
        if (task->attempt > 1)
            text_format(out, " (attempt %u)", task->attempt);
        break;
    case RUN_EVENT_TASK_ENDED:
        append_ended(view, task, out);
        break;
    case RUN_EVENT_TASK_RETRY:
        append_ended(view, task, out);
        text_append(out, "; will be tried again");
        if (change->retry_at_ms > change->at_ms) {
            text_append(out, " in ");
            clock_append_length(out, change->retry_at_ms - change->at_ms);
        }
        break;
    default:
        text_append(out, task_state_name(task->state));
        append_reason(view, task, out);
        break;
    }
}

void event_append_blind(const struct run_change *change, struct text *out)
{
    text_append_printable(out, change->failure != NULL ? change->failure : "what could not be asked answers again",
                          REASON_LIMIT);
}

void event_append_input(const struct run_change *change, struct text *out)
{
    text_append(out, "input ");
    text_append_printable(out, change->text != NULL ? change->text : "", REASON_LIMIT);
    if (change->failure != NULL) {
        text_append(out, " cannot be had: ");
        text_append_printable(out, change->failure, REASON_LIMIT);
        return;
    }
    text_append(out, text_equal(change->state, "started") ? " is fetched from "
                     : text_equal(change->state, "kept")  ? " is there already, from "
                                                          : " is here, from ");
    text_append_printable(out, change->url != NULL ? change->url : "", REASON_LIMIT);
}

static bool is_loud(const struct run_view *view, const struct run_change *change)
{
    return change->event == RUN_EVENT_ENDED || change->event == RUN_EVENT_CANCEL || change->failure != NULL ||
           (change->task != TASK_NONE && task_state_is_bad(view->tasks.items[change->task].state));
}

void event_append_plain(const struct run_view *view, const struct run_change *change, bool quiet, struct text *out)
{
    if (quiet && !is_loud(view, change))
        return;
    append_clock(change->at_ms, out);
    switch (change->event) {
    case RUN_EVENT_STARTED:
    case RUN_EVENT_RESUMED:
        text_append(out, "run ");
        text_append_printable(out, view->run != NULL ? view->run : view->folder, REASON_LIMIT);
        if (view->name != NULL) {
            text_append(out, " of ");
            text_append_printable(out, view->name, REASON_LIMIT);
        }
        text_append(out, change->event == RUN_EVENT_STARTED ? " started" : " resumed");
        if (view->tasks.count > 0)
            text_format(out, ": %zu task%s", view->tasks.count, view->tasks.count == 1 ? "" : "s");
        break;
    case RUN_EVENT_IMAGE:
        text_append(out, "image ");
        text_append_printable(out, change->text != NULL ? change->text : "", REASON_LIMIT);
        text_append(out, change->failure != NULL ? " cannot be had: " : " is ready");
        text_append_printable(out, change->failure != NULL ? change->failure : "", REASON_LIMIT);
        break;
    case RUN_EVENT_INPUT:
        event_append_input(change, out);
        break;
    case RUN_EVENT_BLIND:
        event_append_blind(change, out);
        break;
    case RUN_EVENT_CANCEL:
        text_append(out, "cancelling");
        if (change->text != NULL) {
            text_append(out, ", asked by ");
            text_append_printable(out, change->text, REASON_LIMIT);
        }
        break;
    case RUN_EVENT_DETACHED:
        text_append(out, "run handed over to ");
        text_append_printable(out, change->text != NULL ? change->text : "its scheduler", REASON_LIMIT);
        break;
    case RUN_EVENT_ENDED:
        text_append(out, "run ");
        text_append_printable(out, view->end_state != NULL ? view->end_state : "ended", REASON_LIMIT);
        text_append(out, ": ");
        status_print_counts(view->counts, out);
        break;
    default:
        append_task_event(view, change, out);
        break;
    }
    text_append(out, "\n");
}

void event_append_up_to_date_json(int64_t at_ms, const struct event_up_to_date *known, struct text *out)
{
    text_append(out, "{\"event\":\"run-up-to-date\",\"at\":\"");
    clock_append_stamp(out, at_ms);
    text_append(out, "\"");
    json_text(out, "run", path_name(known->run_folder));
    json_text(out, "folder", known->run_folder);
    json_number(out, "stages", true, (int64_t)known->stages);
    json_number(out, "tasks", true, (int64_t)known->tasks);
    text_append(out, "}\n");
}

void event_append_up_to_date(const struct event_up_to_date *known, struct text *out)
{
    text_append(out, "nothing to do: ");
    text_append_unsigned(out, known->stages);
    text_append(out, known->stages == 1 ? " stage is up to date" : " stages are up to date");
    text_append(out, " (run ");
    text_append_printable(out, path_name(known->run_folder), REASON_LIMIT);
    text_append(out, ")\n");
}
