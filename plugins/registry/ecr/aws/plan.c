/* SPDX-License-Identifier: BSD-3-Clause */
/* The order in which AWS's own tools look for keys, followed to a decision. */
#include "aws/plan.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "aws/words.h"

static const char container_host[] = "http://169.254.170.2";
static const char instance_host[] = "http://169.254.169.254";

struct making {
    const struct aws_inputs *inputs;
    struct aws_plan *plan;
    const char *profile;
    bool named; /* the profile is somebody's wish, not the default */
    struct failure *failure;
};

static const char *environment(const struct making *making, const char *name)
{
    return making->inputs->environment(making->inputs->context, name);
}

static bool set_text(char **place, const char *text, struct failure *failure)
{
    free(*place);
    *place = NULL;
    if (text == NULL)
        return true;
    *place = strdup(text);
    return *place != NULL ? true : failure_memory(failure);
}

__attribute__((format(printf, 3, 4))) static bool format_text(char **place, struct failure *failure, const char *format,
                                                              ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = NULL;
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (length < 0)
        return failure_memory(failure);
    free(*place);
    *place = text;
    return true;
}

bool aws_region_valid(const char *region)
{
    size_t length = strlen(region);
    return length > 0 && length <= 40 && strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

bool aws_container_url_valid(const char *url)
{
    static const char *const hosts[] = {"127.0.0.1",     "localhost",      "[::1]",
                                        "169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"};
    if (strncmp(url, "https://", 8) == 0)
        return true;
    if (strncmp(url, "http://", 7) != 0)
        return false;
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        size_t length = strlen(hosts[i]);
        if (strncmp(url + 7, hosts[i], length) == 0 && strchr("/:?", url[7 + length]) != NULL)
            return true;
    }
    return false;
}

/* ---- sections ---- */

static const struct ini_section *config_section(const struct making *making, const char *profile)
{
    cleanup(memory_free) char *name = NULL;
    if (asprintf(&name, "profile %s", profile) < 0) {
        name = NULL;
        return NULL;
    }
    const struct ini_section *section = ini_find(making->inputs->config, name);
    bool is_default = strcmp(profile, "default") == 0;
    return section != NULL || !is_default ? section : ini_find(making->inputs->config, profile);
}

static const char *setting(const struct making *making, const char *profile, const char *name)
{
    const char *value = ini_value(ini_find(making->inputs->credentials, profile), name);
    return value != NULL ? value : ini_value(config_section(making, profile), name);
}

static bool refuse(const struct making *making, const char *profile, const char *hint, const char *why)
{
    failure_set(making->failure, DESCPIPE_FAILED_NEEDS_LOGIN, "AWS profile '%s': %s", profile, why);
    if (hint != NULL)
        failure_hint(making->failure, "%s", hint);
    return false;
}

/* ---- sources ---- */

static bool take_keys(const struct making *making, const char *id, const char *secret, const char *token)
{
    struct aws_plan *plan = making->plan;
    plan->source = AWS_SOURCE_KEYS;
    return set_text(&plan->access_key_id, id, making->failure) &&
           set_text(&plan->secret_access_key, secret, making->failure) &&
           set_text(&plan->session_token, token, making->failure);
}

static bool take_environment(const struct making *making)
{
    const char *id = environment(making, "AWS_ACCESS_KEY_ID"), *secret = environment(making, "AWS_SECRET_ACCESS_KEY");
    if (secret == NULL) {
        failure_set(making->failure, DESCPIPE_FAILED_NEEDS_LOGIN,
                    "AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not");
        return failure_hint(making->failure, "set both, or neither");
    }
    return take_keys(making, id, secret, environment(making, "AWS_SESSION_TOKEN")) &&
           set_text(&making->plan->origin, "AWS_ACCESS_KEY_ID in the environment", making->failure);
}

/* False with a failure; *taken says whether there was one. */
static bool take_container(const struct making *making, bool *taken)
{
    const char *relative = environment(making, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    const char *full = environment(making, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
    struct aws_plan *plan = making->plan;
    *taken = relative != NULL || full != NULL;
    if (!*taken)
        return true;
    if (relative != NULL && relative[0] != '/')
        return failure_set(making->failure, DESCPIPE_FAILED_REFUSED,
                           "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI does not begin with '/'");
    if (relative == NULL && !aws_container_url_valid(full)) {
        failure_set(making->failure, DESCPIPE_FAILED_REFUSED,
                    "AWS_CONTAINER_CREDENTIALS_FULL_URI is plain http to another machine: '%.200s'", full);
        return failure_hint(making->failure,
                            "keys are only asked for by https, on this machine or at AWS's own addresses");
    }
    plan->source = AWS_SOURCE_CONTAINER;
    return format_text(&plan->url, making->failure, "%s%s", relative != NULL ? container_host : "",
                       relative != NULL ? relative : full) &&
           set_text(&plan->authorization, environment(making, "AWS_CONTAINER_AUTHORIZATION_TOKEN"), making->failure) &&
           set_text(&plan->authorization_file, environment(making, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
                    making->failure) &&
           format_text(&plan->origin, making->failure, "the container's AWS endpoint %s", plan->url);
}

static bool take_instance(const struct making *making)
{
    const char *disabled = environment(making, "AWS_EC2_METADATA_DISABLED");
    const char *host = environment(making, "AWS_EC2_METADATA_SERVICE_ENDPOINT");
    if (disabled != NULL && strcasecmp(disabled, "true") == 0)
        return true;
    host = host != NULL ? host : instance_host;
    size_t length = strlen(host);
    while (length > 0 && host[length - 1] == '/')
        length--;
    making->plan->source = AWS_SOURCE_INSTANCE;
    return format_text(&making->plan->url, making->failure, "%.*s", (int)length, host) &&
           format_text(&making->plan->origin, making->failure, "this machine's AWS metadata service (%.*s)",
                       (int)length, host);
}

static bool set_role(struct aws_role *role, const char *arn, const char *session, const char *external_id,
                     const char *fallback, struct failure *failure)
{
    role->session = session != NULL ? strdup(session) : words_session(fallback);
    return role->session != NULL
               ? set_text(&role->arn, arn, failure) && set_text(&role->external_id, external_id, failure)
               : failure_memory(failure);
}

static bool take_web_identity(const struct making *making, const char *file, const char *arn, const char *session)
{
    struct aws_plan *plan = making->plan;
    plan->source = AWS_SOURCE_WEB_IDENTITY;
    return set_text(&plan->token_file, file, making->failure) &&
           set_role(&plan->web_role, arn, session, NULL, "web-identity", making->failure) &&
           format_text(&plan->origin, making->failure, "the web identity of role %s (%s)", arn, file);
}

/* ---- a profile ---- */

static bool profile_exists(const struct making *making, const char *profile)
{
    return ini_find(making->inputs->credentials, profile) != NULL || config_section(making, profile) != NULL;
}

/* Keys that stand in one of the files, both in the same one. */
static bool take_profile_keys(const struct making *making, const char *profile, bool *taken)
{
    const struct aws_inputs *inputs = making->inputs;
    const struct ini_section *sections[] = {ini_find(inputs->credentials, profile), config_section(making, profile)};
    const char *paths[] = {inputs->credentials_path, inputs->config_path};
    *taken = false;
    for (size_t i = 0; i < 2 && !*taken; i++) {
        const char *id = ini_value(sections[i], "aws_access_key_id");
        const char *secret = ini_value(sections[i], "aws_secret_access_key");
        if (id == NULL && secret == NULL)
            continue;
        if (id == NULL || secret == NULL)
            return refuse(making, profile, "write both into the same file, or run `aws configure`",
                          id == NULL ? "aws_secret_access_key without aws_access_key_id"
                                     : "aws_access_key_id without aws_secret_access_key");
        *taken = true;
        if (!take_keys(making, id, secret, ini_value(sections[i], "aws_session_token")) ||
            !format_text(&making->plan->origin, making->failure, "profile '%s' in %s", profile, paths[i]))
            return false;
    }
    return true;
}

static bool take_process(const struct making *making, const char *profile, const char *line)
{
    struct aws_plan *plan = making->plan;
    plan->argv = words_split(line, making->failure);
    if (plan->argv == NULL)
        return failure_wrap(making->failure, "AWS profile '%s': credential_process", profile);
    plan->source = AWS_SOURCE_PROCESS;
    return format_text(&plan->origin, making->failure, "credential_process of profile '%s' in %s", profile,
                       making->inputs->config_path);
}

static bool is_single_sign_on(const struct making *making, const char *profile)
{
    return setting(making, profile, "sso_session") != NULL || setting(making, profile, "sso_start_url") != NULL;
}

/* The keys a profile has of its own, without any role. */
static bool take_own(const struct making *making, const char *profile, bool *taken)
{
    if (is_single_sign_on(making, profile))
        return refuse(making, profile,
                      "log in with `aws sso login` and let AWS's own tool hand the keys over: credential_process = "
                      "aws configure export-credentials --profile NAME --format process",
                      "it uses IAM Identity Center (sso_...), which descpipe does not speak");
    if (!take_profile_keys(making, profile, taken) || *taken)
        return making->failure->kind == 0;
    const char *process = setting(making, profile, "credential_process");
    *taken = process != NULL;
    return process == NULL || take_process(making, profile, process);
}

static bool push_role(const struct making *making, const char *profile, const char *arn)
{
    struct aws_plan *plan = making->plan;
    if (setting(making, profile, "mfa_serial") != NULL)
        return refuse(making, profile,
                      "let AWS's own tool ask for it: credential_process = aws configure export-credentials --profile "
                      "NAME --format process",
                      "its role wants a code of a multi-factor device (mfa_serial), which nobody could type here");
    if (plan->role_count == PLAN_ROLES_LIMIT)
        return refuse(making, profile, NULL, "its roles go through too many other profiles (source_profile)");
    return set_role(&plan->roles[plan->role_count++], arn, setting(making, profile, "role_session_name"),
                    setting(making, profile, "external_id"), profile, making->failure);
}

static bool take_credential_source(const struct making *making, const char *profile, const char *name)
{
    bool taken = true;
    if (strcasecmp(name, "Environment") == 0) {
        if (environment(making, "AWS_ACCESS_KEY_ID") == NULL)
            return refuse(making, profile, NULL, "credential_source = Environment, but AWS_ACCESS_KEY_ID is not set");
        return take_environment(making);
    }
    if (strcasecmp(name, "EcsContainer") == 0)
        return take_container(making, &taken) &&
               (taken ||
                refuse(making, profile, NULL, "credential_source = EcsContainer, but this is no container of AWS's"));
    if (strcasecmp(name, "Ec2InstanceMetadata") == 0)
        return take_instance(making) &&
               (making->plan->source != AWS_SOURCE_NONE ||
                refuse(making, profile, NULL,
                       "credential_source = Ec2InstanceMetadata, but AWS_EC2_METADATA_DISABLED"));
    return refuse(making, profile, "it is Environment, EcsContainer or Ec2InstanceMetadata",
                  "an unknown credential_source");
}

/* One profile of a chain of source_profiles. *next: where to go on, NULL: done. */
static bool take_step(const struct making *making, const char *profile, const char **next, bool *taken)
{
    const char *arn = setting(making, profile, "role_arn");
    const char *source = setting(making, profile, "source_profile");
    const char *kind = setting(making, profile, "credential_source");
    const char *file = setting(making, profile, "web_identity_token_file");
    *next = NULL;
    *taken = true;
    if (arn == NULL)
        return take_own(making, profile, taken);
    if (source == NULL && kind == NULL && file != NULL)
        return take_web_identity(making, file, arn, setting(making, profile, "role_session_name"));
    if (source != NULL && kind != NULL)
        return refuse(making, profile, NULL, "source_profile and credential_source exclude each other");
    if (source == NULL && kind == NULL)
        return refuse(making, profile, "add source_profile, credential_source or web_identity_token_file",
                      "role_arn, but nothing that says with whose keys the role is taken on");
    if (!push_role(making, profile, arn))
        return false;
    if (kind != NULL)
        return take_credential_source(making, profile, kind);
    if (strcmp(source, profile) == 0) /* its own keys take on its role */
        return take_own(making, profile, taken);
    *next = source;
    return true;
}

static void reverse_roles(struct aws_plan *plan)
{
    for (size_t i = 0; i < plan->role_count / 2; i++) {
        struct aws_role other = plan->roles[i];
        plan->roles[i] = plan->roles[plan->role_count - 1 - i];
        plan->roles[plan->role_count - 1 - i] = other;
    }
}

static bool note_roles(const struct making *making)
{
    struct aws_plan *plan = making->plan;
    if (plan->role_count == 0)
        return true;
    cleanup(memory_free) char *base = steal(&plan->origin);
    return format_text(&plan->origin, making->failure, "role %s by %s", plan->roles[plan->role_count - 1].arn, base);
}

static bool take_profile(const struct making *making, bool *taken)
{
    const char *profile = making->profile, *next = NULL;
    *taken = false;
    for (size_t steps = 0; profile != NULL; steps++, profile = next) {
        if (!profile_exists(making, profile)) {
            if (!making->named && steps == 0)
                return true;
            failure_set(making->failure, DESCPIPE_FAILED_NEEDS_LOGIN,
                        "there is no AWS profile '%s', neither in %s nor in %s", profile, making->inputs->config_path,
                        making->inputs->credentials_path);
            return failure_hint(making->failure, "make it with `aws configure --profile %s`, or name another", profile);
        }
        if (!take_step(making, profile, &next, taken))
            return false;
        if (next == NULL && !*taken && (making->named || steps > 0))
            return refuse(making, profile, "add keys, a credential_process or a role", "it says nothing about keys");
    }
    reverse_roles(making->plan);
    return note_roles(making);
}

static bool take_environment_web_identity(const struct making *making, bool *taken)
{
    const char *file = environment(making, "AWS_WEB_IDENTITY_TOKEN_FILE"), *arn = environment(making, "AWS_ROLE_ARN");
    *taken = file != NULL && arn != NULL;
    return !*taken || take_web_identity(making, file, arn, environment(making, "AWS_ROLE_SESSION_NAME"));
}

static bool decide(const struct making *making)
{
    bool taken = false;
    bool by_option = making->inputs->profile != NULL;
    if (!by_option && environment(making, "AWS_ACCESS_KEY_ID") != NULL)
        return take_environment(making);
    if (!by_option && !making->named && (!take_environment_web_identity(making, &taken) || taken))
        return making->failure->kind == 0;
    if (!take_profile(making, &taken) || taken || making->named)
        return making->failure->kind == 0;
    if (!take_container(making, &taken) || taken)
        return making->failure->kind == 0;
    return take_instance(making);
}

static bool find_region(const struct making *making)
{
    const char *region = environment(making, "AWS_REGION");
    region = region != NULL ? region : environment(making, "AWS_DEFAULT_REGION");
    region = region != NULL ? region : setting(making, making->profile, "region");
    if (region != NULL && !aws_region_valid(region))
        return failure_set(making->failure, DESCPIPE_FAILED_REFUSED, "'%.60s' is no AWS region", region);
    return set_text(&making->plan->region, region, making->failure);
}

bool aws_plan_make(const struct aws_inputs *inputs, struct aws_plan *plan, struct failure *failure)
{
    struct making making = {.inputs = inputs, .plan = plan, .profile = inputs->profile, .failure = failure};
    if (making.profile == NULL)
        making.profile = environment(&making, "AWS_PROFILE");
    making.named = making.profile != NULL;
    if (making.profile == NULL)
        making.profile = "default";
    return decide(&making) && find_region(&making);
}

static void wipe(char *text)
{
    if (text != NULL)
        explicit_bzero(text, strlen(text));
    free(text);
}

static void clear_role(struct aws_role *role)
{
    free(role->arn);
    free(role->session);
    free(role->external_id);
}

void aws_plan_clear(struct aws_plan *plan)
{
    free(plan->access_key_id);
    wipe(plan->secret_access_key);
    wipe(plan->session_token);
    wipe(plan->authorization);
    words_free(plan->argv);
    free(plan->token_file);
    clear_role(&plan->web_role);
    free(plan->url);
    free(plan->authorization_file);
    for (size_t i = 0; i < plan->role_count; i++)
        clear_role(&plan->roles[i]);
    free(plan->region);
    free(plan->origin);
    *plan = (struct aws_plan){0};
}
