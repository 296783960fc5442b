/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Registry `ecr`: Amazon's Elastic Container Registry, private and public.
 *
 * How it works: a name without a host belongs to the account and region of the options (the account is asked of AWS
 * when nobody says it). Logins are tokens of some hours, fetched with AWS keys when an image needs one; keys come from
 * where AWS's own tools look. The public registry is read without any login when no keys are at hand.
 *
 *     ecr.c      options, names, which login       sources.c  what decides about keys, read now
 *     token.c    GetAuthorizationToken, kept       keys.c     fetches the keys
 *     cache.c    tokens kept between runs          ask.c      one request to AWS
 *     repository.c  CreateRepository               aws/       texts only: files, answers, names
 */
#include "ecr.h"

#include <stdio.h>
#include <string.h>

#include "inquiry/name.h"
#include "inquiry/options.h"

static const char *option_text(const struct descpipe_host *host, const char *key)
{
    const char *value = host->config->text(host->settings, key);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

/* ---- places and logins ---- */

static bool is_data_host(const struct ecr *ecr, const char *server)
{
    return ecr->data_host != NULL && strcmp(ecr->data_host, server) == 0;
}

bool ecr_place_of(struct ecr *ecr, const char *server, struct ecr_host *place, struct failure *failure)
{
    if (server == NULL || (!is_data_host(ecr, server) && !ecr_host_read(server, place)))
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "'%.200s' is no host of ECR's",
                           server != NULL ? server : "a name without a host");
    if (!is_data_host(ecr, server))
        return true;
    cleanup(memory_free) char *region = ecr_region(ecr, failure);
    if (region == NULL)
        return false;
    *place = (struct ecr_host){0};
    snprintf(place->region, sizeof place->region, "%s", region);
    snprintf(place->account, sizeof place->account, "%s", ecr->account != NULL ? ecr->account : "");
    return true;
}

static bool find_place(void *self, const char *server, struct place *place, struct failure *failure)
{
    const struct ecr *ecr = self;
    /* `endpoint` is AWS's API here, not the registry's: place_find must not take it for the latter. */
    if (!place_find(place, ecr_services(ecr), server, true, failure))
        return false;
    free(steal(&place->endpoint));
    return true;
}

struct login_wish {
    struct ecr *ecr;
    char *server;
    inquiry_found *found;
    void *context;
};

static void tell(struct login_wish *wish, const struct token_answer *token, const struct failure *failure)
{
    cleanup(failure_clear) struct failure own = FAILURE_INIT;
    cleanup(place_clear) struct place place = {0};
    cleanup(memory_free) char *origin = NULL;
    const struct descpipe_host *host = ecr_services(wish->ecr);
    struct descpipe_secret *password = NULL;
    if (failure == NULL && !find_place(wish->ecr, wish->server, &place, &own))
        failure = &own;
    struct descpipe_credential credential = place_credential(&place);
    if (failure == NULL && token != NULL) {
        const struct aws_authorization *authorization = token->authorization;
        password = host->secret->make(authorization->password, strlen(authorization->password));
        if (asprintf(&origin, "AWS: %s", token->origin) < 0)
            origin = NULL;
        credential.username = authorization->username;
        credential.password = password;
        credential.expires_at_ms = authorization->expires_at_ms;
        credential.origin = origin;
    }
    wish->found(wish->context, failure == NULL ? &credential : NULL, failure);
    if (password != NULL)
        host->secret->release(password);
    free(wish->server);
    free(wish);
}

static void token_came(void *context, const void *value, const struct failure *failure)
{
    tell(context, value, failure);
}

/* Nobody has said anything about keys: then the public registry is read as anybody. */
static bool reads_as_anybody(struct ecr *ecr, const struct ecr_host *place, uint32_t purpose)
{
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    cleanup(aws_plan_clear) struct aws_plan plan = {0};
    char identity[DIGEST_SIZE];
    if (!place->is_public || purpose == DESCPIPE_PURPOSE_PUSH)
        return false;
    return ecr_plan(ecr, &plan, identity, &failure) && plan.role_count == 0 &&
           (plan.source == AWS_SOURCE_NONE || plan.source == AWS_SOURCE_INSTANCE);
}

static void find_login(void *self, const struct reference *reference, uint32_t purpose, inquiry_found *found,
                       void *context)
{
    struct ecr *ecr = self;
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    struct ecr_host place;
    struct login_wish *wish = calloc(1, sizeof *wish);
    if (wish == NULL || (wish->server = strdup(reference->host)) == NULL) {
        free(wish);
        failure_memory(&failure);
        found(context, NULL, &failure);
        return;
    }
    wish->ecr = ecr;
    wish->found = found;
    wish->context = context;
    if (!ecr_place_of(ecr, reference->host, &place, &failure))
        tell(wish, NULL, &failure);
    else if (reads_as_anybody(ecr, &place, purpose))
        tell(wish, NULL, NULL);
    else
        token_want(ecr, &place, token_came, wish);
}

static void resolve_failed(void *self, struct descpipe_call *call, const struct failure *failure)
{
    struct ecr *ecr = self;
    if (failure->kind == DESCPIPE_FAILED_NEEDS_LOGIN)
        tokens_forget(ecr);
    failure_finish(failure, ecr_services(ecr), call);
}

/* ---- names ---- */

struct naming {
    struct ecr *ecr;
    struct descpipe_call *call; /* NULL: cancelled */
    char *name;
    struct ecr_host place;
};

static void naming_end(struct naming *naming, const char *host, const struct failure *failure)
{
    struct ecr *ecr = naming->ecr;
    const struct descpipe_host *services = ecr_services(ecr);
    cleanup(failure_clear) struct failure own = FAILURE_INIT;
    cleanup(reference_clear) struct reference reference = {0};
    cleanup(memory_free) char *text = NULL;
    struct name_rule rule = {.host = host, .project = ecr->project, .prefix = ecr->prefix};
    if (failure == NULL && name_place(&reference, naming->name, &rule, &own))
        text = reference_text(&reference, &own);
    if (naming->call != NULL && text != NULL) {
        services->answer->reference(naming->call, text);
        services->call->succeed(naming->call);
    } else if (naming->call != NULL) {
        failure_finish(failure != NULL ? failure : &own, services, naming->call);
    }
    free(naming->name);
    free(naming);
}

static void account_came(void *context, const void *value, const struct failure *failure)
{
    struct naming *naming = context;
    const struct token_answer *token = value;
    cleanup(failure_clear) struct failure own = FAILURE_INIT;
    cleanup(memory_free) char *host = NULL;
    if (failure == NULL && token->authorization->account == NULL) {
        failure_set(&own, DESCPIPE_FAILED_REFUSED, "AWS does not say which account these keys belong to");
        failure_hint(&own, "set the option `account`");
        failure = &own;
    }
    if (failure == NULL && (host = ecr_host_of(token->authorization->account, naming->place.region)) == NULL) {
        failure_memory(&own);
        failure = &own;
    }
    naming_end(naming, host, failure);
}

static void naming_cancel(void *context)
{
    struct naming *naming = context;
    struct descpipe_call *call = steal(&naming->call);
    ecr_services(naming->ecr)->call->fail(call, DESCPIPE_FAILED_CANCELLED, "cancelled", NULL);
}

/* The host of names without one: what the options say, else NULL; then the account is asked for. */
static char *home(struct ecr *ecr, struct naming *naming, struct failure *failure)
{
    if (ecr->data_host != NULL)
        return strdup(ecr->data_host);
    if (ecr->public_alias != NULL)
        return strdup(ECR_PUBLIC_HOST);
    cleanup(memory_free) char *region = ecr_region(ecr, failure);
    if (region == NULL)
        return NULL;
    snprintf(naming->place.region, sizeof naming->place.region, "%s", region);
    return ecr->account != NULL ? ecr_host_of(ecr->account, region) : NULL;
}

static bool has_host(const char *name)
{
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    cleanup(reference_clear) struct reference reference = {0};
    return !reference_read(&reference, name, &failure) || reference.host != NULL;
}

static void ecr_normalize(void *self, struct descpipe_call *call, const char *name)
{
    struct ecr *ecr = self;
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    struct naming *naming = calloc(1, sizeof *naming);
    if (naming == NULL || (naming->name = strdup(name)) == NULL) {
        free(naming);
        failure_memory(&failure);
        failure_finish(&failure, ecr_services(ecr), call);
        return;
    }
    naming->ecr = ecr;
    naming->call = call;
    cleanup(memory_free) char *host = has_host(name) ? NULL : home(ecr, naming, &failure);
    if (host != NULL || has_host(name) || failure.kind != 0) {
        naming_end(naming, host, failure.kind != 0 ? &failure : NULL);
        return;
    }
    ecr_services(ecr)->call->on_cancel(call, naming_cancel, naming);
    token_want(ecr, &naming->place, account_came, naming);
}

static int32_t ecr_accepts(void *self, const char *reference)
{
    const struct ecr *ecr = self;
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    cleanup(reference_clear) struct reference read = {0};
    struct ecr_host place;
    return reference_read(&read, reference, &failure) && read.host != NULL &&
           (is_data_host(ecr, read.host) || ecr_host_read(read.host, &place));
}

/* ---- operations ---- */

static void ecr_resolve(void *self, struct descpipe_call *call, const struct descpipe_lookup *lookup)
{
    inquiry_resolve(self, call, lookup);
}

static void ecr_list_tags(void *self, struct descpipe_call *call, const struct descpipe_lookup *lookup)
{
    inquiry_list_tags(self, call, lookup);
}

static void ecr_credentials(void *self, struct descpipe_call *call, const struct descpipe_lookup *lookup)
{
    inquiry_credentials(self, call, lookup);
}

static void ecr_login(void *self, struct descpipe_call *call, const struct descpipe_login *login)
{
    const struct ecr *ecr = self;
    (void)login;
    ecr_services(ecr)->call->fail(call, DESCPIPE_FAILED_UNSUPPORTED,
                                  "logins of ECR are made from AWS keys when they are needed; there is nothing to type",
                                  "run `aws configure`, or set AWS_PROFILE or AWS_ACCESS_KEY_ID");
}

struct probing {
    struct ecr *ecr;
    struct descpipe_call *call; /* NULL: cancelled */
};

static void probing_cancel(void *context)
{
    struct probing *probing = context;
    struct descpipe_call *call = steal(&probing->call);
    ecr_services(probing->ecr)->call->fail(call, DESCPIPE_FAILED_CANCELLED, "cancelled", NULL);
}

static void tell_token(const struct probing *probing, const struct token_answer *token)
{
    const struct descpipe_answer_service *answer = ecr_services(probing->ecr)->answer;
    char left[32];
    int64_t minutes = (token->authorization->expires_at_ms - ecr_now_ms()) / 60000;
    snprintf(left, sizeof left, "%lld min", (long long)(minutes > 0 ? minutes : 0));
    answer->fact(probing->call, "keys", token->origin);
    answer->fact(probing->call, "token-left", left);
    if (token->authorization->account != NULL)
        answer->fact(probing->call, "account", token->authorization->account);
}

static void probed(void *context, const void *value, const struct failure *failure)
{
    struct probing *probing = context;
    const struct descpipe_host *host = ecr_services(probing->ecr);
    if (probing->call != NULL && failure != NULL) {
        failure_finish(failure, host, probing->call);
    } else if (probing->call != NULL) {
        tell_token(probing, value);
        host->call->succeed(probing->call);
    }
    free(probing);
}

static void ecr_probe(void *self, struct descpipe_call *call)
{
    struct ecr *ecr = self;
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    cleanup(memory_free) char *region = ecr_region(ecr, &failure);
    struct probing *probing = region != NULL ? calloc(1, sizeof *probing) : NULL;
    if (probing == NULL) {
        if (failure.kind == 0)
            failure_memory(&failure);
        failure_finish(&failure, ecr_services(ecr), call);
        return;
    }
    *probing = (struct probing){.ecr = ecr, .call = call};
    struct ecr_host place = {0};
    snprintf(place.region, sizeof place.region, "%s", region);
    ecr_services(ecr)->answer->fact(call, "region", region);
    ecr_services(ecr)->call->on_cancel(call, probing_cancel, probing);
    token_want(ecr, &place, probed, probing);
}

/* ---- open and close ---- */

static bool check_options(const struct ecr *ecr, struct failure *failure)
{
    const struct descpipe_host *host = ecr_services(ecr);
    if (ecr->region != NULL && !aws_region_valid(ecr->region))
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "the option 'region' is no AWS region: '%.60s'",
                           ecr->region);
    if (ecr->account != NULL && !ecr_account_valid(ecr->account))
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "the option 'account' is not the 12 digits of an account");
    if (ecr->data_host != NULL && !reference_host_valid(ecr->data_host))
        return failure_set(failure, DESCPIPE_FAILED_REFUSED,
                           "the option 'data-host' is not HOST or HOST:PORT: '%.200s'", ecr->data_host);
    bool secret = host->config->given(host->settings, "secret-access-key");
    if ((ecr->access_key_id != NULL) != secret)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED,
                           "the options 'access-key-id' and 'secret-access-key' are given together");
    if (ecr->access_key_id != NULL && ecr->profile != NULL)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED,
                           "the options 'access-key-id' and 'profile' exclude each other");
    return true;
}

static void read_options(struct ecr *ecr)
{
    const struct descpipe_host *host = ecr_services(ecr);
    ecr->region = option_text(host, "region");
    ecr->account = option_text(host, "account");
    ecr->profile = option_text(host, "profile");
    ecr->access_key_id = option_text(host, "access-key-id");
    ecr->endpoint = option_text(host, "endpoint");
    ecr->sts_endpoint = option_text(host, "sts-endpoint");
    ecr->data_host = option_text(host, "data-host");
    ecr->public_alias = option_text(host, "public-alias");
    ecr->project = option_text(host, "project");
    ecr->prefix = ecr->public_alias != NULL ? ecr->public_alias : option_text(host, "prefix");
    ecr->creates = host->config->boolean(host->settings, "create-repositories") != 0;
    ecr->immutable = host->config->boolean(host->settings, "immutable-tags") != 0;
    ecr->scans = host->config->boolean(host->settings, "scan-on-push") != 0;
    ecr->renew_ms = host->config->integer(host->settings, "renew-before");
}

static void ecr_close(void *self)
{
    struct ecr *ecr = self;
    ecr_drop_askings(ecr);
    inquirer_close(&ecr->inquirer);
    tokens_free(ecr);
    aws_keys_clear(&ecr->keys);
    free(ecr);
}

static int32_t ecr_open(const struct descpipe_host *host, void **self, char *message, uint64_t message_size)
{
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    struct ecr *ecr = calloc(1, sizeof *ecr);
    if (ecr == NULL) {
        snprintf(message, message_size, "out of memory");
        return 1;
    }
    ecr->inquirer = (struct inquirer){.host = host,
                                      .self = ecr,
                                      .find_login = find_login,
                                      .find_place = find_place,
                                      .resolve_failed = resolve_failed};
    read_options(ecr);
    if (!check_options(ecr, &failure) || !inquirer_open(&ecr->inquirer, &failure)) {
        snprintf(message, message_size, "%s", failure_message(&failure));
        ecr_close(ecr);
        return 1;
    }
    *self = ecr;
    return 0;
}

#define TEXT_OPTION(variable, word, text)                                                                              \
    static const struct descpipe_option variable = {                                                                   \
        .size = sizeof(struct descpipe_option), .type = DESCPIPE_OPTION_TEXT, .key = (word), .help = (text)}
#define SECRET_OPTION(variable, word, text)                                                                            \
    static const struct descpipe_option variable = {                                                                   \
        .size = sizeof(struct descpipe_option), .type = DESCPIPE_OPTION_SECRET, .key = (word), .help = (text)}
#define SWITCH_OPTION(variable, word, value, text)                                                                     \
    static const struct descpipe_option variable = {.size = sizeof(struct descpipe_option),                            \
                                                    .type = DESCPIPE_OPTION_BOOLEAN,                                   \
                                                    .key = (word),                                                     \
                                                    .default_value = (value),                                          \
                                                    .help = (text)}

TEXT_OPTION(region_option, "region", "The AWS region; without it AWS_REGION, else what the profile says.");
TEXT_OPTION(account_option, "account", "The 12 digits of the account; without it AWS says whose the keys are.");
TEXT_OPTION(profile_option, "profile",
            "The profile in ~/.aws/config and ~/.aws/credentials; keys in the environment then do not count.");
TEXT_OPTION(key_option, "access-key-id", "The id of the AWS keys to use, together with `secret-access-key`.");
SECRET_OPTION(secret_option, "secret-access-key", "The secret of the AWS keys to use.");
SECRET_OPTION(session_option, "session-token", "The session token of keys that AWS gave for some hours.");
TEXT_OPTION(endpoint_option, "endpoint", "The URL of ECR's API, for example of a VPC endpoint.");
TEXT_OPTION(sts_option, "sts-endpoint", "The URL of STS's API, which gives the keys of roles.");
TEXT_OPTION(data_option, "data-host",
            "The host, or HOST:PORT, that serves the images instead of ACCOUNT.dkr.ecr.REGION.amazonaws.com.");
TEXT_OPTION(alias_option, "public-alias", "The alias at public.ecr.aws below which names without a host are found.");
TEXT_OPTION(project_option, "project",
            "Takes the place of the owner, so that owner/name:tag becomes PROJECT/name:tag.");
SWITCH_OPTION(creates_option, "create-repositories", "true", "Make a repository before the first push to it.");
SWITCH_OPTION(immutable_option, "immutable-tags", "false", "Tags of repositories that are made cannot be moved.");
SWITCH_OPTION(scan_option, "scan-on-push", "false", "Repositories that are made have their images scanned.");
static const struct descpipe_option renew_option = {
    .size = sizeof(struct descpipe_option),
    .type = DESCPIPE_OPTION_DURATION,
    .flags = DESCPIPE_OPTION_RANGED,
    .key = "renew-before",
    .default_value = "1h",
    .help = "A login with less time left than this is renewed before it is handed out; ECR's last 12 hours.",
    .minimum = 60000,
    .maximum = 11 * 3600 * 1000,
};
static const struct descpipe_option *const ecr_options[] = {&region_option,
                                                            &account_option,
                                                            &profile_option,
                                                            &key_option,
                                                            &secret_option,
                                                            &session_option,
                                                            &project_option,
                                                            &option_prefix,
                                                            &alias_option,
                                                            &creates_option,
                                                            &immutable_option,
                                                            &scan_option,
                                                            &renew_option,
                                                            &endpoint_option,
                                                            &sts_option,
                                                            &data_option,
                                                            &option_ca,
                                                            &option_certificates,
                                                            &option_plain_http,
                                                            &option_proxy,
                                                            &option_unverified_tls,
                                                            NULL};

static const struct descpipe_registry ecr_operations = {
    .size = sizeof(struct descpipe_registry),
    .capabilities = DESCPIPE_REGISTRY_CREATES | DESCPIPE_REGISTRY_EXPIRES,
    .open = ecr_open,
    .close = ecr_close,
    .accepts = ecr_accepts,
    .normalize = ecr_normalize,
    .resolve = ecr_resolve,
    .credentials = ecr_credentials,
    .probe = ecr_probe,
    .ensure_repository = ecr_ensure_repository,
    .list_tags = ecr_list_tags,
    .login = ecr_login,
};

static const struct descpipe_plugin ecr_plugin = {
    .size = sizeof(struct descpipe_plugin),
    .abi_major = DESCPIPE_ABI_MAJOR,
    .abi_minor = DESCPIPE_ABI_MINOR,
    .kind = "registry",
    .name = "ecr",
    .version = DESCPIPE_PLUGIN_VERSION,
    .summary = "Amazon's Elastic Container Registry, private and public",
    .author = "the descpipe authors",
    .licence = "BSD-3-Clause",
    .url = "",
    .options = ecr_options,
    .operations = &ecr_operations,
};

const struct descpipe_plugin *descpipe_plugin_v1(void)
{
    return &ecr_plugin;
}
