/* SPDX-License-Identifier: BSD-3-Clause */
/* `descpipe verify`: is a run still what its journal says? */
#include "report/verify.h"

#include "command/command.h"
#include "command/runs/chosen_run.h"

struct verify_values {
    bool json;
};

static const struct argument_option options[] = {
    {.name = "json",
     .kind = ARGUMENT_FLAG,
     .offset = offsetof(struct verify_values, json),
     .help = "{run, same, differs, records, outputs, inputs, plugins, removed, cached}"},
    {.name = NULL},
};

static void print_json(const struct run_view *view, const struct verified *verified, const char *differs,
                       struct text *out)
{
    chosen_run_begin_json(view, out);
    text_append(out, differs == NULL ? ",\"same\":true,\"differs\":" : ",\"same\":false,\"differs\":");
    if (differs != NULL)
        text_append_json(out, differs);
    else
        text_append(out, "null");
    text_format(
        out, ",\"records\":%llu,\"outputs\":%llu,\"inputs\":%llu,\"plugins\":%llu,\"removed\":%llu,\"cached\":%llu}\n",
        (unsigned long long)verified->records, (unsigned long long)verified->outputs,
        (unsigned long long)verified->inputs, (unsigned long long)verified->plugins,
        (unsigned long long)verified->removed, (unsigned long long)verified->cached);
}

static int run_verify(struct invocation *invocation)
{
    const struct verify_values *values = invocation->values;
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(run_view_free) struct run_view *view = chosen_run(invocation, 0, &error);
    struct verified verified = {.records = 0};
    struct text *out = &invocation->output.text;
    if (view == NULL)
        return command_refuse(invocation, NULL, &error);
    bool same = verify_run(view, DESCPIPE_VERSION, &verified, &error);
    if (!same && error.kind != ERROR_DIFFERS)
        return command_refuse(invocation, NULL, &error);
    if (values->json) {
        print_json(view, &verified, same ? NULL : error.message, out);
        return same ? 0 : error_exit_status(ERROR_DIFFERS);
    }
    if (!same)
        return command_fail(&error);
    text_format(out, "run %s is what its journal says: ", chosen_run_name(view));
    text_append_count(out, verified.records, "record");
    text_append(out, ", ");
    text_append_count(out, verified.outputs, "output");
    text_append(out, ", ");
    text_append_count(out, verified.inputs, "file");
    text_append(out, " that it read, ");
    text_append_count(out, verified.plugins, "plugin");
    text_append_character(out, '\n');
    if (verified.removed > 0) {
        text_append_count(out, verified.removed, "file");
        text_append(out, " between its stages went as 'keep: final' says\n");
    }
    if (verified.cached > 0) {
        text_append_count(out, verified.cached, "task");
        text_append(out, " of it took the results of earlier runs: 'descpipe why' names them, verify those too\n");
    }
    return 0;
}

const struct command command_verify = {
    .name = "verify",
    .summary = "compare a run's files with its journal",
    .description =
        "Recomputes the journal's chain and the content of outputs, inputs, configurations and plugins, and names the\n"
        "first thing that differs. Exit status 1 when something does.",
    .examples = "  descpipe verify\n  descpipe verify 20261121-06 --json",
    .options = options,
    .positionals = chosen_run_positionals,
    .values_size = sizeof(struct verify_values),
    .run = run_verify,
};
