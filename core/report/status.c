/* SPDX-License-Identifier: BSD-3-Clause */
/* A run's state as a table and as JSON. */
#include "report/status.h"

#include <string.h>

#include "base/clock.h"
#include "report/grid.h"

enum { NAME_LIMIT = 300, REASON_LIMIT = 1000, MEMBERS_SHOWN = 20, JUST_NOW_MS = 2000 };

const char *status_color(enum task_state state)
{
    switch (state) {
    case TASK_SUCCEEDED:
    case TASK_CACHED:
        return "\x1b[32m";
    case TASK_FAILED:
    case TASK_LOST:
        return "\x1b[31m";
    case TASK_CANCELLED:
        return "\x1b[33m";
    case TASK_RUNNING:
        return "\x1b[36m";
    case TASK_ENDED:
        return "\x1b[33m";
    default:
        return "\x1b[2m";
    }
}

void status_print_counts(const uint32_t counts[TASK_STATES], struct text *out)
{
    /* What a person asks first comes first. */
    static const enum task_state order[] = {TASK_SUCCEEDED, TASK_CACHED,    TASK_FAILED, TASK_LOST,
                                            TASK_CANCELLED, TASK_SKIPPED,   TASK_ENDED,  TASK_RUNNING,
                                            TASK_QUEUED,    TASK_SUBMITTED, TASK_READY,  TASK_PLANNED};
    bool first = true;
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        if (counts[order[i]] == 0)
            continue;
        text_format(out, "%s%u %s", first ? "" : ", ", counts[order[i]], task_state_name(order[i]));
        first = false;
    }
    if (first)
        text_append(out, "nothing");
}

/* One row: a stage, or one member of it. */
struct row {
    struct text name, verdict, attempt, wall, cpu, memory, where, note;
    enum task_state state;
};

static void row_reset(struct row *row)
{
    struct text *const texts[] = {&row->name, &row->verdict, &row->attempt, &row->wall,
                                  &row->cpu,  &row->memory,  &row->where,   &row->note};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        text_reset(texts[i]);
}

static void row_clear(struct row *row)
{
    struct text *const texts[] = {&row->name, &row->verdict, &row->attempt, &row->wall,
                                  &row->cpu,  &row->memory,  &row->where,   &row->note};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        text_clear(texts[i]);
}

static void row_clear_at(struct row *place)
{
    row_clear(place);
}

static void fill_task(const struct run_view *view, const struct task_view *task, int64_t now_ms, struct row *row)
{
    row->state = task->state;
    if (task_state_is_end(task->state) || task->state == TASK_ENDED)
        run_view_append_verdict(view, task, &row->verdict);
    else
        text_append(&row->verdict, task_state_name(task->state)); /* also of one that will be tried again */
    if (task->attempt > 1)
        text_append_unsigned(&row->attempt, task->attempt);
    int64_t wall = task_view_wall_ms(task, now_ms);
    if (wall >= 0)
        clock_append_length(&row->wall, wall);
    if (task->cpu_ms > 0)
        clock_append_length(&row->cpu, task->cpu_ms);
    if (task->peak_memory > 0)
        bytes_append(&row->memory, task->peak_memory);
    text_append(&row->where, run_view_text(view, task->host));
    if (task->state != TASK_SUCCEEDED)
        text_append(&row->note, run_view_reason(view, task));
}

/* A stage with members: sums, the widest span of time, the largest memory. */
static void fill_members(const struct run_view *view, const struct stage_view *stage, int64_t now_ms, struct row *row)
{
    row->state = stage_view_state(stage);
    status_print_counts(stage->counts, &row->verdict);
    int64_t from = 0, until = 0, cpu_ms = 0;
    uint64_t memory = 0;
    symbol host = 0;
    bool many_hosts = false;
    for (uint32_t i = stage->first; i != TASK_NONE; i = view->tasks.items[i].next) {
        const struct task_view *task = &view->tasks.items[i];
        if (task->started_at_ms != 0 && (from == 0 || task->started_at_ms < from))
            from = task->started_at_ms;
        int64_t end = task->state == TASK_RUNNING ? now_ms : task->finished_at_ms;
        until = end > until ? end : until;
        cpu_ms += task->cpu_ms;
        memory = task->peak_memory > memory ? task->peak_memory : memory;
        many_hosts = many_hosts || (host != 0 && task->host != 0 && task->host != host);
        host = task->host != 0 ? task->host : host;
    }
    if (from != 0 && until >= from)
        clock_append_length(&row->wall, until - from);
    if (cpu_ms > 0)
        clock_append_length(&row->cpu, cpu_ms);
    if (memory > 0)
        bytes_append(&row->memory, memory);
    text_append(&row->where, many_hosts ? "several" : run_view_text(view, host));
}

static void add_row(struct grid *grid, const struct row *row)
{
    grid_add(grid, text_bytes(&row->name), "");
    grid_add(grid, text_bytes(&row->verdict), status_color(row->state));
    grid_add(grid, text_bytes(&row->attempt), "");
    grid_add(grid, text_bytes(&row->wall), "");
    grid_add(grid, text_bytes(&row->cpu), "");
    grid_add(grid, text_bytes(&row->memory), "");
    grid_add(grid, text_bytes(&row->where), "");
    grid_add(grid, text_bytes(&row->note), "");
}

/* Members that failed get rows of their own below their stage: they are what one looks for. */
static void add_bad_members(const struct run_view *view, const struct stage_view *stage, int64_t now_ms,
                            struct grid *grid, struct row *row)
{
    uint32_t shown = 0, bad = stage->counts[TASK_FAILED] + stage->counts[TASK_LOST];
    for (uint32_t i = stage->first; i != TASK_NONE && shown < bad && shown < MEMBERS_SHOWN;
         i = view->tasks.items[i].next) {
        const struct task_view *task = &view->tasks.items[i];
        if (task->state != TASK_FAILED && task->state != TASK_LOST)
            continue;
        row_reset(row);
        text_append(&row->name, "  ");
        run_view_append_task(view, i, &row->name);
        fill_task(view, task, now_ms, row);
        add_row(grid, row);
        shown++;
    }
    if (shown == bad)
        return;
    row_reset(row);
    text_format(&row->name, "  … and %u more", bad - shown);
    row->state = TASK_FAILED;
    add_row(grid, row);
}

static void add_stage(const struct run_view *view, const struct stage_view *stage, int64_t now_ms, struct grid *grid,
                      struct row *row)
{
    row_reset(row);
    text_append(&row->name, run_view_text(view, stage->name));
    if (!stage->has_members && stage->first != TASK_NONE) {
        fill_task(view, &view->tasks.items[stage->first], now_ms, row);
        add_row(grid, row);
        return;
    }
    fill_members(view, stage, now_ms, row);
    add_row(grid, row);
    add_bad_members(view, stage, now_ms, grid, row);
}

static bool stage_is_bad(const struct stage_view *stage)
{
    return stage->counts[TASK_FAILED] + stage->counts[TASK_LOST] + stage->counts[TASK_CANCELLED] > 0;
}

void status_print_stages(const struct run_view *view, const struct status_style *style, struct text *out)
{
    static const struct grid_column columns[] = {
        {.title = "stage", .flexible = true}, {.title = "verdict", .flexible = true},
        {.title = "attempt", .right = true},  {.title = "wall", .right = true},
        {.title = "CPU", .right = true},      {.title = "peak memory", .right = true},
        {.title = "where", .flexible = true}, {.title = "reason", .flexible = true},
    };
    cleanup(grid_free) struct grid *grid = grid_new(columns, sizeof columns / sizeof columns[0]);
    cleanup(row_clear) struct row row = {0};
    size_t limit = style->rows > 0 && style->rows < view->stages.count ? style->rows : view->stages.count;
    size_t shown = 0;
    bool cut = limit < view->stages.count; /* then what failed comes first */
    for (int round = cut ? 0 : 1; round < 2; round++)
        for (size_t i = 0; i < view->stages.count && shown < limit; i++) {
            const struct stage_view *stage = &view->stages.items[i];
            if (cut && stage_is_bad(stage) != (round == 0))
                continue;
            add_stage(view, stage, style->now_ms, grid, &row);
            shown++;
        }
    grid_print(grid, style->width, style->color, out);
    if (cut)
        text_format(out, "… and %zu more stage%s\n", view->stages.count - shown,
                    view->stages.count - shown == 1 ? "" : "s");
}

/* A stopped run of which something goes on: what to do about it. */
static void print_left_over(const struct run_view *view, struct text *out)
{
    uint32_t running = view->counts[TASK_RUNNING];
    if (!view->abandoned)
        return;
    if (view->left_for != NULL) {
        text_append_printable(out, view->left_for, REASON_LIMIT);
        text_append(out, ": ");
    }
    if (running == 0) {
        text_append(out, "'descpipe resume ");
        text_append_shell_word(out, view->run != NULL ? view->run : view->folder);
        text_append(out, "' goes on with it\n");
        return;
    }
    text_format(out, "no descpipe follows it any more; %u task%s %s on: 'descpipe resume ", running,
                running == 1 ? "" : "s", running == 1 ? "goes" : "go");
    text_append_shell_word(out, view->run != NULL ? view->run : view->folder);
    text_append(out, "' goes on with the run, 'descpipe cancel ");
    text_append_shell_word(out, view->run != NULL ? view->run : view->folder);
    text_append(out, running == 1 ? "' ends it" : "' ends them");
    if (!run_view_is_here(view) && view->host != NULL) {
        text_append(out, ", typed on '");
        text_append_printable(out, view->host, NAME_LIMIT);
        text_append(out, "'");
    }
    text_append(out, "\n");
}

void status_print_headline(const struct run_view *view, const struct status_style *style, struct text *out)
{
    text_append(out, "run ");
    text_append_printable(out, view->run != NULL ? view->run : view->folder, NAME_LIMIT);
    if (view->name != NULL) {
        text_append(out, " of ");
        text_append_printable(out, view->name, NAME_LIMIT);
    }
    text_append(out, ": ");
    text_append_printable(out, run_view_state(view), NAME_LIMIT);
    if (view->started_at_ms != 0) {
        bool stopped = view->finished_at_ms == 0 && view->abandoned;
        int64_t until_ms = view->finished_at_ms != 0 ? view->finished_at_ms
                           : stopped                 ? view->last_at_ms
                                                     : style->now_ms;
        text_append(out, view->finished_at_ms != 0 ? ", took " : stopped ? " after " : " for ");
        clock_append_length(out, run_view_wall_ms(view, until_ms));
        if (stopped && style->now_ms - until_ms >= JUST_NOW_MS) {
            text_append(out, ", ");
            clock_append_length(out, style->now_ms - until_ms);
            text_append(out, " ago");
        }
    }
    text_append(out, "\n");
    status_print_counts(view->counts, out);
    text_append(out, "\n");
    print_left_over(view, out);
    if (view->end_reason != NULL) {
        text_append_printable(out, view->end_reason, REASON_LIMIT);
        text_append(out, "\n");
    }
    if (view->detached && view->end_state == NULL && !view->abandoned)
        text_append(out, "its scheduler has it; what its jobs have written down so far is all that is known here\n");
}

void status_print(const struct run_view *view, const struct status_style *style, struct text *out)
{
    status_print_headline(view, style, out);
    if (view->stages.count > 0)
        text_append_character(out, '\n');
    status_print_stages(view, style, out);
    size_t skipped = run_view_skipped(view);
    if (skipped > 0)
        text_format(out, "\n%zu damaged line%s of the journal could not be read\n", skipped, skipped == 1 ? "" : "s");
}

/* JSON */

static void json_text(struct text *out, const char *name, const char *value)
{
    text_format(out, ",\"%s\":", name);
    if (value == NULL || value[0] == '\0')
        text_append(out, "null");
    else
        text_append_json(out, value);
}

static void json_time(struct text *out, const char *name, int64_t at_ms)
{
    if (at_ms == 0) {
        json_text(out, name, NULL);
        return;
    }
    text_format(out, ",\"%s\":\"", name);
    clock_append_stamp(out, at_ms);
    text_append(out, "\"");
}

static void json_number(struct text *out, const char *name, uint64_t number, bool known)
{
    text_format(out, ",\"%s\":", name);
    if (known)
        text_append_unsigned(out, number);
    else
        text_append(out, "null");
}

/* The members every task has, with or without a job. `name` is written by the caller. */
static void json_task(const struct run_view *view, const struct task_view *task, struct text *out)
{
    json_text(out, "state", task_state_name(task->state));
    json_text(out, "verdict", run_view_text(view, task->verdict));
    json_text(out, "reason", run_view_text(view, task->reason));
    json_number(out, "attempt", task->attempt, task->attempt > 0);
    json_number(out, "job", task->job, task->job > 0);
    json_text(out, "native", run_view_text(view, task->native));
    json_text(out, "host", run_view_text(view, task->host));
    json_time(out, "started", task->started_at_ms);
    json_time(out, "finished", task->finished_at_ms);
    json_number(out, "exit", (uint64_t)(task->exit_code > 0 ? task->exit_code : 0), task->exit_code >= 0);
    json_number(out, "signal", (uint64_t)task->signal, task->signal > 0);
    json_number(out, "cpu_ms", (uint64_t)task->cpu_ms, task->cpu_ms > 0);
    json_number(out, "peak_memory", task->peak_memory, task->peak_memory > 0);
    text_append(out, ",\"evidence\":");
    text_append(out, task->evidence != NULL ? task->evidence : "[]");
}

static void json_stage(const struct run_view *view, const struct stage_view *stage, struct output *output)
{
    struct text *out = &output->text;
    text_append(out, "{\"name\":");
    text_append_json(out, run_view_text(view, stage->name));
    if (!stage->has_members && stage->first != TASK_NONE) {
        json_task(view, &view->tasks.items[stage->first], out);
        text_append(out, ",\"members\":[]}");
        return;
    }
    json_text(out, "state", task_state_name(stage_view_state(stage)));
    text_append(out, ",\"verdict\":null,\"reason\":null,\"attempt\":null,\"job\":null,\"native\":null,\"host\":null");
    int64_t from = 0, until = 0;
    for (uint32_t i = stage->first; i != TASK_NONE; i = view->tasks.items[i].next) {
        const struct task_view *task = &view->tasks.items[i];
        if (task->started_at_ms != 0 && (from == 0 || task->started_at_ms < from))
            from = task->started_at_ms;
        until = task->finished_at_ms > until ? task->finished_at_ms : until;
    }
    json_time(out, "started", from);
    json_time(out, "finished", task_state_is_end(stage_view_state(stage)) ? until : 0);
    text_append(out,
                ",\"exit\":null,\"signal\":null,\"cpu_ms\":null,\"peak_memory\":null,\"evidence\":[],\"members\":[");
    for (uint32_t i = stage->first; i != TASK_NONE; i = view->tasks.items[i].next) {
        text_append(out, i == stage->first ? "{\"name\":" : ",{\"name\":");
        text_append_json(out, run_view_text(view, view->tasks.items[i].member));
        json_task(view, &view->tasks.items[i], out);
        text_append(out, "}");
        output_ease(output);
    }
    text_append(out, "]}");
}

static void json_head(const struct run_view *view, struct text *out)
{
    text_append(out, "{\"run\":");
    text_append_json(out, view->run != NULL ? view->run : "");
    json_text(out, "state", run_view_state(view));
    json_text(out, "reason", view->end_reason);
    text_append(out, view->detached ? ",\"detached\":true" : ",\"detached\":false");
    json_text(out, "pipeline", view->name);
    json_text(out, "file", view->pipeline);
    json_text(out, "folder", view->folder);
    json_text(out, "user", view->user);
    json_text(out, "host", view->host);
    json_time(out, "started", view->started_at_ms);
    json_time(out, "finished", view->finished_at_ms);
    json_number(out, "damaged_lines", run_view_skipped(view), true);
    text_append(out, ",\"counts\":{");
    for (unsigned state = 0; state < TASK_STATES; state++)
        text_format(out, "%s\"%s\":%u", state > 0 ? "," : "", task_state_name((enum task_state)state),
                    view->counts[state]);
    text_append(out, "}");
}

void status_write_json(const struct run_view *view, struct output *output)
{
    struct text *out = &output->text;
    json_head(view, out);
    text_append(out, ",\"stages\":[");
    for (size_t i = 0; i < view->stages.count; i++) {
        text_append(out, i > 0 ? ",\n" : "\n");
        json_stage(view, &view->stages.items[i], output);
        output_ease(output);
    }
    text_append(out, "\n]}\n");
}

void status_append_json(const struct run_view *view, bool stages, struct text *out)
{
    struct output kept = {.descriptor = -1}; /* nothing is written */
    if (stages) {
        status_write_json(view, &kept);
    } else {
        json_head(view, &kept.text);
        text_append(&kept.text, "}\n");
    }
    text_append_bytes(out, text_bytes(&kept.text), kept.text.length);
    output_clear(&kept);
}
