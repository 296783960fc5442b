/* SPDX-License-Identifier: BSD-3-Clause */
/* The pretending services. Everything answers from the loop, as the real ones do. */
#include "plugin/pretence.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "plugin/abi.h"
#include "plugin/answer.h"

static enum mood mood_now;

const char *mood_name(enum mood mood)
{
    static const char *const names[] = {"nothing is there", "everything fails", "nonsense comes back",
                                        "nothing answers"};
    return names[mood < MOOD_COUNT ? mood : 0];
}

void pretence_set(enum mood mood)
{
    mood_now = mood;
}

/* One act that a plugin has begun: a tool or an exchange. */
struct act {
    struct service_item item; /* first */
    enum mood mood;
    bool is_http, stopping;
    struct descpipe_process_request process;
    struct descpipe_http_request http;
};

static const char nonsense[] = "\x01{\"nonsense\": [1, 2, \"\xff";

static void end_process(struct act *act)
{
    const struct descpipe_process_request *request = &act->process;
    struct descpipe_process_end end = {.size = sizeof(end), .started = 1, .exit_code = -1};
    if (act->stopping) {
        end.signal = 15;
    } else if (act->mood == MOOD_ABSENT) {
        end.started = 0;
        end.message = "no such file or directory (pretended)";
    } else {
        end.exit_code = act->mood == MOOD_FAILING;
        if (request->line) {
            request->line(request->context, 1, nonsense, sizeof(nonsense) - 1);
            request->line(request->context, 1, "", 0);
            request->line(request->context, 2, "error: pretended", 16);
        }
    }
    if (request->ended)
        request->ended(request->context, &end);
}

static void end_http(struct act *act)
{
    const struct descpipe_http_request *request = &act->http;
    struct descpipe_http_end end = {.size = sizeof(end), .url = request->url};
    if (act->stopping) {
        end.outcome = DESCPIPE_HTTP_STOPPED;
        end.message = "stopped";
    } else if (act->mood == MOOD_ABSENT) {
        end.outcome = DESCPIPE_HTTP_CANNOT_CONNECT;
        end.system_error = ENOENT;
        end.message = "nobody listens (pretended)";
    } else {
        end.status = act->mood == MOOD_FAILING ? 500 : 200;
        if (request->header)
            request->header(request->context, "Content-Type", "application/json");
        if (request->started)
            request->started(request->context, end.status);
        if (request->data)
            request->data(request->context, nonsense, sizeof(nonsense) - 1);
    }
    if (request->ended)
        request->ended(request->context, &end);
}

static void act_end(void *context)
{
    struct act *act = context;
    if (act->is_http)
        end_http(act);
    else
        end_process(act);
    service_item_close(&act->item);
    memory_free(act);
}

static void act_stop(struct service_item *item)
{
    struct act *act = (struct act *)item;
    if (act->stopping)
        return;
    act->stopping = true;
    if (act->mood == MOOD_SILENT)
        loop_post(act->item.instance->host->loop, act_end, act);
}

static struct act *act_begin(const struct descpipe_host *table, bool is_http)
{
    struct plugin_instance *instance = instance_of(table);
    struct act *act = memory_allocate(sizeof(*act));
    act->mood = mood_now;
    act->is_http = is_http;
    act->item.stop = act_stop;
    service_item_open(instance, &act->item);
    if (act->mood != MOOD_SILENT)
        loop_post(instance->host->loop, act_end, act);
    return act;
}

static struct descpipe_process *pretend_process(const struct descpipe_host *table,
                                                const struct descpipe_process_request *request)
{
    struct act *act = act_begin(table, false);
    if (!struct_take(&act->process, sizeof(act->process), request, ABI_SIZE_PROCESS_REQUEST) || !act->process.argv ||
        !act->process.argv[0])
        host_fault(instance_of(table), "process.start: a bad request");
    return (struct descpipe_process *)act;
}

static void pretend_process_stop(struct descpipe_process *process)
{
    act_stop((struct service_item *)process);
}

static int32_t pretend_find(const struct descpipe_host *table, const char *name, char *path, uint64_t path_size)
{
    (void)table;
    if (mood_now == MOOD_ABSENT || !name)
        return 0;
    int length = snprintf(path, (size_t)path_size, "/pretended/bin/%s", name);
    return length > 0 && (uint64_t)length < path_size;
}

static struct descpipe_exchange *pretend_http(const struct descpipe_host *table,
                                              const struct descpipe_http_request *request)
{
    struct act *act = act_begin(table, true);
    if (!struct_take(&act->http, sizeof(act->http), request, ABI_SIZE_HTTP_REQUEST) || !act->http.method ||
        !act->http.url)
        host_fault(instance_of(table), "http.start: a bad request");
    return (struct descpipe_exchange *)act;
}

static void pretend_http_stop(struct descpipe_exchange *exchange)
{
    act_stop((struct service_item *)exchange);
}

static const struct descpipe_process_service pretending_process = {
    .size = sizeof(pretending_process), .start = pretend_process, .stop = pretend_process_stop, .find = pretend_find};
static const struct descpipe_http_service pretending_http = {
    .size = sizeof(pretending_http), .start = pretend_http, .stop = pretend_http_stop};

void pretence_install(struct plugin_instance *instance)
{
    instance->table.process = &pretending_process;
    instance->table.http = &pretending_http;
}

/* A stage that was started ends by itself at the next turn, or when it is stopped. */
struct pretended_stage {
    uint64_t job;
    void (*ended)(void *scheduler, uint64_t job);
    void *scheduler;
    bool silent;
    struct pretended_stage *next;
};
static struct pretended_stage *stages;

static void stage_end(void *context)
{
    struct pretended_stage *stage = context;
    for (struct pretended_stage **at = &stages; *at; at = &(*at)->next) {
        if (*at == stage) {
            *at = stage->next;
            break;
        }
    }
    stage->ended(stage->scheduler, stage->job);
    memory_free(stage);
}

static bool pretend_stage(void *context, uint64_t job, const struct descpipe_placement *placement,
                          void (*ended)(void *scheduler, uint64_t job), void *scheduler)
{
    struct plugin_host *host = context;
    (void)placement;
    if (mood_now == MOOD_FAILING)
        return false;
    struct pretended_stage *stage = memory_allocate(sizeof(*stage));
    *stage = (struct pretended_stage){
        .job = job, .ended = ended, .scheduler = scheduler, .silent = mood_now == MOOD_SILENT, .next = stages};
    stages = stage;
    if (!stage->silent)
        loop_post(host->loop, stage_end, stage);
    return true;
}

static void pretend_stage_stop(void *context, uint64_t job, uint64_t grace_ms)
{
    struct plugin_host *host = context;
    (void)grace_ms;
    for (struct pretended_stage *stage = stages; stage; stage = stage->next) {
        if (stage->job == job && stage->silent) {
            stage->silent = false;
            loop_post(host->loop, stage_end, stage);
        }
    }
}

bool pretence_stages_end(void *context)
{
    (void)context;
    for (const struct pretended_stage *stage = stages; stage; stage = stage->next) {
        if (!stage->silent)
            return true;
    }
    return false;
}

static void pretend_credential(void *context, const struct descpipe_image *image, uint32_t purpose,
                               void (*got)(void *, const struct descpipe_credential *, const char *), void *plugin)
{
    (void)context;
    (void)image;
    (void)purpose;
    got(plugin, NULL, mood_now == MOOD_FAILING ? "the login has expired (pretended)" : NULL);
}

struct plugin_callbacks pretence_callbacks(struct plugin_host *host)
{
    return (struct plugin_callbacks){.context = host,
                                     .stage_start = pretend_stage,
                                     .stage_stop = pretend_stage_stop,
                                     .credential = pretend_credential};
}
