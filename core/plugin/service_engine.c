/* SPDX-License-Identifier: BSD-3-Clause */
/* Services that the rest of the core answers: credential and observe. */
#include <string.h>

#include "base/log.h"
#include "io/secret.h"
#include "plugin/abi.h"
#include "plugin/answer.h"
#include "plugin/call.h"
#include "plugin/host.h"

/* A question for a login. The answer may come at once or later; the plugin hears it from the loop in both cases. */
struct question {
    struct service_item item; /* first */
    void (*got)(void *context, const struct descpipe_credential *credential, const char *message);
    void *context;
    bool answered, has_credential;
    struct descpipe_credential credential;
    char *message;
    struct arena *texts; /* the credential's */
    struct descpipe_secret *password;
};

static void question_tell(void *context)
{
    struct question *question = context;
    question->got(question->context, question->has_credential ? &question->credential : NULL, question->message);
    service_item_close(&question->item);
    secret_release(question->password);
    arena_free(question->texts);
    memory_free(question->message);
    memory_free(question);
}

static void question_answer(void *context, const struct descpipe_credential *credential, const char *message)
{
    struct question *question = context;
    if (question->answered)
        return; /* exactly once, whoever asks twice */
    question->answered = true;
    question->message = memory_copy_text(message);
    if (credential) {
        struct arena *texts = question->texts = arena_new();
        question->has_credential = true;
        question->password = credential->password ? secret_copy(credential->password) : NULL;
        question->credential =
            (struct descpipe_credential){.size = sizeof(question->credential),
                                         .access = credential->access,
                                         .username = arena_copy_text(texts, credential->username),
                                         .password = question->password,
                                         .expires_at_ms = credential->expires_at_ms,
                                         .origin = arena_copy_text(texts, credential->origin),
                                         .endpoint = arena_copy_text(texts, credential->endpoint),
                                         .ca_file = arena_copy_text(texts, credential->ca_file),
                                         .client_certificate = arena_copy_text(texts, credential->client_certificate),
                                         .client_key = arena_copy_text(texts, credential->client_key),
                                         .proxy = arena_copy_text(texts, credential->proxy)};
    }
    loop_post(question->item.instance->host->loop, question_tell, question);
}

static void
credential_for_image(const struct descpipe_host *table, const struct descpipe_image *image, uint32_t purpose,
                     void (*got)(void *context, const struct descpipe_credential *credential, const char *message),
                     void *context)
{
    struct plugin_instance *instance = instance_of(table);
    const struct plugin_callbacks *callbacks = &instance->host->callbacks;
    struct question *question = memory_allocate(sizeof(*question));
    *question = (struct question){.got = got, .context = context};
    service_item_open(instance, &question->item);
    if (callbacks->credential && !instance->closing)
        callbacks->credential(callbacks->context, image, purpose, question_answer, question);
    else
        question_answer(question, NULL, NULL);
}

const struct descpipe_credential_service credential_service = {.size = sizeof(credential_service),
                                                               .for_image = credential_for_image};

static struct queued_change *change_queue(struct plugin_call *call, struct arena **arena)
{
    struct plugin_host *host = call->instance->host;
    struct change_queue *queue = &host->changes[host->filling];
    if (!queue->arena)
        queue->arena = arena_new();
    *arena = queue->arena;
    host_schedule(host);
    return list_grow(&queue->items);
}

static void observe_changed(struct descpipe_sink *sink, const struct descpipe_change *given)
{
    struct plugin_call *call = call_of_sink(sink, "changed");
    struct descpipe_change change;
    if (!call)
        return;
    if (!struct_take(&change, sizeof(change), given, ABI_SIZE_CHANGE) || change.state == 0) {
        host_fault(call->instance, "observe: a change is too small or has no state; dropped");
        return;
    }
    struct arena *arena = NULL;
    struct queued_change *item = change_queue(call, &arena);
    change.native_id = arena_copy_text(arena, change.native_id);
    change.host = arena_copy_text(arena, change.host);
    change.reason = arena_copy_text(arena, change.reason);
    if (change.ending) {
        change.ending = ending_copy(arena, change.ending);
        if (!change.ending)
            host_fault(call->instance, "observe: struct descpipe_ending is too small; the change has no evidence");
    }
    item->change = change;
}

static void observe_blind(struct descpipe_sink *sink, const char *message)
{
    struct plugin_call *call = call_of_sink(sink, "blind");
    if (!call)
        return;
    struct arena *arena = NULL;
    struct queued_change *item = change_queue(call, &arena);
    item->is_blind = true;
    item->blind = arena_copy_text(arena, message);
}

const struct descpipe_observe_service observe_service = {
    .size = sizeof(observe_service), .changed = observe_changed, .blind = observe_blind};
