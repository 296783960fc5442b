/* SPDX-License-Identifier: BSD-3-Clause */
/* Opening a run's plugins again, by what its journal says of them. */
#include "command/runs/run_plugins.h"

#include <stdlib.h>
#include <string.h>

#include "run/journal/journal.h"

void run_plugins_clear(struct run_plugins *plugins)
{
    json_decref(plugins->run);
    plugins->run = NULL;
    installation_clear(&plugins->installation);
}

static json_t *read_run(const char *folder)
{
    cleanup(journal_reader_close) struct journal_reader *reader = journal_reader_open(folder, NULL);
    struct journal_record record;
    while (reader != NULL && journal_reader_next(reader, &record))
        if (strcmp(record.kind, "run") == 0)
            return json_loadb(record.line, record.length, 0, NULL);
    return NULL;
}

bool run_plugins_open(struct run_plugins *plugins, const struct invocation *invocation, const char *run_folder,
                      struct error *error)
{
    cleanup(problems_clear) struct problems problems = {0};
    struct config_search search = {0};
    plugins->run = read_run(run_folder);
    if (plugins->run == NULL)
        return true;
    if (!installation_open(&plugins->installation, invocation, error) ||
        !installation_open_host(&plugins->installation, error))
        return false;
    installation_search(&plugins->installation, &search);
    if (installation_read_layers(&plugins->installation, &search, &problems))
        return true;
    cleanup(text_clear) struct text text = TEXT_INIT;
    problems_print(&problems, &text);
    return error_set(error, ERROR_INPUT, "the configuration cannot be read: %s", text_bytes(&text));
}

const char *run_plugins_next(const struct run_plugins *plugins, const char *kind, size_t *index)
{
    const json_t *all = json_object_get(plugins->run, "plugins");
    while (*index < json_array_size(all)) {
        const json_t *plugin = json_array_get(all, (*index)++);
        const char *name = json_string_value(json_object_get(plugin, "name"));
        if (name != NULL && text_equal(json_string_value(json_object_get(plugin, "kind")), kind))
            return name;
    }
    return NULL;
}

/* What the run was told, as text that an option takes: JSON is a way to write YAML's lists. */
static void apply_recorded(struct settings *settings, json_t *options, struct problems *problems)
{
    const char *key;
    json_t *value;
    json_object_foreach(options, key, value)
    {
        char *written = json_is_string(value) ? memory_copy_text(json_string_value(value))
                                              : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
        if (written != NULL && settings_has(settings, key))
            settings_set_text(settings, key, written, (struct place){0}, LAYER_COMMAND, problems);
        if (json_is_string(value))
            memory_free(written);
        else
            free(written);
    }
}

struct plugin_instance *run_plugins_open_one(struct run_plugins *plugins, const char *kind, const char *name,
                                             bool first, struct error *error)
{
    struct installation *installation = &plugins->installation;
    cleanup(problems_clear) struct problems problems = {0};
    const struct descpipe_plugin *descriptor = plugin_descriptor(installation->host, kind, name, error);
    if (descriptor == NULL)
        return NULL;
    cleanup(memory_free) char *owner = memory_format("%s/%s", kind, name);
    struct settings *settings = settings_new(descriptor->options, owner);
    config_layers_apply_before(installation->layers, kind, name, settings, &problems);
    config_layers_apply_after(installation->layers, kind, name, settings, &problems);
    if (first)
        apply_recorded(settings, json_object_get(json_object_get(plugins->run, "options"), kind), &problems);
    settings_finish(settings, (struct place){0}, "/", &problems);
    plugin_host_keep(installation->host, settings);
    return plugin_open(installation->host, kind, name, settings, error);
}
