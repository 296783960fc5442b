/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Attempts whose stage is a container of the runtime's own (MANAGED): start, follow, inspect, release.
 *
 * How it works: after the start two calls are open, one that follows the output and one that waits for the end. Both
 * ended, the runtime is asked once more what it knows (out of memory, exit status), all of that is journalled, and only
 * then is the container let go. A runtime that cannot be asked is asked again: that its service is away says nothing of
 * the stage. The journal says so meanwhile (`blind`), once for all attempts of a backend.
 *
 * A container that an engine before this one began is looked for by its token. One that runs or has ended is followed
 * from there, its whole output once more; one that was made and never started is let go, and the attempt begins anew.
 *
 * Only a user who asks a second time ends that: all calls of the attempt are cancelled, and when they have ended (the
 * host sees to that) it has the verdict LOST, unless its end had been seen before.
 */
#include <ctype.h>
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

/* A call that ended at once is NULL, and its end may have opened the next one, or ended the attempt. */
static void remember(struct attempt *attempt, struct plugin_call *call)
{
    if (call != NULL)
        attempt->call = call;
}

/* Its runtime cannot be asked; without a message: it can again. */
static void see(struct attempt *attempt, const char *message)
{
    struct engine *engine = attempt->engine;
    uint32_t *blind = &engine->backends[engine->plan->stages[attempt->stage].backend].blind;
    if (attempt->blind == (message != NULL))
        return;
    attempt->blind = message != NULL;
    *blind += message != NULL ? 1 : UINT32_MAX;
    if (*blind == (message != NULL ? 1 : 0))
        submit_blind(engine, message);
}

static void ask_again(struct attempt *attempt, void (*ask)(void *context))
{
    attempt->again_ms = attempt->again_ms == 0 ? AGAIN_MS : attempt->again_ms * 2;
    if (attempt->again_ms > AGAIN_LIMIT_MS)
        attempt->again_ms = AGAIN_LIMIT_MS;
    attempt->again = loop_timer(attempt->engine->loop, attempt->again_ms, ask, attempt);
}

static void end_given_up(void *context)
{
    struct attempt *attempt = context;
    struct engine *engine = attempt->engine;
    const char *name = plugin_instance_descriptor(runtime_of(attempt))->name;
    cleanup(text_clear) struct text reason = TEXT_INIT;
    text_append_character(&reason, (char)toupper((unsigned char)name[0]));
    text_append(&reason, name + 1);
    text_append(&reason, attempt->blind ? " could not be asked" : " did not end it in time");
    text_format(&reason, "; its container %s may still run", attempt->token);
    struct descpipe_ending ending = {
        .size = sizeof ending, .flags = DESCPIPE_ENDED_LOST, .witness = "descpipe", .reason = text_bytes(&reason)};
    if (attempt->observed) { /* it has ended; the runtime was only to be asked for more */
        ending.flags = attempt->stopped;
        ending.reason = NULL;
    }
    if (attempt->blind)
        engine->backends[engine->plan->stages[attempt->stage].backend].blind--; /* without a word: it still is */
    attempt->blind = false;
    attempt_close_logs(attempt);
    attempt_add_ending(attempt, &ending);
    attempt_ended(attempt);
}

/* For each end of a call: true when it belongs to an attempt that was given up, which ends with the last of them. */
static bool is_given_up(struct attempt *attempt)
{
    if (!attempt->given_up)
        return false;
    if (attempt->call == NULL && attempt->logs_call == NULL)
        end_given_up(attempt); /* after which there is no such attempt */
    return true;
}

void managed_give_up(struct attempt *attempt)
{
    bool asks = attempt->call != NULL || attempt->logs_call != NULL || attempt->again != NULL;
    if (attempt->given_up || attempt->ended_recorded || !asks) {
        if (attempt->ended_recorded)
            call_cancel(attempt->call); /* the release: all that matters is in the journal */
        return;
    }
    attempt->given_up = true;
    loop_timer_stop(steal(&attempt->again));
    call_cancel(attempt->call);
    call_cancel(attempt->logs_call);
    if (attempt->call == NULL && attempt->logs_call == NULL)
        loop_post(attempt->engine->loop, end_given_up, attempt);
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
    } else {
        chain_take_end(attempt);
    }
    record_ended(attempt);
    attempt->ended_recorded = true;
    engine_flush(attempt->engine, true); /* the last witness is about to go */
    remember(attempt, runtime_release(runtime_of(attempt), &attempt->container,
                                      (struct call_options){.done = released, .context = attempt}));
}

static void inspect(void *context);

static void inspected(void *context, const struct call_result *result)
{
    struct attempt *attempt = context;
    attempt->call = NULL;
    if (is_given_up(attempt))
        return;
    if (!result->ok && (result->failure == DESCPIPE_FAILED_CANNOT_ASK || result->failure == DESCPIPE_FAILED_LATER)) {
        see(attempt, result->message);
        ask_again(attempt, inspect);
        return;
    }
    see(attempt, NULL);
    if (result->ok && result->ending != NULL)
        attempt_add_ending(attempt, result->ending);
    release(attempt);
}

static void inspect(void *context)
{
    struct attempt *attempt = context;
    attempt->again = NULL;
    remember(attempt, runtime_inspect(runtime_of(attempt), &attempt->container,
                                      (struct call_options){.done = inspected, .context = attempt}));
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
    if (attempt->given_up && result->ok && result->ending != NULL) { /* at the last moment */
        attempt_add_ending(attempt, result->ending);
        attempt->observed = true;
    }
    if (is_given_up(attempt))
        return;
    if (!result->ok && result->failure != DESCPIPE_FAILED_NOT_FOUND && result->failure != DESCPIPE_FAILED_UNSUPPORTED) {
        see(attempt, result->message);
        ask_again(attempt, observe);
        return;
    }
    see(attempt, NULL);
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

/* What a runtime says while it watches is that it cannot ask, and by no text that it can again. A wish to stop that
 * was made meanwhile did not arrive. */
static void observing(void *context, uint64_t done, uint64_t total, const char *text)
{
    struct attempt *attempt = context;
    (void)done;
    (void)total;
    bool was_blind = attempt->blind;
    see(attempt, text);
    if (was_blind && !attempt->blind && attempt->stopped != 0)
        managed_stop(attempt, attempt->engine->cancels > 1 ? 0 : GRACE_MS(attempt));
}

static void observe(void *context)
{
    struct attempt *attempt = context;
    attempt->again = NULL;
    remember(attempt, runtime_observe(
                          runtime_of(attempt), &attempt->container,
                          (struct call_options){
                              .deadline_ms = INT64_MAX, .done = observed, .progress = observing, .context = attempt}));
}

static void logs_ended(void *context, const struct call_result *result)
{
    struct attempt *attempt = context;
    (void)result; /* a log that broke off is no verdict; what came is in the file */
    attempt->logs_call = NULL;
    attempt_close_logs(attempt);
    if (!is_given_up(attempt))
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
    char *id = arena_copy_text(attempt->arena, native_id);
    attempt->container =
        (struct descpipe_container){.size = sizeof attempt->container, .token = attempt->token, .native_id = id};
    record_started(attempt, id, NULL);
    command_time_limit(attempt);
    follow(attempt);
    if (attempt->stopped != 0)
        managed_stop(attempt, GRACE_MS(attempt));
}

static void look_for_it(void *context);

static void undone(void *context, const struct call_result *result)
{
    struct attempt *attempt = context;
    attempt->call = NULL;
    if (is_given_up(attempt))
        return;
    if (!result->ok) { /* perhaps it has started meanwhile */
        ask_again(attempt, look_for_it);
        return;
    }
    attempt_close_logs(attempt);
    attempt_undo(attempt);
}

/* One that does not run: has it ever? */
static void looked_at(void *context, const struct call_result *result)
{
    struct attempt *attempt = context;
    attempt->call = NULL;
    if (is_given_up(attempt))
        return;
    if (!result->ok && result->failure != DESCPIPE_FAILED_NOT_FOUND) {
        see(attempt, result->message);
        ask_again(attempt, look_for_it);
        return;
    }
    see(attempt, NULL);
    bool never = result->ok && result->ending != NULL && (result->ending->flags & DESCPIPE_ENDED_NOT_STARTED) != 0;
    if (never)
        remember(attempt, runtime_release(runtime_of(attempt), &attempt->container,
                                          (struct call_options){.done = undone, .context = attempt}));
    else
        running(attempt, attempt->container.native_id);
}

static void adopt(struct attempt *attempt, const struct descpipe_found *found)
{
    if (found->running) {
        running(attempt, found->native_id);
        return;
    }
    attempt->container = (struct descpipe_container){.size = sizeof attempt->container,
                                                     .token = attempt->token,
                                                     .native_id = arena_copy_text(attempt->arena, found->native_id)};
    remember(attempt, runtime_inspect(runtime_of(attempt), &attempt->container,
                                      (struct call_options){.done = looked_at, .context = attempt}));
}

/* Nothing of it is there. What had been started was removed by somebody; else it was never begun. */
static void not_there(struct attempt *attempt)
{
    attempt_close_logs(attempt);
    if (attempt->resumed && attempt->seen_running) {
        const struct descpipe_ending lost = {.size = sizeof lost,
                                             .flags = DESCPIPE_ENDED_LOST,
                                             .witness = "runtime",
                                             .reason = "its container is not there any more"};
        attempt_add_ending(attempt, &lost);
        attempt_ended_soon(attempt);
    } else if (attempt->resumed && attempt->stopped == 0) {
        attempt_undo(attempt);
    } else {
        attempt_not_started(attempt, attempt->stopped, "its start got no answer, and it is not there");
    }
}

/* Its start got no clear answer: is it there? */
static void found(void *context, const struct call_result *result)
{
    struct attempt *attempt = context;
    attempt->call = NULL;
    if (is_given_up(attempt))
        return;
    if (!result->ok) {
        see(attempt, result->message);
        ask_again(attempt, look_for_it);
        return;
    }
    see(attempt, NULL);
    for (size_t i = 0; i < result->found_count; i++)
        if (text_equal(result->found[i]->token, attempt->token)) {
            adopt(attempt, result->found[i]);
            return;
        }
    not_there(attempt);
}

static void look_for_it(void *context)
{
    struct attempt *attempt = context;
    attempt->again = NULL;
    remember(attempt, runtime_find(runtime_of(attempt), attempt->engine->folder.id,
                                   (struct call_options){.done = found, .context = attempt}));
}

static void started(void *context, const struct call_result *result)
{
    struct attempt *attempt = context;
    attempt->call = NULL;
    bool is_clear = !result->ok && (result->failure != DESCPIPE_FAILED_UNKNOWN || result->plugin_fault);
    if (!is_clear && is_given_up(attempt))
        return;
    if (result->ok) {
        running(attempt, result->native_ids_count > 0 ? result->native_ids[0].id : NULL);
    } else if (!is_clear) {
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
    remember(attempt, runtime_start(runtime_of(attempt), stage,
                                    (struct call_options){
                                        .deadline_ms = START_DEADLINE_MS, .done = started, .context = attempt}));
}

static const char *token_of(struct attempt *attempt)
{
    cleanup(memory_free) char *token =
        memory_format("%s-%llu", attempt->engine->folder.id, (unsigned long long)attempt->job);
    return arena_copy_text(attempt->arena, token);
}

void managed_adopt(struct attempt *attempt)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    attempt->token = token_of(attempt);
    if (attempt_open_logs(attempt, &error))
        look_for_it(attempt);
    else
        attempt_not_started(attempt, 0, error.message);
}

void managed_forget(struct attempt *attempt, const char *native_id)
{
    attempt->token = token_of(attempt);
    attempt->observed = true;
    attempt->container =
        (struct descpipe_container){.size = sizeof attempt->container, .token = attempt->token, .native_id = native_id};
    remember(attempt, runtime_release(runtime_of(attempt), &attempt->container,
                                      (struct call_options){.done = released, .context = attempt}));
}

/* A wish outlives its attempt when nobody answers it: it has all its inputs with it. */
struct stop_wish {
    struct descpipe_stop stop;
    struct descpipe_container container;
    char *token, *native_id;
};

static void stop_answered(void *context, const struct call_result *result)
{
    struct stop_wish *wish = context;
    (void)result; /* its end comes through observe, whatever the answer was */
    memory_free(wish->token);
    memory_free(wish->native_id);
    memory_free(wish);
}

/* A signal and nothing else, or the end with its grace. */
static void make_wish(struct attempt *attempt, int signal, int64_t grace_ms)
{
    if (attempt->observed)
        return;
    const struct descpipe_container *container = &attempt->container;
    struct stop_wish *wish = memory_allocate(sizeof *wish);
    wish->token = memory_copy_text(container->token);
    wish->native_id = container->native_id != NULL ? memory_copy_text(container->native_id) : NULL;
    wish->container =
        (struct descpipe_container){.size = sizeof wish->container, .token = wish->token, .native_id = wish->native_id};
    wish->stop = (struct descpipe_stop){.size = sizeof wish->stop,
                                        .signal = (uint32_t)signal,
                                        .container = &wish->container,
                                        .grace_ms = grace_ms > 0 ? (uint64_t)grace_ms : 0};
    runtime_stop(
        runtime_of(attempt), &wish->stop,
        (struct call_options){.deadline_ms = grace_ms + CALL_DEADLINE_MS, .done = stop_answered, .context = wish});
}

void managed_stop(struct attempt *attempt, int64_t grace_ms)
{
    make_wish(attempt, 0, grace_ms);
}

void managed_signal(struct attempt *attempt, int signal)
{
    make_wish(attempt, signal, 0);
}
