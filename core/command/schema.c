/* SPDX-License-Identifier: BSD-3-Clause */
/* `descpipe schema`: JSON Schema of a pipeline file, with the options of this installation's plugins. */
#include <jansson.h>
#include <string.h>

#include "base/log.h"
#include "command/installation.h"
#include "pipeline/schema.h"
#include "plugin/show.h"

/* Two plugins of a kind may both have a key: either meaning is then fine for an editor. */
static void add_option(json_t *properties, const char *plugin, const char *key, json_t *option)
{
    const char *said = json_string_value(json_object_get(option, "description"));
    cleanup(memory_free) char *help = memory_format("%s: %s", plugin, said != NULL ? said : "");
    json_object_set_new(option, "description", json_string(help));
    json_t *there = json_object_get(properties, key);
    if (there == NULL) {
        json_object_set(properties, key, option);
        return;
    }
    json_t *either = json_object_get(there, "anyOf");
    if (either == NULL) {
        json_t *both = json_pack("{s:[O]}", "anyOf", there);
        json_object_set_new(properties, key, both);
        either = json_object_get(both, "anyOf");
    }
    json_array_append(either, option);
}

static void add_plugin(json_t *schema, const struct plugin_entry *entry, const struct descpipe_plugin *descriptor)
{
    cleanup(memory_free) char *name = memory_format("%s-options", entry->kind);
    json_t *definition = json_object_get(json_object_get(schema, "$defs"), name);
    if (definition == NULL)
        return;
    json_t *properties = json_object_get(definition, "properties");
    if (properties == NULL) {
        properties = json_object();
        json_object_set_new(definition, "properties", properties);
    }
    cleanup(text_clear) struct text text = TEXT_INIT;
    options_print_schema(descriptor->options, &text);
    json_t *options = json_loadb(text.bytes, text.length, 0, NULL);
    const char *key;
    json_t *option;
    json_object_foreach(json_object_get(options, "properties"), key, option)
        add_option(properties, entry->name, key, option);
    json_decref(options);
}

static int run_schema(struct invocation *invocation)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(installation_clear) struct installation installation = {0};
    cleanup(text_clear) struct text text = TEXT_INIT;
    if (!installation_open(&installation, invocation, &error) || !installation_open_host(&installation, &error))
        return command_fail(&error);
    pipeline_print_schema(&text);
    json_error_t fault;
    json_t *schema = json_loadb(text.bytes, text.length, 0, &fault);
    if (schema == NULL) {
        error_set(&error, ERROR_BUG, "the built-in schema is not JSON: %s", fault.text);
        return command_fail(&error);
    }
    size_t count;
    const struct plugin_entry *const *entries = plugin_catalogue_entries(installation.catalogue, &count);
    for (size_t i = 0; i < count; i++) {
        if (entries[i]->shadowed || entries[i]->refused || (entries[i]->policy != NULL && entries[i]->policy->disabled))
            continue;
        cleanup(error_clear) struct error reason = ERROR_INIT;
        const struct descpipe_plugin *descriptor =
            plugin_descriptor(installation.host, entries[i]->kind, entries[i]->name, &reason);
        if (descriptor != NULL)
            add_plugin(schema, entries[i], descriptor);
        else
            log_warning("the options of %s/%s are not in the schema: %s", entries[i]->kind, entries[i]->name,
                        reason.message);
    }
    char *printed = json_dumps(schema, JSON_INDENT(2));
    json_decref(schema);
    if (printed == NULL)
        memory_exhausted();
    text_format(&invocation->output.text, "%s\n", printed);
    memory_free(printed);
    return 0;
}

const struct command command_schema = {
    .name = "schema",
    .summary = "JSON Schema of a pipeline file, for editors",
    .description = "Holds the options of the plugins that are installed here.",
    .examples = "  descpipe schema > pipeline.schema.json",
    .run = run_schema,
};
