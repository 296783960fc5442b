/* SPDX-License-Identifier: BSD-3-Clause */
/* ECR refuses a push to a repository that nobody has made: CreateRepository before the first one. */
#include <jansson.h>
#include <string.h>

#include "ecr.h"

struct creating {
    struct ecr *ecr;
    struct descpipe_call *call; /* NULL: cancelled */
    struct ecr_host place;
    struct reference reference;
    bool sent;
};

static void creating_free(struct creating *creating)
{
    reference_clear(&creating->reference);
    free(creating);
}

static void finish(struct creating *creating, const struct failure *failure)
{
    const struct descpipe_host *host = ecr_services(creating->ecr);
    if (creating->call != NULL && failure != NULL)
        failure_finish(failure, host, creating->call);
    else if (creating->call != NULL)
        host->call->succeed(creating->call);
    creating_free(creating);
}

static void wish_to_cancel(void *context)
{
    struct creating *creating = context;
    struct descpipe_call *call = steal(&creating->call);
    ecr_services(creating->ecr)
        ->call->fail(call, creating->sent ? DESCPIPE_FAILED_UNKNOWN : DESCPIPE_FAILED_CANCELLED, "cancelled", NULL);
}

static bool is_there_already(const char *code)
{
    return strncmp(code, "RepositoryAlreadyExists", strlen("RepositoryAlreadyExists")) == 0;
}

static void created(void *context, const char *body, size_t length, const struct failure *failure)
{
    struct creating *creating = context;
    (void)body;
    (void)length;
    /* Many may push but not create; whether the repository is there the push itself will say. */
    if (failure != NULL && strstr(failure_message(failure), "AccessDenied") != NULL) {
        const struct descpipe_host *host = ecr_services(creating->ecr);
        host->log->write(host, DESCPIPE_LOG_WARNING, failure_message(failure));
        finish(creating, NULL);
        return;
    }
    finish(creating, failure);
}

/* The public registry's repositories are below an alias, which the API leaves out. */
static const char *repository_name(const struct creating *creating)
{
    const char *name = creating->reference.repository;
    const char *slash = creating->place.is_public ? strchr(name, '/') : NULL;
    return slash != NULL ? slash + 1 : name;
}

static char *write_body(const struct creating *creating)
{
    const struct ecr *ecr = creating->ecr;
    json_t *body = json_object();
    json_object_set_new(body, "repositoryName", json_string(repository_name(creating)));
    if (!creating->place.is_public) {
        json_object_set_new(body, "imageTagMutability", json_string(ecr->immutable ? "IMMUTABLE" : "MUTABLE"));
        json_object_set_new(body, "imageScanningConfiguration", json_pack("{s:b}", "scanOnPush", ecr->scans));
        if (creating->place.account[0] != '\0')
            json_object_set_new(body, "registryId", json_string(creating->place.account));
    }
    char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    return text;
}

static void keys_came(void *context, const void *value, const struct failure *failure)
{
    struct creating *creating = context;
    struct ecr *ecr = creating->ecr;
    const struct keys_answer *answer = value;
    cleanup(failure_clear) struct failure own = FAILURE_INIT;
    if (failure != NULL || creating->call == NULL) {
        finish(creating, failure);
        return;
    }
    bool is_public = creating->place.is_public;
    cleanup(memory_free) char *base =
        ecr_service_url(ecr->endpoint, is_public ? "AWS_ENDPOINT_URL_ECR_PUBLIC" : "AWS_ENDPOINT_URL_ECR",
                        ecr_api_url(&creating->place), &own);
    cleanup(memory_free) char *url = NULL, *body = write_body(creating);
    if (base == NULL || body == NULL || asprintf(&url, "%s/", base) < 0) {
        url = NULL;
        failure_memory(&own);
        finish(creating, &own);
        return;
    }
    creating->sent = true;
    struct question question = {
        .what = "CreateRepository",
        .method = "POST",
        .url = url,
        .type = "application/x-amz-json-1.1",
        .body = body,
        .service = is_public ? "ecr-public" : "ecr",
        .region = creating->place.region,
        .keys = answer->keys,
        .origin = answer->origin,
        .headers = {is_public ? "X-Amz-Target: SpencerFrontendService.CreateRepository"
                              : "X-Amz-Target: AmazonEC2ContainerRegistry_V20150921.CreateRepository"},
        .fine = is_there_already,
        .done = created,
        .context = creating};
    ecr_ask(ecr, &question);
}

void ecr_ensure_repository(void *self, struct descpipe_call *call, const struct descpipe_lookup *lookup)
{
    struct ecr *ecr = self;
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    if (!ecr->creates) {
        ecr_services(ecr)->call->succeed(call);
        return;
    }
    struct creating *creating = calloc(1, sizeof *creating);
    if (creating == NULL) {
        failure_memory(&failure);
        failure_finish(&failure, ecr_services(ecr), call);
        return;
    }
    *creating = (struct creating){.ecr = ecr, .call = call};
    if (!reference_read(&creating->reference, lookup->reference, &failure) ||
        !ecr_place_of(ecr, creating->reference.host, &creating->place, &failure)) {
        finish(creating, &failure);
        return;
    }
    ecr_services(ecr)->call->on_cancel(call, wish_to_cancel, creating);
    keys_want(ecr, keys_came, creating);
}
