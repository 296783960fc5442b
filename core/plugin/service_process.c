/* SPDX-License-Identifier: BSD-3-Clause */
/* The process service: tools that end with us. */
#include <string.h>

#include "base/log.h"
#include "io/process.h"
#include "plugin/abi.h"
#include "plugin/answer.h"
#include "plugin/host.h"

struct descpipe_process {
    struct service_item item;                /* first */
    struct tool *tool;                       /* NULL: never started, its end is on the way */
    struct descpipe_process_request request; /* callbacks and context */
    const char *refused;
};

static void process_finish(struct descpipe_process *process, const struct descpipe_process_end *end)
{
    if (process->request.ended)
        process->request.ended(process->request.context, end);
    service_item_close(&process->item);
    memory_free(process);
}

static void process_line(void *context, int stream, const char *line, size_t length)
{
    struct descpipe_process *process = context;
    process->request.line(process->request.context, (uint32_t)stream, line, length);
}

static void process_ended(void *context, const struct tool_end *end)
{
    process_finish(context, &(struct descpipe_process_end){.size = sizeof(struct descpipe_process_end),
                                                           .started = end->started,
                                                           .exit_code = end->exit_code,
                                                           .signal = end->signal,
                                                           .timed_out = end->timed_out,
                                                           .truncated = end->truncated,
                                                           .message = end->message});
}

static void process_refused(void *context)
{
    struct descpipe_process *process = context;
    process_finish(process, &(struct descpipe_process_end){.size = sizeof(struct descpipe_process_end),
                                                           .exit_code = -1,
                                                           .message = process->refused});
}

static void process_item_stop(struct service_item *item)
{
    struct descpipe_process *process = (struct descpipe_process *)item;
    if (process->tool)
        tool_stop(process->tool);
}

static void process_stop(struct descpipe_process *process)
{
    if (process)
        process_item_stop(&process->item);
}

static struct descpipe_process *process_service_start(const struct descpipe_host *table,
                                                      const struct descpipe_process_request *given)
{
    struct plugin_instance *instance = instance_of(table);
    struct descpipe_process *process = memory_allocate(sizeof(*process));
    process->item.stop = process_item_stop;
    service_item_open(instance, &process->item);
    struct descpipe_process_request *request = &process->request;
    if (!struct_take(request, sizeof(*request), given, ABI_SIZE_PROCESS_REQUEST)) {
        /* Too small to hold even `ended`: nobody can be told. The plugin's author is. */
        host_fault(instance, "process.start: struct descpipe_process_request is too small");
        process->refused = "the request is too small";
    } else if (!request->argv || !request->argv[0]) {
        host_fault(instance, "process.start: no argv");
        process->refused = "there is no argv";
    }
    if (process->refused) {
        loop_post(instance->host->loop, process_refused, process);
        return process;
    }
    struct tool_request tool = {.argv = request->argv,
                                .environment = request->environment,
                                .directory = request->directory ? request->directory : "/",
                                .input = request->input,
                                .input_length = request->input_length,
                                .input_descriptor = request->input_descriptor,
                                .output_descriptor = request->output_descriptor,
                                .error_descriptor = request->error_descriptor,
                                .terminal = (request->flags & DESCPIPE_PROCESS_TERMINAL) != 0,
                                .timeout_ms =
                                    request->timeout_ms > INT64_MAX ? INT64_MAX : (int64_t)request->timeout_ms,
                                .output_limit = request->output_limit,
                                .line = request->line ? process_line : NULL,
                                .ended = process_ended,
                                .context = process};
    process->tool = tool_start(instance->host->loop, &tool);
    return process;
}

static int32_t process_service_find(const struct descpipe_host *table, const char *name, char *path, uint64_t path_size)
{
    (void)table;
    cleanup(memory_free) char *found = process_find(name);
    if (!found || strlen(found) >= path_size)
        return 0;
    memcpy(path, found, strlen(found) + 1);
    return 1;
}

const struct descpipe_process_service process_service = {.size = sizeof(process_service),
                                                         .start = process_service_start,
                                                         .stop = process_stop,
                                                         .find = process_service_find};
