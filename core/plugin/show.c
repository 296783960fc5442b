/* SPDX-License-Identifier: BSD-3-Clause */
/* Prints what a plugin says about itself. */
#include "plugin/show.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/path.h"
#include "plugin/host.h"
#include "plugin/identity.h"

struct bit {
    uint32_t bit;
    const char *name;
};

static const struct bit runtime_bits[] = {{DESCPIPE_RUNTIME_GPUS, "gpus"},
                                          {DESCPIPE_RUNTIME_LIMITS, "limits"},
                                          {DESCPIPE_RUNTIME_NO_NETWORK, "no-network"},
                                          {DESCPIPE_RUNTIME_SINGLE_FILES, "single-files"},
                                          {DESCPIPE_RUNTIME_READ_ONLY, "read-only"},
                                          {DESCPIPE_RUNTIME_CALLER_UID, "caller-uid"},
                                          {DESCPIPE_RUNTIME_PINS_DIGEST, "pins-digest"},
                                          {DESCPIPE_RUNTIME_RANKS_OUTSIDE, "ranks-outside"},
                                          {DESCPIPE_RUNTIME_ISOLATES_PATHS, "isolates-paths"},
                                          {DESCPIPE_RUNTIME_SIGNALS, "signals"},
                                          {0, NULL}};
static const struct bit source_bits[] = {{DESCPIPE_SOURCE_REGISTRY, "registry"},
                                         {DESCPIPE_SOURCE_DOCKER_ARCHIVE, "docker-archive"},
                                         {DESCPIPE_SOURCE_OCI_ARCHIVE, "oci-archive"},
                                         {DESCPIPE_SOURCE_OCI_LAYOUT, "oci"},
                                         {DESCPIPE_SOURCE_ROOTFS, "rootfs"},
                                         {DESCPIPE_SOURCE_SIF, "sif"},
                                         {DESCPIPE_SOURCE_NONE, "none"},
                                         {0, NULL}};
static const struct bit registry_bits[] = {
    {DESCPIPE_REGISTRY_CREATES, "creates"}, {DESCPIPE_REGISTRY_EXPIRES, "expires"}, {0, NULL}};
static const struct bit scheduler_bits[] = {{DESCPIPE_SCHEDULER_HOST_STARTS, "host-starts"},
                                            {DESCPIPE_SCHEDULER_OUTLIVES, "outlives"},
                                            {DESCPIPE_SCHEDULER_ARRAYS, "arrays"},
                                            {DESCPIPE_SCHEDULER_GRAPH, "graph"},
                                            {DESCPIPE_SCHEDULER_MPI, "mpi"},
                                            {DESCPIPE_SCHEDULER_GPUS, "gpus"},
                                            {DESCPIPE_SCHEDULER_RETRIES, "retries"},
                                            {DESCPIPE_SCHEDULER_SHARED_FILES, "shared-files"},
                                            {DESCPIPE_SCHEDULER_WHOLE, "whole"},
                                            {DESCPIPE_SCHEDULER_SIGNALS, "signals"},
                                            {0, NULL}};
static const struct bit form_bits[] = {
    {DESCPIPE_FORM_POD, "POD"}, {DESCPIPE_FORM_MANAGED, "MANAGED"}, {DESCPIPE_FORM_COMMAND, "COMMAND"}, {0, NULL}};

static void add_bits(struct words *words, const struct bit *bits, uint32_t value)
{
    for (; bits->name; bits++) {
        if (value & bits->bit)
            words_add(words, bits->name);
    }
}

struct table_facts { /* what the operations table says, by words */
    struct words capabilities, sources, forms, optional;
};

static void table_facts_clear(struct table_facts *facts)
{
    words_clear(&facts->capabilities);
    words_clear(&facts->sources);
    words_clear(&facts->forms);
    words_clear(&facts->optional);
}

static inline void table_facts_clear_at(struct table_facts *place)
{
    table_facts_clear(place);
}

static void add_if(struct words *words, bool present, const char *name)
{
    if (present)
        words_add(words, name);
}

static void read_runtime(const struct descpipe_runtime *table, struct table_facts *facts)
{
    add_bits(&facts->capabilities, runtime_bits, table->capabilities);
    add_bits(&facts->sources, source_bits, table->sources);
    add_if(&facts->optional, table->start != NULL, "managed");
    add_if(&facts->optional, table->shell != NULL, "shell");
    add_if(&facts->optional, table->exec != NULL, "exec");
    add_if(&facts->optional, table->commit != NULL, "commit");
    add_if(&facts->optional, table->changes != NULL, "changes");
    add_if(&facts->optional, table->copy_out != NULL, "copy_out");
}

static void read_registry(const struct descpipe_registry *table, struct table_facts *facts)
{
    add_bits(&facts->capabilities, registry_bits, table->capabilities);
    add_if(&facts->optional, table->ensure_repository != NULL, "ensure_repository");
    add_if(&facts->optional, table->list_tags != NULL, "list_tags");
}

static void read_scheduler(const struct descpipe_scheduler *table, struct table_facts *facts)
{
    add_bits(&facts->capabilities, scheduler_bits, table->capabilities);
    for (size_t i = 0; table->forms[i]; i++) /* in the plugin's own order: best first */
        add_bits(&facts->forms, form_bits, table->forms[i]);
    add_if(&facts->optional, table->paths != NULL, "paths");
    add_if(&facts->optional, table->logs != NULL, "logs");
    add_if(&facts->optional, table->queue_estimate != NULL, "queue_estimate");
    add_if(&facts->optional, table->render != NULL, "render");
    add_if(&facts->optional, table->shell != NULL, "shell");
    add_if(&facts->optional, table->apart != NULL, "apart");
    add_if(&facts->optional, table->accepts != NULL, "accepts");
}

static void read_table(const struct descpipe_plugin *plugin, struct table_facts *facts)
{
    if (strcmp(plugin->kind, "runtime") == 0)
        read_runtime(plugin->operations, facts);
    else if (strcmp(plugin->kind, "registry") == 0)
        read_registry(plugin->operations, facts);
    else
        read_scheduler(plugin->operations, facts);
}

const char *option_type_name(uint32_t type)
{
    static const char *const names[] = {"unknown", "text",   "integer", "boolean", "duration", "bytes",
                                        "path",    "choice", "list",    "map",     "secret"};
    return names[type < sizeof(names) / sizeof(names[0]) ? type : 0];
}

static void print_words(struct text *out, const char *label, const struct words *words)
{
    if (words->count == 0)
        return;
    text_format(out, "%-13s", label);
    for (size_t i = 0; i < words->count; i++)
        text_format(out, "%s%s", i ? ", " : "", words->items[i]);
    text_append(out, "\n");
}

static void print_line(struct text *out, const char *label, const char *value)
{
    if (!value || value[0] == '\0')
        return;
    text_format(out, "%-13s", label);
    text_append_printable(out, value, 1000);
    text_append(out, "\n");
}

static void print_bound(struct text *out, const struct descpipe_option *option, int64_t value)
{
    if (option->type == DESCPIPE_OPTION_DURATION)
        clock_append_length(out, value);
    else if (option->type == DESCPIPE_OPTION_BYTES && value >= 0)
        bytes_append(out, (uint64_t)value);
    else
        text_append_signed(out, value);
}

static void print_option(struct text *out, const struct descpipe_option *option)
{
    text_format(out, "  %s: %s", option->key, option_type_name(option->type));
    for (size_t i = 0; option->choices && option->choices[i]; i++)
        text_format(out, "%s%s", i ? " | " : " ", option->choices[i]);
    if (option->flags & DESCPIPE_OPTION_RANGED) {
        text_append(out, ", from ");
        print_bound(out, option, option->minimum);
        text_append(out, " to ");
        print_bound(out, option, option->maximum);
    }
    if (option->default_value)
        text_format(out, ", default '%s'", option->default_value);
    if (option->flags & DESCPIPE_OPTION_REQUIRED)
        text_append(out, ", required");
    if (option->flags & DESCPIPE_OPTION_PER_STAGE)
        text_append(out, ", also per stage");
    if (option->flags & DESCPIPE_OPTION_DEPRECATED)
        text_format(out, ", deprecated%s%s", option->replaced_by ? ": use " : "",
                    option->replaced_by ? option->replaced_by : "");
    text_append(out, "\n      ");
    text_append_printable(out, option->help, 1000);
    text_append(out, "\n");
}

void plugin_page_print(const struct plugin_page *page, struct text *out)
{
    const struct descpipe_plugin *plugin = page->plugin;
    cleanup(table_facts_clear) struct table_facts facts = {0};
    read_table(plugin, &facts);
    text_format(out, "%s/%s %s\n", plugin->kind, plugin->name, plugin->version);
    text_append_printable(out, plugin->summary, 1000);
    text_append(out, "\n\n");
    print_line(out, "author", plugin->author);
    print_line(out, "licence", plugin->licence);
    print_line(out, "url", plugin->url);
    print_line(out, "path", page->path);
    print_line(out, "sha256", page->sha256);
    text_format(out, "%-13s%u.%u, needs %u.%u\n", "interface", plugin->abi_major, plugin->abi_minor, plugin->abi_major,
                plugin->abi_major == 0 ? plugin->abi_minor : plugin->needs_minor);
    print_words(out, "capabilities", &facts.capabilities);
    print_words(out, "forms", &facts.forms);
    print_words(out, "images", &facts.sources);
    print_words(out, "also", &facts.optional);
    text_append(out, plugin->options && plugin->options[0] ? "\noptions:\n" : "\nno options\n");
    for (size_t i = 0; plugin->options && plugin->options[i]; i++)
        print_option(out, plugin->options[i]);
}

static void json_member(struct text *out, const char *name, const char *value)
{
    text_format(out, ", \"%s\": ", name);
    if (value)
        text_append_json(out, value);
    else
        text_append(out, "null");
}

static void json_words(struct text *out, const char *name, const char *const *words)
{
    text_format(out, ", \"%s\": [", name);
    for (size_t i = 0; words && words[i]; i++) {
        text_append(out, i ? ", " : "");
        text_append_json(out, words[i]);
    }
    text_append(out, "]");
}

static void json_option(struct text *out, const struct descpipe_option *option)
{
    text_append(out, "{\"key\": ");
    text_append_json(out, option->key);
    json_member(out, "type", option_type_name(option->type));
    json_member(out, "default", option->default_value);
    json_member(out, "help", option->help);
    if (option->choices)
        json_words(out, "choices", option->choices);
    if (option->flags & DESCPIPE_OPTION_RANGED)
        text_format(out, ", \"minimum\": %" PRId64 ", \"maximum\": %" PRId64, option->minimum, option->maximum);
    text_format(out, ", \"required\": %s, \"per_stage\": %s, \"deprecated\": %s",
                option->flags & DESCPIPE_OPTION_REQUIRED ? "true" : "false",
                option->flags & DESCPIPE_OPTION_PER_STAGE ? "true" : "false",
                option->flags & DESCPIPE_OPTION_DEPRECATED ? "true" : "false");
    if (option->replaced_by)
        json_member(out, "replaced_by", option->replaced_by);
    text_append(out, "}");
}

void plugin_page_print_json(const struct plugin_page *page, struct text *out)
{
    const struct descpipe_plugin *plugin = page->plugin;
    cleanup(table_facts_clear) struct table_facts facts = {0};
    read_table(plugin, &facts);
    text_append(out, "{\"kind\": ");
    text_append_json(out, plugin->kind);
    json_member(out, "name", plugin->name);
    json_member(out, "version", plugin->version);
    json_member(out, "summary", plugin->summary);
    json_member(out, "author", plugin->author);
    json_member(out, "licence", plugin->licence);
    json_member(out, "url", plugin->url);
    json_member(out, "path", page->path);
    json_member(out, "sha256", page->sha256);
    text_format(out, ", \"interface\": {\"major\": %u, \"minor\": %u, \"needs_minor\": %u}", plugin->abi_major,
                plugin->abi_minor, plugin->needs_minor);
    json_words(out, "capabilities", words_list(&facts.capabilities));
    json_words(out, "forms", words_list(&facts.forms));
    json_words(out, "sources", words_list(&facts.sources));
    json_words(out, "operations", words_list(&facts.optional));
    text_append(out, ", \"options\": [");
    for (size_t i = 0; plugin->options && plugin->options[i]; i++) {
        text_append(out, i ? ", " : "");
        json_option(out, plugin->options[i]);
    }
    text_append(out, "]}");
}

bool plugin_show_print(struct plugin_host *host, const char *path, bool json, struct text *out, struct error *error)
{
    cleanup(memory_free) char *kind = NULL;
    cleanup(memory_free) char *name = NULL;
    if (!identity_from_file(path_name(path), &kind, &name)) {
        error_set(error, ERROR_INPUT, "'%s' is not named like a plugin", path);
        return error_hint(error, "the name must be KIND-NAME.so, KIND being registry, runtime or scheduler");
    }
    cleanup(memory_free) char *identity = memory_format("%s/%s", kind, name);
    const struct policy *policy = plugin_catalogue_policy(host->catalogue);
    const struct module *module =
        host_module_of_file(host,
                            &(struct module_request){.kind = kind,
                                                     .name = name,
                                                     .path = path,
                                                     .policy = policy_plugin_find(policy, identity),
                                                     .trust = &host->trust},
                            error);
    if (!module)
        return false;
    struct plugin_page page = {module->descriptor, module->path, module->sha256};
    if (json) {
        plugin_page_print_json(&page, out);
        text_append(out, "\n");
    } else {
        plugin_page_print(&page, out);
    }
    return true;
}
