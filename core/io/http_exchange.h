/* SPDX-License-Identifier: BSD-3-Clause */
/* One exchange as the three http files share it: http.c has its life, http_request.c what is sent, http_answer.c what
 * comes. */
#ifndef DESCPIPE_IO_HTTP_EXCHANGE_H
#define DESCPIPE_IO_HTTP_EXCHANGE_H

#include <curl/curl.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "base/list.h"
#include "base/text.h"
#include "io/http.h"

struct descpipe_exchange {
    TAILQ_ENTRY(descpipe_exchange) in_all, in_attention;
    struct http *http;
    CURL *easy; /* NULL when the request was refused */
    bool waits_for_attention, running, stopped, ended_called;
    const char *method; /* owned by method_given, or a constant after a redirect */
    char *method_given, *url, *unix_socket;
    CURLU *parsed_url;
    uint32_t flags;
    struct words headers;
    struct curl_slist *lines;
    bool signs;
    char *body;
    uint64_t body_length, body_sent;
    int body_descriptor;
    off_t body_start; /* -1: cannot be read again */
    int answer_descriptor;
    uint64_t answer_limit, answer_length;
    int64_t deadline_ms, idle_ms, active_at_ms, hop_at_ms;
    struct loop_timer *idle_timer;
    curl_off_t seen_sent, seen_got;
    struct text head; /* the header lines so far, each ending with NUL */
    bool head_complete, redirecting;
    char *location;
    int status;
    unsigned hops;
    bool failed; /* by us, with `outcome` and `error` */
    uint32_t outcome;
    struct error error;
    char curl_says[CURL_ERROR_SIZE];
    void (*header)(void *context, const char *name, const char *value);
    void (*started)(void *context, int32_t status);
    void (*data)(void *context, const void *bytes, uint64_t length);
    void (*ended)(void *context, const struct descpipe_http_end *end);
    void *context;
};

typedef struct descpipe_exchange exchange;

/* Copies the request into a handle that is ready for its first hop. False with it->error when it is refused. */
bool exchange_prepare(exchange *it, const struct descpipe_http_request *request);
/* Makes the handle ready for where the answer redirects to. False: it must not be followed, `error` says why. */
bool exchange_follow(exchange *it, struct error *error);
/* Points the handle's callbacks for header, body and progress to the exchange. */
void exchange_set_callbacks(exchange *it);
/* Marks a failure found by us; the callback that found it makes curl end the handle. */
static inline void exchange_fail(exchange *it, uint32_t outcome)
{
    it->failed = true;
    it->outcome = outcome;
}

#endif
