/* SPDX-License-Identifier: BSD-3-Clause */
/* One question to a registry: login, client, answer. */
#include "inquiry/inquiry.h"

#include <string.h>

#include "inquiry/login.h"
#include "registry/image/resolve.h"
#include "registry/image/tags.h"

enum inquiry_kind { INQUIRY_RESOLVE, INQUIRY_TAGS, INQUIRY_CREDENTIALS };

struct inquiry {
    struct inquirer *inquirer;
    struct descpipe_call *call; /* NULL: it was cancelled, nobody listens any more */
    enum inquiry_kind kind;
    struct reference reference;
    char *platform;
    struct resolve *resolve;
    struct tags *tags;
};

bool inquirer_open(struct inquirer *inquirer, struct failure *failure)
{
    inquirer->clients = registry_clients_new(inquirer->host);
    return inquirer->clients != NULL ? true : failure_memory(failure);
}

void inquirer_close(struct inquirer *inquirer)
{
    if (inquirer->clients != NULL)
        registry_clients_free(steal(&inquirer->clients));
}

static void inquiry_free(struct inquiry *inquiry)
{
    reference_clear(&inquiry->reference);
    free(inquiry->platform);
    free(inquiry);
}

static void finish_failed(struct inquiry *inquiry, const struct failure *failure)
{
    struct inquirer *inquirer = inquiry->inquirer;
    struct descpipe_call *call = inquiry->call;
    bool taken_over = inquiry->kind == INQUIRY_RESOLVE && inquirer->resolve_failed != NULL;
    inquiry_free(inquiry);
    if (call == NULL)
        return;
    if (taken_over)
        inquirer->resolve_failed(inquirer->self, call, failure);
    else
        failure_finish(failure, inquirer->host, call);
}

static void finish(struct inquiry *inquiry)
{
    if (inquiry->call != NULL)
        inquiry->inquirer->host->call->succeed(inquiry->call);
    inquiry_free(inquiry);
}

static void wish_to_cancel(void *context)
{
    struct inquiry *inquiry = context;
    struct descpipe_call *call = steal(&inquiry->call);
    inquiry->inquirer->host->call->fail(call, DESCPIPE_FAILED_CANCELLED, "cancelled", NULL);
    if (inquiry->resolve != NULL)
        resolve_stop(inquiry->resolve);
    else if (inquiry->tags != NULL)
        tags_stop(inquiry->tags);
}

static void resolved(void *context, struct resolution *resolution, const struct failure *failure)
{
    struct inquiry *inquiry = context;
    inquiry->resolve = NULL;
    if (failure != NULL) {
        finish_failed(inquiry, failure);
        return;
    }
    struct descpipe_image_identity identity = resolution_identity(resolution);
    if (inquiry->call != NULL)
        inquiry->inquirer->host->answer->identity(inquiry->call, &identity);
    finish(inquiry);
}

static void tags_came(void *context, const char *const *tags, size_t count, const struct failure *failure)
{
    struct inquiry *inquiry = context;
    inquiry->tags = NULL;
    if (failure != NULL) {
        finish_failed(inquiry, failure);
        return;
    }
    for (size_t i = 0; inquiry->call != NULL && i < count; i++)
        inquiry->inquirer->host->answer->text(inquiry->call, tags[i]);
    finish(inquiry);
}

static bool begin(struct inquiry *inquiry, const struct descpipe_credential *credential, struct failure *failure)
{
    struct inquirer *inquirer = inquiry->inquirer;
    cleanup(registry_client_release) struct registry_client *client =
        registry_clients_get(inquirer->clients, inquiry->reference.host, credential, failure);
    if (client == NULL)
        return false;
    if (inquiry->kind == INQUIRY_TAGS) {
        struct tags_request request = {
            .client = client, .repository = inquiry->reference.repository, .done = tags_came, .context = inquiry};
        inquiry->tags = tags_start(&request, failure);
        return inquiry->tags != NULL;
    }
    struct resolve_request request = {.client = client,
                                      .reference = &inquiry->reference,
                                      .platform = inquiry->platform,
                                      .cache_folder = inquirer->host->cache_folder,
                                      .done = resolved,
                                      .context = inquiry};
    inquiry->resolve = resolve_start(&request, failure);
    return inquiry->resolve != NULL;
}

static void login_came(void *context, const struct descpipe_credential *credential, const struct failure *failure)
{
    struct inquiry *inquiry = context;
    if (failure != NULL) {
        finish_failed(inquiry, failure);
        return;
    }
    if (inquiry->call == NULL) {
        inquiry_free(inquiry);
        return;
    }
    if (inquiry->kind == INQUIRY_CREDENTIALS) {
        inquiry->inquirer->host->answer->credential(inquiry->call, credential);
        finish(inquiry);
        return;
    }
    cleanup(failure_clear) struct failure own = FAILURE_INIT;
    if (!begin(inquiry, credential, &own))
        finish_failed(inquiry, &own);
}

static bool read_lookup(struct inquiry *inquiry, const struct descpipe_lookup *lookup, struct failure *failure)
{
    if (!reference_read(&inquiry->reference, lookup->reference, failure))
        return false;
    if (inquiry->reference.host == NULL)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "the reference '%.200s' names no host", lookup->reference);
    inquiry->platform = lookup->platform != NULL ? strdup(lookup->platform) : NULL;
    return lookup->platform == NULL || inquiry->platform != NULL ? true : failure_memory(failure);
}

static void start(struct inquirer *inquirer, struct descpipe_call *call, const struct descpipe_lookup *lookup,
                  enum inquiry_kind kind)
{
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    struct inquiry *inquiry = calloc(1, sizeof *inquiry);
    if (inquiry == NULL) {
        failure_memory(&failure);
        failure_finish(&failure, inquirer->host, call);
        return;
    }
    *inquiry = (struct inquiry){.inquirer = inquirer, .call = call, .kind = kind};
    if (!read_lookup(inquiry, lookup, &failure)) {
        failure_finish(&failure, inquirer->host, call);
        inquiry_free(inquiry);
        return;
    }
    inquirer->host->call->on_cancel(call, wish_to_cancel, inquiry);
    uint32_t purpose = lookup->purpose != 0 ? lookup->purpose : (uint32_t)DESCPIPE_PURPOSE_PULL;
    inquirer->find_login(inquirer->self, &inquiry->reference, purpose, login_came, inquiry);
}

void inquiry_resolve(struct inquirer *inquirer, struct descpipe_call *call, const struct descpipe_lookup *lookup)
{
    start(inquirer, call, lookup, INQUIRY_RESOLVE);
}

void inquiry_list_tags(struct inquirer *inquirer, struct descpipe_call *call, const struct descpipe_lookup *lookup)
{
    start(inquirer, call, lookup, INQUIRY_TAGS);
}

void inquiry_credentials(struct inquirer *inquirer, struct descpipe_call *call, const struct descpipe_lookup *lookup)
{
    start(inquirer, call, lookup, INQUIRY_CREDENTIALS);
}

/* ---- logins of people ---- */

struct finding {
    struct place place;
    inquiry_found *found;
    void *context;
};

static void person_found(void *context, const struct docker_login *login, const struct failure *failure)
{
    struct finding *finding = context;
    struct descpipe_credential credential = place_credential(&finding->place);
    if (login != NULL) {
        credential.username = login->username;
        credential.password = login->password;
        credential.origin = login->origin;
    }
    finding->found(finding->context, failure == NULL ? &credential : NULL, failure);
    place_clear(&finding->place);
    free(finding);
}

void inquiry_find_login(struct inquirer *inquirer, const char *server, bool ours, inquiry_found *found, void *context)
{
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    struct finding *finding = calloc(1, sizeof *finding);
    if (finding == NULL) {
        failure_memory(&failure);
        found(context, NULL, &failure);
        return;
    }
    *finding = (struct finding){.found = found, .context = context};
    if (!inquirer->find_place(inquirer->self, server, &finding->place, &failure)) {
        place_clear(&finding->place);
        free(finding);
        found(context, NULL, &failure);
        return;
    }
    struct login_search search = {
        .host = inquirer->host, .server = server, .ours = ours, .found = person_found, .context = finding};
    login_find(&search);
}
