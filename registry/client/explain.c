/* SPDX-License-Identifier: BSD-3-Clause */
/* One line and a remedy for each way in which a registry says no. */
#include "registry/client/explain.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "registry/client/retry.h"
#include "registry/client/url.h"
#include "registry/document.h"

#define WORDS_LIMIT 300

/* The message of one entry of "errors", or the text of a member such as "message" or "error". */
static const char *member_text(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL && text[0] != '\0' ? text : NULL;
}

static char *join(const char *code, const char *message)
{
    char *text = NULL;
    if (code == NULL && message == NULL)
        return NULL;
    if (asprintf(&text, "%s%s%s", code != NULL ? code : "", code != NULL && message != NULL ? ": " : "",
                 message != NULL ? message : "") < 0)
        return NULL;
    if (strlen(text) > WORDS_LIMIT)
        text[WORDS_LIMIT] = '\0';
    for (char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = ' ';
    return text;
}

char *explain_body(const char *body, size_t length)
{
    cleanup(failure_clear) struct failure ignored = FAILURE_INIT;
    cleanup(document_free) json_t *root = document_parse(body, length, &ignored);
    const json_t *errors = json_object_get(root, "errors");
    if (json_is_array(errors) && json_array_size(errors) > 0) {
        const json_t *first = json_array_get(errors, 0);
        return join(member_text(first, "code"), member_text(first, "message"));
    }
    /* token services: "details", RFC 6749's "error_description"; others: "message", "error" */
    static const char *const names[] = {"details", "error_description", "message", "error"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (member_text(root, names[i]) != NULL)
            return join(NULL, member_text(root, names[i]));
    return NULL;
}

/* ": WORDS", or "". Owned; NULL when memory runs out, which prints as nothing. */
static char *said(const struct client_answer *answer)
{
    cleanup(memory_free) char *words = explain_body(answer->body, answer->body_length);
    char *text = NULL;
    if (words == NULL || asprintf(&text, ": %s", words) < 0)
        return NULL;
    return text;
}

static const char *or_nothing(const char *text)
{
    return text != NULL ? text : "";
}

static void explain_refusal(struct failure *failure, const struct access *access, const char *what,
                            const struct client_answer *answer, int64_t now_ms)
{
    cleanup(memory_free) char *who = access_describe(access), *words = said(answer);
    bool ended = access->expires_at_ms > 0 && access->expires_at_ms <= now_ms;
    failure_set(failure, DESCPIPE_FAILED_NEEDS_LOGIN, "%s: '%s' does not allow it, asked %s%s%s", what, access->server,
                or_nothing(who), ended ? ", which has expired" : "", or_nothing(words));
    if (access_is_anonymous(access))
        failure_hint(failure, "log in with: descpipe login %s (a private image and a misspelt name look the same)",
                     access->server);
    else if (ended)
        failure_hint(failure, "log in again: descpipe login %s", access->server);
    else if (answer->status == 401)
        failure_hint(failure, "the login is wrong or has expired: descpipe login %s", access->server);
    else
        failure_hint(failure, "ask the owner for access, or log in as somebody who has it: descpipe login %s",
                     access->server);
}

static void explain_limit(struct failure *failure, const struct access *access, const char *what,
                          const struct client_answer *answer, int64_t now_ms)
{
    cleanup(memory_free) char *who = access_describe(access), *words = said(answer);
    int64_t ends_at_ms = retry_limit_ends_at_ms(answer->headers, now_ms);
    time_t ends_at = (time_t)(ends_at_ms / 1000);
    struct tm time;
    char when[64] = "";
    if (ends_at_ms > 0 && gmtime_r(&ends_at, &time) != NULL)
        strftime(when, sizeof when, ", until %Y-%m-%d %H:%M:%S UTC", &time);
    failure_set(failure, DESCPIPE_FAILED_LATER, "%s: '%s' limits how often it is asked %s%s%s", what, access->server,
                or_nothing(who), when, or_nothing(words));
    failure_hint(failure,
                 access_is_anonymous(access)
                     ? "try again later, log in (descpipe login %s) for a higher limit, or use a mirror"
                     : "try again later, or use a mirror of '%s'",
                 access->server);
}

void explain_answer(struct failure *failure, const struct access *access, const char *what,
                    const struct client_answer *answer, int64_t now_ms)
{
    cleanup(memory_free) char *words = said(answer);
    switch (answer->status) {
    case 401:
    case 403:
        explain_refusal(failure, access, what, answer, now_ms);
        return;
    case 404:
        failure_set(failure, DESCPIPE_FAILED_NOT_FOUND, "%s: '%s' has no such thing%s", what, access->server,
                    or_nothing(words));
        failure_hint(failure, "it was never pushed there, or it was deleted since");
        return;
    case 429:
        explain_limit(failure, access, what, answer, now_ms);
        return;
    default:
        break;
    }
    if (answer->status >= 500 || answer->status == 408) {
        failure_set(failure, DESCPIPE_FAILED_LATER, "%s: '%s' is not well: it answered %d%s", what, access->server,
                    answer->status, or_nothing(words));
        failure_hint(failure, "try again later");
        return;
    }
    failure_set(failure, DESCPIPE_FAILED_REFUSED, "%s: '%s' answered %d%s", what, access->server, answer->status,
                or_nothing(words));
    if (answer->status == 400 && url_is_plain(access->endpoint)) /* what servers say to http where they speak TLS */
        failure_hint(failure, "it was asked by plain http; if it speaks https, say so with the registry's option "
                              "`plain-http: false`, or name its certificate authority with `ca`");
    else if (answer->status == 400 && access->client_certificate == NULL) /* proxies ask for one above TLS */
        failure_hint(failure, "a proxy before it may want a certificate of ours: the registry's options "
                              "`client-certificate` and `client-key`");
}

/* OpenSSL's words for a server that does not take our certificate, or wants one. */
static bool is_about_ours(const char *message)
{
    static const char *const alerts[] = {"alert bad certificate", "alert certificate", "alert unknown ca",
                                         "alert unsupported certificate"};
    for (size_t i = 0; i < sizeof alerts / sizeof alerts[0]; i++)
        if (strstr(message, alerts[i]) != NULL)
            return true;
    return false;
}

static void explain_certificate(struct failure *failure, const struct access *access, const char *what,
                                const char *message)
{
    if (access->client_certificate != NULL) {
        failure_set(failure, DESCPIPE_FAILED_NEEDS_LOGIN, "%s: '%s' does not take our certificate '%s': %s", what,
                    access->server, access->client_certificate, message);
        failure_hint(failure, "name one that it knows with the registry's options `client-certificate` and "
                              "`client-key`");
        return;
    }
    failure_set(failure, DESCPIPE_FAILED_NEEDS_LOGIN, "%s: '%s' wants a certificate of ours: %s", what, access->server,
                message);
    failure_hint(failure,
                 "name it with the registry's options `client-certificate` and `client-key`, or lay both at "
                 "/etc/docker/certs.d/%s/client.cert and client.key",
                 access->server);
}

static void explain_tls(struct failure *failure, const struct access *access, const char *what, const char *message)
{
    if (is_about_ours(message)) {
        explain_certificate(failure, access, what, message);
        return;
    }
    if (strstr(message, "alert handshake failure") != NULL) { /* with TLS 1.2 a missing certificate is only that */
        failure_set(failure, DESCPIPE_FAILED_CANNOT_ASK, "%s: '%s' broke off the TLS handshake: %s", what,
                    access->server, message);
        failure_hint(failure, "it may want a certificate of ours (the registry's options `client-certificate` and "
                              "`client-key`), or know no TLS as new as ours");
        return;
    }
    failure_set(failure, DESCPIPE_FAILED_CANNOT_ASK, "%s: no trusted connection to '%s' (authorities of %s): %s", what,
                access->server, access->ca_file != NULL ? access->ca_file : "this system", message);
    if (strstr(message, "wrong version number") != NULL) /* OpenSSL's words for what is no TLS at all */
        failure_hint(failure, "it may speak plain http: if the way to it is trusted, the registry's option "
                              "`plain-http: true` allows that");
    else
        failure_hint(failure,
                     "name its certificate authority (a PEM file) with the registry's option `ca`, or lay it at "
                     "/etc/docker/certs.d/%s/ca.crt",
                     access->server);
}

/* The proxy's URL may hold a login: only what stands after it is said. */
static void explain_connection(struct failure *failure, const struct access *access, const char *what,
                               const char *message)
{
    const char *proxy = access->proxy != NULL && access->proxy[0] != '\0' ? access->proxy : NULL;
    const char *login = proxy != NULL ? strrchr(proxy, '@') : NULL;
    if (proxy == NULL) {
        failure_set(failure, DESCPIPE_FAILED_CANNOT_ASK, "%s: cannot reach '%s': %s", what, access->server, message);
        failure_hint(failure, "check the name, the network and the proxy");
        return;
    }
    failure_set(failure, DESCPIPE_FAILED_CANNOT_ASK, "%s: cannot reach '%s' through the proxy '%s': %s", what,
                access->server, login != NULL ? login + 1 : proxy, message);
    failure_hint(failure, "check the registry's option `proxy`; `proxy: none` asks the host itself");
}

void explain_end(struct failure *failure, const struct access *access, const char *what,
                 const struct descpipe_http_end *end)
{
    const char *message = end->message != NULL ? end->message : "no answer";
    switch (end->outcome) {
    case DESCPIPE_HTTP_TLS:
        explain_tls(failure, access, what, message);
        return;
    case DESCPIPE_HTTP_TOO_LARGE:
        failure_set(failure, DESCPIPE_FAILED_REFUSED, "%s: %s", what, message);
        return;
    case DESCPIPE_HTTP_STOPPED:
        failure_set(failure, DESCPIPE_FAILED_CANCELLED, "%s: cancelled", what);
        return;
    case DESCPIPE_HTTP_CANNOT_CONNECT:
        explain_connection(failure, access, what, message);
        return;
    default:
        failure_set(failure, DESCPIPE_FAILED_CANNOT_ASK, "%s: '%s' did not answer to the end: %s", what, access->server,
                    message);
    }
}
