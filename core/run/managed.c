/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Attempts whose stage is a container of the runtime's own (MANAGED): start, follow, inspect, release.
 *
 * How it works: after the start two calls are open, one that follows the output and one that waits for the end. Both
 * ended, the runtime is asked once more what it knows (out of memory, exit status), all of that is journalled, and only
 * then is the container let go. A runtime that cannot be asked is asked again: that its service is away says nothing of
 * the stage.
 */
#include <string.h>

#include "base/clock.h"
#include "run/walk.h"

#define START_DEADLINE_MS 300000
#define AGAIN_MS 1000
#define AGAIN_LIMIT_MS 30000
#define GRACE_MS(attempt)                                                                                              \
    ((attempt)->engine->request->grace_ms > 0 ? (attempt)->engine->request->grace_ms : DEFAULT_GRACE_MS)

static struct plugin_instance *runtime_of(const struct attempt *attempt)
{
    const struct engine *engine = attempt->engine;
    return engine->plan->backends[engine->plan->stages[attempt->stage].backend].runtime;
}

static void observe(void *context);

static void ask_again(struct attempt *attempt, void (*ask)(void *context))
{
    attempt->again_ms = attempt->again_ms == 0 ? AGAIN_MS : attempt->again_ms * 2;
    if (attempt->again_ms > AGAIN_LIMIT_MS)
        attempt->again_ms = AGAIN_LIMIT_MS;
    attempt->again = loop_timer(attempt->engine->loop, attempt->again_ms, ask, attempt);
}

static void released(void *context, const struct call_result *result)
{
    struct attempt *attempt = context;
    (void)result; /* what is left over is the runtime's to clean up; the evidence is in the journal */
    attempt->call = NULL;
    attempt_ended(attempt);
}

static void release(struct attempt *attempt)
{
    if (attempt->stopped != 0) {
        const struct descpipe_ending ending = {.size = sizeof ending, .flags = attempt->stopped, .witness = "descpipe"};
        attempt_add_ending(attempt, &ending);
    }
    record_ended(attempt);
    attempt->ended_recorded = true;
    engine_flush(attempt->engine, true); /* the last witness is about to go */
    attempt->call = runtime_release(runtime_of(attempt), &attempt->container,
                                    (struct call_options){.done = released, .context = attempt});
}

static void inspect(void *context);

static void inspected(void *context, const struct call_result *result)
{
    struct attempt *attempt = context;
    attempt->call = NULL;
    if (!result->ok && (result->failure == DESCPIPE_FAILED_CANNOT_ASK || result->failure == DESCPIPE_FAILED_LATER)) {
        ask_again(attempt, inspect);
        return;
    }
    if (result->ok && result->ending != NULL)
        attempt_add_ending(attempt, result->ending);
    release(attempt);
}

static void inspect(void *context)
{
    struct attempt *attempt = context;
    attempt->again = NULL;
    attempt->call = runtime_inspect(runtime_of(attempt), &attempt->container,
                                    (struct call_options){.done = inspected, .context = attempt});
}

static void both_ended(struct attempt *attempt)
{
    if (attempt->observed && attempt->logs_call == NULL && attempt->output < 0)
        inspect(attempt);
}

static void observed(void *context, const struct call_result *result)
{
    struct attempt *attempt = context;
    attempt->call = NULL;
    if (!result->ok && result->failure != DESCPIPE_FAILED_NOT_FOUND && result->failure != DESCPIPE_FAILED_UNSUPPORTED) {
        ask_again(attempt, observe);
        return;
    }
    if (result->ok && result->ending != NULL) {
        attempt_add_ending(attempt, result->ending);
    } else {
        const struct descpipe_ending lost = {
            .size = sizeof lost, .flags = DESCPIPE_ENDED_LOST, .witness = "runtime", .reason = result->message};
        attempt_add_ending(attempt, &lost);
    }
    attempt->again_ms = 0;
    attempt->observed = true;
    both_ended(attempt);
}

static void observe(void *context)
{
    struct attempt *attempt = context;
    attempt->again = NULL;
    attempt->call =
        runtime_observe(runtime_of(attempt), &attempt->container,
                        (struct call_options){.deadline_ms = INT64_MAX, .done = observed, .context = attempt});
}

static void logs_ended(void *context, const struct call_result *result)
{
    struct attempt *attempt = context;
    (void)result; /* a log that broke off is no verdict; what came is in the file */
    attempt->logs_call = NULL;
    attempt_close_logs(attempt);
    both_ended(attempt);
}

static void follow(struct attempt *attempt)
{
    attempt->logs = (struct descpipe_logs){.size = sizeof attempt->logs,
                                           .follow = 1,
                                           .container = &attempt->container,
                                           .output_descriptor = attempt->output,
                                           .error_descriptor = attempt->error};
    attempt->logs_call =
        runtime_logs(runtime_of(attempt), &attempt->logs,
                     (struct call_options){.deadline_ms = INT64_MAX, .done = logs_ended, .context = attempt});
    observe(attempt);
}

static void running(struct attempt *attempt, const char *native_id)
{
    char *id = native_id != NULL ? arena_copy(attempt->arena, native_id, strlen(native_id)) : NULL;
    attempt->container =
        (struct descpipe_container){.size = sizeof attempt->container, .token = attempt->token, .native_id = id};
    record_started(attempt, id);
    command_time_limit(attempt);
    follow(attempt);
    if (attempt->stopped != 0)
        managed_stop(attempt, GRACE_MS(attempt));
}

static void look_for_it(void *context);

/* Its start got no clear answer: is it there? */
static void found(void *context, const struct call_result *result)
{
    struct attempt *attempt = context;
    attempt->call = NULL;
    if (!result->ok) {
        ask_again(attempt, look_for_it);
        return;
    }
    for (size_t i = 0; i < result->found_count; i++)
        if (text_equal(result->found[i]->token, attempt->token)) {
            running(attempt, result->found[i]->native_id);
            return;
        }
    attempt_close_logs(attempt);
    attempt_not_started(attempt, attempt->stopped, "its start got no answer, and it is not there");
}

static void look_for_it(void *context)
{
    struct attempt *attempt = context;
    attempt->again = NULL;
    attempt->call = runtime_find(runtime_of(attempt), attempt->engine->folder.id,
                                 (struct call_options){.done = found, .context = attempt});
}

static void started(void *context, const struct call_result *result)
{
    struct attempt *attempt = context;
    attempt->call = NULL;
    if (result->ok) {
        running(attempt, result->native_ids_count > 0 ? result->native_ids[0].id : NULL);
    } else if (result->failure == DESCPIPE_FAILED_UNKNOWN && !result->plugin_fault) {
        look_for_it(attempt);
    } else {
        attempt_close_logs(attempt);
        attempt_not_started(attempt, attempt->stopped, result->message);
    }
}

void managed_start(struct attempt *attempt)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    const struct descpipe_stage *launched = command_stage(attempt);
    struct descpipe_stage *stage = arena_allocate(attempt->arena, sizeof *stage);
    *stage = *launched;
    static const char *const nothing[] = {NULL};
    stage->late_environment = late_environment(attempt, launched, "", nothing, &error);
    if (stage->late_environment == NULL || !attempt_open_logs(attempt, &error)) {
        attempt_not_started(attempt, 0, error.message);
        return;
    }
    attempt->launched = stage;
    attempt->token = stage->token;
    /* A container outlives this machine's engine: what announces it must be on the disk. */
    engine_flush(attempt->engine, true);
    attempt->call =
        runtime_start(runtime_of(attempt), stage,
                      (struct call_options){.deadline_ms = START_DEADLINE_MS, .done = started, .context = attempt});
}

static void stop_answered(void *context, const struct call_result *result)
{
    (void)context;
    (void)result; /* its end comes through observe, whatever the answer was */
}

void managed_stop(struct attempt *attempt, int64_t grace_ms)
{
    if (attempt->observed)
        return;
    attempt->stop_request = (struct descpipe_stop){.size = sizeof attempt->stop_request,
                                                   .container = &attempt->container,
                                                   .grace_ms = grace_ms > 0 ? (uint64_t)grace_ms : 0};
    runtime_stop(runtime_of(attempt), &attempt->stop_request,
                 (struct call_options){.deadline_ms = grace_ms + CALL_DEADLINE_MS, .done = stop_answered});
}
