/* SPDX-License-Identifier: BSD-3-Clause */
/* `descpipe status`: where a run stands, from its run folder alone. */
#include "report/status.h"

#include "base/clock.h"
#include "command/command.h"
#include "command/runs/chosen_run.h"
#include "command/runs/watch.h"
#include "report/events.h"

struct status_values {
    bool json, watch;
};

static const struct argument_option options[] = {
    {.name = "json", .kind = ARGUMENT_FLAG, .offset = offsetof(struct status_values, json), .help = "one JSON object"},
    {.name = "watch",
     .letter = 'w',
     .kind = ARGUMENT_FLAG,
     .offset = offsetof(struct status_values, watch),
     .help = "follow it until it ends; with --json its events, one a line, from its first on"},
    {.name = NULL},
};

static int run_status(struct invocation *invocation)
{
    const struct status_values *values = invocation->values;
    cleanup(error_clear) struct error error = ERROR_INIT;
    if (values->watch)
        return run_watch(invocation);
    cleanup(run_view_free) struct run_view *view = chosen_run(invocation, values->json ? RUN_VIEW_EVIDENCE : 0, &error);
    if (view == NULL)
        return command_refuse(invocation, NULL, &error);
    if (values->json) {
        status_write_json(view, &invocation->output);
        return 0;
    }
    const struct status_style style = {
        .width = invocation->terminal.width, .color = invocation->terminal.color, .now_ms = clock_wall_ms()};
    status_print(view, &style, &invocation->output.text);
    return 0;
}

const struct command command_status = {
    .name = "status",
    .summary = "where a run stands",
    .description =
        "Reads the run folder only: works on a copy of it, on another machine and while the run goes on. With --watch\n"
        "it ends with the run, and with its exit status; Ctrl-C ends the watching (7) and not the run.",
    .notes = event_documentation,
    .examples = "  descpipe status\n  descpipe status --watch\n  descpipe status 20261121-06\n  descpipe status "
                "work/.descpipe/runs/20261121-063000-ab3d --json",
    .options = options,
    .positionals = chosen_run_positionals,
    .values_size = sizeof(struct status_values),
    .run = run_status,
};
