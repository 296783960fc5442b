/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Site, user, environment and command line, read once and asked often.
 *
 * How it works: everything said is kept as a list of small records in the order of the layers (site files by name,
 * user, environment, command line), so the last record that fits is the answer, and printing the origin of everything
 * is printing the list. File values are nodes of documents that live as long as the layers.
 */
#include "config/layers_read.h"

#include <string.h>

static const char *const value_keys[] = {"backend", "scheduler", "runtime", "registry",     "working",
                                         "output",  "jobs",      "site",    "shared-cache", NULL};
static const char *const default_runtime_order[] = {"docker", "podman", "singularity", "shifter", "native", NULL};

const char *const *layers_value_keys(void)
{
    return value_keys;
}

char *config_user_file(const char *const *environment)
{
    static const char *const none[] = {NULL};
    const char *const *from = environment != NULL ? environment : none;
    const char *home = words_environment(from, "HOME");
    const char *configs = words_environment(from, "XDG_CONFIG_HOME");
    if (configs != NULL && configs[0] == '/') /* the specification ignores relative ones */
        return memory_format("%s/descpipe/config.yaml", configs);
    return home != NULL && home[0] == '/' ? memory_format("%s/.config/descpipe/config.yaml", home) : NULL;
}

void config_layers_free(struct config_layers *layers)
{
    if (layers == NULL)
        return;
    for (size_t i = 0; i < layers->documents.count; i++)
        document_free(layers->documents.items[i]);
    for (size_t i = 0; i < layers->backends.count; i++)
        backend_clear(&layers->backends.items[i].backend);
    for (size_t i = 0; i < layers->secrets.count; i++) {
        memory_free(layers->secrets.items[i].owned);
        words_clear(&layers->secrets.items[i].argv);
    }
    for (size_t i = 0; i < layers->texts.count; i++)
        memory_free(layers->texts.items[i]);
    list_clear(&layers->documents);
    list_clear(&layers->backends);
    list_clear(&layers->secrets);
    list_clear(&layers->texts);
    list_clear(&layers->values);
    list_clear(&layers->options);
    list_clear(&layers->mirrors);
    list_clear(&layers->locks);
    list_clear(&layers->backend_names);
    words_clear(&layers->runtime_order.names);
    on_exit_clear(&layers->site_on_exit);
    on_exit_clear(&layers->user_on_exit);
    memory_free(layers);
}

const struct backend *config_layers_backend(const struct config_layers *layers, const char *name)
{
    for (size_t i = layers->backends.count; i-- > 0;)
        if (strcmp(layers->backends.items[i].backend.name, name) == 0)
            return &layers->backends.items[i].backend;
    return NULL;
}

const char *const *config_layers_backend_names(const struct config_layers *layers)
{
    return layers->backend_names.items;
}

const char *config_layers_value(const struct config_layers *layers, const char *key, struct place *place,
                                enum layer *layer)
{
    for (size_t i = layers->values.count; i-- > 0;) {
        const struct layer_value *value = &layers->values.items[i];
        if (strcmp(value->key, key) != 0)
            continue;
        if (place != NULL)
            *place = value->place;
        if (layer != NULL)
            *layer = value->layer;
        return value->text;
    }
    return NULL;
}

bool config_layers_locked(const struct config_layers *layers, const char *key, struct place *by)
{
    for (size_t i = 0; i < layers->locks.count; i++) {
        if (strcmp(layers->locks.items[i].key, key) != 0)
            continue;
        if (by != NULL)
            *by = layers->locks.items[i].place;
        return true;
    }
    return false;
}

const char *const *config_layers_runtime_order(const struct config_layers *layers)
{
    return layers->runtime_order.names.count > 0 ? words_list(&layers->runtime_order.names) : default_runtime_order;
}

const struct on_exit *config_layers_on_exit(const struct config_layers *layers, enum layer layer)
{
    return layer == LAYER_SITE ? &layers->site_on_exit : layer == LAYER_USER ? &layers->user_on_exit : NULL;
}

bool config_layers_secret(const struct config_layers *layers, const char *name, struct secret_source *source)
{
    for (size_t i = layers->secrets.count; i-- > 0;) {
        const struct layer_secret *secret = &layers->secrets.items[i];
        if (strcmp(secret->name, name) != 0)
            continue;
        *source = (struct secret_source){.from = secret->from,
                                         .text = secret->text,
                                         .argv = secret->from == SECRET_FROM_COMMAND ? words_list(&secret->argv) : NULL,
                                         .place = secret->place};
        return true;
    }
    return false;
}

/* "docker.io" has all of docker.io/..., "docker.io/library/x" has docker.io/library/x:1; a host is not one with a port.
 */
static bool is_mirrored(const char *from, const char *reference)
{
    size_t length = strlen(from);
    if (strncmp(reference, from, length) != 0)
        return false;
    return reference[length] == '/' || (strchr(from, '/') != NULL && strchr(":@", reference[length]) != NULL);
}

char *config_layers_mirror(const struct config_layers *layers, const char *reference)
{
    const struct layer_mirror *best = NULL;
    for (size_t i = 0; i < layers->mirrors.count; i++) {
        const struct layer_mirror *mirror = &layers->mirrors.items[i];
        if (is_mirrored(mirror->from, reference) && (best == NULL || strlen(mirror->from) >= strlen(best->from)))
            best = mirror;
    }
    return best != NULL ? memory_format("%s%s", best->to, reference + strlen(best->from)) : NULL;
}

static bool option_is_for(const struct layer_option *option, const char *kind, const char *plugin)
{
    return strcmp(option->kind, kind) == 0 && (option->plugin == NULL || strcmp(option->plugin, plugin) == 0);
}

static void apply_layer(const struct config_layers *layers, enum layer layer, const char *kind, const char *plugin,
                        struct settings *settings, struct problems *problems)
{
    for (size_t i = 0; i < layers->options.count; i++) {
        const struct layer_option *option = &layers->options.items[i];
        if (option->layer != layer || !option_is_for(option, kind, plugin))
            continue;
        if (option->node != NULL)
            settings_set_node(settings, option->key, option->place, option->node, option->document, layer, problems);
        else if (layer == LAYER_ENVIRONMENT && !settings_has(settings, option->key))
            problem_add(problems, PROBLEM_NOTE, option->place, NULL, "not used: %s/%s has no option '%.100s'", kind,
                        plugin, option->key);
        else
            settings_set_text(settings, option->key, option->text, option->place, layer, problems);
    }
}

static void apply_locks(const struct config_layers *layers, const char *kind, const char *plugin,
                        struct settings *settings)
{
    size_t kind_length = strlen(kind), plugin_length = strlen(plugin);
    for (size_t i = 0; i < layers->locks.count; i++) {
        const char *key = layers->locks.items[i].key;
        if (strncmp(key, kind, kind_length) != 0 || key[kind_length] != '.')
            continue;
        key += kind_length + 1;
        if (strncmp(key, plugin, plugin_length) == 0 && key[plugin_length] == '.')
            settings_lock(settings, key + plugin_length + 1, layers->locks.items[i].place);
    }
}

void config_layers_apply_before(const struct config_layers *layers, const char *kind, const char *plugin,
                                struct settings *settings, struct problems *problems)
{
    apply_layer(layers, LAYER_SITE, kind, plugin, settings, problems);
    apply_locks(layers, kind, plugin, settings);
    apply_layer(layers, LAYER_USER, kind, plugin, settings, problems);
}

void config_layers_apply_after(const struct config_layers *layers, const char *kind, const char *plugin,
                               struct settings *settings, struct problems *problems)
{
    apply_layer(layers, LAYER_ENVIRONMENT, kind, plugin, settings, problems);
    apply_layer(layers, LAYER_COMMAND, kind, plugin, settings, problems);
}
