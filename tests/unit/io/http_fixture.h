/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of HTTP share: a loop, servers, and one exchange with all that came of it. */
#ifndef DESCPIPE_TESTS_HTTP_FIXTURE_H
#define DESCPIPE_TESTS_HTTP_FIXTURE_H

#include "../base/suite.h"
#include "../base/temporary_folder.h"
#include "base/file.h"
#include "http_server.h"
#include "io/http.h"
#include "io/secret.h"

static struct loop *loop;
static struct http *http;
static struct server server;

/* What came of one exchange. */
struct result {
    struct text headers, data, message, url;
    int32_t status_at_start;
    int ended;
    struct descpipe_http_end end;
    struct descpipe_exchange *exchange;
    bool stop_at_data;
};
static struct result result;
static int open_exchanges;

static inline void make(void)
{
    temporary_folder_make();
    unsetenv("http_proxy");
    loop = loop_new(NULL);
    http = http_new(loop, NULL);
    ck_assert_ptr_nonnull(http);
}

static inline void end(void)
{
    http_free(http);
    loop_free(loop);
    temporary_folder_remove();
}

static inline void header_came(void *context, const char *name, const char *value)
{
    struct result *it = context;
    text_format(&it->headers, "%s=%s|", name, value);
}

static inline void started(void *context, int32_t status)
{
    struct result *it = context;
    it->status_at_start = status;
}

static inline void data_came(void *context, const void *bytes, uint64_t length)
{
    struct result *it = context;
    ck_assert_int_eq(it->ended, 0);
    text_append_bytes(&it->data, bytes, (size_t)length);
    if (it->stop_at_data)
        http_stop(it->exchange);
}

static inline void exchange_ended(void *context, const struct descpipe_http_end *end)
{
    struct result *it = context;
    it->ended++;
    it->end = *end;
    text_append(&it->message, end->message != NULL ? end->message : "");
    text_append(&it->url, end->url);
    if (--open_exchanges == 0)
        loop_stop(loop);
}

static inline struct descpipe_http_request request_for(struct result *it, const char *method, const char *url)
{
    return (struct descpipe_http_request){.size = sizeof(struct descpipe_http_request),
                                          .method = method,
                                          .url = url,
                                          .header = header_came,
                                          .started = started,
                                          .data = data_came,
                                          .ended = exchange_ended,
                                          .context = it};
}

static inline void result_clear(struct result *it)
{
    text_clear(&it->headers);
    text_clear(&it->data);
    text_clear(&it->message);
    text_clear(&it->url);
    *it = (struct result){0};
}

static inline void begin(struct result *it, const struct descpipe_http_request *request)
{
    bool stop_at_data = it->stop_at_data;
    result_clear(it);
    it->stop_at_data = stop_at_data;
    open_exchanges++;
    it->exchange = http_start(http, request);
    ck_assert_ptr_nonnull(it->exchange);
    ck_assert_int_eq(it->ended, 0);
}

static inline void run(const struct descpipe_http_request *request)
{
    begin(&result, request);
    loop_run(loop, NULL, NULL);
    ck_assert_int_eq(result.ended, 1);
}

/* A URL of the server; kept until the next. */
static inline const char *url_of(const struct server *at, const char *path)
{
    static char urls[4][256];
    static int next;
    char *url = urls[next++ % 4];
    snprintf(url, 256, "http://127.0.0.1:%u%s", at->port, path);
    return url;
}

static inline void check_end(uint32_t outcome, int32_t status)
{
    ck_assert_msg(result.end.outcome == outcome && result.end.status == status, "outcome %u, status %d: %s",
                  result.end.outcome, result.end.status, text_bytes(&result.message));
}

static inline bool has_line(const struct server_request *request, const char *line)
{
    cleanup(memory_free) char *wanted = memory_format("\r\n%s\r\n", line);
    return strcasestr(request->head, wanted) != NULL;
}

static inline bool names_header(const struct server_request *request, const char *name)
{
    cleanup(memory_free) char *wanted = memory_format("\r\n%s:", name);
    return strcasestr(request->head, wanted) != NULL;
}

static inline bool say_hello(struct server *at, int connection, const struct server_request *request)
{
    (void)at;
    (void)request;
    server_send(connection, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Some:   value  \r\n\r\nhello");
    return true;
}

#endif
