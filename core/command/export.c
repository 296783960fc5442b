/* SPDX-License-Identifier: BSD-3-Clause */
/* `descpipe export`: the plan in another system's words. */
#include "base/file.h"
#include "command/planning.h"
#include "export/graph.h"

#include <ctype.h>
#include <string.h>

#define NAME_LIMIT 63

struct export_values {
    struct pipeline_options pipeline;
    const char *format, *file, *name;
    bool unpinned;
};

static const char *const formats[] = {"argo", NULL};

static const struct argument_option options[] = {
    {.name = "format",
     .kind = ARGUMENT_CHOICE,
     .value = "FORMAT",
     .choices = formats,
     .offset = offsetof(struct export_values, format),
     .help = "whose words: argo, a Workflow for 'kubectl create -f' or 'argo submit'"},
    {.name = "output-file",
     .kind = ARGUMENT_TEXT,
     .value = "PATH",
     .completion = COMPLETE_FILE,
     .offset = offsetof(struct export_values, file),
     .help = "write it there instead of to standard output"},
    {.name = "name",
     .kind = ARGUMENT_TEXT,
     .value = "NAME",
     .offset = offsetof(struct export_values, name),
     .help = "what the other system shall call it; else the pipeline's name"},
    {.name = "unpinned",
     .kind = ARGUMENT_FLAG,
     .offset = offsetof(struct export_values, unpinned),
     .help = "leave images as the pipeline names them, and ask no registry"},
    {.name = NULL},
};

/* Lower case, digits and '-': what every system takes. */
static char *legal_name(const char *name)
{
    char *legal = memory_copy_text(name);
    size_t length = 0;
    for (const char *c = name; *c != '\0' && length < NAME_LIMIT; c++) {
        if (isalnum((unsigned char)*c))
            legal[length++] = (char)tolower((unsigned char)*c);
        else if (length > 0)
            legal[length++] = '-';
    }
    while (length > 0 && legal[length - 1] == '-')
        length--;
    legal[length] = '\0';
    return legal;
}

static bool check_format(const struct export_values *values, struct error *error)
{
    if (values->format != NULL)
        return true;
    error_set(error, ERROR_INPUT, "--format is missing");
    return error_hint(error, "for example: --format argo");
}

static bool check_plan(const struct plan *plan, struct error *error)
{
    if (plan->backends_count == 1 && text_equal(plan->backends[0].scheduler_name, "argo"))
        return true;
    error_set(error, ERROR_INPUT, "the pipeline is planned for the scheduler '%s'", plan->backends[0].scheduler_name);
    return error_hint(error, "name a backend with the scheduler argo: --backend NAME");
}

static int run_export(struct invocation *invocation)
{
    const struct export_values *values = invocation->values;
    cleanup(planning_clear) struct planning planning = {0};
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(text_clear) struct text text = TEXT_INIT;
    if (!check_format(values, &error))
        return command_fail(&error);
    if (!planning_build(&planning, invocation, &values->pipeline, command_word(invocation, 0),
                        values->unpinned ? PLAN_COMBINATION : PLAN_WHOLE))
        return command_refuse(invocation, &planning.problems, &planning.error);
    command_print_problems(&planning.problems, invocation->globals.quiet);
    const char *said = values->name != NULL ? values->name : pipeline_text(planning.pipeline, planning.pipeline->name);
    cleanup(memory_free) char *name = legal_name(said[0] != '\0' ? said : "pipeline");
    if (name[0] == '\0') {
        error_set(&error, ERROR_INPUT, "the name '%s' has no letter or digit", said);
        return command_fail(&error);
    }
    if (!check_plan(planning.plan, &error) || !export_graph(planning.plan, name, &text, &error))
        return command_fail(&error);
    text_append_character(&text, '\n');
    if (values->file == NULL) {
        text_append(&invocation->output.text, text_bytes(&text));
        return 0;
    }
    return file_write(values->file, text_bytes(&text), text.length, 0644, &error) ? 0 : command_fail(&error);
}

const struct command command_export = {
    .name = "export",
    .summary = "the plan in another system's words",
    .description =
        "Writes what the backend's scheduler would be sent if the whole graph went at once. Nothing is submitted. What "
        "cannot be said in the other system's words is refused with its line.",
    .examples = "  descpipe export pipeline.yaml --backend cloud --format argo --output-file workflow.json",
    .options = options,
    .pipeline_options = pipeline_options_table,
    .positionals = pipeline_positionals,
    .values_size = sizeof(struct export_values),
    .run = run_export,
    .clear = pipeline_options_clear,
};
