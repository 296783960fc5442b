/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One request to a service of AWS's.
 *
 * How it works: an answer that says "busy" (429, 5xx, throttling) and a connection that broke are asked again after a
 * pause; all that is asked here may be asked twice. Everything that holds a secret is overwritten before it is freed.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ecr.h"
#include "registry/client/retry.h"

enum { TRIES = 4, METADATA_TRIES = 2, PATIENCE_MS = 30000, TOTAL_MS = 30000 };
enum { METADATA_CONNECT_MS = 1000, METADATA_TOTAL_MS = 10000, HEADERS = 4, LINES = 8 };

struct asking {
    struct asking *next, **place;
    struct ecr *ecr;
    struct question question; /* its texts are these: */
    char *what, *method, *url, *type, *body, *service, *region, *origin, *headers[HEADERS];
    struct aws_keys keys;
    struct descpipe_timer *timer;
    struct retry retry;
    char *answer;
    size_t length;
    bool out_of_memory;
    int64_t named_ms; /* Retry-After, -1: none */
};

int64_t ecr_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void wipe(char *text)
{
    if (text != NULL)
        explicit_bzero(text, strlen(text));
    free(text);
}

static void drop_answer(struct asking *asking)
{
    if (asking->answer != NULL)
        explicit_bzero(asking->answer, asking->length);
    free(steal(&asking->answer));
    asking->length = 0;
}

static void asking_free(struct asking *asking)
{
    *asking->place = asking->next;
    if (asking->next != NULL)
        asking->next->place = asking->place;
    drop_answer(asking);
    char *const plain[] = {asking->what,    asking->method, asking->url,   asking->type,
                           asking->service, asking->region, asking->origin};
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        free(plain[i]);
    wipe(asking->body);
    for (size_t i = 0; i < HEADERS; i++)
        wipe(asking->headers[i]);
    aws_keys_clear(&asking->keys);
    free(asking);
}

/* Not NULL: the failure. */
static void finish(struct asking *asking, const struct failure *failure)
{
    asking->question.done(asking->question.context, failure == NULL ? asking->answer : NULL,
                          failure == NULL ? asking->length : 0, failure);
    asking_free(asking);
}

static void send_it(struct asking *asking);

static void pause_is_over(void *context)
{
    struct asking *asking = context;
    asking->timer = NULL;
    send_it(asking);
}

/* True when it will be asked again. */
static bool again(struct asking *asking)
{
    uint64_t pause_ms = 0;
    if (!retry_next(&asking->retry, asking->named_ms, &pause_ms))
        return false;
    const struct descpipe_host *host = ecr_services(asking->ecr);
    asking->timer = host->timer->start(host, pause_ms, pause_is_over, asking);
    return true;
}

static void explain_error(const struct asking *asking, int32_t status, struct failure *failure)
{
    struct aws_error error;
    const char *hint = NULL;
    aws_read_error(asking->answer, asking->length, &error);
    uint32_t kind = aws_error_kind(status, error.code, &hint);
    failure_set(failure, kind, "%s at '%s': %s%s%s (status %d%s%s)", asking->what, asking->url, error.code,
                error.code[0] != '\0' && error.words[0] != '\0' ? ": " : "",
                error.words[0] != '\0' || error.code[0] != '\0' ? error.words : "refused without a word", (int)status,
                asking->origin != NULL ? "; keys of " : "", asking->origin != NULL ? asking->origin : "");
    if (hint != NULL)
        failure_hint(failure, "%s", hint);
    else if (kind == DESCPIPE_FAILED_LATER)
        failure_hint(failure, "AWS is busy, or not well: try again later");
}

static void judge_answer(struct asking *asking, int32_t status)
{
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    struct aws_error error;
    if (status >= 200 && status < 300) {
        finish(asking, NULL);
        return;
    }
    aws_read_error(asking->answer, asking->length, &error);
    if (asking->question.fine != NULL && asking->question.fine(error.code)) {
        finish(asking, NULL);
        return;
    }
    explain_error(asking, status, &failure);
    if (failure.kind != DESCPIPE_FAILED_LATER || !again(asking))
        finish(asking, &failure);
}

static uint32_t end_kind(uint32_t outcome)
{
    switch (outcome) {
    case DESCPIPE_HTTP_STOPPED:
        return DESCPIPE_FAILED_CANCELLED;
    case DESCPIPE_HTTP_TLS:
    case DESCPIPE_HTTP_TOO_LARGE:
        return DESCPIPE_FAILED_REFUSED;
    default:
        return DESCPIPE_FAILED_CANNOT_ASK;
    }
}

static void ended(void *context, const struct descpipe_http_end *end)
{
    struct asking *asking = context;
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    if (asking->out_of_memory) {
        failure_memory(&failure);
        finish(asking, &failure);
        return;
    }
    if (end->outcome == DESCPIPE_HTTP_DONE) {
        judge_answer(asking, end->status);
        return;
    }
    uint32_t kind = end_kind(end->outcome);
    if (kind == DESCPIPE_FAILED_CANNOT_ASK && again(asking))
        return;
    failure_set(&failure, kind, "%s: %s", asking->what, end->message != NULL ? end->message : "no answer");
    if (end->outcome == DESCPIPE_HTTP_TLS)
        failure_hint(&failure, "is a certificate authority of your own in between? Name its file in AWS_CA_BUNDLE");
    else if (kind == DESCPIPE_FAILED_CANNOT_ASK)
        failure_hint(&failure,
                     "check the network, the proxy, and AWS's region and endpoint (options `region`, `endpoint`)");
    finish(asking, &failure);
}

static void came(void *context, const void *bytes, uint64_t length)
{
    struct asking *asking = context;
    char *more = asking->out_of_memory ? NULL : malloc(asking->length + (size_t)length + 1);
    if (more == NULL) {
        asking->out_of_memory = true;
        return;
    }
    if (asking->length > 0)
        memcpy(more, asking->answer, asking->length);
    memcpy(more + asking->length, bytes, (size_t)length);
    more[asking->length + length] = '\0';
    size_t all = asking->length + (size_t)length;
    drop_answer(asking);
    asking->answer = more;
    asking->length = all;
}

static void header_came(void *context, const char *name, const char *value)
{
    struct asking *asking = context;
    if (strcasecmp(name, "Retry-After") == 0)
        asking->named_ms = retry_after_ms(value, ecr_now_ms());
}

/* The option's `none` is "" here. */
static const char *proxy_of(const struct descpipe_host *host)
{
    const char *proxy = host->config->text(host->settings, "proxy");
    return proxy != NULL && strcmp(proxy, "none") == 0 ? "" : proxy;
}

/* How the address is reached. The options `ca` and `plain-http` are about addresses that somebody named, not about
 * AWS's own. */
static void reach(const struct asking *asking, struct descpipe_http_request *request)
{
    const struct ecr *ecr = asking->ecr;
    const struct descpipe_host *host = ecr_services(ecr);
    if (asking->question.metadata) {
        request->flags = DESCPIPE_HTTP_PLAIN_ALLOWED;
        request->proxy = "";
        request->connect_timeout_ms = METADATA_CONNECT_MS;
        request->total_timeout_ms = METADATA_TOTAL_MS;
        return;
    }
    bool named = ecr->endpoint != NULL || ecr->sts_endpoint != NULL;
    if (named && host->config->boolean(host->settings, "plain-http"))
        request->flags = DESCPIPE_HTTP_PLAIN_ALLOWED;
    request->ca_file = named ? host->config->text(host->settings, "ca") : NULL;
    if (request->ca_file == NULL)
        request->ca_file = secure_getenv("AWS_CA_BUNDLE");
    request->proxy = proxy_of(host);
    request->total_timeout_ms = TOTAL_MS;
}

static bool write_lines(const struct asking *asking, char **signature, char **type)
{
    if (asking->question.keys != NULL && asprintf(signature, "aws:amz:%s:%s", asking->region, asking->service) < 0) {
        *signature = NULL;
        return false;
    }
    if (asking->type != NULL && asprintf(type, "Content-Type: %s", asking->type) < 0) {
        *type = NULL;
        return false;
    }
    return true;
}

static void start_request(struct asking *asking, const char *signature, const char *type)
{
    const struct descpipe_host *host = ecr_services(asking->ecr);
    const struct aws_keys *keys = asking->question.keys != NULL ? &asking->keys : NULL;
    struct descpipe_secret *secret =
        keys != NULL ? host->secret->make(keys->secret_access_key, strlen(keys->secret_access_key)) : NULL;
    const char *lines[LINES] = {NULL};
    size_t count = 0;
    if (type != NULL)
        lines[count++] = type;
    for (size_t i = 0; i < HEADERS; i++)
        if (asking->headers[i] != NULL)
            lines[count++] = asking->headers[i];
    struct descpipe_http_request request = {
        .size = sizeof request,
        .method = asking->method,
        .url = asking->url,
        .headers = lines,
        .username = keys != NULL ? keys->access_key_id : NULL,
        .password = secret,
        .sigv4 = signature,
        .body = asking->body,
        .body_length = asking->body != NULL ? strlen(asking->body) : 0,
        .answer_limit = AWS_ANSWER_LIMIT,
        .header = header_came,
        .data = came,
        .ended = ended,
        .context = asking,
    };
    reach(asking, &request);
    host->http->start(host, &request);
    if (secret != NULL)
        host->secret->release(secret);
}

static void send_it(struct asking *asking)
{
    cleanup(memory_free) char *signature = NULL, *type = NULL;
    drop_answer(asking);
    asking->answer = calloc(1, 1);
    asking->named_ms = -1;
    if (asking->answer != NULL && write_lines(asking, &signature, &type)) {
        start_request(asking, signature, type);
        return;
    }
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    failure_memory(&failure);
    finish(asking, &failure);
}

static bool copy_one(char **to, const char *text)
{
    *to = text != NULL ? strdup(text) : NULL;
    return text == NULL || *to != NULL;
}

static bool copy_keys(struct asking *asking, const struct aws_keys *keys)
{
    if (keys == NULL)
        return true;
    if (!copy_one(&asking->keys.access_key_id, keys->access_key_id) ||
        !copy_one(&asking->keys.secret_access_key, keys->secret_access_key))
        return false;
    if (keys->session_token == NULL)
        return true;
    if (asprintf(&asking->headers[HEADERS - 1], "X-Amz-Security-Token: %s", keys->session_token) >= 0)
        return true;
    asking->headers[HEADERS - 1] = NULL;
    return false;
}

static bool copy_question(struct asking *asking, const struct question *question)
{
    bool done = copy_one(&asking->what, question->what) && copy_one(&asking->method, question->method) &&
                copy_one(&asking->url, question->url) && copy_one(&asking->type, question->type) &&
                copy_one(&asking->body, question->body) && copy_one(&asking->service, question->service) &&
                copy_one(&asking->region, question->region) && copy_one(&asking->origin, question->origin);
    for (size_t i = 0; done && i < HEADERS - 1; i++)
        done = copy_one(&asking->headers[i], question->headers[i]);
    return done && copy_keys(asking, question->keys);
}

void ecr_ask(struct ecr *ecr, const struct question *question)
{
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    struct asking *asking = calloc(1, sizeof *asking);
    if (asking == NULL) {
        failure_memory(&failure);
        question->done(question->context, NULL, 0, &failure);
        return;
    }
    asking->ecr = ecr;
    asking->question = *question;
    asking->retry = (struct retry){.tries = question->metadata ? METADATA_TRIES : TRIES, .patience_ms = PATIENCE_MS};
    asking->next = ecr->askings;
    asking->place = &ecr->askings;
    if (asking->next != NULL)
        asking->next->place = &asking->next;
    ecr->askings = asking;
    if (copy_question(asking, question)) {
        send_it(asking);
        return;
    }
    failure_memory(&failure);
    finish(asking, &failure);
}

void ecr_drop_askings(struct ecr *ecr)
{
    while (ecr->askings != NULL) { /* those that paused: the host has ended all others */
        cleanup(failure_clear) struct failure failure = FAILURE_INIT;
        failure_set(&failure, DESCPIPE_FAILED_CANCELLED, "cancelled");
        finish(ecr->askings, &failure);
    }
}
