/* SPDX-License-Identifier: BSD-3-Clause */
/* `descpipe config`: the configuration around every pipeline, and who said it. */
#include <jansson.h>

#include "command/installation.h"
#include "report/grid.h"

struct config_values {
    bool origin, json;
};

static const struct argument_option options[] = {
    {.name = "origin",
     .kind = ARGUMENT_FLAG,
     .offset = offsetof(struct config_values, origin),
     .help = "where each value came from: layer, file, line"},
    {.name = "json",
     .kind = ARGUMENT_FLAG,
     .offset = offsetof(struct config_values, json),
     .help = "{\"values\": [{key, value, layer, file, line, column}]}"},
    {.name = NULL},
};

static void add_row(struct grid *grid, const json_t *value, bool origin)
{
    const char *file = json_string_value(json_object_get(value, "file"));
    json_int_t line = json_integer_value(json_object_get(value, "line"));
    cleanup(text_clear) struct text place = TEXT_INIT;
    if (origin && file != NULL) {
        text_append(&place, file);
        if (line > 0)
            text_format(&place, ":%lld", (long long)line);
    }
    const char *key = json_string_value(json_object_get(value, "key"));
    const char *text = json_string_value(json_object_get(value, "value"));
    const char *layer = json_string_value(json_object_get(value, "layer"));
    grid_add(grid, key != NULL ? key : "", "\x1b[1m");
    grid_add(grid, text != NULL ? text : "", "");
    grid_add(grid, origin && layer != NULL ? layer : "", "");
    grid_add(grid, text_bytes(&place), "\x1b[2m");
}

static bool print_table(const char *json, const struct config_values *values, struct invocation *invocation)
{
    static const struct grid_column columns[] = {{.title = "key", .flexible = true},
                                                 {.title = "value", .flexible = true},
                                                 {.title = "from"},
                                                 {.title = "place", .flexible = true}};
    json_t *read = json_loads(json, 0, NULL);
    if (read == NULL)
        return false;
    cleanup(grid_free) struct grid *grid = grid_new(columns, sizeof columns / sizeof columns[0]);
    const json_t *list = json_object_get(read, "values");
    for (size_t i = 0; i < json_array_size(list); i++)
        add_row(grid, json_array_get(list, i), values->origin);
    grid_print(grid, invocation->terminal.width, invocation->terminal.color, &invocation->output.text);
    json_decref(read);
    return true;
}

static int run_config(struct invocation *invocation)
{
    const struct config_values *values = invocation->values;
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(problems_clear) struct problems problems = {0};
    cleanup(installation_clear) struct installation installation = {0};
    struct config_search search = {0};
    installation_search(&installation, &search);
    bool read = installation_read_layers(&installation, &search, &problems);
    if (!read)
        return command_refuse(invocation, &problems, NULL);
    int status = command_print_problems(&problems, invocation->globals.quiet);
    cleanup(text_clear) struct text json = TEXT_INIT;
    config_layers_print(installation.layers, true, &json);
    if (values->json) {
        text_append_bytes(&invocation->output.text, json.bytes, json.length);
        return status;
    }
    if (print_table(text_bytes(&json), values, invocation))
        return status;
    error_set(&error, ERROR_BUG, "the configuration was printed as something that is not JSON");
    return command_fail(&error);
}

const struct command command_config = {
    .name = "config",
    .summary = "the configuration around every pipeline",
    .description = "Layers, later wins: built-in defaults, site (/etc/descpipe/*.yaml), user\n"
                   "($XDG_CONFIG_HOME/descpipe/config.yaml), pipeline, environment (DESCPIPE_*), command line.",
    .examples = "  descpipe config --origin\n  descpipe config --json",
    .options = options,
    .values_size = sizeof(struct config_values),
    .run = run_config,
};
