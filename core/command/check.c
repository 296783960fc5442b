/* SPDX-License-Identifier: BSD-3-Clause */
/* `descpipe check`: everything that can be known without running. */
#include "command/planning.h"

struct check_values {
    struct pipeline_options pipeline;
    bool json;
};

static const struct argument_option options[] = {
    {.name = "json",
     .kind = ARGUMENT_FLAG,
     .offset = offsetof(struct check_values, json),
     .help = "{\"problems\": [{level, file, line, column, message, hint}]}"},
    {.name = NULL},
};

static void append_number(struct text *out, size_t count, const char *what, bool *first)
{
    if (count == 0)
        return;
    text_format(out, "%s%zu %s%s", *first ? "" : ", ", count, what, count == 1 ? "" : "s");
    *first = false;
}

static void print_summary(const struct planning *planning, const char *file, struct text *out)
{
    const struct problems *problems = &planning->problems;
    bool first = true;
    if (problems->errors + problems->warnings + problems->notes == 0) {
        size_t stages = planning->pipeline != NULL ? planning->pipeline->stages.count : 0;
        text_append(out, "no problems in '");
        text_append_printable(out, file, 4096);
        text_format(out, "' (%zu stage%s)\n", stages, stages == 1 ? "" : "s");
        return;
    }
    append_number(out, problems->errors, "error", &first);
    append_number(out, problems->warnings, "warning", &first);
    append_number(out, problems->notes, "note", &first);
    text_append(out, " in '");
    text_append_printable(out, file, 4096);
    text_append(out, "'\n");
}

static int run_check(struct invocation *invocation)
{
    const struct check_values *values = invocation->values;
    const char *file = command_word(invocation, 0);
    struct text *out = &invocation->output.text;
    cleanup(planning_clear) struct planning planning = {0};
    planning_build(&planning, invocation, &values->pipeline, file, PLAN_COMBINATION);
    int status = planning_status(&planning);
    if (planning.error.kind != ERROR_NONE)
        problem_from_error(&planning.problems, &planning.error);
    problems_sort(&planning.problems);
    if (values->json) {
        problems_print_json(&planning.problems, out);
        return status;
    }
    if (planning.problems.errors == 0 && invocation->globals.quiet)
        return status;
    problems_print(&planning.problems, out);
    print_summary(&planning, file, out);
    return status;
}

const struct command command_check = {
    .name = "check",
    .summary = "find every problem of a pipeline without running it",
    .description = "Reads the file, draws the graph, looks for inputs, opens the plugins it names and checks that they "
                   "go together.\n"
                   "Creates nothing. Exit status 2 when there is an error; warnings and notes do not count.",
    .examples = "  descpipe check pipeline.yaml\n  descpipe check pipeline.yaml --backend nersc --json",
    .options = options,
    .pipeline_options = pipeline_options_table,
    .positionals = pipeline_positionals,
    .values_size = sizeof(struct check_values),
    .run = run_check,
    .clear = pipeline_options_clear,
};
