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

static void print_json(const struct run_view *view, uint32_t number, const struct why *why, struct text *out)
{
    const struct task_view *task = &view->tasks.items[number];
    chosen_run_begin_json(view, out);
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
    uint32_t task;
    cleanup(run_view_free) struct run_view *view = chosen_task(invocation, &task, &error);
    cleanup(arena_free) struct arena *arena = arena_new();
    struct why why = {.arena = arena};
    if (view == NULL || !why_find(&why, view, task, &error))
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
    .positionals = chosen_task_positionals,
    .values_size = sizeof(struct why_values),
    .run = run_why,
};
