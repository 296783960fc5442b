/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads the site's word on plugins. Strict: what is not understood is an error, because a rule must not be lost. */
#include "plugin/policy.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/path.h"
#include "base/witness.h"
#include "config/document.h"
#include "plugin/identity.h"

#define POLICY_FILES_LIMIT 1000
static const struct document_budget policy_budget = {.bytes = 1u << 20, .depth = 8, .nodes = 100000};

static const char *const policy_keys[] = {"plugins", "allow", "user-plugins", "trusted-directories", NULL};
static const char *const plugin_keys[] = {"path", "sha256", "enabled", "reason", NULL};

struct reading {
    struct policy *policy;
    const struct document *document;
    const char *file;
    struct problems *problems;
};

static void unknown_key(const struct reading *reading, const struct node *child, const char *const *known,
                        const char *where)
{
    const char *nearest = text_nearest(node_key(child), known);
    cleanup(memory_free) char *hint = nearest ? memory_format("did you mean '%s'?", nearest) : NULL;
    problem_add(reading->problems, PROBLEM_ERROR, node_key_place(reading->document, child), hint,
                "unknown key '%s' in %s", node_key(child), where);
}

static bool expect(const struct reading *reading, const struct node *node, enum node_kind kind, const char *what)
{
    static const char *const names[] = {"", "a single value", "a list", "a mapping"};
    if (node_kind(node) == kind)
        return true;
    problem_add(reading->problems, PROBLEM_ERROR, node_place(reading->document, node), NULL, "%s must be %s", what,
                names[kind]);
    return false;
}

static bool read_absolute(const struct reading *reading, const struct node *node, const char *what, const char **path)
{
    if (!node_to_text(reading->document, node, what, path, reading->problems))
        return false;
    if ((*path)[0] == '/')
        return true;
    problem_add(reading->problems, PROBLEM_ERROR, node_place(reading->document, node), NULL,
                "%s must be an absolute path, not '%s'", what, *path);
    return false;
}

static void read_plugin_key(const struct reading *reading, const struct node *child, struct policy_plugin *plugin)
{
    const struct document *document = reading->document;
    const char *key = node_key(child), *text = NULL;
    bool enabled = true;
    if (strcmp(key, "path") == 0) {
        if (read_absolute(reading, child, "'path'", &text))
            plugin->path = path_absolute("/", text);
    } else if (strcmp(key, "sha256") == 0) {
        if (!node_to_text(document, child, "'sha256'", &text, reading->problems))
            return;
        if (digest_is_text(text))
            plugin->sha256 = memory_copy_text(text);
        else
            problem_add(reading->problems, PROBLEM_ERROR, node_place(document, child), "sha256sum FILE prints it",
                        "'sha256' must be 64 lower-case hexadecimal digits");
    } else if (strcmp(key, "enabled") == 0) {
        if (node_to_boolean(document, child, "'enabled'", &enabled, reading->problems))
            plugin->disabled = !enabled;
    } else if (strcmp(key, "reason") == 0) {
        if (node_to_text(document, child, "'reason'", &text, reading->problems))
            plugin->reason = memory_copy_text(text);
    } else {
        unknown_key(reading, child, plugin_keys, "a plugin's policy");
    }
}

static void read_plugin(const struct reading *reading, const struct node *node)
{
    struct place place = node_key_place(reading->document, node);
    const char *identity = node_key(node);
    cleanup(memory_free) char *kind = NULL;
    cleanup(memory_free) char *name = NULL;
    if (!identity_parse(identity, &kind, &name)) {
        problem_add(reading->problems, PROBLEM_ERROR, place, "for example runtime/docker or scheduler/slurm",
                    "'%s' is not the name of a plugin", identity);
        return;
    }
    const struct policy_plugin *earlier = policy_plugin_find(reading->policy, identity);
    if (earlier) {
        problem_add(reading->problems, PROBLEM_ERROR, place, NULL, "'%s' is already said in %s:%u", identity,
                    earlier->file, earlier->line);
        return;
    }
    if (!expect(reading, node, NODE_MAPPING, "a plugin's policy"))
        return;
    struct policy_plugin *plugin = list_grow(&reading->policy->plugins);
    plugin->identity = memory_copy_text(identity);
    plugin->file = memory_copy_text(reading->file);
    plugin->line = place.line;
    for (const struct node *child = node_first(node); child; child = node_next(child))
        read_plugin_key(reading, child, plugin);
}

static void read_plugins(const struct reading *reading, const struct node *node)
{
    if (!expect(reading, node, NODE_MAPPING, "'plugins'"))
        return;
    for (const struct node *child = node_first(node); child; child = node_next(child))
        read_plugin(reading, child);
}

/* "*", "runtime/ *", "scheduler/slurm": a kind or '*', then a name in which '*' may stand. */
static bool is_pattern(const char *pattern)
{
    if (strcmp(pattern, "*") == 0)
        return true;
    const char *slash = strchr(pattern, '/');
    if (!slash)
        return false;
    cleanup(memory_free) char *kind = memory_copy_bytes(pattern, (size_t)(slash - pattern));
    return (strcmp(kind, "*") == 0 || identity_is_kind(kind)) && slash[1] != '\0' &&
           slash[1 + strspn(slash + 1, "abcdefghijklmnopqrstuvwxyz0123456789-*")] == '\0';
}

static bool already_said(const struct reading *reading, const struct node *node, const char *file, uint32_t line)
{
    if (!file)
        return false;
    problem_add(reading->problems, PROBLEM_ERROR, node_key_place(reading->document, node), NULL,
                "'%s' is already said in %s:%u", node_key(node), file, line);
    return true;
}

static void read_allow(const struct reading *reading, const struct node *node)
{
    struct policy *policy = reading->policy;
    if (already_said(reading, node, policy->allow_file, policy->allow_line))
        return;
    if (!expect(reading, node, NODE_SEQUENCE, "'allow'"))
        return;
    policy->allow_file = memory_copy_text(reading->file);
    policy->allow_line = node_key_place(reading->document, node).line;
    for (const struct node *child = node_first(node); child; child = node_next(child)) {
        const char *pattern = NULL;
        if (!node_to_text(reading->document, child, "an entry of 'allow'", &pattern, reading->problems))
            continue;
        if (is_pattern(pattern))
            words_add(&policy->allow, pattern);
        else
            problem_add(reading->problems, PROBLEM_ERROR, node_place(reading->document, child),
                        "for example runtime/* or scheduler/slurm", "'%s' is not the name of a plugin", pattern);
    }
    if (node_count(node) == 0)
        problem_add(reading->problems, PROBLEM_ERROR, node_place(reading->document, node),
                    "leave the key out to allow every plugin", "'allow' is empty: nothing could be used");
}

static void read_user_plugins(const struct reading *reading, const struct node *node)
{
    struct policy *policy = reading->policy;
    if (already_said(reading, node, policy->user_plugins_file, policy->user_plugins_line))
        return;
    if (!node_to_boolean(reading->document, node, "'user-plugins'", &policy->user_plugins, reading->problems))
        return;
    policy->user_plugins_file = memory_copy_text(reading->file);
    policy->user_plugins_line = node_key_place(reading->document, node).line;
}

static void read_trusted_directories(const struct reading *reading, const struct node *node)
{
    if (!expect(reading, node, NODE_SEQUENCE, "'trusted-directories'"))
        return;
    for (const struct node *child = node_first(node); child; child = node_next(child)) {
        const char *path = NULL;
        if (!read_absolute(reading, child, "an entry of 'trusted-directories'", &path))
            continue;
        /* Real paths are judged, so a link named here stands for where it points. */
        char *real = path_real(path, NULL);
        words_take(&reading->policy->trusted_directories, real ? real : path_absolute("/", path));
    }
}

static void read_document(const struct reading *reading)
{
    const struct node *root = document_root(reading->document);
    if (!expect(reading, root, NODE_MAPPING, "the policy"))
        return;
    for (const struct node *child = node_first(root); child; child = node_next(child)) {
        const char *key = node_key(child);
        if (strcmp(key, "plugins") == 0)
            read_plugins(reading, child);
        else if (strcmp(key, "allow") == 0)
            read_allow(reading, child);
        else if (strcmp(key, "user-plugins") == 0)
            read_user_plugins(reading, child);
        else if (strcmp(key, "trusted-directories") == 0)
            read_trusted_directories(reading, child);
        else
            unknown_key(reading, child, policy_keys, "the policy");
    }
}

bool policy_parse(struct policy *policy, const char *bytes, size_t length, const char *file, struct problems *problems)
{
    size_t before = problems->errors;
    cleanup(document_free) struct document *document = document_parse(bytes, length, file, &policy_budget, problems);
    if (document)
        read_document(&(struct reading){policy, document, file, problems});
    return problems->errors == before;
}

static void read_file(struct policy *policy, const char *file, struct problems *problems)
{
    cleanup(document_free) struct document *document = document_read(file, file, &policy_budget, problems);
    if (document)
        read_document(&(struct reading){policy, document, file, problems});
}

static int compare_names(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static bool list_files(const char *folder, struct words *names, struct error *error)
{
    witness_saw(folder);
    DIR *directory = opendir(folder);
    if (!directory)
        return errno == ENOENT || error_system(error, "cannot read the plugin policy folder '%s'", folder);
    bool good = true;
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(directory);
        if (!entry) {
            if (errno != 0)
                good = error_system(error, "cannot read the plugin policy folder '%s'", folder);
            break;
        }
        if (entry->d_name[0] == '.' || !text_ends_with(entry->d_name, ".yaml"))
            continue;
        if (names->count == POLICY_FILES_LIMIT) {
            good = error_set(error, ERROR_INPUT, "the plugin policy folder '%s' has more than %d files", folder,
                             POLICY_FILES_LIMIT);
            break;
        }
        words_add(names, entry->d_name);
    }
    closedir(directory);
    return good;
}

struct policy *policy_new(void)
{
    struct policy *policy = memory_allocate(sizeof(*policy));
    policy->user_plugins = true;
    return policy;
}

struct policy *policy_read(const char *folder, struct problems *problems)
{
    size_t before = problems->errors;
    cleanup(words_clear) struct words names = {0};
    cleanup(error_clear) struct error error = ERROR_INIT;
    if (!list_files(folder, &names, &error)) {
        problem_from_error(problems, &error);
        return NULL;
    }
    if (names.count > 0)
        qsort(names.items, names.count, sizeof(names.items[0]), compare_names);
    cleanup(policy_free) struct policy *policy = policy_new();
    for (size_t i = 0; i < names.count; i++) {
        cleanup(memory_free) char *path = path_join(folder, names.items[i]);
        read_file(policy, path, problems);
    }
    return problems->errors == before ? steal(&policy) : NULL;
}

bool policy_allows(const struct policy *policy, const char *identity)
{
    if (policy->allow.count == 0)
        return true;
    for (size_t i = 0; i < policy->allow.count; i++) {
        if (strcmp(policy->allow.items[i], "*") == 0 ||
            fnmatch(policy->allow.items[i], identity, FNM_PATHNAME | FNM_NOESCAPE) == 0)
            return true;
    }
    return false;
}

const struct policy_plugin *policy_plugin_find(const struct policy *policy, const char *identity)
{
    for (size_t i = 0; i < policy->plugins.count; i++) {
        if (strcmp(policy->plugins.items[i].identity, identity) == 0)
            return &policy->plugins.items[i];
    }
    return NULL;
}

void policy_free(struct policy *policy)
{
    if (!policy)
        return;
    for (size_t i = 0; i < policy->plugins.count; i++) {
        struct policy_plugin *plugin = &policy->plugins.items[i];
        memory_free(plugin->identity);
        memory_free(plugin->path);
        memory_free(plugin->sha256);
        memory_free(plugin->reason);
        memory_free(plugin->file);
    }
    list_clear(&policy->plugins);
    words_clear(&policy->allow);
    memory_free(policy->allow_file);
    memory_free(policy->user_plugins_file);
    words_clear(&policy->trusted_directories);
    memory_free(policy);
}
