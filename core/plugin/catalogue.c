/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Looks for plugins by file name in the order of precedence.
 *
 * How it works: every place is read once, in order; an entry whose identity was met before is shadowed. A place that
 * the site does not allow (user-plugins: false) is an error when it was asked for, and is left out with a note in
 * `refused` when it is only there (the home folder). A folder that cannot be read ends the search only when it was
 * asked for by --plugin-dir: elsewhere it is one place less, said once.
 */
#include "plugin/catalogue.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/path.h"
#include "base/witness.h"
#include "base/program.h"
#include "base/text.h"
#include "plugin/identity.h"

#define CATALOGUE_FILES_LIMIT 4096 /* plugins of one folder */
#define CATALOGUE_FOLDERS_LIMIT 256

struct plugin_catalogue {
    const struct policy *policy;
    LIST(struct plugin_entry *) entries;
    struct words places; /* where was looked, for messages */
};

const char *plugin_source_name(enum plugin_source source)
{
    switch (source) {
    case PLUGIN_FROM_SITE:
        return "site policy";
    case PLUGIN_FROM_OPTION:
        return "--plugin-dir";
    case PLUGIN_FROM_ENVIRONMENT:
        return "DESCPIPE_PLUGIN_PATH";
    case PLUGIN_FROM_USER:
        return "user";
    case PLUGIN_FROM_SYSTEM:
        return "system";
    }
    return "unknown";
}

static void add_entry(struct plugin_catalogue *catalogue, enum plugin_source source, char *kind, char *name, char *path)
{
    struct plugin_entry *entry = memory_allocate(sizeof(*entry));
    *entry = (struct plugin_entry){.kind = kind, .name = name, .path = path, .source = source};
    cleanup(memory_free) char *identity = memory_format("%s/%s", kind, name);
    entry->policy = policy_plugin_find(catalogue->policy, identity);
    entry->refused = source == PLUGIN_FROM_USER && !catalogue->policy->user_plugins;
    for (size_t i = 0; i < catalogue->entries.count && !entry->shadowed; i++) {
        const struct plugin_entry *earlier = catalogue->entries.items[i];
        entry->shadowed = !earlier->refused && strcmp(earlier->kind, kind) == 0 && strcmp(earlier->name, name) == 0;
    }
    list_add(&catalogue->entries, entry);
}

static void add_pins(struct plugin_catalogue *catalogue)
{
    for (size_t i = 0; i < catalogue->policy->plugins.count; i++) {
        const struct policy_plugin *plugin = &catalogue->policy->plugins.items[i];
        char *kind = NULL, *name = NULL;
        if (plugin->path && identity_parse(plugin->identity, &kind, &name))
            add_entry(catalogue, PLUGIN_FROM_SITE, kind, name, memory_copy_text(plugin->path));
    }
}

static bool folder_known(const struct plugin_catalogue *catalogue, const char *folder)
{
    for (size_t i = 0; i < catalogue->places.count; i++) {
        if (strcmp(catalogue->places.items[i], folder) == 0)
            return true;
    }
    return false;
}

/* With errno: `folder` cannot be opened or read to its end. */
static bool cannot_look(enum plugin_source source, const char *folder, struct error *error)
{
    if (source == PLUGIN_FROM_OPTION)
        return error_system(error, "cannot look for plugins in '%s' (%s)", folder, plugin_source_name(source));
    log_warning("cannot look for plugins in '%s' (%s): %s", folder, plugin_source_name(source), strerror(errno));
    return true;
}

static bool add_files(struct plugin_catalogue *catalogue, enum plugin_source source, const char *folder, DIR *directory,
                      struct error *error)
{
    for (size_t count = 0; count <= CATALOGUE_FILES_LIMIT;) {
        errno = 0;
        const struct dirent *file = readdir(directory);
        if (!file)
            return errno == 0 || cannot_look(source, folder, error);
        char *kind = NULL, *name = NULL;
        if (!identity_from_file(file->d_name, &kind, &name))
            continue;
        add_entry(catalogue, source, kind, name, path_join(folder, file->d_name));
        count++;
    }
    return error_set(error, ERROR_INPUT, "'%s' has more than %d plugins", folder, CATALOGUE_FILES_LIMIT);
}

static bool add_folder(struct plugin_catalogue *catalogue, enum plugin_source source, const char *folder,
                       struct error *error)
{
    if (folder_known(catalogue, folder))
        return true;
    if (catalogue->places.count == CATALOGUE_FOLDERS_LIMIT)
        return error_set(error, ERROR_INPUT, "more than %d plugin folders", CATALOGUE_FOLDERS_LIMIT);
    words_add(&catalogue->places, folder);
    witness_saw(folder);
    DIR *directory = opendir(folder);
    if (!directory && (errno == ENOENT || errno == ENOTDIR) && source != PLUGIN_FROM_OPTION)
        return true;
    if (!directory)
        return cannot_look(source, folder, error);
    bool good = add_files(catalogue, source, folder, directory, error);
    closedir(directory);
    return good;
}

static bool refuse_asked(const struct plugin_catalogue *catalogue, const char *what, struct error *error)
{
    const struct policy *policy = catalogue->policy;
    error_set(error, ERROR_PLUGIN, "%s: this site does not allow plugins of users (%s:%u)", what,
              policy->user_plugins_file, policy->user_plugins_line);
    return error_hint(error, "leave it out, or ask the site to install the plugin");
}

static bool add_options(struct plugin_catalogue *catalogue, const char *const *folders, struct error *error)
{
    for (size_t i = 0; folders && folders[i]; i++) {
        if (!catalogue->policy->user_plugins)
            return refuse_asked(catalogue, "--plugin-dir", error);
        cleanup(memory_free) char *folder = path_absolute("/", folders[i]);
        if (!add_folder(catalogue, PLUGIN_FROM_OPTION, folder, error))
            return false;
    }
    return true;
}

static bool add_environment(struct plugin_catalogue *catalogue, const char *list, struct error *error)
{
    if (!list || list[0] == '\0')
        return true;
    if (!catalogue->policy->user_plugins)
        return refuse_asked(catalogue, "DESCPIPE_PLUGIN_PATH", error);
    for (const char *at = list;;) {
        const char *end = strchrnul(at, ':');
        cleanup(memory_free) char *folder = memory_copy_bytes(at, (size_t)(end - at));
        if (folder[0] != '/' && folder[0] != '\0')
            return error_set(error, ERROR_INPUT, "DESCPIPE_PLUGIN_PATH: '%s' is not an absolute path", folder);
        cleanup(memory_free) char *clean = folder[0] ? path_absolute("/", folder) : NULL;
        if (clean && !add_folder(catalogue, PLUGIN_FROM_ENVIRONMENT, clean, error))
            return false;
        if (*end == '\0')
            return true;
        at = end + 1;
    }
}

static int compare_entries(const void *left, const void *right)
{
    const struct plugin_entry *a = *(const struct plugin_entry *const *)left;
    const struct plugin_entry *b = *(const struct plugin_entry *const *)right;
    int order = strcmp(a->kind, b->kind);
    order = order ? order : strcmp(a->name, b->name);
    return order ? order : (a->order > b->order) - (a->order < b->order);
}

struct plugin_catalogue *plugin_catalogue_new(const struct plugin_search *search, const struct policy *policy,
                                              struct error *error)
{
    cleanup(plugin_catalogue_free) struct plugin_catalogue *catalogue = memory_allocate(sizeof(*catalogue));
    catalogue->policy = policy;
    add_pins(catalogue);
    if (!add_options(catalogue, search->plugin_dirs, error) || !add_environment(catalogue, search->environment, error))
        return NULL;
    if (search->home && search->home[0] == '/') {
        cleanup(memory_free) char *folder = path_join(search->home, ".local/lib/descpipe/abi-1");
        if (!add_folder(catalogue, PLUGIN_FROM_USER, folder, error))
            return NULL;
    }
    cleanup(memory_free) char *own_folder = program_file("plugins-built", DESCPIPE_PLUGINS_FROM_PROGRAM);
    const char *system_folder = search->system_folder ? search->system_folder : own_folder;
    if (!add_folder(catalogue, PLUGIN_FROM_SYSTEM, system_folder, error))
        return NULL;
    for (size_t i = 0; i < catalogue->entries.count; i++)
        catalogue->entries.items[i]->order = (uint32_t)i;
    if (catalogue->entries.count > 0)
        qsort(catalogue->entries.items, catalogue->entries.count, sizeof(catalogue->entries.items[0]), compare_entries);
    return steal(&catalogue);
}

void plugin_catalogue_free(struct plugin_catalogue *catalogue)
{
    if (!catalogue)
        return;
    for (size_t i = 0; i < catalogue->entries.count; i++) {
        struct plugin_entry *entry = catalogue->entries.items[i];
        memory_free(entry->kind);
        memory_free(entry->name);
        memory_free(entry->path);
        memory_free(entry);
    }
    list_clear(&catalogue->entries);
    words_clear(&catalogue->places);
    memory_free(catalogue);
}

const struct plugin_entry *const *plugin_catalogue_entries(const struct plugin_catalogue *catalogue, size_t *count)
{
    *count = catalogue->entries.count;
    return (const struct plugin_entry *const *)catalogue->entries.items;
}

const struct policy *plugin_catalogue_policy(const struct plugin_catalogue *catalogue)
{
    return catalogue->policy;
}

static void say_not_found(const struct plugin_catalogue *catalogue, const char *kind, const char *name,
                          struct error *error)
{
    cleanup(words_clear) struct words names = {0};
    const struct plugin_entry *refused = NULL;
    for (size_t i = 0; i < catalogue->entries.count; i++) {
        const struct plugin_entry *entry = catalogue->entries.items[i];
        if (strcmp(entry->kind, kind) != 0)
            continue;
        if (!entry->refused && !entry->shadowed)
            words_add(&names, entry->name);
        if (entry->refused && strcmp(entry->name, name) == 0)
            refused = entry;
    }
    if (refused) {
        error_set(error, ERROR_PLUGIN, "'%s' is not used: this site does not allow plugins of users (%s:%u)",
                  refused->path, catalogue->policy->user_plugins_file, catalogue->policy->user_plugins_line);
        error_hint(error, "ask the site to install %s/%s", kind, name);
        return;
    }
    cleanup(text_clear) struct text places = TEXT_INIT;
    for (size_t i = 0; i < catalogue->places.count; i++)
        text_format(&places, "%s'%s'", i ? ", " : "", catalogue->places.items[i]);
    error_set(error, ERROR_PLUGIN, "there is no plugin %s/%s: looked for '%s-%s.so' in %s", kind, name, kind, name,
              text_bytes(&places));
    const char *nearest = text_nearest(name, words_list(&names));
    if (!identity_is_kind(kind))
        error_hint(error, "the kinds of plugins are scheduler, runtime and registry");
    else if (nearest)
        error_hint(error, "did you mean '%s'?", nearest);
    else if (names.count == 0)
        error_hint(error, "there is no %s at all here: is descpipe installed completely?", kind);
    else
        error_hint(error, "'descpipe plugins list' shows what is here");
}

static bool site_allows(const struct plugin_catalogue *catalogue, const struct plugin_entry *entry, struct error *error)
{
    const struct policy *policy = catalogue->policy;
    const struct policy_plugin *word = entry->policy;
    if (word && word->disabled) {
        error_set(error, ERROR_PLUGIN, "'%s' is not used: this site has disabled %s/%s%s%s (%s:%u)", entry->path,
                  entry->kind, entry->name, word->reason ? ": " : "", word->reason ? word->reason : "", word->file,
                  word->line);
        return error_hint(error, "name another %s", entry->kind);
    }
    cleanup(memory_free) char *identity = memory_format("%s/%s", entry->kind, entry->name);
    if (!policy_allows(policy, identity)) {
        error_set(error, ERROR_PLUGIN, "'%s' is not used: %s is not on this site's allow list (%s:%u)", entry->path,
                  identity, policy->allow_file, policy->allow_line);
        return error_hint(error, "name another %s, or ask the site", entry->kind);
    }
    return true;
}

const struct plugin_entry *plugin_catalogue_find(const struct plugin_catalogue *catalogue, const char *kind,
                                                 const char *name, struct error *error)
{
    for (size_t i = 0; i < catalogue->entries.count; i++) {
        const struct plugin_entry *entry = catalogue->entries.items[i];
        if (!entry->shadowed && !entry->refused && strcmp(entry->kind, kind) == 0 && strcmp(entry->name, name) == 0)
            return site_allows(catalogue, entry, error) ? entry : NULL;
    }
    say_not_found(catalogue, kind, name, error);
    return NULL;
}
