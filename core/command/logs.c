/* SPDX-License-Identifier: BSD-3-Clause */
/* `descpipe logs`: what a stage wrote. */
#include "report/logs.h"

#include <string.h>

#include "base/log.h"
#include "command/chosen_run.h"
#include "command/command.h"

struct logs_values {
    bool follow, stamps, out, err;
    uint64_t attempt;
};

static const struct argument_option options[] = {
    {.name = "follow",
     .letter = 'f',
     .kind = ARGUMENT_FLAG,
     .offset = offsetof(struct logs_values, follow),
     .help = "go on until the stage has ended, further attempts too"},
    {.name = "timestamps",
     .letter = 't',
     .kind = ARGUMENT_FLAG,
     .offset = offsetof(struct logs_values, stamps),
     .help = "with -f: when each line came; '-' for lines that were there before"},
    {.name = "out", .kind = ARGUMENT_FLAG, .offset = offsetof(struct logs_values, out), .help = "only standard output"},
    {.name = "err", .kind = ARGUMENT_FLAG, .offset = offsetof(struct logs_values, err), .help = "only standard error"},
    {.name = "attempt",
     .kind = ARGUMENT_NUMBER,
     .offset = offsetof(struct logs_values, attempt),
     .value = "N",
     .help = "of this attempt (default: the last one)"},
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

enum { NAMES_LIMIT = 10000 };

static bool no_stage(const struct run_view *view, const char *name, struct error *error)
{
    cleanup(words_clear) struct words names = {0};
    for (size_t i = 0; i < view->stages.count && i < NAMES_LIMIT; i++)
        words_add(&names, run_view_text(view, view->stages.items[i].name));
    error_set(error, ERROR_INPUT, "run %s has no stage '%s'", view->run != NULL ? view->run : view->folder, name);
    const char *nearest = text_nearest(name, words_list(&names));
    if (nearest != NULL)
        return error_hint(error, "did you mean '%s'?", nearest);
    return error_hint(error, "'descpipe status' lists the stages");
}

/* Without a member named: which one is most likely meant. */
static bool needs_member(const struct run_view *view, const struct stage_view *stage, struct error *error)
{
    uint32_t example = stage->first;
    for (uint32_t i = stage->first; i != TASK_NONE; i = view->tasks.items[i].next)
        if (task_state_is_bad(view->tasks.items[i].state)) {
            example = i;
            break;
        }
    cleanup(text_clear) struct text name = TEXT_INIT;
    run_view_append_task(view, example, &name);
    error_set(error, ERROR_INPUT, "stage '%s' has %u members: say which", run_view_text(view, stage->name),
              stage->tasks);
    return error_hint(error, "for example '%s'", text_bytes(&name));
}

/* Waits for no one: a stage that is planned is known from plan.json. */
static bool find_task(const struct run_view *view, const char *word, uint32_t *task, struct error *error)
{
    const char *slash = strchr(word, '/');
    cleanup(memory_free) char *stage_name =
        memory_copy_bytes(word, slash != NULL ? (size_t)(slash - word) : strlen(word));
    const struct stage_view *stage = run_view_stage(view, stage_name);
    if (stage == NULL)
        return no_stage(view, stage_name, error);
    if (slash == NULL && stage->has_members && stage->tasks > 1)
        return needs_member(view, stage, error);
    *task = slash == NULL ? stage->first : run_view_task(view, stage_name, slash + 1);
    if (*task != TASK_NONE)
        return true;
    error_set(error, ERROR_INPUT, "stage '%s' has no member '%s'", stage_name, slash != NULL ? slash + 1 : "");
    return error_hint(error, "'descpipe status --json' lists the members");
}

static int run_logs(struct invocation *invocation)
{
    const struct logs_values *values = invocation->values;
    cleanup(error_clear) struct error error = ERROR_INIT;
    bool has_run = invocation->words.count > 1;
    const char *stage = command_word(invocation, has_run ? 1 : 0);
    cleanup(run_view_free) struct run_view *view =
        chosen_run_open(has_run ? command_word(invocation, 0) : NULL, 0, &error);
    if (view == NULL)
        return command_fail(&error);
    struct logs_request request = {
        .view = view,
        .attempt = values->attempt < UINT32_MAX ? (uint32_t)values->attempt : UINT32_MAX,
        .out = values->out,
        .err = values->err,
        .follow = values->follow && view->end_state == NULL && !view->abandoned,
        .stamps = values->stamps,
        .harmless = invocation->terminal.is_terminal,
        .stop = -1,
    };
    if (!find_task(view, stage, &request.task, &error))
        return command_fail(&error);
    if (values->stamps && (!request.follow || task_state_is_end(view->tasks.items[request.task].state))) {
        log_notice("when these lines came is not known: times are seen while following (-f)");
        request.stamps = false;
    }
    return logs_print(&request, &invocation->output, &error) ? 0 : command_fail(&error);
}

const struct command command_logs = {
    .name = "logs",
    .summary = "what a stage wrote",
    .description =
        "Standard output first, then standard error under a heading; with -f as they come. On a terminal control\n"
        "characters are made harmless; into a file or pipe every byte goes as it is.",
    .examples = "  descpipe logs tomography\n  descpipe logs -f two_point\n  descpipe logs 20261121-06 counts/g --err",
    .options = options,
    .positionals = positionals,
    .values_size = sizeof(struct logs_values),
    .run = run_logs,
};
