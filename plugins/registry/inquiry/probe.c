/* SPDX-License-Identifier: BSD-3-Clause */
/* `probe`: is the registry there, and as whom does it know us? */
#include <string.h>

#include "inquiry/inquiry.h"

struct probing {
    struct inquirer *inquirer;
    struct descpipe_call *call; /* NULL: cancelled */
    struct reference reference;
    struct registry_client *client;
};

static void probing_free(struct probing *probing)
{
    registry_client_release(probing->client);
    reference_clear(&probing->reference);
    free(probing);
}

static void finish(struct probing *probing, const struct failure *failure)
{
    if (probing->call != NULL && failure != NULL)
        failure_finish(failure, probing->inquirer->host, probing->call);
    else if (probing->call != NULL)
        probing->inquirer->host->call->succeed(probing->call);
    probing_free(probing);
}

static void wish_to_cancel(void *context)
{
    struct probing *probing = context;
    struct descpipe_call *call = steal(&probing->call);
    probing->inquirer->host->call->fail(call, DESCPIPE_FAILED_CANCELLED, "cancelled", NULL);
}

static void answered(void *context, const struct failure *failure)
{
    struct probing *probing = context;
    if (probing->call != NULL && failure == NULL)
        probing->inquirer->host->answer->fact(probing->call, "reached", "yes");
    finish(probing, failure);
}

static void tell_place(struct probing *probing, const struct descpipe_credential *credential)
{
    const struct descpipe_answer_service *answer = probing->inquirer->host->answer;
    if (credential->endpoint != NULL)
        answer->fact(probing->call, "endpoint", credential->endpoint);
    if (credential->ca_file != NULL)
        answer->fact(probing->call, "ca", credential->ca_file);
    if (credential->client_certificate != NULL)
        answer->fact(probing->call, "client-certificate", credential->client_certificate);
    if ((credential->access & DESCPIPE_ACCESS_PLAIN_HTTP) != 0)
        answer->fact(probing->call, "encryption", "none (plain http)");
    else if ((credential->access & DESCPIPE_ACCESS_UNVERIFIED_TLS) != 0)
        answer->fact(probing->call, "encryption", "not verified");
    bool anonymous = credential->username == NULL && credential->password == NULL;
    answer->fact(probing->call, "login",
                 anonymous                    ? "none (anonymous)"
                 : credential->origin != NULL ? credential->origin
                                              : "yes");
}

static void login_came(void *context, const struct descpipe_credential *credential, const struct failure *failure)
{
    struct probing *probing = context;
    cleanup(failure_clear) struct failure own = FAILURE_INIT;
    if (failure != NULL || probing->call == NULL) {
        finish(probing, failure);
        return;
    }
    tell_place(probing, credential);
    probing->client = registry_clients_get(probing->inquirer->clients, probing->reference.host, credential, &own);
    if (probing->client == NULL || !registry_client_ping(probing->client, answered, probing, &own))
        finish(probing, &own);
}

void inquiry_probe(struct inquirer *inquirer, struct descpipe_call *call, const char *server)
{
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    if (server == NULL) {
        inquirer->host->answer->fact(call, "host", "whatever a reference names");
        inquirer->host->call->succeed(call);
        return;
    }
    struct probing *probing = calloc(1, sizeof *probing);
    if (probing == NULL || (probing->reference.host = strdup(server)) == NULL) {
        free(probing);
        failure_memory(&failure);
        failure_finish(&failure, inquirer->host, call);
        return;
    }
    probing->inquirer = inquirer;
    probing->call = call;
    inquirer->host->answer->fact(call, "host", server);
    inquirer->host->call->on_cancel(call, wish_to_cancel, probing);
    inquirer->find_login(inquirer->self, &probing->reference, DESCPIPE_PURPOSE_PULL, login_came, probing);
}
