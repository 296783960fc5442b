/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fetches the keys to sign with, as the plan says, once for all who ask meanwhile.
 *
 *     keys ─┐
 *     credential_process ─┤
 *     web identity (STS) ─┼─► roles, one after the other (STS) ─► keys, kept until shortly before their end
 *     the container's endpoint ─┤
 *     the metadata service, version 2 ─┘
 */
#include <stdio.h>
#include <string.h>

#include "aws/words.h"
#include "ecr.h"

enum { MARGIN_MS = 300000, PROCESS_OUTPUT_LIMIT = 64 << 10, TOKEN_FILE_LIMIT = 64 << 10, METADATA_TEXT_LIMIT = 256 };
enum { ROLE_SECONDS = 3600 };

struct keys_flight {
    struct ecr *ecr;
    struct waiter *waiters;
    struct aws_plan plan;
    char identity[DIGEST_SIZE];
    struct aws_keys keys;
    size_t role;
    char *output, *complaint; /* of a process */
    size_t output_length;
    char *metadata_token, *instance_role;
};

extern char **environ;

static void wipe(char *text, size_t length)
{
    if (text != NULL)
        explicit_bzero(text, length);
    free(text);
}

/* Whatever it was, a person may mend that place or name another. */
static void tell_failure(struct keys_flight *flight, const struct keys_answer *answer, const struct failure *failure)
{
    cleanup(failure_clear) struct failure told = FAILURE_INIT;
    failure_copy(&told, failure);
    if (told.hint == NULL && told.kind != DESCPIPE_FAILED_CANCELLED)
        failure_hint(
            &told,
            "AWS keys were to come from %s: mend it, or name another place (AWS_PROFILE, the option `profile`, "
            "AWS_ACCESS_KEY_ID)",
            flight->plan.origin != NULL ? flight->plan.origin : "there");
    waiters_finish(&flight->waiters, answer, &told);
}

static void finish(struct keys_flight *flight, const struct failure *failure)
{
    struct ecr *ecr = flight->ecr;
    struct keys_answer answer = {.keys = &flight->keys, .origin = flight->plan.origin};
    ecr->flight = NULL; /* first: who is told may ask anew */
    if (failure == NULL) {
        aws_keys_clear(&ecr->keys);
        ecr->keys = flight->keys;
        flight->keys = (struct aws_keys){0};
        memcpy(ecr->keys_identity, flight->identity, sizeof ecr->keys_identity);
        answer.keys = &ecr->keys;
    }
    if (failure == NULL)
        waiters_finish(&flight->waiters, &answer, NULL);
    else
        tell_failure(flight, &answer, failure);
    aws_keys_clear(&flight->keys);
    aws_plan_clear(&flight->plan);
    wipe(flight->output, flight->output_length);
    free(flight->complaint);
    wipe(flight->metadata_token, flight->metadata_token != NULL ? strlen(flight->metadata_token) : 0);
    free(flight->instance_role);
    free(flight);
}

static void fail_memory(struct keys_flight *flight)
{
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    failure_memory(&failure);
    finish(flight, &failure);
}

/* ---- STS ---- */

static void next_role(struct keys_flight *flight);

static void role_came(void *context, const char *body, size_t length, const struct failure *failure)
{
    struct keys_flight *flight = context;
    cleanup(failure_clear) struct failure own = FAILURE_INIT;
    struct aws_keys keys = {0};
    if (failure != NULL) {
        finish(flight, failure);
        return;
    }
    if (!aws_read_role(body, length, &keys, &own)) {
        failure_wrap(&own, "the answer of AWS's STS");
        aws_keys_clear(&keys);
        finish(flight, &own);
        return;
    }
    aws_keys_clear(&flight->keys);
    flight->keys = keys;
    next_role(flight);
}

static void ask_sts(struct keys_flight *flight, const char *action, const char *form, bool signs)
{
    struct ecr *ecr = flight->ecr;
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    const char *region = ecr->region != NULL           ? ecr->region
                         : flight->plan.region != NULL ? flight->plan.region
                                                       : ECR_PUBLIC_REGION;
    cleanup(memory_free) char *url =
        ecr_service_url(ecr->sts_endpoint, "AWS_ENDPOINT_URL_STS", ecr_sts_url(region), &failure);
    cleanup(memory_free) char *whole = NULL;
    if (form == NULL || url == NULL || asprintf(&whole, "%s/", url) < 0) {
        whole = NULL;
        fail_memory(flight);
        return;
    }
    struct question question = {.what = action,
                                .method = "POST",
                                .url = whole,
                                .type = "application/x-www-form-urlencoded; charset=utf-8",
                                .body = form,
                                .service = "sts",
                                .region = region,
                                .keys = signs ? &flight->keys : NULL,
                                .origin = flight->plan.origin,
                                .done = role_came,
                                .context = flight};
    ecr_ask(ecr, &question);
}

static void next_role(struct keys_flight *flight)
{
    if (flight->role == flight->plan.role_count) {
        finish(flight, NULL);
        return;
    }
    const struct aws_role *role = &flight->plan.roles[flight->role++];
    char seconds[16];
    snprintf(seconds, sizeof seconds, "%d", ROLE_SECONDS);
    const char *const pairs[] = {"Action",     "AssumeRole",      "Version",     "2011-06-15",      "RoleArn",
                                 role->arn,    "RoleSessionName", role->session, "DurationSeconds", seconds,
                                 "ExternalId", role->external_id, NULL};
    cleanup(memory_free) char *form = words_form(pairs);
    ask_sts(flight, "AssumeRole", form, true);
}

static void take_web_identity(struct keys_flight *flight)
{
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    size_t length = 0;
    char *token = ecr_read_secret_file(flight->plan.token_file, TOKEN_FILE_LIMIT, &length, &failure);
    if (token == NULL) {
        failure_wrap(&failure, "the web identity's token");
        finish(flight, &failure);
        return;
    }
    const struct aws_role *role = &flight->plan.web_role;
    const char *const pairs[] = {"Action",  "AssumeRoleWithWebIdentity", "Version",     "2011-06-15",       "RoleArn",
                                 role->arn, "RoleSessionName",           role->session, "WebIdentityToken", token,
                                 NULL};
    char *form = words_form(pairs);
    wipe(token, length);
    ask_sts(flight, "AssumeRoleWithWebIdentity", form, false);
    wipe(form, form != NULL ? strlen(form) : 0);
}

/* ---- a process ---- */

static void process_line(void *context, uint32_t stream, const char *line, uint64_t length)
{
    struct keys_flight *flight = context;
    if (stream == 2 && flight->complaint == NULL && length > 0) {
        flight->complaint = strndup(line, length < 200 ? (size_t)length : 200);
        for (char *c = flight->complaint; c != NULL && *c != '\0'; c++)
            if ((unsigned char)*c < 0x20 || *c == 0x7f)
                *c = ' ';
    }
    if (stream != 1 || flight->output_length + length + 1 > PROCESS_OUTPUT_LIMIT)
        return;
    if (flight->output == NULL)
        flight->output = malloc(PROCESS_OUTPUT_LIMIT + 1);
    if (flight->output == NULL)
        return;
    memcpy(flight->output + flight->output_length, line, (size_t)length);
    flight->output_length += (size_t)length;
    flight->output[flight->output_length++] = '\n';
}

static bool judge_process(struct keys_flight *flight, const struct descpipe_process_end *end, struct failure *failure)
{
    if (!end->started)
        return failure_set(failure, DESCPIPE_FAILED_NEEDS_LOGIN, "it cannot be started: %s",
                           end->message != NULL ? end->message : "no words");
    if (end->timed_out)
        return failure_set(failure, DESCPIPE_FAILED_NEEDS_LOGIN, "it did not end within a minute");
    if (end->truncated)
        return failure_set(failure, DESCPIPE_FAILED_NEEDS_LOGIN, "it prints more than %d KiB",
                           PROCESS_OUTPUT_LIMIT >> 10);
    if (end->exit_code != 0)
        return failure_set(failure, DESCPIPE_FAILED_NEEDS_LOGIN, "exit status %d: %s", (int)end->exit_code,
                           flight->complaint != NULL ? flight->complaint : "no words");
    if (!aws_read_process(flight->output != NULL ? flight->output : "", flight->output_length, &flight->keys,
                          failure)) {
        failure->kind = DESCPIPE_FAILED_NEEDS_LOGIN;
        return failure_wrap(failure, "what it prints");
    }
    return true;
}

static void process_ended(void *context, const struct descpipe_process_end *end)
{
    struct keys_flight *flight = context;
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    if (!judge_process(flight, end, &failure)) {
        failure_wrap(&failure, "%s ('%s')", flight->plan.origin, flight->plan.argv[0]);
        finish(flight, &failure);
        return;
    }
    next_role(flight);
}

static void take_process(struct keys_flight *flight)
{
    const struct descpipe_host *host = ecr_services(flight->ecr);
    struct descpipe_process_request request = {
        .size = sizeof request,
        .argv = (const char *const *)flight->plan.argv,
        .environment = (const char *const *)environ, /* the user's own command, as the user would start it */
        .output_limit = PROCESS_OUTPUT_LIMIT,
        .line = process_line,
        .ended = process_ended,
        .context = flight,
    };
    host->process->start(host, &request);
}

/* ---- endpoints of containers and machines ---- */

static void endpoint_came(void *context, const char *body, size_t length, const struct failure *failure)
{
    struct keys_flight *flight = context;
    cleanup(failure_clear) struct failure own = FAILURE_INIT;
    if (failure == NULL && aws_read_endpoint(body, length, &flight->keys, &own)) {
        next_role(flight);
        return;
    }
    if (failure == NULL)
        failure_wrap(&own, "the answer of %s", flight->plan.origin);
    finish(flight, failure != NULL ? failure : &own);
}

static void take_container(struct keys_flight *flight)
{
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    const struct aws_plan *plan = &flight->plan;
    size_t length = 0;
    char *from_file = NULL, *header = NULL;
    if (plan->authorization_file != NULL) {
        from_file = ecr_read_secret_file(plan->authorization_file, TOKEN_FILE_LIMIT, &length, &failure);
        if (from_file == NULL) {
            failure_wrap(&failure, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
            finish(flight, &failure);
            return;
        }
    }
    const char *token = from_file != NULL ? from_file : plan->authorization;
    int written = token != NULL ? asprintf(&header, "Authorization: %s", token) : 0;
    wipe(from_file, length);
    if (written < 0) {
        fail_memory(flight);
        return;
    }
    struct question question = {.what = "keys of the container's AWS endpoint",
                                .method = "GET",
                                .url = plan->url,
                                .headers = {header},
                                .metadata = strncmp(plan->url, "http://", 7) == 0,
                                .done = endpoint_came,
                                .context = flight};
    ecr_ask(flight->ecr, &question);
    wipe(header, header != NULL ? strlen(header) : 0);
}

static void ask_instance(struct keys_flight *flight, const char *path, const char *name,
                         void (*done)(void *, const char *, size_t, const struct failure *))
{
    cleanup(memory_free) char *url = NULL;
    char *header = NULL;
    if (asprintf(&url, "%s%s%s", flight->plan.url, path, name) < 0) {
        url = NULL;
        fail_memory(flight);
        return;
    }
    bool begins = flight->metadata_token == NULL;
    int written = begins ? asprintf(&header, "X-aws-ec2-metadata-token-ttl-seconds: 60")
                         : asprintf(&header, "X-aws-ec2-metadata-token: %s", flight->metadata_token);
    if (written < 0) {
        fail_memory(flight);
        return;
    }
    struct question question = {.what = "this machine's AWS metadata service",
                                .method = begins ? "PUT" : "GET",
                                .url = url,
                                .headers = {header},
                                .metadata = true,
                                .done = done,
                                .context = flight};
    ecr_ask(flight->ecr, &question);
    wipe(header, strlen(header));
}

/* One word of at most so many letters that may stand in a header or a path. NULL: it is none, or no memory. */
static char *copy_word(const char *text, size_t length, size_t limit)
{
    while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == '\r'))
        length--;
    for (size_t i = 0; i < length; i++)
        if (text[i] <= ' ' || text[i] > '~' || text[i] == '?' || text[i] == '#')
            return NULL;
    return length > 0 && length <= limit ? strndup(text, length) : NULL;
}

static void fail_instance(struct keys_flight *flight, const char *why)
{
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    failure_set(&failure, DESCPIPE_FAILED_NEEDS_LOGIN, "%s: %s", flight->plan.origin, why);
    finish(flight, &failure);
}

static void instance_role_came(void *context, const char *body, size_t length, const struct failure *failure)
{
    static const char path[] = "/latest/meta-data/iam/security-credentials/";
    struct keys_flight *flight = context;
    if (failure != NULL) {
        finish(flight, failure);
        return;
    }
    const char *newline = memchr(body, '\n', length);
    flight->instance_role = copy_word(body, newline != NULL ? (size_t)(newline - body) : length, METADATA_TEXT_LIMIT);
    if (flight->instance_role == NULL)
        fail_instance(flight, "this machine has no role");
    else
        ask_instance(flight, path, flight->instance_role, endpoint_came);
}

static void no_keys_anywhere(struct keys_flight *flight, const struct failure *failure)
{
    cleanup(failure_clear) struct failure own = FAILURE_INIT;
    failure_set(&own, DESCPIPE_FAILED_NEEDS_LOGIN, "no AWS keys: none in the environment, no default profile%s%s",
                failure != NULL ? ", and " : "", failure != NULL ? failure_message(failure) : "");
    failure_hint(&own, "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a profile (AWS_PROFILE or the option "
                       "`profile`), or run `aws configure`");
    finish(flight, &own);
}

static void metadata_token_came(void *context, const char *body, size_t length, const struct failure *failure)
{
    struct keys_flight *flight = context;
    if (failure != NULL && flight->plan.role_count == 0) {
        no_keys_anywhere(flight, failure);
        return;
    }
    if (failure != NULL) {
        finish(flight, failure);
        return;
    }
    flight->metadata_token = copy_word(body, length, METADATA_TEXT_LIMIT);
    if (flight->metadata_token == NULL)
        fail_instance(flight, "its answer is no token");
    else
        ask_instance(flight, "/latest/meta-data/iam/security-credentials/", "", instance_role_came);
}

/* ---- begin ---- */

static void take_keys(struct keys_flight *flight)
{
    flight->keys.access_key_id = steal(&flight->plan.access_key_id);
    flight->keys.secret_access_key = steal(&flight->plan.secret_access_key);
    flight->keys.session_token = steal(&flight->plan.session_token);
    next_role(flight);
}

static void begin(struct keys_flight *flight)
{
    switch (flight->plan.source) {
    case AWS_SOURCE_NONE:
        no_keys_anywhere(flight, NULL);
        return;
    case AWS_SOURCE_KEYS:
        take_keys(flight);
        return;
    case AWS_SOURCE_PROCESS:
        take_process(flight);
        return;
    case AWS_SOURCE_WEB_IDENTITY:
        take_web_identity(flight);
        return;
    case AWS_SOURCE_CONTAINER:
        take_container(flight);
        return;
    case AWS_SOURCE_INSTANCE:
        ask_instance(flight, "/latest/api/token", "", metadata_token_came);
        return;
    }
}

static bool still_good(const struct ecr *ecr, const char *identity)
{
    return ecr->keys.access_key_id != NULL && strcmp(ecr->keys_identity, identity) == 0 &&
           (ecr->keys.expires_at_ms == 0 || ecr->keys.expires_at_ms - MARGIN_MS > ecr_now_ms());
}

void keys_want(struct ecr *ecr, waited *done, void *context)
{
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    if (ecr->flight != NULL) {
        if (waiters_add(&ecr->flight->waiters, done, context))
            return;
        failure_memory(&failure);
        done(context, NULL, &failure);
        return;
    }
    struct keys_flight *flight = calloc(1, sizeof *flight);
    if (flight == NULL || !waiters_add(&flight->waiters, done, context)) {
        free(flight);
        failure_memory(&failure);
        done(context, NULL, &failure);
        return;
    }
    flight->ecr = ecr;
    if (!ecr_plan(ecr, &flight->plan, flight->identity, &failure)) {
        finish(flight, &failure);
        return;
    }
    if (still_good(ecr, flight->identity)) {
        flight->keys = ecr->keys;
        ecr->keys = (struct aws_keys){0};
        finish(flight, NULL);
        return;
    }
    ecr->flight = flight;
    begin(flight);
}
