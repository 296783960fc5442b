/* SPDX-License-Identifier: BSD-3-Clause */
/* `descpipe logs`: what a stage wrote. */
#include "report/logs.h"

#include "base/log.h"
#include "command/command.h"
#include "command/runs/chosen_run.h"

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

static int run_logs(struct invocation *invocation)
{
    const struct logs_values *values = invocation->values;
    cleanup(error_clear) struct error error = ERROR_INIT;
    uint32_t task;
    cleanup(run_view_free) struct run_view *view = chosen_task(invocation, &task, &error);
    if (view == NULL)
        return command_fail(&error);
    struct logs_request request = {
        .view = view,
        .task = task,
        .attempt = values->attempt < UINT32_MAX ? (uint32_t)values->attempt : UINT32_MAX,
        .out = values->out,
        .err = values->err,
        .follow = values->follow && view->end_state == NULL && !view->abandoned,
        .stamps = values->stamps,
        .harmless = invocation->terminal.is_terminal,
        .stop = -1,
    };
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
    .positionals = chosen_task_positionals,
    .values_size = sizeof(struct logs_values),
    .run = run_logs,
};
