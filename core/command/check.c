/* SPDX-License-Identifier: BSD-3-Clause */
/* `descpipe check`: everything that can be known without running. */
#include "command/site.h"

struct check_values {
    struct pipeline_options pipeline;
    bool json, site;
    uint64_t node_wait_s;
};

enum { NODE_WAIT_S = 60, SITE_DIFFERS_STATUS = 1 };

static const struct argument_option options[] = {
    PIPELINE_OPTION_DETACH(struct check_values),
    {.name = "json",
     .kind = ARGUMENT_FLAG,
     .offset = offsetof(struct check_values, json),
     .help =
         "{\"problems\": [{level, file, line, column, message, hint}]}; with --site also {\"site\": [{about, state, "
         "message, hint}]}"},
    {.name = "site",
     .kind = ARGUMENT_FLAG,
     .offset = offsetof(struct check_values, site),
     .help = "ask the site too: registries, scheduler, free room, logins, and one small job about a node"},
    {.name = "node-wait",
     .kind = ARGUMENT_NUMBER,
     .value = "SECONDS",
     .offset = offsetof(struct check_values, node_wait_s),
     .help = "with --site: how long that job may wait for a node (default 60)"},
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

static void print_json(const struct planning *planning, const struct site_check *site, struct text *out)
{
    if (site == NULL) {
        problems_print_json(&planning->problems, out);
        return;
    }
    text_append(out, "{\"problems\": [");
    for (size_t i = 0; i < planning->problems.count; i++) {
        text_append(out, i > 0 ? ",\n  " : "\n  ");
        problem_append_json(&planning->problems.items[i], out);
    }
    text_append(out, "],\n\"site\": ");
    site_check_print_json(site, out);
    text_append(out, "}\n");
}

static int run_check(struct invocation *invocation)
{
    const struct check_values *values = invocation->values;
    const char *file = command_word(invocation, 0);
    struct text *out = &invocation->output.text;
    cleanup(planning_clear) struct planning planning = {0};
    planning_build(&planning, invocation, &values->pipeline, file, values->site ? PLAN_WHOLE : PLAN_COMBINATION);
    planning_try(&planning);
    int status = planning_status(&planning);
    cleanup(site_check_clear) struct site_check site = {
        .planning = &planning, .wait_s = values->node_wait_s > 0 ? values->node_wait_s : NODE_WAIT_S};
    if (values->site && status == 0)
        site_check_ask(&site);
    if (status == 0 && site.differing > 0)
        status = SITE_DIFFERS_STATUS;
    if (planning.error.kind != ERROR_NONE)
        problem_from_error(&planning.problems, &planning.error);
    problems_sort(&planning.problems);
    if (values->json) {
        print_json(&planning, values->site ? &site : NULL, out);
        return status;
    }
    if (status == 0 && invocation->globals.quiet)
        return status;
    problems_print(&planning.problems, out);
    site_check_print(&site, out);
    print_summary(&planning, file, out);
    if (site.differing > 0)
        text_format(out, "%zu thing%s of this site differ%s from what the pipeline needs\n", site.differing,
                    site.differing == 1 ? "" : "s", site.differing == 1 ? "s" : "");
    return status;
}

const struct command command_check = {
    .name = "check",
    .summary = "find every problem of a pipeline without running it",
    .description =
        "Reads the file, draws the graph, looks for inputs, opens the plugins it names and checks that they "
        "go together.\n"
        "Creates nothing. Exit status 2 when there is an error; warnings and notes do not count.\n"
        "With --site the site is asked as well, and a job that only looks around runs on one node; exit status 1 "
        "when something there is not as the pipeline needs it.",
    .examples = "  descpipe check pipeline.yaml --backend slurm --site\n"
                "  descpipe check pipeline.yaml\n  descpipe check pipeline.yaml --backend nersc --json",
    .options = options,
    .pipeline_options = pipeline_options_table,
    .positionals = pipeline_positionals,
    .values_size = sizeof(struct check_values),
    .run = run_check,
    .clear = pipeline_options_clear,
};
