/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * HTTP on the loop. Only the three http files include curl.
 *
 * How it works: curl names the sockets and the one time it waits for; watches and a timer on the loop call it back. An
 * exchange is one curl handle from start to end. curl must not be called from within its own callbacks, so http_start
 * and http_stop only put the exchange into the `attention` queue, which a timer of length 0 empties. There, and after
 * every call into curl, ended handles are taken out, redirects followed and `ended` called: always outside of curl.
 */
#include "io/http.h"

#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "io/http_exchange.h"
#include "io/request.h"

enum { KEPT_CONNECTIONS = 64, DEFAULT_IDLE_MS = 60000 };
#define DEFAULT_ANSWER_LIMIT (UINT64_C(16) * 1024 * 1024)

TAILQ_HEAD(exchanges, descpipe_exchange);

struct http {
    struct loop *loop;
    CURLM *multi;
    struct loop_timer *timer; /* curl's */
    struct loop_timer *soon;  /* for the queue */
    struct exchanges all, attention;
    bool closing;
};

/* One socket of curl's on the loop. */
struct socket {
    struct http *http;
    curl_socket_t descriptor;
    struct loop_watch *watch;
};

static void take_ended(struct http *http);

static void socket_ready(void *context, unsigned events)
{
    const struct socket *socket = context;
    struct http *http = socket->http;
    int bits = ((events & LOOP_READABLE) ? CURL_CSELECT_IN : 0) | ((events & LOOP_WRITABLE) ? CURL_CSELECT_OUT : 0);
    int running;
    curl_multi_socket_action(http->multi, socket->descriptor, bits, &running);
    take_ended(http);
}

static int on_socket(CURL *easy, curl_socket_t descriptor, int what, void *context, void *socket_context)
{
    (void)easy;
    struct http *http = context;
    struct socket *socket = socket_context;
    if (what == CURL_POLL_REMOVE) {
        if (socket != NULL)
            loop_unwatch(socket->watch);
        free(socket);
        curl_multi_assign(http->multi, descriptor, NULL);
        return 0;
    }
    unsigned events = ((what & CURL_POLL_IN) ? LOOP_READABLE : 0u) | ((what & CURL_POLL_OUT) ? LOOP_WRITABLE : 0u);
    if (socket != NULL) {
        loop_watch_change(socket->watch, events);
        return 0;
    }
    socket = memory_allocate(sizeof *socket);
    *socket = (struct socket){.http = http, .descriptor = descriptor};
    socket->watch = loop_watch(http->loop, descriptor, events, socket_ready, socket);
    if (socket->watch == NULL) {
        free(socket);
        return -1;
    }
    curl_multi_assign(http->multi, descriptor, socket);
    return 0;
}

static void timer_fired(void *context)
{
    struct http *http = context;
    http->timer = NULL;
    int running;
    curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    take_ended(http);
}

static int on_timer(CURLM *multi, long delay_ms, void *context)
{
    (void)multi;
    struct http *http = context;
    loop_timer_stop(steal(&http->timer));
    if (delay_ms >= 0)
        http->timer = loop_timer(http->loop, delay_ms, timer_fired, http);
    return 0;
}

static void start_curl(void)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        memory_exhausted();
}

struct http *http_new(struct loop *loop, struct error *error)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, start_curl);
    CURLM *multi = curl_multi_init();
    if (multi == NULL) {
        error_set(error, ERROR_SYSTEM, "cannot make a set of HTTP connections");
        return NULL;
    }
    struct http *http = memory_allocate(sizeof *http);
    *http = (struct http){.loop = loop, .multi = multi};
    TAILQ_INIT(&http->all);
    TAILQ_INIT(&http->attention);
    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, http);
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(multi, CURLMOPT_TIMERDATA, http);
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)KEPT_CONNECTIONS);
    return http;
}

static void ask_for_attention(exchange *it);

/* Calls `ended` and frees the exchange. */
static void finish(exchange *it, uint32_t outcome, const char *message)
{
    struct http *http = it->http;
    long system_error = 0;
    if (it->easy != NULL && outcome != DESCPIPE_HTTP_DONE)
        curl_easy_getinfo(it->easy, CURLINFO_OS_ERRNO, &system_error);
    if (it->running)
        curl_multi_remove_handle(http->multi, it->easy);
    if (it->waits_for_attention)
        TAILQ_REMOVE(&http->attention, it, in_attention);
    loop_timer_stop(it->idle_timer);
    it->ended_called = true;
    struct descpipe_http_end end = {.size = sizeof end,
                                    .outcome = outcome,
                                    .status = it->head_complete ? it->status : 0,
                                    .system_error = (int32_t)system_error,
                                    .message = message,
                                    .url = it->url};
    if (it->ended != NULL)
        it->ended(it->context, &end);
    TAILQ_REMOVE(&http->all, it, in_all);
    curl_easy_cleanup(it->easy);
    curl_slist_free_all(it->lines);
    curl_url_cleanup(it->parsed_url);
    if (it->body != NULL)
        explicit_bzero(it->body, (size_t)it->body_length);
    free(it->body);
    free(it->method_given);
    free(it->url);
    free(it->unix_socket);
    free(it->location);
    for (size_t i = 0; i < it->headers.count; i++)
        explicit_bzero(it->headers.items[i], strlen(it->headers.items[i]));
    words_clear(&it->headers);
    text_clear(&it->head);
    error_clear(&it->error);
    free(it);
}

static void finish_stopped(exchange *it)
{
    finish(it, DESCPIPE_HTTP_STOPPED, "stopped");
}

/* "GET 'https://host/path': reason" */
static void finish_with_reason(exchange *it, uint32_t outcome, const char *reason)
{
    cleanup(text_clear) struct text message = TEXT_INIT;
    text_append_printable(&message, it->method != NULL ? it->method : "?", 32);
    text_append(&message, " '");
    request_append_url(&message, it->url);
    text_append(&message, "': ");
    text_append_printable(&message, reason, 1024);
    finish(it, outcome, text_bytes(&message));
}

static bool was_sent(const exchange *it)
{
    long bytes = 0;
    curl_easy_getinfo(it->easy, CURLINFO_REQUEST_SIZE, &bytes);
    return bytes > 0 || it->hops > 0;
}

static bool is_tls_failure(CURLcode result)
{
    switch (result) {
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_CLIENTCERT:
    case CURLE_SSL_ENGINE_NOTFOUND:
    case CURLE_SSL_ENGINE_SETFAILED:
    case CURLE_SSL_ENGINE_INITFAILED:
        return true;
    default:
        return false;
    }
}

/* With TLS 1.3 a server refuses our certificate, or its absence, only after the handshake: curl sees a broken stream.
 */
static bool is_tls_alert(const exchange *it, CURLcode result)
{
    return (result == CURLE_RECV_ERROR || result == CURLE_SEND_ERROR) &&
           strstr(it->curl_says, "SSL routines") != NULL && strstr(it->curl_says, " alert ") != NULL;
}

static void finish_failed(exchange *it, uint32_t outcome, CURLcode result)
{
    if (it->error.message != NULL) {
        finish_with_reason(it, outcome, it->error.message);
        return;
    }
    if (outcome == DESCPIPE_HTTP_TOO_LARGE) {
        cleanup(text_clear) struct text reason = TEXT_INIT;
        text_append(&reason, "the answer is larger than the limit of ");
        bytes_append(&reason, it->answer_limit);
        finish_with_reason(it, outcome, text_bytes(&reason));
        return;
    }
    long system_error = 0;
    if (it->easy != NULL)
        curl_easy_getinfo(it->easy, CURLINFO_OS_ERRNO, &system_error);
    const char *said = it->curl_says[0] != '\0' ? it->curl_says : curl_easy_strerror(result);
    if (outcome != DESCPIPE_HTTP_CANNOT_CONNECT || system_error == 0) {
        finish_with_reason(it, outcome, said);
        return;
    }
    char buffer[128];
    const char *why = strerror_r((int)system_error, buffer, sizeof buffer);
    cleanup(memory_free) char *reason =
        it->unix_socket != NULL ? memory_format("cannot connect to the socket '%s': %s", it->unix_socket, why)
                                : memory_format("%s (%s)", said, why);
    finish_with_reason(it, outcome, reason);
}

/* `it` is out of the multi handle. */
static void conclude(exchange *it, CURLcode result)
{
    bool sent = was_sent(it);
    if (it->stopped)
        finish_stopped(it);
    else if (it->failed)
        finish_failed(it, it->outcome, result);
    else if (result == CURLE_OK &&
             !it->head_complete) /* curl takes a connection closed amid the headers for an answer */
        finish_with_reason(it, DESCPIPE_HTTP_CUT, "the answer ended within its headers");
    else if (result == CURLE_OK)
        finish(it, DESCPIPE_HTTP_DONE, NULL);
    else if (is_tls_failure(result) || is_tls_alert(it, result))
        finish_failed(it, DESCPIPE_HTTP_TLS, result);
    else if (!sent)
        finish_failed(it, DESCPIPE_HTTP_CANNOT_CONNECT, result);
    else
        finish_failed(it, result == CURLE_OPERATION_TIMEDOUT ? DESCPIPE_HTTP_TIMED_OUT : DESCPIPE_HTTP_CUT, result);
}

static void ended_by_curl(exchange *it, CURLcode result)
{
    curl_multi_remove_handle(it->http->multi, it->easy);
    it->running = false;
    loop_timer_stop(steal(&it->idle_timer));
    if (!it->redirecting || it->stopped || it->failed) {
        conclude(it, result);
        return;
    }
    if (exchange_follow(it, &it->error))
        ask_for_attention(it);
    else
        finish_failed(it, DESCPIPE_HTTP_CUT, result);
}

static void take_ended(struct http *http)
{
    const CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(http->multi, &left)) != NULL) {
        exchange *it = NULL;
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode result = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &it);
        ended_by_curl(it, result);
    }
}

static void watch_idleness(exchange *it);

static void idle_passed(void *context)
{
    exchange *it = context;
    it->idle_timer = NULL;
    curl_off_t until_ready_us = 0;
    curl_easy_getinfo(it->easy, CURLINFO_PRETRANSFER_TIME_T, &until_ready_us);
    int64_t ready_at_ms = it->hop_at_ms + until_ready_us / 1000;
    if (it->active_at_ms < ready_at_ms)
        it->active_at_ms = ready_at_ms;
    if (until_ready_us == 0)
        it->active_at_ms = clock_monotonic_ms(); /* not connected yet: another deadline's business */
    if (clock_monotonic_ms() - it->active_at_ms < it->idle_ms) {
        watch_idleness(it);
        return;
    }
    cleanup(text_clear) struct text length = TEXT_INIT;
    clock_append_length(&length, it->idle_ms);
    error_set(&it->error, ERROR_NETWORK, "no byte came for %s", text_bytes(&length));
    finish_failed(it, DESCPIPE_HTTP_TIMED_OUT, CURLE_OPERATION_TIMEDOUT);
}

static void watch_idleness(exchange *it)
{
    if (it->idle_ms < 0)
        return;
    int64_t left = it->active_at_ms + it->idle_ms - clock_monotonic_ms();
    it->idle_timer = loop_timer(it->http->loop, left, idle_passed, it);
}

static void begin_hop(exchange *it)
{
    it->hop_at_ms = it->active_at_ms = clock_monotonic_ms();
    it->seen_got = it->seen_sent = 0;
    int64_t left = it->deadline_ms - it->hop_at_ms;
    if (it->deadline_ms > 0)
        curl_easy_setopt(it->easy, CURLOPT_TIMEOUT_MS, (long)(left > 0 ? left : 1));
    CURLMcode code = curl_multi_add_handle(it->http->multi, it->easy);
    if (code != CURLM_OK) {
        error_set(&it->error, ERROR_BUG, "%s", curl_multi_strerror(code));
        finish_failed(it, it->hops > 0 ? DESCPIPE_HTTP_CUT : DESCPIPE_HTTP_CANNOT_CONNECT, CURLE_FAILED_INIT);
        return;
    }
    it->running = true;
    watch_idleness(it);
}

static void give_attention(void *context)
{
    struct http *http = context;
    http->soon = NULL;
    exchange *it;
    /* Only those that are in the queue now: an `ended` that starts the next one must not keep us here for ever. */
    size_t count = 0;
    TAILQ_FOREACH(it, &http->attention, in_attention)
    count++;
    for (; count > 0 && (it = TAILQ_FIRST(&http->attention)) != NULL; count--) {
        TAILQ_REMOVE(&http->attention, it, in_attention);
        it->waits_for_attention = false;
        if (it->stopped)
            finish_stopped(it);
        else if (it->failed)
            finish_failed(it, it->outcome, CURLE_OK);
        else
            begin_hop(it);
    }
    if (TAILQ_FIRST(&http->attention) != NULL && http->soon == NULL)
        http->soon = loop_timer(http->loop, 0, give_attention, http);
}

static void ask_for_attention(exchange *it)
{
    if (it->waits_for_attention)
        return;
    it->waits_for_attention = true;
    TAILQ_INSERT_TAIL(&it->http->attention, it, in_attention);
    if (it->http->soon == NULL)
        it->http->soon = loop_timer(it->http->loop, 0, give_attention, it->http);
}

struct descpipe_exchange *http_start(struct http *http, const struct descpipe_http_request *request)
{
    exchange *it = memory_allocate(sizeof *it);
    *it = (exchange){.http = http,
                     .flags = request->flags,
                     .url = memory_copy_text(request->url != NULL ? request->url : ""),
                     .unix_socket = memory_copy_text(request->unix_socket),
                     .answer_descriptor = request->answer_descriptor,
                     .answer_limit = request->answer_limit > 0 ? request->answer_limit : DEFAULT_ANSWER_LIMIT,
                     .header = request->header,
                     .started = request->started,
                     .data = request->data,
                     .ended = request->ended,
                     .context = request->context};
    uint64_t idle_ms = request->idle_timeout_ms > 0 ? request->idle_timeout_ms : DEFAULT_IDLE_MS;
    it->idle_ms = idle_ms < (uint64_t)CLOCK_LENGTH_LIMIT_MS ? (int64_t)idle_ms : -1;
    if (request->total_timeout_ms > 0 && request->total_timeout_ms < (uint64_t)CLOCK_LENGTH_LIMIT_MS)
        it->deadline_ms = clock_monotonic_ms() + (int64_t)request->total_timeout_ms;
    TAILQ_INSERT_TAIL(&http->all, it, in_all);
    if (!exchange_prepare(it, request))
        exchange_fail(it, DESCPIPE_HTTP_CANNOT_CONNECT);
    it->stopped = http->closing;
    ask_for_attention(it);
    return it;
}

void http_stop(struct descpipe_exchange *it)
{
    if (it == NULL || it->stopped || it->ended_called)
        return;
    it->stopped = true;
    ask_for_attention(it);
}

void http_free(struct http *http)
{
    if (http == NULL)
        return;
    http->closing = true;
    exchange *it;
    while ((it = TAILQ_FIRST(&http->all)) != NULL) {
        it->stopped = true;
        finish_stopped(it);
    }
    curl_multi_cleanup(http->multi);
    loop_timer_stop(http->timer);
    loop_timer_stop(http->soon);
    free(http);
}
