/* SPDX-License-Identifier: BSD-3-Clause */
/* Finding, storing and erasing a login: the config file first says who keeps it, then it or a helper is asked. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "registry/document.h"
#include "registry/login/config_file.h"
#include "registry/login/docker_config.h"
#include "registry/login/helper.h"

/* One operation. */
struct login {
    const struct descpipe_host *host;
    char *path, *server;
    struct docker_config_entry entry;
    char *username;
    char *password; /* wiped */
    size_t password_length;
    bool erase, erased_elsewhere, found;
    struct failure failure;
    void (*told)(void *context, const struct docker_login *login, const struct failure *failure); /* find */
    void (*stored)(void *context, const char *where, const struct failure *failure);              /* store, erase */
    void *context;
};

static void login_free(struct login *login)
{
    docker_config_entry_clear(&login->entry, login->host);
    failure_clear(&login->failure);
    if (login->password != NULL)
        explicit_bzero(login->password, login->password_length);
    free(login->password);
    free(login->username);
    free(login->path);
    free(login->server);
    free(login);
}

/* What helpers and Docker's own file call the server. */
static const char *key_of(const struct login *login)
{
    return strcmp(login->server, "docker.io") == 0 ? DOCKER_HUB_KEY : login->server;
}

/* Reads what the file says; a missing file says nothing. */
static struct login *login_new(const struct descpipe_host *host, const char *config, const char *server,
                               struct failure *failure)
{
    struct login *login = calloc(1, sizeof *login);
    size_t length;
    if (login == NULL) {
        failure_memory(failure);
        return NULL;
    }
    login->host = host;
    login->server = strdup(server);
    login->path = docker_config_path(config, failure);
    if (login->server == NULL)
        failure_memory(failure);
    char *bytes = login->path != NULL && login->server != NULL ? config_file_read(login->path, &length, failure) : NULL;
    if (bytes != NULL) {
        if (!docker_config_read(&login->entry, host, bytes, length, server, failure)) {
            failure_wrap(failure, "'%s'", login->path);
            if (failure->hint == NULL)
                failure_hint(failure, "repair it by hand, or move it away and log in anew");
        }
        explicit_bzero(bytes, length);
        free(bytes);
    }
    if (failure->kind == 0)
        return login;
    login_free(login);
    return NULL;
}

/* --- find --- */

static void tell_own(void *context)
{
    struct login *login = context;
    const struct docker_login found = {
        .username = login->entry.username, .password = login->entry.password, .origin = login->path};
    login->told(login->context, login->entry.password != NULL ? &found : NULL, NULL);
    login_free(login);
}

static void tell_helpers(struct login *login, const char *output, size_t length)
{
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    cleanup(memory_free) char *origin = NULL;
    cleanup(document_free) json_t *root = document_parse(output, length, &failure);
    const char *username = json_string_value(json_object_get(root, "Username"));
    const char *word = json_string_value(json_object_get(root, "Secret"));
    if (asprintf(&origin, "docker-credential-%s", login->entry.helper) < 0)
        origin = NULL;
    if (username == NULL || word == NULL) {
        failure_set(&failure, DESCPIPE_FAILED_REFUSED, "the credential helper 'docker-credential-%s' answers no login",
                    login->entry.helper);
        failure_hint(&failure, "log in anew, or take the helper out of Docker's config file");
        login->told(login->context, NULL, &failure);
        return;
    }
    struct descpipe_secret *password = login->host->secret->make(word, strlen(word));
    const struct docker_login found = {.username = username, .password = password, .origin = origin};
    login->told(login->context, &found, NULL);
    login->host->secret->release(password);
}

static void on_got(void *context, const char *output, size_t length, const struct failure *failure)
{
    struct login *login = context;
    if (failure != NULL && failure->kind == DESCPIPE_FAILED_NOT_FOUND) {
        tell_own(login);
        return;
    }
    if (failure != NULL)
        login->told(login->context, NULL, failure);
    else
        tell_helpers(login, output, length);
    login_free(login);
}

bool docker_login_find(const struct descpipe_host *host, const char *config, const char *server,
                       void (*done)(void *context, const struct docker_login *login, const struct failure *failure),
                       void *context, struct failure *failure)
{
    struct login *login = login_new(host, config, server, failure);
    if (login == NULL)
        return false;
    login->told = done;
    login->context = context;
    if (login->entry.helper == NULL) {
        host->timer->start(host, 0, tell_own, login);
        return true;
    }
    const struct helper_request request = {.host = host,
                                           .name = login->entry.helper,
                                           .action = "get",
                                           .input = key_of(login),
                                           .input_length = strlen(key_of(login)),
                                           .done = on_got,
                                           .context = login};
    if (helper_start(&request, failure))
        return true;
    login_free(login);
    return false;
}

/* --- store and erase --- */

static void work_on_file(void *context)
{
    struct login *login = context;
    const struct config_change change = {.path = login->path,
                                         .server = login->server,
                                         .erase = login->erase,
                                         .kept_elsewhere = login->entry.helper != NULL,
                                         .username = login->username,
                                         .password = login->password};
    config_file_change(&change, &login->found, &login->failure);
}

static void on_file(void *context)
{
    struct login *login = context;
    cleanup(memory_free) char *program = NULL;
    if (login->entry.helper != NULL && asprintf(&program, "docker-credential-%s", login->entry.helper) < 0)
        program = NULL;
    if (login->failure.kind == 0 && login->erase && !login->found && !login->erased_elsewhere) {
        failure_set(&login->failure, DESCPIPE_FAILED_NOT_FOUND, "'%s' has no login for '%s'", login->path,
                    login->server);
    }
    bool good = login->failure.kind == 0;
    login->stored(login->context, good ? (program != NULL ? program : login->path) : NULL,
                  good ? NULL : &login->failure);
    login_free(login);
}

static void change_file(struct login *login)
{
    login->host->work->run(login->host, work_on_file, on_file, login);
}

static void on_helped(void *context, const char *output, size_t length, const struct failure *failure)
{
    struct login *login = context;
    (void)output;
    (void)length;
    if (failure != NULL && !(login->erase && failure->kind == DESCPIPE_FAILED_NOT_FOUND)) {
        login->stored(login->context, NULL, failure);
        login_free(login);
        return;
    }
    login->erased_elsewhere = failure == NULL;
    change_file(login);
}

static bool ask_helper(struct login *login, const char *action, const char *input, struct failure *failure)
{
    const struct helper_request request = {.host = login->host,
                                           .name = login->entry.helper,
                                           .action = action,
                                           .input = input,
                                           .input_length = strlen(input),
                                           .done = on_helped,
                                           .context = login};
    return helper_start(&request, failure);
}

static bool store_by_helper(struct login *login, struct failure *failure)
{
    const char *username = login->username != NULL ? login->username : "<token>";
    json_t *input =
        json_pack("{s:s, s:s, s:s}", "ServerURL", key_of(login), "Username", username, "Secret", login->password);
    char *text = input != NULL ? json_dumps(input, JSON_COMPACT) : NULL;
    json_decref(input);
    if (text == NULL)
        return failure_memory(failure);
    bool good = ask_helper(login, "store", text, failure);
    explicit_bzero(text, strlen(text));
    free(text);
    return good;
}

bool docker_login_store(const struct descpipe_host *host, const char *config, const char *server, const char *username,
                        const struct descpipe_secret *password,
                        void (*done)(void *context, const char *where, const struct failure *failure), void *context,
                        struct failure *failure)
{
    struct login *login = login_new(host, config, server, failure);
    uint64_t length;
    if (login == NULL)
        return false;
    login->stored = done;
    login->context = context;
    const char *bytes = host->secret->reveal(password, &length);
    login->password = strndup(bytes, (size_t)length);
    login->password_length = (size_t)length;
    login->username = username != NULL ? strdup(username) : NULL;
    bool good =
        login->password != NULL && (username == NULL || login->username != NULL) ? true : failure_memory(failure);
    if (good && login->entry.helper == NULL)
        change_file(login);
    else if (!good || !store_by_helper(login, failure)) {
        login_free(login);
        return false;
    }
    return true;
}

bool docker_login_erase(const struct descpipe_host *host, const char *config, const char *server,
                        void (*done)(void *context, const char *where, const struct failure *failure), void *context,
                        struct failure *failure)
{
    struct login *login = login_new(host, config, server, failure);
    if (login == NULL)
        return false;
    login->erase = true;
    login->stored = done;
    login->context = context;
    if (login->entry.helper == NULL)
        change_file(login);
    else if (!ask_helper(login, "erase", key_of(login), failure)) {
        login_free(login);
        return false;
    }
    return true;
}
