/* SPDX-License-Identifier: BSD-3-Clause */
/* `login` and `logout`: a person's login is tried on the registry, then kept where Docker keeps its own. */
#include <string.h>

#include "inquiry/inquiry.h"
#include "registry/login/docker_config.h"

struct keeping {
    const struct descpipe_host *host;
    struct descpipe_call *call; /* NULL: cancelled */
    struct registry_client *client;
    char *server, *username;
    struct descpipe_secret *password;
    bool storing;
};

static void keeping_free(struct keeping *keeping)
{
    registry_client_release(keeping->client);
    if (keeping->password != NULL)
        keeping->host->secret->release(keeping->password);
    free(keeping->server);
    free(keeping->username);
    free(keeping);
}

static void finish_failed(struct keeping *keeping, const struct failure *failure)
{
    if (keeping->call != NULL)
        failure_finish(failure, keeping->host, keeping->call);
    keeping_free(keeping);
}

static void kept(void *context, const char *where, const struct failure *failure)
{
    struct keeping *keeping = context;
    if (failure != NULL) {
        finish_failed(keeping, failure);
        return;
    }
    if (keeping->call != NULL) {
        keeping->host->answer->text(keeping->call, where);
        keeping->host->call->succeed(keeping->call);
    }
    keeping_free(keeping);
}

static const char *config_option(const struct descpipe_host *host)
{
    const char *given = host->config->text(host->settings, "docker-config");
    return given != NULL && given[0] != '\0' ? given : NULL;
}

static void tried(void *context, const struct failure *failure)
{
    struct keeping *keeping = context;
    cleanup(failure_clear) struct failure own = FAILURE_INIT;
    if (failure != NULL) {
        finish_failed(keeping, failure);
        return;
    }
    if (keeping->call == NULL) {
        keeping_free(keeping);
        return;
    }
    keeping->storing = true;
    if (!docker_login_store(keeping->host, config_option(keeping->host), keeping->server, keeping->username,
                            keeping->password, kept, keeping, &own))
        finish_failed(keeping, &own);
}

static void wish_to_cancel(void *context)
{
    struct keeping *keeping = context;
    struct descpipe_call *call = steal(&keeping->call);
    if (keeping->storing)
        keeping->host->call->fail(call, DESCPIPE_FAILED_UNKNOWN, "cancelled while the login was being kept", NULL);
    else
        keeping->host->call->fail(call, DESCPIPE_FAILED_CANCELLED, "cancelled", NULL);
}

static struct descpipe_secret *copy_secret(const struct descpipe_host *host, const struct descpipe_secret *secret)
{
    uint64_t length = 0;
    const char *bytes = host->secret->reveal(secret, &length);
    return bytes != NULL ? host->secret->make(bytes, length) : NULL;
}

static bool open_client(struct keeping *keeping, struct inquirer *inquirer, struct failure *failure)
{
    cleanup(place_clear) struct place place = {0};
    cleanup(access_clear) struct access access = {0};
    if (!inquirer->find_place(inquirer->self, keeping->server, &place, failure))
        return false;
    struct descpipe_credential credential = place_credential(&place);
    credential.username = keeping->username;
    credential.password = keeping->password;
    credential.origin = "what was typed";
    if (!access_take(&access, keeping->host, keeping->server, &credential, failure))
        return false;
    /* A client of its own: what others have learnt as somebody else is no proof of this login. */
    keeping->client = registry_client_new(&access, failure);
    return keeping->client != NULL;
}

static bool begin_login(struct keeping *keeping, struct inquirer *inquirer, const struct descpipe_login *login,
                        struct failure *failure)
{
    if (login->password == NULL)
        return failure_set(failure, DESCPIPE_FAILED_NEEDS_LOGIN, "no password was given for '%.200s'", login->host);
    if (!reference_host_valid(login->host))
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "'%.200s' is no host of a registry", login->host);
    keeping->server = strdup(login->host);
    keeping->username = login->username != NULL ? strdup(login->username) : NULL;
    keeping->password = copy_secret(keeping->host, login->password);
    if (keeping->server == NULL || keeping->password == NULL || (login->username != NULL && keeping->username == NULL))
        return failure_memory(failure);
    return open_client(keeping, inquirer, failure) && registry_client_ping(keeping->client, tried, keeping, failure);
}

void inquiry_login(struct inquirer *inquirer, struct descpipe_call *call, const struct descpipe_login *login)
{
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    struct keeping *keeping = calloc(1, sizeof *keeping);
    if (keeping == NULL) {
        failure_memory(&failure);
        failure_finish(&failure, inquirer->host, call);
        return;
    }
    *keeping = (struct keeping){.host = inquirer->host, .call = call};
    inquirer->host->call->on_cancel(call, wish_to_cancel, keeping);
    if (!begin_login(keeping, inquirer, login, &failure))
        finish_failed(keeping, &failure);
}

void inquiry_logout(struct inquirer *inquirer, struct descpipe_call *call, const char *server)
{
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    struct keeping *keeping = calloc(1, sizeof *keeping);
    if (keeping == NULL) {
        failure_memory(&failure);
        failure_finish(&failure, inquirer->host, call);
        return;
    }
    *keeping = (struct keeping){.host = inquirer->host, .call = call, .storing = true};
    inquirer->host->call->on_cancel(call, wish_to_cancel, keeping);
    if (!docker_login_erase(inquirer->host, config_option(inquirer->host), server, kept, keeping, &failure))
        finish_failed(keeping, &failure);
}
