/* SPDX-License-Identifier: BSD-3-Clause */
/* Finds the registry plugin of an image, and asks it for logins. */
#include "plan/registry.h"

#include <string.h>

#include "base/log.h"
#include "base/path.h"
#include "pipeline/image_name.h"

#define LAST_ASKED "oci"

struct opened {
    struct plugin_instance *instance;
    struct settings *settings;
    bool general; /* with what the layers say, for any host; else a backend's own */
};

struct registries {
    struct plugin_host *host;
    struct plugin_catalogue *catalogue;
    const struct config_layers *layers;
    LIST(struct opened) open;
    struct words broken;        /* plugins that could not be opened and that nobody had named */
    struct table *repositories; /* repository → instance */
    struct table *logins;       /* repository → owned text: whose login was given out last, and from where */
};

struct registries *registries_new(struct plugin_host *host, struct plugin_catalogue *catalogue,
                                  const struct config_layers *layers)
{
    struct registries *registries = memory_allocate(sizeof *registries);
    *registries = (struct registries){
        .host = host, .catalogue = catalogue, .layers = layers, .repositories = table_new(), .logins = table_new()};
    return registries;
}

void registries_free(struct registries *registries)
{
    if (registries == NULL)
        return;
    for (size_t i = 0; i < registries->open.count; i++) {
        plugin_close(registries->open.items[i].instance);
        plugin_host_keep(registries->host, registries->open.items[i].settings);
    }
    list_clear(&registries->open);
    words_clear(&registries->broken);
    table_free(registries->repositories);
    void *login;
    for (size_t i = 0; table_next(registries->logins, &i, NULL, &login);)
        memory_free(login);
    table_free(registries->logins);
    memory_free(registries);
}

const struct config_layers *registries_layers(const struct registries *registries)
{
    return registries->layers;
}

const char *registry_name(const struct plugin_instance *instance)
{
    return plugin_instance_descriptor(instance)->name;
}

bool registry_takes_any(const struct plugin_instance *instance)
{
    return text_equal(registry_name(instance), LAST_ASKED);
}

bool registries_has(const struct registries *registries, const char *name)
{
    cleanup(error_clear) struct error ignored = ERROR_INIT;
    return plugin_catalogue_find(registries->catalogue, "registry", name, &ignored) != NULL;
}

/* What site, user, environment and command line say of it. NULL with the first problem as the error. */
static struct settings *layer_settings(struct registries *registries, const char *name, struct error *error)
{
    const struct descpipe_plugin *descriptor = plugin_descriptor(registries->host, "registry", name, error);
    if (descriptor == NULL)
        return NULL;
    cleanup(problems_clear) struct problems problems = {0};
    cleanup(memory_free) char *owner = memory_format("registry/%s", name);
    cleanup(settings_free) struct settings *settings = settings_new(descriptor->options, owner);
    config_layers_apply_before(registries->layers, "registry", name, settings, &problems);
    config_layers_apply_after(registries->layers, "registry", name, settings, &problems);
    cleanup(memory_free) char *here = path_real(".", NULL);
    settings_finish(settings, (struct place){0}, here != NULL ? here : "/", &problems);
    for (size_t i = 0; i < problems.count; i++) {
        const struct problem *problem = &problems.items[i];
        if (problem->level != PROBLEM_ERROR)
            continue;
        error_set(error, ERROR_INPUT, "%s", problem->message);
        if (problem->file != NULL)
            error_place(error, problem->file, problem->line, problem->column);
        if (problem->hint != NULL)
            error_hint(error, "%s", problem->hint);
        return NULL;
    }
    return steal(&settings);
}

struct plugin_instance *registries_open(struct registries *registries, const char *name, struct settings *given,
                                        struct error *error)
{
    struct settings *settings = given != NULL ? given : layer_settings(registries, name, error);
    if (settings == NULL)
        return NULL;
    struct plugin_instance *instance = plugin_open(registries->host, "registry", name, settings, error);
    if (instance == NULL) {
        plugin_host_keep(registries->host, settings);
        return NULL;
    }
    struct opened opened = {.instance = instance, .settings = settings, .general = given == NULL};
    list_add(&registries->open, opened);
    return instance;
}

static struct plugin_instance *find_general(const struct registries *registries, const char *name)
{
    for (size_t i = 0; i < registries->open.count; i++)
        if (registries->open.items[i].general && text_equal(registry_name(registries->open.items[i].instance), name))
            return registries->open.items[i].instance;
    return NULL;
}

static bool is_broken(const struct registries *registries, const char *name)
{
    for (size_t i = 0; i < registries->broken.count; i++)
        if (text_equal(registries->broken.items[i], name))
            return true;
    return false;
}

/* Nobody asked for this plugin by name: when it cannot be used, others are asked. */
static struct plugin_instance *open_installed(struct registries *registries, const char *name)
{
    struct plugin_instance *instance = find_general(registries, name);
    if (instance != NULL || is_broken(registries, name) || !registries_has(registries, name))
        return instance;
    cleanup(error_clear) struct error error = ERROR_INIT;
    instance = registries_open(registries, name, NULL, &error);
    if (instance == NULL) {
        log_debug("registry '%s' is not asked: %s", name, error.message);
        words_add(&registries->broken, name);
    }
    return instance;
}

/* Of those that are open: the one asked last, or all others. */
static struct plugin_instance *open_that_accepts(const struct registries *registries, const char *reference, bool last)
{
    for (size_t i = 0; i < registries->open.count; i++) {
        struct plugin_instance *instance = registries->open.items[i].instance;
        if (text_equal(registry_name(instance), LAST_ASKED) == last && registry_accepts(instance, reference))
            return instance;
    }
    return NULL;
}

static struct plugin_instance *installed_that_accepts(struct registries *registries, const char *reference)
{
    size_t count = 0;
    const struct plugin_entry *const *entries = plugin_catalogue_entries(registries->catalogue, &count);
    for (size_t i = 0; i < count; i++) {
        if (!text_equal(entries[i]->kind, "registry") || text_equal(entries[i]->name, LAST_ASKED) ||
            entries[i]->shadowed || entries[i]->refused)
            continue;
        struct plugin_instance *instance = open_installed(registries, entries[i]->name);
        if (instance != NULL && registry_accepts(instance, reference))
            return instance;
    }
    return NULL;
}

struct plugin_instance *registries_for(struct registries *registries, const char *reference, struct error *error)
{
    struct plugin_instance *instance = open_that_accepts(registries, reference, false);
    if (instance == NULL)
        instance = installed_that_accepts(registries, reference);
    if (instance == NULL)
        instance = open_that_accepts(registries, reference, true);
    if (instance != NULL || !registries_has(registries, LAST_ASKED))
        return instance;
    instance = find_general(registries, LAST_ASKED);
    if (instance == NULL)
        instance = registries_open(registries, LAST_ASKED, NULL, error);
    if (instance == NULL || registry_accepts(instance, reference))
        return instance;
    cleanup(memory_free) char *host = image_host(reference);
    error_set(error, ERROR_INPUT, "no registry plugin of this installation takes '%.300s'",
              host != NULL ? host : reference);
    if (host != NULL && host[0] != '[' && strchr(host, ':') != strrchr(host, ':'))
        error_hint(error, "an IPv6 address stands in brackets: [::1]:5000/NAME:TAG");
    else
        error_hint(error, "'descpipe plugins list' shows which are here");
    return NULL;
}

/* Without tag and digest. */
static char *repository_of(const char *reference)
{
    const char *name = strrchr(reference, '/');
    size_t tag = strcspn(name != NULL ? name : reference, ":@");
    return memory_copy_bytes(reference, (size_t)((name != NULL ? name : reference) - reference) + tag);
}

void registries_remember(struct registries *registries, const char *reference, struct plugin_instance *instance)
{
    cleanup(memory_free) char *repository = repository_of(reference);
    table_put(registries->repositories, repository, instance);
}

/* Logins. */

/* A name without a host, as FROM lines have them, is Docker Hub's; what a pipeline names is asked for in full. */
static char *full_reference(const char *reference)
{
    cleanup(memory_free) char *host = image_host(reference);
    if (host != NULL)
        return memory_copy_text(reference);
    return memory_format("docker.io/%s%s", strchr(reference, '/') != NULL ? "" : "library/", reference);
}

struct login_question {
    struct registries *registries;
    struct descpipe_lookup lookup;
    char *reference, *platform;
    void (*got)(void *plugin, const struct descpipe_credential *credential, const char *message);
    void *plugin;
};

static void note_login(struct registries *registries, const char *reference,
                       const struct descpipe_credential *credential)
{
    cleanup(memory_free) char *repository = repository_of(reference);
    cleanup(text_clear) struct text words = TEXT_INIT;
    if (credential == NULL || credential->password == NULL)
        text_append(&words, "without a login");
    else if (credential->username == NULL || credential->username[0] == '<')
        text_append(&words, "with a token");
    else
        text_format(&words, "as '%s'", credential->username);
    if (credential != NULL && credential->password != NULL && credential->origin != NULL)
        text_format(&words, " (from %s)", credential->origin);
    memory_free(table_get(registries->logins, repository));
    table_put(registries->logins, repository, memory_copy_text(text_bytes(&words)));
}

static void login_answered(void *context, const struct call_result *result)
{
    struct login_question *question = context;
    if (result->ok) {
        note_login(question->registries, question->reference, result->credential);
        question->got(question->plugin, result->credential, NULL);
    } else {
        cleanup(memory_free) char *message =
            memory_format("no login for '%.300s': %s", question->reference, result->message);
        question->got(question->plugin, NULL, message);
    }
    memory_free(question->reference);
    memory_free(question->platform);
    memory_free(question);
}

void registries_credential(void *context, const struct descpipe_image *image, uint32_t purpose,
                           void (*got)(void *plugin, const struct descpipe_credential *credential, const char *message),
                           void *plugin)
{
    struct registries *registries = context;
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(memory_free) char *reference = full_reference(image->reference);
    cleanup(memory_free) char *repository = repository_of(reference);
    struct plugin_instance *instance = table_get(registries->repositories, repository);
    if (instance == NULL)
        instance = registries_for(registries, reference, &error);
    if (instance == NULL) {
        got(plugin, NULL, error.message);
        return;
    }
    struct login_question *question = memory_allocate(sizeof *question);
    *question = (struct login_question){.registries = registries,
                                        .reference = steal(&reference),
                                        .platform = memory_copy_text(image->platform),
                                        .got = got,
                                        .plugin = plugin};
    question->lookup = (struct descpipe_lookup){.size = sizeof question->lookup,
                                                .purpose = purpose,
                                                .reference = question->reference,
                                                .platform = question->platform};
    registry_credentials(
        instance, &question->lookup,
        (struct call_options){.deadline_ms = REGISTRY_DEADLINE_MS, .done = login_answered, .context = question});
}

void registries_explain(const struct registries *registries, const char *asked, const struct call_result *result,
                        struct error *error)
{
    const char *login = NULL;
    cleanup(memory_free) char *reference = asked != NULL ? full_reference(asked) : NULL;
    if (registries != NULL && reference != NULL && result->failure == DESCPIPE_FAILED_NEEDS_LOGIN &&
        strstr(result->message, ", asked ") == NULL) {
        cleanup(memory_free) char *repository = repository_of(reference);
        login = table_get(registries->logins, repository);
    }
    error_set(error, ERROR_NONE, "%s%s%s", result->message, login != NULL ? ", asked " : "",
              login != NULL ? login : "");
    cleanup(memory_free) char *host = login != NULL ? image_host(reference) : NULL;
    if (host != NULL)
        error_hint(error, "log in%s: descpipe login %s",
                   text_starts_with(login, "without") ? "" : " again, or as somebody who may", host);
    else if (result->hint != NULL)
        error_hint(error, "%s", result->hint);
}
