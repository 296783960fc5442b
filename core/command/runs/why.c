/* SPDX-License-Identifier: BSD-3-Clause */
/* `descpipe why`: why a stage ran in a run, or did not. */
#include "report/why.h"

#include "command/command.h"
#include "command/runs/chosen_run.h"

struct why_values {
    bool json;
};

static const struct argument_option options[] = {
    {.name = "json",
     .kind = ARGUMENT_FLAG,
     .offset = offsetof(struct why_values, json),
     .help = "{run, stage, member, why, reason, compared_with, changes: [{field, before, after, ...}]}"},
    {.name = NULL},
};

static const struct argument_positional positionals[] = {
    {.name = "RUN",
     .optional = true,
     .completion = COMPLETE_FILE,
     .help = "as for 'descpipe status'; default: the latest run started from the current folder"},
    {.name = "STAGE", .help = "a stage, or STAGE/MEMBER"},
    {.name = NULL},
};

static void print_json(const struct run_view *view, uint32_t number, const struct why *why, struct text *out)
{
    const struct task_view *task = &view->tasks.items[number];
    text_append(out, "{\"run\":");
    text_append_json(out, view->run != NULL ? view->run : view->folder);
    text_append(out, ",\"stage\":");
    text_append_json(out, run_view_text(view, task->stage));
    text_append(out, ",\"member\":");
    if (task->member != 0)
        text_append_json(out, run_view_text(view, task->member));
    else
        text_append(out, "null");
    why_append_json(why, out);
    text_append(out, "}\n");
}

static int run_why(struct invocation *invocation)
{
    const struct why_values *values = invocation->values;
    cleanup(error_clear) struct error error = ERROR_INIT;
    bool has_run = invocation->words.count > 1;
    cleanup(run_view_free) struct run_view *view =
        chosen_run_open(has_run ? command_word(invocation, 0) : NULL, 0, &error);
    cleanup(arena_free) struct arena *arena = arena_new();
    struct why why = {.arena = arena};
    uint32_t task;
    if (view == NULL || !chosen_run_task(view, command_word(invocation, has_run ? 1 : 0), &task, &error) ||
        !why_find(&why, view, task, &error))
        return command_refuse(invocation, NULL, &error);
    if (values->json) {
        print_json(view, task, &why, &invocation->output.text);
        return 0;
    }
    cleanup(text_clear) struct text name = TEXT_INIT;
    run_view_append_task(view, task, &name);
    why_print(&why, text_bytes(&name), false, &invocation->output.text);
    return 0;
}

const struct command command_why = {
    .name = "why",
    .summary = "why a stage ran, or did not",
    .description = "Shows what had changed since the stage's last success: the field and both values. 'descpipe plan "
                   "--why' shows\n"
                   "it before a run.",
    .examples = "  descpipe why tomography\n  descpipe why 20261121-06 counts/g --json",
    .options = options,
    .positionals = positionals,
    .values_size = sizeof(struct why_values),
    .run = run_why,
};
