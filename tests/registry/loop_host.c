/* SPDX-License-Identifier: BSD-3-Clause */
/* A plugin host for tests of registry/. */
#include "loop_host.h"

#include <stdlib.h>
#include <string.h>

#include "io/http.h"
#include "io/loop.h"
#include "io/pool.h"
#include "io/process.h"
#include "io/secret.h"

struct loop_host {
    struct descpipe_host table; /* first */
    struct loop *loop;
    struct http *http;
    struct pool *pool;
    bool late;
};

static struct loop_host *of(const struct descpipe_host *table)
{
    return (struct loop_host *)(uintptr_t)table;
}

static struct descpipe_exchange *start_http(const struct descpipe_host *table,
                                            const struct descpipe_http_request *request)
{
    return http_start(of(table)->http, request);
}

static const struct descpipe_http_service http_service = {
    .size = sizeof http_service, .start = start_http, .stop = http_stop};

static struct descpipe_timer *start_timer(const struct descpipe_host *table, uint64_t delay_ms,
                                          void (*fired)(void *context), void *context)
{
    return (struct descpipe_timer *)loop_timer(of(table)->loop, (int64_t)delay_ms, fired, context);
}

static void stop_timer(struct descpipe_timer *timer)
{
    loop_timer_stop((struct loop_timer *)timer);
}

static const struct descpipe_timer_service timer_service = {
    .size = sizeof timer_service, .start = start_timer, .stop = stop_timer};

static void run_work(const struct descpipe_host *table, void (*work)(void *context), void (*done)(void *context),
                     void *context)
{
    pool_run(of(table)->pool, work, done, context);
}

static const struct descpipe_work_service work_service = {.size = sizeof work_service, .run = run_work};

static const struct descpipe_secret_service secret_service = {
    .size = sizeof secret_service, .make = secret_make, .reveal = secret_reveal, .release = secret_release};

struct child {
    struct descpipe_process_request request;
};

static void on_line(void *context, int stream, const char *line, size_t length)
{
    const struct child *child = context;
    if (child->request.line != NULL)
        child->request.line(child->request.context, (uint32_t)stream, line, length);
}

static void on_ended(void *context, const struct tool_end *end)
{
    struct child *child = context;
    const struct descpipe_process_end told = {.size = sizeof told,
                                              .started = end->started,
                                              .exit_code = end->exit_code,
                                              .signal = end->signal,
                                              .timed_out = end->timed_out,
                                              .truncated = end->truncated,
                                              .message = end->message};
    child->request.ended(child->request.context, &told);
    free(child);
}

static struct descpipe_process *start_process(const struct descpipe_host *table,
                                              const struct descpipe_process_request *request)
{
    struct child *child = malloc(sizeof *child);
    child->request = *request;
    const struct tool_request tool = {.argv = request->argv,
                                      .environment = request->environment,
                                      .directory = "/",
                                      .input = request->input,
                                      .input_length = request->input_length,
                                      .timeout_ms = (int64_t)request->timeout_ms,
                                      .output_limit = request->output_limit,
                                      .line = on_line,
                                      .ended = on_ended,
                                      .context = child};
    return (struct descpipe_process *)tool_start(of(table)->loop, &tool);
}

static const struct descpipe_process_service process_service = {.size = sizeof process_service, .start = start_process};

struct loop_host *loop_host_new(void)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    struct loop_host *host = calloc(1, sizeof *host);
    host->loop = loop_new(&error);
    host->http = host->loop != NULL ? http_new(host->loop, &error) : NULL;
    host->pool = host->http != NULL ? pool_new(host->loop, 0, &error) : NULL;
    if (host->pool == NULL)
        abort();
    host->table = (struct descpipe_host){.size = sizeof host->table,
                                         .abi_major = DESCPIPE_ABI_MAJOR,
                                         .abi_minor = DESCPIPE_ABI_MINOR,
                                         .http = &http_service,
                                         .timer = &timer_service,
                                         .work = &work_service,
                                         .secret = &secret_service,
                                         .process = &process_service};
    return host;
}

void loop_host_free(struct loop_host *host)
{
    pool_free(host->pool);
    http_free(host->http);
    loop_free(host->loop);
    free(host);
}

const struct descpipe_host *loop_host_table(struct loop_host *host)
{
    return &host->table;
}

static void too_late(void *context)
{
    struct loop_host *host = context;
    host->late = true;
    loop_stop(host->loop);
}

static bool not_done(void *context)
{
    const bool *const *done = context;
    return !**done;
}

bool loop_host_wait(struct loop_host *host, const bool *done, int seconds)
{
    host->late = false;
    struct loop_timer *timer = loop_timer(host->loop, (int64_t)seconds * 1000, too_late, host);
    loop_run(host->loop, not_done, &done);
    if (!host->late)
        loop_timer_stop(timer);
    return *done;
}
