/* SPDX-License-Identifier: BSD-3-Clause */
/* The machinery of calls: slots, deadlines, cancel, exactly one end. */
#include "plugin/call.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

#define INDEX_BITS 20
#define INDEX_MASK (((uintptr_t)1 << INDEX_BITS) - 1)
_Static_assert(CALLS_LIMIT - 1 == INDEX_MASK, "a handle holds every slot's number");

/* One table for the process, because a plugin gives us nothing but the handle. Main thread only. */
static struct {
    LIST(struct plugin_call *) slots;
    struct plugin_call *free_first, *free_last;
    size_t free_count;
} calls;

/* With so many free slots an answer after the end still finds its own slot unused, and can be told by name. */
#define FREE_RESERVE 16

static struct plugin_call *slot_take(void)
{
    struct plugin_call *call = NULL;
    if (calls.free_count > FREE_RESERVE || calls.slots.count == CALLS_LIMIT) {
        call = calls.free_first;
        if (!call)
            return NULL;
        calls.free_first = call->next_in_queue;
        if (!calls.free_first)
            calls.free_last = NULL;
        calls.free_count--;
    } else {
        call = memory_allocate(sizeof(*call));
        call->index = (uint32_t)calls.slots.count;
        call->generation = 1;
        list_add(&calls.slots, call);
    }
    return call;
}

static void slot_give(struct plugin_call *call)
{
    call->next_in_queue = NULL;
    if (calls.free_last)
        calls.free_last->next_in_queue = call;
    else
        calls.free_first = call;
    calls.free_last = call;
    calls.free_count++;
}

void calls_free(void)
{
    for (size_t i = 0; i < calls.slots.count; i++) {
        answers_clear(&calls.slots.items[i]->answers);
        text_clear(&calls.slots.items[i]->progress_text);
        memory_free(calls.slots.items[i]);
    }
    list_clear(&calls.slots);
    calls.free_first = calls.free_last = NULL;
    calls.free_count = 0;
}

struct descpipe_call *call_handle(const struct plugin_call *call)
{
    return (struct descpipe_call *)(call->generation << INDEX_BITS | call->index); /* a number, never followed */
}

struct descpipe_sink *call_sink(const struct plugin_call *call)
{
    return (struct descpipe_sink *)call_handle(call);
}

/* `slot` is where the handle points, `generation` the handle's own. */
static void say_late(struct plugin_call *slot, uintptr_t generation, const char *what)
{
    if (!slot || !slot->instance || slot->instance->closing || generation + 1 != slot->generation) {
        log_debug("a plugin said '%s' after a call's end; dropped", what);
        return;
    }
    if (slot->late_said)
        return;
    slot->late_said = true;
    host_fault(slot->instance, "%s: said '%s' after the call's end; dropped", slot->operation->name, what);
}

void calls_forget(const struct plugin_instance *instance)
{
    for (size_t i = 0; i < calls.slots.count; i++) {
        if (calls.slots.items[i]->instance == instance)
            calls.slots.items[i]->instance = NULL;
    }
}

static struct plugin_call *call_of(uintptr_t handle, const char *what)
{
    uintptr_t index = handle & INDEX_MASK, generation = handle >> INDEX_BITS;
    struct plugin_call *call = index < calls.slots.count ? calls.slots.items[index] : NULL;
    if (call && generation != 0 && call->generation == generation)
        return call;
    say_late(call, generation, what);
    return NULL;
}

struct plugin_call *call_of_sink(struct descpipe_sink *sink, const char *what)
{
    return call_of((uintptr_t)sink, what);
}

struct plugin_call *call_open(struct plugin_instance *instance, const struct operation *operation,
                              const struct call_options *options)
{
    struct plugin_call *call = slot_take();
    if (!call) {
        log_write(LOG_LEVEL_ERROR, "%s: more than %u calls are open", instance->identity, CALLS_LIMIT);
        memory_exhausted();
    }
    call->instance = instance;
    call->operation = operation;
    call->options = *options;
    call->timer = NULL;
    call->wish = NULL;
    call->inside = true;
    call->ended = call->cancelled = call->wished = call->timed_out = call->late_said = call->queued = false;
    call->progressed = false;
    call->ok = call->plugin_fault = false;
    call->failure = 0;
    call->message = call->hint = NULL;
    call->next_in_queue = NULL;
    call->previous = NULL;
    call->next = instance->calls;
    if (call->next)
        call->next->previous = call;
    instance->calls = call;
    return call;
}

static void call_unlink(struct plugin_call *call)
{
    if (call->previous)
        call->previous->next = call->next;
    else
        call->instance->calls = call->next;
    if (call->next)
        call->next->previous = call->previous;
}

/* From here on the plugin's handle is stale. `done` comes later. */
static void call_close(struct plugin_call *call)
{
    call->ended = true;
    call->generation++;
    loop_timer_stop(call->timer);
    call->timer = NULL;
    if (!call->inside)
        host_queue_call(call->instance->host, call);
}

static void say_progress(struct plugin_call *call)
{
    if (!call->progressed)
        return;
    call->progressed = false;
    if (call->options.progress && !call->instance->host->silent)
        call->options.progress(call->options.context, call->progress_done, call->progress_total,
                               call->has_progress_text ? text_bytes(&call->progress_text) : NULL);
}

static void call_deliver(struct plugin_call *call)
{
    struct answers *answers = &call->answers;
    say_progress(call);
    call_unlink(call);
    struct call_result result = {.ok = call->ok,
                                 .plugin_fault = call->plugin_fault,
                                 .failure = call->failure,
                                 .message = call->message,
                                 .hint = call->hint};
    if (call->ok) {
        result.identity = answers->identity;
        result.form = answers->form;
        result.ending = answers->ending;
        result.credential = answers->credential;
        result.reference = answers->reference;
        result.moment_ms = answers->moment_ms;
        result.facts = answers->facts.items;
        result.facts_count = answers->facts.count;
        result.native_ids = answers->native_ids.items;
        result.native_ids_count = answers->native_ids.count;
        result.found = answers->found.items;
        result.found_count = answers->found.count;
        result.texts = answers->texts.items;
        result.texts_count = answers->texts.count;
    }
    if (call->options.done && !call->instance->host->silent)
        call->options.done(call->options.context, &result);
    answers_reset(answers);
    slot_give(call);
}

static void call_fail(struct plugin_call *call, uint32_t failure, const char *message, const char *hint)
{
    call->ok = false;
    call->failure = failure;
    call->message = message;
    call->hint = hint;
    call_close(call);
}

static void call_fail_fault(struct plugin_call *call)
{
    host_fault(call->instance, "%s: %s", call->operation->name, call->answers.fault);
    call->plugin_fault = true;
    call_fail(call, DESCPIPE_FAILED_UNKNOWN, call->answers.fault,
              "this is a fault of the plugin: report it to its author");
}

static void grace_over(void *context)
{
    struct plugin_call *call = context;
    call->timer = NULL;
    char *message = answers_copy(&call->answers, "the plugin was told to stop and did not answer");
    host_fault(call->instance, "%s: did not finish within %d ms after it was told to cancel", call->operation->name,
               CALL_GRACE_MS);
    call_fail(call, DESCPIPE_FAILED_UNKNOWN, message, NULL);
}

/* The wish itself is told from the loop: whoever cancels may be on the plugin's stack. */
static void call_begin_cancel(struct plugin_call *call)
{
    if (call->cancelled)
        return;
    call->cancelled = true;
    loop_timer_stop(call->timer);
    call->timer = loop_timer(call->instance->host->loop, CALL_GRACE_MS, grace_over, call);
    host_queue_call(call->instance->host, call);
}

static void deadline_over(void *context)
{
    struct plugin_call *call = context;
    call->timer = NULL;
    call->timed_out = true;
    call_begin_cancel(call);
}

static int64_t call_deadline(const struct plugin_call *call)
{
    return call->options.deadline_ms > 0 ? call->options.deadline_ms : CALL_DEADLINE_MS;
}

struct plugin_call *call_leave(struct plugin_call *call)
{
    call->inside = false;
    if (call->ended && !call->queued) {
        call_deliver(call);
        return NULL;
    }
    if (call->ended)
        return call; /* its progress is due first, then its end */
    if (call->options.deadline_ms != INT64_MAX && !call->timer)
        call->timer = loop_timer(call->instance->host->loop, call_deadline(call), deadline_over, call);
    return call;
}

struct plugin_call *call_unsupported(struct plugin_call *call)
{
    char *message = answers_copy(&call->answers, CALL_LACKS_OPERATION);
    call_fail(call, DESCPIPE_FAILED_UNSUPPORTED, message, NULL);
    return call_leave(call);
}

void call_cancel(struct plugin_call *call)
{
    if (call && !call->ended)
        call_begin_cancel(call);
}

static void call_wish(struct plugin_call *call)
{
    if (!call->cancelled || call->wished || call->ended || !call->wish)
        return;
    call->wished = true;
    call->wish(call->wish_context);
}

void call_hand_over(struct plugin_call *call)
{
    say_progress(call);
    if (!call->ended)
        call_wish(call);
    if (call->ended && !call->queued)
        call_deliver(call);
}

void call_abandon(struct plugin_call *call, const char *message)
{
    if (!call->ended) {
        call->cancelled = true;
        call_wish(call);
    }
    if (!call->ended)
        call_fail(call, DESCPIPE_FAILED_UNKNOWN, answers_copy(&call->answers, message), NULL);
}

/* What the plugin may say. */

static void plugin_succeed(struct descpipe_call *handle)
{
    struct plugin_call *call = call_of((uintptr_t)handle, "succeed");
    if (!call)
        return;
    unsigned missing = call->operation->must & ~call->answers.given;
    if (missing)
        answers_fault(&call->answers, "succeeded without its answer '%s'", answer_name(missing));
    if (call->answers.fault) {
        call_fail_fault(call);
        return;
    }
    call->ok = true;
    call_close(call);
}

static void plugin_fail(struct descpipe_call *handle, uint32_t failure, const char *message, const char *hint)
{
    struct plugin_call *call = call_of((uintptr_t)handle, "fail");
    if (!call)
        return;
    if (!message || !message[0]) {
        answers_fault(&call->answers, "failed without a message");
        call_fail_fault(call);
        return;
    }
    if (failure < DESCPIPE_FAILED_REFUSED || failure > DESCPIPE_FAILED_UNSUPPORTED)
        failure = DESCPIPE_FAILED_UNKNOWN; /* a newer plugin's word: never taken for a harmless one */
    if (call->timed_out && failure == DESCPIPE_FAILED_CANCELLED) {
        cleanup(text_clear) struct text text = TEXT_INIT;
        text_append(&text, "no answer within ");
        clock_append_length(&text, call_deadline(call));
        call_fail(call, DESCPIPE_FAILED_UNKNOWN, answers_copy(&call->answers, text_bytes(&text)), NULL);
        return;
    }
    char *line = answers_copy_line(&call->answers, message);
    call_fail(call, failure, line ? line : "", hint && hint[0] ? answers_copy_line(&call->answers, hint) : NULL);
}

static int32_t plugin_cancelled(const struct descpipe_call *handle)
{
    uintptr_t value = (uintptr_t)handle, index = value & INDEX_MASK;
    const struct plugin_call *call = index < calls.slots.count ? calls.slots.items[index] : NULL;
    return !call || call->generation != value >> INDEX_BITS ||
           call->cancelled; /* an ended call wants nothing any more */
}

static void plugin_on_cancel(struct descpipe_call *handle, void (*wish)(void *context), void *context)
{
    struct plugin_call *call = call_of((uintptr_t)handle, "on_cancel");
    if (!call)
        return;
    call->wish = wish;
    call->wish_context = context;
    if (call->cancelled && !call->wished)
        host_queue_call(call->instance->host, call);
}

static void plugin_progress(struct descpipe_call *handle, uint64_t done, uint64_t total, const char *text)
{
    struct plugin_call *call = call_of((uintptr_t)handle, "progress");
    if (!call || !call->options.progress)
        return;
    call->progress_done = done;
    call->progress_total = total;
    text_reset(&call->progress_text);
    call->has_progress_text = text != NULL;
    if (text)
        text_append_printable(&call->progress_text, text, 512);
    call->progressed = true;
    host_queue_call(call->instance->host, call);
}

const struct descpipe_call_service call_service = {.size = sizeof(call_service),
                                                   .succeed = plugin_succeed,
                                                   .fail = plugin_fail,
                                                   .cancelled = plugin_cancelled,
                                                   .on_cancel = plugin_on_cancel,
                                                   .progress = plugin_progress};

/* NULL when the call has ended or broke a rule before, or breaks one now. */
static struct answers *answer_accept(struct descpipe_call *handle, unsigned kind)
{
    struct plugin_call *call = call_of((uintptr_t)handle, answer_name(kind));
    if (!call || call->answers.fault)
        return NULL;
    if (!(call->operation->may & kind)) {
        answers_fault(&call->answers, "answered '%s', which is not an answer to it", answer_name(kind));
        return NULL;
    }
    if (call->answers.given & kind & ANSWER_ONCE) {
        answers_fault(&call->answers, "answered '%s' twice", answer_name(kind));
        return NULL;
    }
    call->answers.given |= kind;
    return &call->answers;
}

/* Every text that an answer must have. */
static char *answer_text(struct answers *answers, const char *text, const char *what)
{
    if (text)
        return answers_copy(answers, text);
    answers_fault(answers, "answered %s NULL", what);
    return NULL;
}

static void plugin_fact(struct descpipe_call *handle, const char *name, const char *value)
{
    struct answers *answers = answer_accept(handle, ANSWER_FACT);
    if (!answers)
        return;
    char *name_copy = answer_text(answers, name, "a fact's name");
    char *value_copy = name_copy ? answer_text(answers, value, "a fact's value") : NULL;
    if (value_copy)
        list_add(&answers->facts, ((struct call_fact){name_copy, value_copy}));
}

static void plugin_identity(struct descpipe_call *handle, const struct descpipe_image_identity *identity)
{
    struct answers *answers = answer_accept(handle, ANSWER_IDENTITY);
    if (answers)
        answer_identity(answers, identity);
}

static void plugin_form(struct descpipe_call *handle, const struct descpipe_form *form)
{
    struct answers *answers = answer_accept(handle, ANSWER_FORM);
    if (answers)
        answer_form(answers, form);
}

static void plugin_native_id(struct descpipe_call *handle, uint64_t job, const char *id)
{
    struct answers *answers = answer_accept(handle, ANSWER_NATIVE_ID);
    char *copy = answers ? answer_text(answers, id, "a native id") : NULL;
    if (copy)
        list_add(&answers->native_ids, ((struct call_native_id){job, copy}));
}

static void plugin_ending(struct descpipe_call *handle, const struct descpipe_ending *ending)
{
    struct answers *answers = answer_accept(handle, ANSWER_ENDING);
    if (answers)
        answer_ending(answers, ending);
}

static void plugin_found(struct descpipe_call *handle, const struct descpipe_found *found)
{
    struct answers *answers = answer_accept(handle, ANSWER_FOUND);
    if (answers)
        answer_found(answers, found);
}

static void plugin_reference(struct descpipe_call *handle, const char *reference)
{
    struct answers *answers = answer_accept(handle, ANSWER_REFERENCE);
    if (answers)
        answers->reference = answer_text(answers, reference, "a reference");
}

static void plugin_credential(struct descpipe_call *handle, const struct descpipe_credential *credential)
{
    struct answers *answers = answer_accept(handle, ANSWER_CREDENTIAL);
    if (answers)
        answer_credential(answers, credential);
}

static void plugin_text(struct descpipe_call *handle, const char *text)
{
    struct answers *answers = answer_accept(handle, ANSWER_TEXT);
    char *copy = answers ? answer_text(answers, text, "a text") : NULL;
    if (copy)
        list_add(&answers->texts, copy);
}

static void plugin_moment(struct descpipe_call *handle, int64_t at_ms)
{
    struct answers *answers = answer_accept(handle, ANSWER_MOMENT);
    if (answers)
        answers->moment_ms = at_ms;
}

const struct descpipe_answer_service answer_service = {.size = sizeof(answer_service),
                                                       .fact = plugin_fact,
                                                       .identity = plugin_identity,
                                                       .form = plugin_form,
                                                       .native_id = plugin_native_id,
                                                       .ending = plugin_ending,
                                                       .found = plugin_found,
                                                       .reference = plugin_reference,
                                                       .credential = plugin_credential,
                                                       .text = plugin_text,
                                                       .moment = plugin_moment};
