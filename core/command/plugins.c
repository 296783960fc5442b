/* SPDX-License-Identifier: BSD-3-Clause */
/* `descpipe plugins`: what there is (nothing loaded), what one can do, whether a file is a good plugin. */
#include <string.h>

#include "base/path.h"
#include "command/child.h"
#include "command/installation.h"
#include "plugin/conformance.h"
#include "report/grid.h"

struct list_values {
    bool all, json;
};

static const struct argument_option list_options[] = {
    {.name = "all",
     .letter = 'a',
     .kind = ARGUMENT_FLAG,
     .offset = offsetof(struct list_values, all),
     .help = "also those that another one of the same name hides"},
    {.name = "json", .kind = ARGUMENT_FLAG, .offset = offsetof(struct list_values, json), .help = "a JSON array"},
    {.name = NULL},
};

static const char *entry_state(const struct plugin_entry *entry)
{
    if (entry->policy != NULL && entry->policy->disabled)
        return "disabled by the site";
    if (entry->refused)
        return "not allowed by the site";
    return entry->shadowed ? "hidden" : "";
}

static void print_json(const struct plugin_entry *const *entries, size_t count, bool all, struct text *out)
{
    bool first = true;
    text_append(out, "[");
    for (size_t i = 0; i < count; i++) {
        const struct plugin_entry *entry = entries[i];
        if (entry->shadowed && !all)
            continue;
        text_append(out, first ? "\n{\"kind\":" : ",\n{\"kind\":");
        first = false;
        text_append_json(out, entry->kind);
        text_append(out, ",\"name\":");
        text_append_json(out, entry->name);
        /* The version stands inside the file, and listing loads nothing: `plugins show` knows it. */
        text_append(out, ",\"version\":null,\"path\":");
        text_append_json(out, entry->path);
        text_append(out, ",\"source\":");
        text_append_json(out, plugin_source_name(entry->source));
        text_format(out, ",\"shadowed\":%s,\"usable\":%s", entry->shadowed ? "true" : "false",
                    entry_state(entry)[0] == '\0' ? "true" : "false");
        text_append(out, ",\"reason\":");
        if (entry->policy != NULL && entry->policy->disabled && entry->policy->reason != NULL)
            text_append_json(out, entry->policy->reason);
        else
            text_append(out, "null");
        text_append(out, "}");
    }
    text_append(out, first ? "]\n" : "\n]\n");
}

static void print_table(const struct plugin_entry *const *entries, size_t count, bool all,
                        const struct terminal *terminal, struct text *out)
{
    static const struct grid_column columns[] = {{.title = "kind"},
                                                 {.title = "name", .flexible = true},
                                                 {.title = "from"},
                                                 {.title = "path", .flexible = true},
                                                 {.title = "state", .flexible = true}};
    cleanup(grid_free) struct grid *grid = grid_new(columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < count; i++) {
        const struct plugin_entry *entry = entries[i];
        if (entry->shadowed && !all)
            continue;
        cleanup(text_clear) struct text state = TEXT_INIT;
        text_append(&state, entry_state(entry));
        if (entry->policy != NULL && entry->policy->disabled && entry->policy->reason != NULL)
            text_format(&state, ": %s", entry->policy->reason);
        grid_add(grid, entry->kind, "");
        grid_add(grid, entry->name, "\x1b[1m");
        grid_add(grid, plugin_source_name(entry->source), "");
        grid_add(grid, entry->path, "\x1b[2m");
        grid_add(grid, text_bytes(&state), "\x1b[33m");
    }
    grid_print(grid, terminal->width, terminal->color, out);
}

static int run_list(struct invocation *invocation)
{
    const struct list_values *values = invocation->values;
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(installation_clear) struct installation installation = {0};
    if (!installation_open(&installation, invocation, &error))
        return command_refuse(invocation, NULL, &error);
    size_t count;
    const struct plugin_entry *const *entries = plugin_catalogue_entries(installation.catalogue, &count);
    struct text *out = &invocation->output.text;
    if (values->json)
        print_json(entries, count, values->all, out);
    else if (count > 0)
        print_table(entries, count, values->all, &invocation->terminal, out);
    else
        text_append(out, "no plugins found; --plugin-dir DIR names a folder that has some\n");
    return 0;
}

struct show_values {
    bool json;
};

static const struct argument_option show_options[] = {
    {.name = "json", .kind = ARGUMENT_FLAG, .offset = offsetof(struct show_values, json), .help = "one JSON object"},
    {.name = NULL},
};

static const struct argument_positional show_positionals[] = {
    {.name = "KIND/NAME", .completion = COMPLETE_FILE, .help = "for example scheduler/slurm; or the file of a plugin"},
    {.name = NULL},
};

static const struct argument_positional check_positionals[] = {
    {.name = "FILE",
     .completion = COMPLETE_FILE,
     .help = "the plugin's shared object, or KIND/NAME of an installed one"},
    {.name = NULL},
};

/* A file, else an installed plugin. Owned; NULL with the error. */
static char *plugin_path(const struct installation *installation, const char *word, struct error *error)
{
    if (text_ends_with(word, ".so")) {
        char *path = path_real(word, error);
        if (path == NULL && error != NULL)
            error->kind = ERROR_INPUT; /* a word that names nothing */
        return path;
    }
    const char *slash = strchr(word, '/');
    if (slash == NULL || slash == word || slash[1] == '\0' || strchr(slash + 1, '/') != NULL) {
        error_set(error, ERROR_INPUT, "'%s' names no plugin", word);
        error_hint(error, "KIND/NAME, as 'descpipe plugins list' shows them, or a file KIND-NAME.so");
        return NULL;
    }
    cleanup(memory_free) char *kind = memory_copy_bytes(word, (size_t)(slash - word));
    const struct plugin_entry *entry = plugin_catalogue_find(installation->catalogue, kind, slash + 1, error);
    return entry != NULL ? memory_copy_text(entry->path) : NULL;
}

static int run_show(struct invocation *invocation)
{
    const struct show_values *values = invocation->values;
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(installation_clear) struct installation installation = {0};
    if (!installation_open(&installation, invocation, &error))
        return command_refuse(invocation, NULL, &error);
    cleanup(memory_free) char *path = plugin_path(&installation, command_word(invocation, 0), &error);
    installation.loop = path != NULL ? loop_new(&error) : NULL;
    if (installation.loop == NULL ||
        !child_show_plugin(installation.loop, path, values->json, &invocation->output.text, &error))
        return command_refuse(invocation, NULL, &error);
    return 0;
}

static int run_check(struct invocation *invocation)
{
    const struct show_values *values = invocation->values;
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(installation_clear) struct installation installation = {0};
    if (!installation_open(&installation, invocation, &error))
        return command_refuse(invocation, NULL, &error);
    cleanup(memory_free) char *path = plugin_path(&installation, command_word(invocation, 0), &error);
    installation.loop = path != NULL ? loop_new(&error) : NULL;
    if (installation.loop == NULL)
        return command_refuse(invocation, NULL, &error);
    bool ran = false;
    const struct conformance_request request = {.loop = installation.loop, .path = path, .json = values->json};
    if (conformance_check(&request, &invocation->output.text, &ran, &error))
        return 0;
    return ran ? error_exit_status(ERROR_PLUGIN) : command_refuse(invocation, NULL, &error);
}

static const struct command subcommands[] = {
    {.name = "list",
     .summary = "the plugins of this installation; loads none of them",
     .examples = "  descpipe plugins list\n  descpipe plugins list --all --json",
     .options = list_options,
     .values_size = sizeof(struct list_values),
     .run = run_list},
    {.name = "show",
     .summary = "what a plugin says about itself, with its options",
     .description = "The plugin is loaded in a process of its own.",
     .examples = "  descpipe plugins show scheduler/local\n  descpipe plugins show ./runtime-mine.so --json",
     .options = show_options,
     .positionals = show_positionals,
     .values_size = sizeof(struct show_values),
     .run = run_show},
    {.name = "check",
     .summary = "whether a plugin keeps the rules of the interface",
     .description =
         "Loads the plugin in a process of its own with a host that only pretends, tries every operation, failure and\n"
         "cancellation, and prints a page that can be shown to others. Exit status 3 when it breaks a rule.",
     .examples = "  descpipe plugins check ./runtime-mine.so",
     .options = show_options,
     .positionals = check_positionals,
     .values_size = sizeof(struct show_values),
     .run = run_check},
    {.name = NULL},
};

const struct command command_plugins = {
    .name = "plugins",
    .summary = "list plugins, show what one can do, check one",
    .subcommands = subcommands,
};
