/* SPDX-License-Identifier: BSD-3-Clause */
/* `descpipe run`: what a command line asks for, as a request to the engine. */
#include <stdlib.h>

#include "base/clock.h"
#include "command/plan.h"
#include "command/runs/run_over.h"
#include "command/runs/run_show.h"
#include "report/events.h"
#include "run/again/up_to_date.h"

struct run_values {
    struct pipeline_options pipeline;
    bool keep_going, no_cache, dry_run, json;
    const char *on_interrupt;
};

static const char *const interrupt_choices[] = {"cancel", "leave", NULL};

static const struct argument_option options[] = {
    {.name = "keep-going",
     .letter = 'k',
     .kind = ARGUMENT_FLAG,
     .offset = offsetof(struct run_values, keep_going),
     .help = "when a stage fails, still run what does not need it"},
    {.name = "no-cache",
     .kind = ARGUMENT_FLAG,
     .offset = offsetof(struct run_values, no_cache),
     .help = "run every stage, also those whose results are there already"},
    PIPELINE_OPTION_DETACH(struct run_values),
    {.name = "dry-run",
     .letter = 'n',
     .kind = ARGUMENT_FLAG,
     .offset = offsetof(struct run_values, dry_run),
     .help = "print the plan and run nothing"},
    {.name = "on-interrupt",
     .kind = ARGUMENT_CHOICE,
     .offset = offsetof(struct run_values, on_interrupt),
     .choices = interrupt_choices,
     .help =
         "what Ctrl-C does to stages that run (default: cancel those on this machine, leave those a scheduler holds)"},
    {.name = "json",
     .kind = ARGUMENT_FLAG,
     .offset = offsetof(struct run_values, json),
     .help = "one JSON object per event and line: run-started, task-started, task-ended, ..., run-ended"},
    {.name = NULL},
};

bool run_request_fill(struct invocation *invocation, struct installation *installation, char **base,
                      struct run_request *request, struct error *error)
{
    const struct run_values *values = invocation->values;
    if (!installation_open_folders(installation, invocation, error) || !pipeline_options_base(invocation, base, error))
        return false;
    request->pipeline = command_word(invocation, 0);
    request->arguments = invocation->arguments;
    pipeline_options_changes(&values->pipeline, *base, &request->changes);
    pipeline_options_choices(&values->pipeline, &request->choices);
    installation_search(installation, &request->config);
    pipeline_options_search(&values->pipeline, &request->config);
    request->plugins = (struct plugin_search){
        .plugin_dirs = words_list(&installation->plugin_dirs),
        .environment = secure_getenv("DESCPIPE_PLUGIN_PATH"),
        .home = secure_getenv("HOME"),
    };
    request->policy_folder = CONFIG_SITE_FOLDER "/plugins.d";
    request->version = DESCPIPE_VERSION;
    request->keep_going = values->keep_going;
    request->no_cache = values->no_cache;
    request->ended = run_over;
    request->describe = run_describe;
    request->detach = values->pipeline.detach;
    request->on_interrupt = text_equal(values->on_interrupt, "cancel")  ? ON_INTERRUPT_CANCEL
                            : text_equal(values->on_interrupt, "leave") ? ON_INTERRUPT_LEAVE
                                                                        : ON_INTERRUPT_DEFAULT;
    return true;
}

static void tell_up_to_date(struct invocation *invocation, const struct up_to_date_answer *answer)
{
    const struct event_up_to_date known = {
        .run_folder = answer->run_folder, .stages = answer->count.stages, .tasks = answer->count.tasks};
    struct text *out = &invocation->output.text;
    if (invocation->json)
        event_append_up_to_date_json(clock_wall_ms(), &known, out);
    else
        event_append_up_to_date(&known, out);
}

static int run_run(struct invocation *invocation)
{
    const struct run_values *values = invocation->values;
    if (values->dry_run)
        return command_print_plan(invocation, &values->pipeline, values->json);
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(installation_clear) struct installation installation = {0};
    cleanup(memory_free) char *base = NULL;
    struct run_request request = {0};
    if (!run_request_fill(invocation, &installation, &base, &request, &error))
        return run_refuse(invocation, &error);
    cleanup(up_to_date_answer_clear) struct up_to_date_answer answer = {.run_folder = NULL};
    if (up_to_date_ask(&request, &answer)) {
        tell_up_to_date(invocation, &answer);
        return 0;
    }
    return run_show(invocation, &request, NULL);
}

const struct command command_run = {
    .name = "run",
    .summary = "plan, submit, watch, report",
    .description = "Runs the pipeline and shows what happens: live on a terminal, one line per event elsewhere. The "
                   "first Ctrl-C stops\n"
                   "the run in order, the second at once. SIGHUP and SIGTERM cancel nothing: what runs goes on.",
    .notes = event_documentation,
    .examples = "  descpipe run pipeline.yaml\n"
                "  descpipe run pipeline.yaml --backend nersc -o scheduler.qos=debug\n"
                "  descpipe run pipeline.yaml --set tomography.cpus=8 --until counts\n"
                "  descpipe run pipeline.yaml --backend slurm --detach\n"
                "  descpipe run pipeline.yaml --json | jq -r .event",
    .options = options,
    .pipeline_options = pipeline_options_table,
    .positionals = pipeline_positionals,
    .values_size = sizeof(struct run_values),
    .run = run_run,
    .clear = pipeline_options_clear,
};
