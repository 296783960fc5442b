/* SPDX-License-Identifier: BSD-3-Clause */
/* `descpipe runs`: the runs this user started on this machine, newest first. */
#include "base/clock.h"
#include "command/command.h"
#include "report/grid.h"
#include "report/run_summary.h"
#include "run/journal/run_folder.h"

struct runs_values {
    bool json;
    uint64_t limit;
};

static const struct argument_option options[] = {
    {.name = "limit",
     .letter = 'n',
     .kind = ARGUMENT_NUMBER,
     .offset = offsetof(struct runs_values, limit),
     .value = "N",
     .help = "only the newest N (default: 20, with --json all)"},
    {.name = "json", .kind = ARGUMENT_FLAG, .offset = offsetof(struct runs_values, json), .help = "a JSON array"},
    {.name = NULL},
};

/* A beginning of the folder says nothing: narrower terminals do without it. */
enum { DEFAULT_LIMIT = 20, STAMP_SECONDS = 19, FOLDER_WIDTH = 120 };

static void append_time(int64_t at_ms, struct text *out)
{
    cleanup(text_clear) struct text stamp = TEXT_INIT;
    if (at_ms == 0)
        return;
    clock_append_stamp(&stamp, at_ms);
    text_append_bytes(out, stamp.bytes, stamp.length < STAMP_SECONDS ? stamp.length : STAMP_SECONDS);
    text_append(out, "Z");
}

static void add_row(struct grid *grid, const struct run_index_entry *entry, const struct run_summary *summary,
                    bool with_folder)
{
    cleanup(text_clear) struct text started = TEXT_INIT;
    cleanup(text_clear) struct text took = TEXT_INIT;
    cleanup(text_clear) struct text tasks = TEXT_INIT;
    append_time(summary->started_at_ms, &started);
    if (summary->finished_at_ms > 0 && summary->started_at_ms > 0)
        clock_append_length(&took, summary->finished_at_ms - summary->started_at_ms);
    if (summary->tasks > 0)
        text_append_unsigned(&tasks, summary->tasks);
    bool good = text_equal(summary->state, "succeeded"), goes_on = text_equal(summary->state, "running");
    grid_add(grid, entry->id, "\x1b[1m");
    grid_add(grid, summary->state, good ? "\x1b[32m" : goes_on ? "\x1b[36m" : "\x1b[31m");
    grid_add(grid, text_bytes(&started), "");
    grid_add(grid, text_bytes(&took), "");
    grid_add(grid, text_bytes(&tasks), "");
    grid_add(grid, summary->name != NULL ? summary->name : "", "");
    if (with_folder)
        grid_add(grid, entry->folder, "\x1b[2m");
}

static void json_text(struct text *out, const char *name, const char *value)
{
    text_format(out, ",\"%s\":", name);
    if (value == NULL)
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

static void append_json(const struct run_index_entry *entry, const struct run_summary *summary, bool first,
                        struct text *out)
{
    text_append(out, first ? "\n{\"run\":" : ",\n{\"run\":");
    text_append_json(out, entry->id);
    json_text(out, "state", summary->state);
    json_text(out, "pipeline", summary->name);
    json_text(out, "file", summary->pipeline);
    json_text(out, "folder", entry->folder);
    json_time(out, "started", summary->started_at_ms);
    json_time(out, "finished", summary->finished_at_ms);
    text_format(out, ",\"tasks\":%u}", summary->tasks);
}

static int run_runs(struct invocation *invocation)
{
    const struct runs_values *values = invocation->values;
    struct text *out = &invocation->output.text;
    static const struct grid_column columns[] = {{.title = "run"},
                                                 {.title = "state"},
                                                 {.title = "started"},
                                                 {.title = "took", .right = true},
                                                 {.title = "tasks", .right = true},
                                                 {.title = "pipeline", .flexible = true},
                                                 {.title = "folder", .flexible = true}};
    bool with_folder = invocation->terminal.width == 0 || invocation->terminal.width >= FOLDER_WIDTH;
    cleanup(grid_free) struct grid *grid = grid_new(columns, sizeof columns / sizeof columns[0] - !with_folder);
    cleanup(memory_free) char *index = run_index_folder();
    struct run_index_entry *entries = NULL;
    size_t count = index != NULL ? run_index_read(index, &entries) : 0;
    uint64_t limit = values->limit > 0 ? values->limit : values->json ? UINT64_MAX : DEFAULT_LIMIT;
    if (values->json)
        text_append(out, "[");
    size_t shown = 0;
    for (size_t i = 0; i < count; i++) {
        cleanup(run_summary_clear) struct run_summary summary = {0};
        if (shown < limit && run_summary_read(entries[i].folder, &summary, NULL)) {
            if (values->json)
                append_json(&entries[i], &summary, shown == 0, out);
            else
                add_row(grid, &entries[i], &summary, with_folder);
            shown++;
        }
        run_index_entry_clear(&entries[i]);
    }
    memory_free(entries);
    if (values->json)
        text_append(out, shown > 0 ? "\n]\n" : "]\n");
    else if (shown == 0)
        text_append(out, "no runs yet; 'descpipe run PIPELINE' starts one\n");
    else
        grid_print(grid, invocation->terminal.width, invocation->terminal.color, out);
    if (!values->json && shown < count && shown == limit)
        text_format(out, "… and %zu older ones (-n %zu)\n", count - shown, count);
    return 0;
}

const struct command command_runs = {
    .name = "runs",
    .summary = "your runs, newest first",
    .description =
        "From an index under $XDG_STATE_HOME/descpipe, which is a convenience: a run folder that is not in it still\n"
        "works with every command by its path.",
    .examples = "  descpipe runs\n  descpipe runs -n 100\n  descpipe runs --json",
    .options = options,
    .values_size = sizeof(struct runs_values),
    .run = run_runs,
};
