/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading the files, variables and arguments that make up the layers. */
#include "config/layers_read.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "base/file.h"
#include "base/path.h"
#include "base/witness.h"

enum { SITE_FILES_LIMIT = 1000 };

static const struct document_budget file_budget = {.bytes = 4u << 20, .depth = 16, .nodes = 200000};

static const char *const kinds[] = {"scheduler", "runtime", "registry", NULL};
static const char *const file_keys[] = {
    "default-backend", "backends", "options", "runtime-order", "working",      "output", "secrets",
    "mirrors",         "on-exit",  "lock",    "site",          "shared-cache", NULL};
static const char option_prefix[] = "DESCPIPE_OPTION_";

struct reading {
    struct config_layers *layers;
    struct problems *problems;
    const struct document *document;
    const char *path;
    enum layer layer;
};

bool layers_kind_is_known(const char *kind, size_t length)
{
    for (size_t i = 0; kinds[i] != NULL; i++)
        if (strlen(kinds[i]) == length && memcmp(kinds[i], kind, length) == 0)
            return true;
    return false;
}

static const char *keep_text(struct config_layers *layers, char *owned)
{
    list_add(&layers->texts, owned);
    return owned;
}

/* Adds "did you mean" to a problem about a word that is none of `known`. */
static void refuse_word(const struct reading *reading, struct place place, const char *word, const char *const *known,
                        const char *message)
{
    cleanup(text_clear) struct text hint = TEXT_INIT;
    const char *nearest = text_nearest(word, known);
    if (nearest != NULL)
        text_format(&hint, "did you mean '%s'?", nearest);
    for (size_t i = 0; nearest == NULL && known[i] != NULL; i++)
        text_format(&hint, "%s%s", i == 0 ? "known: " : ", ", known[i]);
    problem_add(reading->problems, PROBLEM_ERROR, place, text_bytes(&hint), "%s '%.100s'", message, word);
}

/* A value that the site keeps for itself; the site's own files may still say it. */
static bool is_locked(const struct reading *reading, const char *key, struct place place)
{
    struct place by;
    if (reading->layer <= LAYER_SITE || !config_layers_locked(reading->layers, key, &by))
        return false;
    problem_add(reading->problems, PROBLEM_ERROR, place, "remove it here, or ask who keeps that file",
                "'%s' is locked by %s:%u:%u", key, by.file, by.line, by.column);
    return true;
}

static void add_value(const struct reading *reading, const char *key, const char *text, struct place place)
{
    if (is_locked(reading, key, place))
        return;
    struct layer_value value = {.key = key, .text = text, .layer = reading->layer, .place = place};
    list_add(&reading->layers->values, value);
}

static void read_text_value(const struct reading *reading, const char *key, const char *shown, const struct node *node)
{
    const char *text;
    if (node_to_text(reading->document, node, shown, &text, reading->problems))
        add_value(reading, key, text, node_place(reading->document, node));
}

/* A folder in a file counts from the file's own folder. */
static void read_folder(const struct reading *reading, const char *key, const char *shown, const struct node *node)
{
    const char *text;
    if (!node_to_text(reading->document, node, shown, &text, reading->problems))
        return;
    cleanup(memory_free) char *folder = path_folder(reading->path);
    if (folder[0] != '/' && text[0] != '/') {
        problem_add(reading->problems, PROBLEM_ERROR, node_place(reading->document, node), NULL,
                    "%s must be an absolute path", shown);
        return;
    }
    add_value(reading, key, keep_text(reading->layers, path_absolute(folder[0] == '/' ? folder : "/", text)),
              node_place(reading->document, node));
}

static bool wants_mapping(const struct reading *reading, const struct node *node, const char *what)
{
    if (node_kind(node) == NODE_MAPPING)
        return true;
    cleanup(text_clear) struct text shown = TEXT_INIT;
    if (!node_is_null(node) && !node_is_broken(node))
        problem_add(reading->problems, PROBLEM_ERROR, node_place(reading->document, node), NULL,
                    "%s must be a mapping, not %s", what, node_describe(node, &shown));
    return false;
}

static bool wants_list(const struct reading *reading, const struct node *node, const char *what)
{
    if (node_kind(node) == NODE_SEQUENCE)
        return true;
    cleanup(text_clear) struct text shown = TEXT_INIT;
    if (!node_is_null(node) && !node_is_broken(node))
        problem_add(reading->problems, PROBLEM_ERROR, node_place(reading->document, node), NULL,
                    "%s must be a list, not %s", what, node_describe(node, &shown));
    return false;
}

static void read_backends(const struct reading *reading, const struct node *node)
{
    if (!wants_mapping(reading, node, "'backends'"))
        return;
    for (const struct node *child = node_first(node); child != NULL; child = node_next(child)) {
        struct place place = node_key_place(reading->document, child);
        cleanup(memory_free) char *lock = memory_format("backends.%s", node_key(child));
        if (is_locked(reading, lock, place))
            continue;
        struct layer_backend added = {.layer = reading->layer};
        backend_read(&added.backend, node_key(child), place, reading->document, child, document_file(reading->document),
                     reading->problems);
        list_add(&reading->layers->backends, added);
    }
}

static void read_plugin_options(const struct reading *reading, const char *kind, const struct node *plugin)
{
    const char *name = node_key(plugin);
    cleanup(text_clear) struct text what = TEXT_INIT;
    text_format(&what, "the options of %s/%.100s", kind, name);
    if (!plugin_name_is_valid(name)) {
        problem_add(reading->problems, PROBLEM_ERROR, node_key_place(reading->document, plugin),
                    "write options: {scheduler: {slurm: {qos: debug}}}", "'%.100s' is not a plugin's name", name);
        return;
    }
    if (!wants_mapping(reading, plugin, text_bytes(&what)))
        return;
    for (const struct node *child = node_first(plugin); child != NULL; child = node_next(child)) {
        struct layer_option option = {.kind = kind,
                                      .plugin = name,
                                      .key = node_key(child),
                                      .node = child,
                                      .document = reading->document,
                                      .layer = reading->layer,
                                      .place = node_key_place(reading->document, child)};
        list_add(&reading->layers->options, option);
    }
}

static void read_options(const struct reading *reading, const struct node *node)
{
    if (!wants_mapping(reading, node, "'options'"))
        return;
    for (const struct node *kind = node_first(node); kind != NULL; kind = node_next(kind)) {
        if (!layers_kind_is_known(node_key(kind), strlen(node_key(kind)))) {
            refuse_word(reading, node_key_place(reading->document, kind), node_key(kind), kinds,
                        "'options' has no kind of plugin");
            continue;
        }
        cleanup(text_clear) struct text what = TEXT_INIT;
        text_format(&what, "'%s' in 'options'", node_key(kind));
        if (!wants_mapping(reading, kind, text_bytes(&what)))
            continue;
        for (const struct node *plugin = node_first(kind); plugin != NULL; plugin = node_next(plugin))
            read_plugin_options(reading, node_key(kind), plugin);
    }
}

static void read_runtime_order(const struct reading *reading, struct place key_place, const struct node *node)
{
    if (!wants_list(reading, node, "'runtime-order'") || is_locked(reading, "runtime-order", key_place))
        return;
    struct words names = {0};
    for (const struct node *child = node_first(node); child != NULL; child = node_next(child)) {
        const char *name;
        if (!node_to_text(reading->document, child, "an entry of 'runtime-order'", &name, reading->problems))
            continue;
        struct place place = node_place(reading->document, child);
        if (strcmp(name, "host") == 0 || strcmp(name, "auto") == 0)
            problem_add(reading->problems, PROBLEM_ERROR, place,
                        strcmp(name, "host") == 0 ? "a stage runs without a container only when asked for by name"
                                                  : NULL,
                        "'%s' cannot stand in 'runtime-order'", name);
        else if (!plugin_name_is_valid(name))
            problem_add(reading->problems, PROBLEM_ERROR, place, NULL, "'%.100s' is not a plugin's name", name);
        else
            words_add(&names, name);
    }
    words_clear(&reading->layers->runtime_order.names);
    reading->layers->runtime_order.names = names;
    reading->layers->runtime_order.layer = reading->layer;
    reading->layers->runtime_order.place = key_place;
}

static const char secret_hint[] = "write {env: VARIABLE}, {file: PATH} or {command: [TOOL, ARGUMENT]}";

static void read_secret_command(const struct reading *reading, struct layer_secret *secret, const struct node *node)
{
    if (!wants_list(reading, node, "'command' of a secret"))
        return;
    for (const struct node *child = node_first(node); child != NULL; child = node_next(child)) {
        const char *word;
        if (node_to_text(reading->document, child, "a word of 'command'", &word, reading->problems))
            words_add(&secret->argv, word);
    }
    if (secret->argv.count > 0)
        secret->from = SECRET_FROM_COMMAND;
    else
        problem_add(reading->problems, PROBLEM_ERROR, node_place(reading->document, node), NULL,
                    "'command' of a secret must name a tool");
}

/* Fills the source; `from` stays 0 when it is none. What is there instead may be the secret: it is not shown. */
static void read_secret_source(const struct reading *reading, struct layer_secret *secret, const struct node *node)
{
    const struct node *source = node_kind(node) == NODE_MAPPING && node_count(node) == 1 ? node_first(node) : NULL;
    const char *key = source != NULL ? node_key(source) : "";
    const char *text;
    if (strcmp(key, "command") == 0) {
        read_secret_command(reading, secret, source);
    } else if (strcmp(key, "env") == 0) {
        if (!node_to_text(reading->document, source, "'env' of a secret", &text, reading->problems))
            return;
        secret->text = text;
        secret->from = SECRET_FROM_ENVIRONMENT;
    } else if (strcmp(key, "file") == 0) {
        if (!node_to_text(reading->document, source, "'file' of a secret", &text, reading->problems))
            return;
        cleanup(memory_free) char *folder = path_folder(reading->path);
        secret->text = secret->owned = path_absolute(folder[0] == '/' ? folder : "/", text);
        secret->from = SECRET_FROM_FILE;
    } else if (!node_is_broken(node)) {
        problem_add(reading->problems, PROBLEM_ERROR, node_place(reading->document, node), secret_hint,
                    "the secret '%.100s' must say where its value is, never the value itself", secret->name);
    }
}

static void read_secrets(const struct reading *reading, struct place key_place, const struct node *node)
{
    if (!wants_mapping(reading, node, "'secrets'") || is_locked(reading, "secrets", key_place))
        return;
    for (const struct node *child = node_first(node); child != NULL; child = node_next(child)) {
        struct layer_secret secret = {
            .name = node_key(child), .layer = reading->layer, .place = node_key_place(reading->document, child)};
        read_secret_source(reading, &secret, child);
        if (secret.from != 0) {
            list_add(&reading->layers->secrets, secret);
        } else {
            memory_free(secret.owned);
            words_clear(&secret.argv);
        }
    }
}

/* HOST[:PORT][/PATH], as it stands before the rest of a reference. */
static bool is_image_prefix(const char *text)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789.-_:/[]";
    size_t length = strlen(text), host = strcspn(text, "/");
    bool named = memchr(text, '.', host) != NULL || memchr(text, ':', host) != NULL ||
                 (host == 9 && memcmp(text, "localhost", 9) == 0);
    return named && length <= 512 && strspn(text, letters) == length && text[length - 1] != '/' &&
           strstr(text, "//") == NULL && strchr(text + host, ':') == NULL;
}

static void read_mirrors(const struct reading *reading, struct place key_place, const struct node *node)
{
    static const char hint[] = "write mirrors: {docker.io: registry.site.org/hub}";
    if (!wants_mapping(reading, node, "'mirrors'") || is_locked(reading, "mirrors", key_place))
        return;
    for (const struct node *child = node_first(node); child != NULL; child = node_next(child)) {
        struct layer_mirror mirror = {
            .from = node_key(child), .layer = reading->layer, .place = node_key_place(reading->document, child)};
        if (!node_to_text(reading->document, child, "a mirror", &mirror.to, reading->problems))
            continue;
        if (!is_image_prefix(mirror.from))
            problem_add(reading->problems, PROBLEM_ERROR, mirror.place, hint,
                        "'%.200s' is not the host of a registry, with or without a path", mirror.from);
        else if (!is_image_prefix(mirror.to))
            problem_add(reading->problems, PROBLEM_ERROR, node_place(reading->document, child), hint,
                        "'%.200s' cannot be a mirror: it is not the host of a registry, with or without a path",
                        mirror.to);
        else
            list_add(&reading->layers->mirrors, mirror);
    }
}

/* kind.plugin.option, backends.NAME, or one of the plain values. */
static bool lock_is_known(const char *key)
{
    const char *dot = strchr(key, '.');
    if (dot == NULL) {
        const char *const *values = layers_value_keys();
        size_t i = 0;
        while (values[i] != NULL && strcmp(values[i], key) != 0)
            i++;
        return values[i] != NULL || strcmp(key, "runtime-order") == 0 || strcmp(key, "secrets") == 0 ||
               strcmp(key, "mirrors") == 0 || strcmp(key, "on-exit") == 0;
    }
    if (strncmp(key, "backends.", 9) == 0)
        return key[9] != '\0';
    const char *second = strchr(dot + 1, '.');
    return layers_kind_is_known(key, (size_t)(dot - key)) && second != NULL && second > dot + 1 && second[1] != '\0';
}

static void read_locks(const struct reading *reading, struct place key_place, const struct node *node)
{
    if (reading->layer != LAYER_SITE) {
        problem_add(reading->problems, PROBLEM_ERROR, key_place, NULL, "only the site's files can lock");
        return;
    }
    if (!wants_list(reading, node, "'lock'"))
        return;
    for (const struct node *child = node_first(node); child != NULL; child = node_next(child)) {
        const char *key;
        if (!node_to_text(reading->document, child, "an entry of 'lock'", &key, reading->problems))
            continue;
        struct layer_lock lock = {.key = key, .place = node_place(reading->document, child)};
        if (lock_is_known(key))
            list_add(&reading->layers->locks, lock);
        else
            problem_add(reading->problems, PROBLEM_ERROR, lock.place,
                        "write KIND.PLUGIN.OPTION, backends.NAME, backend, scheduler, runtime, registry, working, "
                        "output, jobs, site, shared-cache, "
                        "runtime-order, secrets, mirrors or on-exit",
                        "'%.100s' cannot be locked", key);
    }
}

static void read_on_exit(const struct reading *reading, struct place key_place, const struct node *node)
{
    struct config_layers *layers = reading->layers;
    if (!is_locked(reading, "on-exit", key_place))
        on_exit_read(reading->document, node, key_place,
                     reading->layer == LAYER_SITE ? &layers->site_on_exit : &layers->user_on_exit, reading->problems);
}

static void read_file_key(const struct reading *reading, const struct node *child)
{
    const char *key = node_key(child);
    struct place place = node_key_place(reading->document, child);
    if (strcmp(key, "default-backend") == 0)
        read_text_value(reading, "backend", "'default-backend'", child);
    else if (strcmp(key, "site") == 0)
        read_text_value(reading, "site", "'site'", child);
    else if (strcmp(key, "shared-cache") == 0)
        read_text_value(reading, "shared-cache", "'shared-cache'", child);
    else if (strcmp(key, "backends") == 0)
        read_backends(reading, child);
    else if (strcmp(key, "options") == 0)
        read_options(reading, child);
    else if (strcmp(key, "runtime-order") == 0)
        read_runtime_order(reading, place, child);
    else if (strcmp(key, "working") == 0)
        read_folder(reading, "working", "'working'", child);
    else if (strcmp(key, "output") == 0)
        read_folder(reading, "output", "'output'", child);
    else if (strcmp(key, "secrets") == 0)
        read_secrets(reading, place, child);
    else if (strcmp(key, "mirrors") == 0)
        read_mirrors(reading, place, child);
    else if (strcmp(key, "on-exit") == 0)
        read_on_exit(reading, place, child);
    else if (strcmp(key, "lock") == 0)
        read_locks(reading, place, child);
    else
        refuse_word(reading, place, key, file_keys, "a configuration file has no key");
}

static void read_file(struct config_layers *layers, const char *path, enum layer layer, struct problems *problems)
{
    struct document *document = document_read(path, path, &file_budget, problems);
    if (document == NULL)
        return;
    list_add(&layers->documents, document);
    struct reading reading = {
        .layers = layers, .problems = problems, .document = document, .path = path, .layer = layer};
    for (const struct node *child = node_first(document_root(document)); child != NULL; child = node_next(child))
        read_file_key(&reading, child);
}

static int is_site_file(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && text_ends_with(entry->d_name, ".yaml");
}

static int by_bytes(const struct dirent **left, const struct dirent **right)
{
    return strcmp((*left)->d_name, (*right)->d_name);
}

static void read_site(struct config_layers *layers, const char *folder, struct problems *problems)
{
    struct dirent **names = NULL;
    witness_saw(folder);
    int count = scandir(folder, &names, is_site_file, by_bytes);
    if (count < 0) {
        if (errno != ENOENT && errno != ENOTDIR)
            problem_add(problems, PROBLEM_ERROR, (struct place){.file = folder}, NULL,
                        "cannot read the folder '%s': %s", folder, strerror(errno));
        return;
    }
    if (count > SITE_FILES_LIMIT)
        problem_add(problems, PROBLEM_ERROR, (struct place){.file = folder}, NULL,
                    "the folder holds more than %d files", SITE_FILES_LIMIT);
    for (int i = 0; i < count; i++) {
        if (count <= SITE_FILES_LIMIT) {
            char *path = path_join(folder, names[i]->d_name);
            read_file(layers, keep_text(layers, path), LAYER_SITE, problems);
        }
        free(names[i]);
    }
    free(names);
}

/* "SCHEDULER_NODE_SELECTOR" behind the prefix: kind scheduler, option node-selector. */
static void read_option_variable(const struct reading *reading, const char *name, const char *value)
{
    char *lower = memory_copy_text(name + sizeof option_prefix - 1);
    keep_text(reading->layers, lower);
    for (char *c = lower; *c != '\0'; c++)
        *c = *c == '_' ? '-' : (char)tolower((unsigned char)*c);
    struct place place = {.file = name};
    char *dash = strchr(lower, '-');
    if (dash == NULL || dash[1] == '\0' || !layers_kind_is_known(lower, (size_t)(dash - lower))) {
        problem_add(reading->problems, PROBLEM_ERROR, place,
                    "write DESCPIPE_OPTION_SCHEDULER_QOS for the scheduler's option 'qos'",
                    "the variable names no option of a scheduler, runtime or registry");
        return;
    }
    *dash = '\0';
    struct layer_option option = {
        .kind = lower, .key = dash + 1, .text = value, .layer = LAYER_ENVIRONMENT, .place = place};
    list_add(&reading->layers->options, option);
}

/* Said, not refused: it may be some other program's. */
static void note_unknown_variable(const struct reading *reading, const char *name, const char *rest)
{
    cleanup(memory_free) char *word = memory_copy_text(rest);
    for (char *c = word; *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    const char *nearest = text_nearest(word, layers_value_keys());
    cleanup(text_clear) struct text hint = TEXT_INIT;
    for (const char *c = nearest != NULL ? nearest : ""; *c != '\0'; c++)
        text_append_character(&hint, (char)toupper((unsigned char)*c));
    cleanup(memory_free) char *question =
        nearest != NULL ? memory_format("did you mean DESCPIPE_%s?", text_bytes(&hint)) : NULL;
    problem_add(reading->problems, PROBLEM_NOTE, (struct place){0}, question,
                "the environment variable '%s' means nothing to descpipe", name);
}

static void read_variable(const struct reading *reading, const char *name, const char *value)
{
    static const char prefix[] = "DESCPIPE_";
    const char *const *keys = layers_value_keys();
    const char *rest = name + sizeof prefix - 1;
    for (size_t i = 0; keys[i] != NULL; i++)
        if (strcasecmp(keys[i], rest) == 0) {
            if (value[0] != '\0')
                add_value(reading, keys[i], value, (struct place){.file = name});
            return;
        }
    if (text_starts_with(name, option_prefix))
        read_option_variable(reading, name, value);
    else if (strcmp(rest, "PLUGIN_PATH") != 0 && !text_starts_with(rest, "PILOT")) /* a job's, for resume */
        note_unknown_variable(reading, name, rest);
}

static void read_environment(struct config_layers *layers, const char *const *environment, struct problems *problems)
{
    struct reading reading = {.layers = layers, .problems = problems, .layer = LAYER_ENVIRONMENT};
    for (size_t i = 0; environment != NULL && environment[i] != NULL; i++) {
        const char *equals = strchr(environment[i], '=');
        if (equals == NULL || !text_starts_with(environment[i], "DESCPIPE_"))
            continue;
        char *name = memory_copy_bytes(environment[i], (size_t)(equals - environment[i]));
        keep_text(layers, name);
        read_variable(&reading, name, keep_text(layers, memory_copy_text(equals + 1)));
    }
}

/* kind.key=value or kind/plugin.key=value */
static void read_argument(const struct reading *reading, const char *argument)
{
    char *copy = memory_copy_text(argument);
    keep_text(reading->layers, copy);
    char *equals = strchr(copy, '=');
    char *dot = equals != NULL ? memchr(copy, '.', (size_t)(equals - copy)) : NULL;
    size_t named = equals != NULL ? (size_t)(equals - copy) : strlen(copy);
    struct place place = {.file = keep_text(reading->layers, memory_format("-o %.*s", (int)named, copy))};
    if (dot == NULL || dot + 1 == equals) {
        problem_add(reading->problems, PROBLEM_ERROR, place, "write -o scheduler.qos=debug",
                    "an option is KIND.KEY=VALUE");
        return;
    }
    *equals = *dot = '\0';
    char *slash = strchr(copy, '/');
    if (slash != NULL)
        *slash = '\0';
    if (!layers_kind_is_known(copy, strlen(copy)) || (slash != NULL && !plugin_name_is_valid(slash + 1))) {
        problem_add(reading->problems, PROBLEM_ERROR, place,
                    "write -o scheduler.qos=debug or -o scheduler/slurm.qos=debug",
                    "an option belongs to a scheduler, runtime or registry");
        return;
    }
    struct layer_option option = {.kind = copy,
                                  .plugin = slash != NULL ? slash + 1 : NULL,
                                  .key = dot + 1,
                                  .text = equals + 1,
                                  .layer = LAYER_COMMAND,
                                  .place = place};
    list_add(&reading->layers->options, option);
}

static void read_command(struct config_layers *layers, const struct config_search *search, struct problems *problems)
{
    struct reading reading = {.layers = layers, .problems = problems, .layer = LAYER_COMMAND};
    const struct {
        const char *key, *value, *shown;
    } said[] = {{"backend", search->backend, "--backend"}, {"scheduler", search->scheduler, "--scheduler"},
                {"runtime", search->runtime, "--runtime"}, {"registry", search->registry, "--registry"},
                {"working", search->working, "--working"}, {"output", search->output, "--output"},
                {"jobs", search->jobs, "--jobs"}};
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++)
        if (said[i].value != NULL)
            add_value(&reading, said[i].key, keep_text(layers, memory_copy_text(said[i].value)),
                      (struct place){.file = said[i].shown});
    for (size_t i = 0; search->options != NULL && search->options[i] != NULL; i++)
        read_argument(&reading, search->options[i]);
}

/* The plain values that only name something are checked here; what they name is the caller's to find. */
static void check_values(const struct config_layers *layers, struct problems *problems)
{
    for (size_t i = 0; i < layers->values.count; i++) {
        const struct layer_value *value = &layers->values.items[i];
        bool names_plugin = layers_kind_is_known(value->key, strlen(value->key));
        uint64_t jobs;
        if (names_plugin && !plugin_name_is_valid(value->text))
            problem_add(problems, PROBLEM_ERROR, value->place, "a plugin's name has lower-case letters, digits and '-'",
                        "'%.100s' is not a plugin's name", value->text);
        if (strcmp(value->key, "jobs") == 0 && (!text_to_unsigned(value->text, &jobs) || jobs < 1 || jobs > 1000000))
            problem_add(problems, PROBLEM_ERROR, value->place, NULL,
                        "the number of jobs must be a whole number from 1 to 1000000, not '%.60s'", value->text);
    }
}

struct config_layers *config_layers_read(const struct config_search *search, struct problems *problems)
{
    size_t errors_before = problems->errors;
    cleanup(config_layers_free) struct config_layers *layers = memory_allocate(sizeof *layers);
    if (search->site_folder != NULL)
        read_site(layers, search->site_folder, problems);
    if (search->user_file != NULL && file_exists(search->user_file))
        read_file(layers, keep_text(layers, memory_copy_text(search->user_file)), LAYER_USER, problems);
    read_environment(layers, search->environment, problems);
    read_command(layers, search, problems);
    check_values(layers, problems);
    for (size_t i = 0; i < layers->backends.count; i++)
        list_add(&layers->backend_names, layers->backends.items[i].backend.name);
    list_add(&layers->backend_names, NULL);
    return problems->errors == errors_before ? steal(&layers) : NULL;
}
