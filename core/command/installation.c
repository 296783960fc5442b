/* SPDX-License-Identifier: BSD-3-Clause */
/* Opens what a command needs of this installation, and no more. */
#include "command/installation.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/path.h"
#include "io/secret.h"

#define POLICY_FOLDER CONFIG_SITE_FOLDER "/plugins.d"
#define SECRET_LIMIT (64 * 1024)

void installation_clear(struct installation *installation)
{
    registries_free(installation->registries);
    plugin_host_free(installation->host);
    config_layers_free(installation->layers);
    for (size_t i = 0; i < installation->secrets.count; i++)
        secret_release(installation->secrets.items[i]);
    list_clear(&installation->secrets);
    loop_free(installation->loop);
    plugin_catalogue_free(installation->catalogue);
    policy_free(installation->policy);
    words_clear(&installation->plugin_dirs);
    memory_free(installation->user_file);
    *installation = (struct installation){0};
}

int command_print_problems(struct problems *problems, bool quiet)
{
    cleanup(text_clear) struct text out = TEXT_INIT;
    problems_sort(problems);
    if (problems->errors > 0 || !quiet)
        problems_print(problems, &out);
    descriptor_write(STDERR_FILENO, text_bytes(&out), out.length, NULL);
    return problems->errors > 0 ? error_exit_status(ERROR_INPUT) : 0;
}

/* The site's policy is small; what is wrong with it ends the command, since a site's rule is never skipped. */
static bool read_policy(struct installation *installation, struct error *error)
{
    cleanup(problems_clear) struct problems problems = {0};
    installation->policy = policy_read(POLICY_FOLDER, &problems);
    if (installation->policy != NULL && problems.errors == 0)
        return true;
    for (size_t i = 0; i < problems.count; i++) {
        const struct problem *problem = &problems.items[i];
        if (problem->level != PROBLEM_ERROR)
            continue;
        error_set(error, ERROR_PLUGIN, "the site's plugin policy cannot be used: %s", problem->message);
        if (problem->file != NULL)
            error_place(error, problem->file, problem->line, problem->column);
        return error_hint(error, "%s", problem->hint != NULL ? problem->hint : "ask who runs this installation");
    }
    return error_set(error, ERROR_PLUGIN, "the site's plugin policy in '%s' cannot be used", POLICY_FOLDER);
}

bool installation_open_folders(struct installation *installation, const struct invocation *invocation,
                               struct error *error)
{
    if (!read_policy(installation, error))
        return false;
    for (size_t i = 0; i < invocation->globals.plugin_dirs.count; i++) {
        char *real = path_real(invocation->globals.plugin_dirs.items[i], error);
        if (real == NULL) {
            error_wrap(error, "--plugin-dir");
            if (error != NULL)
                error->kind = ERROR_INPUT;
            return false;
        }
        words_take(&installation->plugin_dirs, real);
    }
    return true;
}

bool installation_open(struct installation *installation, const struct invocation *invocation, struct error *error)
{
    if (!installation_open_folders(installation, invocation, error))
        return false;
    const struct plugin_search search = {
        .plugin_dirs = words_list(&installation->plugin_dirs),
        .environment = secure_getenv("DESCPIPE_PLUGIN_PATH"),
        .home = secure_getenv("HOME"),
    };
    installation->catalogue = plugin_catalogue_new(&search, installation->policy, error);
    return installation->catalogue != NULL;
}

bool installation_open_host(struct installation *installation, struct error *error)
{
    installation->loop = loop_new(error);
    if (installation->loop == NULL)
        return false;
    installation->host = plugin_host_new(installation->loop, installation->catalogue, error);
    return installation->host != NULL;
}

void installation_search(struct installation *installation, struct config_search *search)
{
    if (installation->user_file == NULL)
        installation->user_file = config_user_file((const char *const *)environ);
    search->site_folder = CONFIG_SITE_FOLDER;
    search->user_file = installation->user_file;
    search->environment = (const char *const *)environ;
}

bool installation_read_layers(struct installation *installation, const struct config_search *search,
                              struct problems *problems)
{
    installation->layers = config_layers_read(search, problems);
    return installation->layers != NULL;
}

static struct descpipe_secret *secret_of_file(const char *path, struct error *error)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    if (!file_read(path, SECRET_LIMIT, &text, error))
        return NULL;
    struct descpipe_secret *secret = secret_make(text_bytes(&text), strcspn(text_bytes(&text), "\n"));
    if (text.bytes != NULL)
        explicit_bzero(text.bytes, text.length);
    return secret;
}

static struct descpipe_secret *read_secret(const struct secret_source *source, const char *name, struct error *error)
{
    if (source->from == SECRET_FROM_FILE)
        return secret_of_file(source->text, error);
    if (source->from == SECRET_FROM_COMMAND) {
        error_set(error, ERROR_INPUT, "secret '%s' comes from a command, which only 'descpipe run' waits for", name);
        error_hint(error, "give it as {env: VARIABLE} or {file: PATH}, or use 'descpipe login'");
        return NULL;
    }
    const char *value = secure_getenv(source->text);
    if (value == NULL)
        error_set(error, ERROR_INPUT, "secret '%s': the environment has no '%s'", name, source->text);
    return value != NULL ? secret_make(value, strlen(value)) : NULL;
}

static const struct descpipe_secret *secret_for_plugin(void *context, const char *name, struct error *error)
{
    struct installation *installation = context;
    struct secret_source source;
    if (!config_layers_secret(installation->layers, name, &source)) {
        error_set(error, ERROR_INPUT, "no secret '%s' is known here", name);
        error_hint(error, "name it under 'secrets:' of the user's or the site's configuration");
        return NULL;
    }
    struct descpipe_secret *secret = read_secret(&source, name, error);
    if (secret != NULL)
        list_add(&installation->secrets, secret); /* plugins keep the pointer */
    return secret;
}

static void credential_for_plugin(void *context, const struct descpipe_image *image, uint32_t purpose,
                                  void (*got)(void *plugin, const struct descpipe_credential *credential,
                                              const char *message),
                                  void *plugin)
{
    const struct installation *installation = context;
    registries_credential(installation->registries, image, purpose, got, plugin);
}

static void job_changed(void *context, const struct descpipe_change *change)
{
    const struct installation *installation = context;
    if (installation->changed != NULL)
        installation->changed(installation->changed_context, change);
}

void installation_open_registries(struct installation *installation)
{
    const struct plugin_callbacks callbacks = {.context = installation,
                                               .credential = credential_for_plugin,
                                               .secret = secret_for_plugin,
                                               .changed = job_changed};
    installation->registries = registries_new(installation->host, installation->catalogue, installation->layers);
    plugin_host_set_callbacks(installation->host, &callbacks);
}
