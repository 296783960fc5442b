/* SPDX-License-Identifier: BSD-3-Clause */
/* `descpipe plan`: the resolved plan. */
#include "command/plan.h"

#include <errno.h>

#include "command/plan_why.h"
#include "command/planning.h"

struct plan_values {
    struct pipeline_options pipeline;
    bool json, why;
};

static const struct argument_option options[] = {
    PIPELINE_OPTION_DETACH(struct plan_values),
    {.name = "json",
     .kind = ARGUMENT_FLAG,
     .offset = offsetof(struct plan_values, json),
     .help = "{pipeline, backend, stages: [{name, image, digest, form, command, ...}]}"},
    {.name = "why",
     .kind = ARGUMENT_FLAG,
     .offset = offsetof(struct plan_values, why),
     .help = "which stages would run, and what has changed since they did last"},
    {.name = NULL},
};

int command_print_plan(struct invocation *invocation, const struct pipeline_options *pipeline_options, bool json)
{
    cleanup(planning_clear) struct planning planning = {0};
    bool planned = planning_build(&planning, invocation, pipeline_options, command_word(invocation, 0), PLAN_WHOLE);
    planning_try(&planning);
    if (!planned || planning.problems.errors > 0)
        return command_refuse(invocation, &planning.problems, &planning.error);
    command_print_problems(&planning.problems, invocation->globals.quiet);
    if (!json) {
        plan_print(planning.plan, &invocation->output.text);
        return 0;
    }
    cleanup(error_clear) struct error error = ERROR_INIT;
    if (plan_write_json(planning.plan, invocation->output.descriptor, &error))
        return 0;
    return errno == EPIPE ? error_exit_status(ERROR_SYSTEM) : command_fail(&error);
}

static int run_plan(struct invocation *invocation)
{
    const struct plan_values *values = invocation->values;
    if (values->why)
        return command_print_plan_why(invocation, &values->pipeline, values->json);
    return command_print_plan(invocation, &values->pipeline, values->json);
}

const struct command command_plan = {
    .name = "plan",
    .summary = "print how each stage would run",
    .description = "The plan is what 'descpipe run' would walk: backends chosen, images looked up, the graph complete.",
    .examples = "  descpipe plan pipeline.yaml\n  descpipe plan pipeline.yaml --until counts --json\n"
                "  descpipe plan pipeline.yaml --why",
    .options = options,
    .pipeline_options = pipeline_options_table,
    .positionals = pipeline_positionals,
    .values_size = sizeof(struct plan_values),
    .run = run_plan,
    .clear = pipeline_options_clear,
};
