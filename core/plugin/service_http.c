/* SPDX-License-Identifier: BSD-3-Clause */
/* The http service: io/http with the instance's bookkeeping around it. curl starts with the first request. */
#include "io/http.h"

#include "plugin/abi.h"
#include "plugin/answer.h"
#include "plugin/host.h"

/* The plugin holds a pointer to this; its exchange may end before the plugin's own stop. */
struct exchange {
    struct service_item item; /* first */
    struct descpipe_exchange *exchange;
    struct descpipe_http_request request; /* callbacks and context */
    char *refused;
};

static struct exchange *exchange_of(struct descpipe_exchange *handle)
{
    return (struct exchange *)handle;
}

static void exchange_finish(struct exchange *exchange, const struct descpipe_http_end *end)
{
    if (exchange->request.ended)
        exchange->request.ended(exchange->request.context, end);
    service_item_close(&exchange->item);
    memory_free(exchange->refused);
    memory_free(exchange);
}

static void exchange_header(void *context, const char *name, const char *value)
{
    const struct exchange *exchange = context;
    exchange->request.header(exchange->request.context, name, value);
}

static void exchange_started(void *context, int32_t status)
{
    const struct exchange *exchange = context;
    exchange->request.started(exchange->request.context, status);
}

static void exchange_data(void *context, const void *bytes, uint64_t length)
{
    const struct exchange *exchange = context;
    exchange->request.data(exchange->request.context, bytes, length);
}

static void exchange_ended(void *context, const struct descpipe_http_end *end)
{
    exchange_finish(context, end);
}

static void exchange_refused(void *context)
{
    struct exchange *exchange = context;
    exchange_finish(exchange, &(struct descpipe_http_end){.size = sizeof(struct descpipe_http_end),
                                                          .outcome = DESCPIPE_HTTP_CANNOT_CONNECT,
                                                          .message = exchange->refused});
}

static void exchange_item_stop(struct service_item *item)
{
    struct exchange *exchange = (struct exchange *)item;
    if (exchange->exchange)
        http_stop(exchange->exchange);
}

static struct descpipe_exchange *http_service_start(const struct descpipe_host *table,
                                                    const struct descpipe_http_request *given)
{
    struct plugin_instance *instance = instance_of(table);
    struct exchange *exchange = memory_allocate(sizeof(*exchange));
    exchange->item.stop = exchange_item_stop;
    service_item_open(instance, &exchange->item);
    struct descpipe_http_request *request = &exchange->request;
    struct http *http = NULL;
    cleanup(error_clear) struct error error = ERROR_INIT;
    if (!struct_take(request, sizeof(*request), given, ABI_SIZE_HTTP_REQUEST)) {
        host_fault(instance, "http.start: struct descpipe_http_request is too small");
        exchange->refused = memory_copy_text("the request is too small");
    } else if (!request->method || !request->url) {
        host_fault(instance, "http.start: no method or no url");
        exchange->refused = memory_copy_text("the request has no method or no url");
    } else if (!(http = host_http(instance->host, &error))) {
        exchange->refused = memory_copy_text(error.message);
    }
    if (exchange->refused) {
        loop_post(instance->host->loop, exchange_refused, exchange);
        return (struct descpipe_exchange *)exchange;
    }
    struct descpipe_http_request own = *request;
    own.header = request->header ? exchange_header : NULL;
    own.started = request->started ? exchange_started : NULL;
    own.data = request->data ? exchange_data : NULL;
    own.ended = exchange_ended;
    own.context = exchange;
    exchange->exchange = http_start(http, &own);
    return (struct descpipe_exchange *)exchange;
}

static void http_service_stop(struct descpipe_exchange *handle)
{
    if (handle)
        exchange_item_stop(&exchange_of(handle)->item);
}

const struct descpipe_http_service http_service = {
    .size = sizeof(http_service), .start = http_service_start, .stop = http_service_stop};
