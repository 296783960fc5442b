/* SPDX-License-Identifier: BSD-3-Clause */
/* Where a login is looked for. */
#include "inquiry/login.h"

#include <string.h>

static const char *environment_text(const char *name)
{
    const char *value = secure_getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static const char *option_text(const struct descpipe_host *host, const char *key)
{
    const char *value = host->config->text(host->settings, key);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

bool login_options_fit(const struct descpipe_host *host, struct failure *failure)
{
    bool username = option_text(host, "username") != NULL, password = host->config->given(host->settings, "password");
    if (password && !username)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "the option 'password' needs 'username' beside it");
    if (username && !password)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "the option 'username' needs 'password' beside it");
    return true;
}

/* True when the search is over. */
static bool find_in_options(const struct login_search *search)
{
    const struct descpipe_host *host = search->host;
    const char *username = option_text(host, "username");
    if (!search->ours || username == NULL)
        return false;
    const struct descpipe_secret *password = host->config->secret(host->settings, "password");
    if (password == NULL) {
        cleanup(failure_clear) struct failure failure = FAILURE_INIT;
        failure_set(&failure, DESCPIPE_FAILED_NEEDS_LOGIN, "the secret of the option 'password' cannot be had");
        failure_hint(&failure, "look at where the option's secret points to");
        search->found(search->context, NULL, &failure);
        return true;
    }
    struct docker_login login = {.username = username, .password = password, .origin = "the option `username`"};
    search->found(search->context, &login, NULL);
    return true;
}

static bool find_in_job(const struct login_search *search)
{
    const char *server = environment_text("CI_REGISTRY"), *username = environment_text("CI_REGISTRY_USER");
    const char *password = environment_text("CI_REGISTRY_PASSWORD");
    if (server == NULL || username == NULL || password == NULL || strcmp(server, search->server) != 0)
        return false;
    struct descpipe_secret *secret = search->host->secret->make(password, strlen(password));
    struct docker_login login = {
        .username = username, .password = secret, .origin = "CI_REGISTRY_USER in the environment"};
    search->found(search->context, &login, NULL);
    search->host->secret->release(secret);
    return true;
}

static bool find_in_environment(const struct login_search *search)
{
    const char *text = environment_text("DOCKER_AUTH_CONFIG");
    if (text == NULL)
        return find_in_job(search);
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    struct docker_config_entry entry = {0};
    bool read = docker_config_read(&entry, search->host, text, strlen(text), search->server, &failure);
    bool over = !read || (entry.username != NULL && entry.password != NULL);
    if (!read) {
        failure_wrap(&failure, "DOCKER_AUTH_CONFIG in the environment");
        search->found(search->context, NULL, &failure);
    } else if (over) {
        struct docker_login login = {
            .username = entry.username, .password = entry.password, .origin = "DOCKER_AUTH_CONFIG in the environment"};
        search->found(search->context, &login, NULL);
    }
    docker_config_entry_clear(&entry, search->host);
    return over || find_in_job(search);
}

void login_find(const struct login_search *search)
{
    if (find_in_options(search) || find_in_environment(search))
        return;
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    cleanup(memory_free) char *path = docker_config_path(option_text(search->host, "docker-config"), &failure);
    if (path == NULL) { /* without a home there is no file to look into */
        search->found(search->context, NULL, NULL);
        return;
    }
    if (!docker_login_find(search->host, path, search->server, search->found, search->context, &failure))
        search->found(search->context, NULL, &failure);
}
