/* SPDX-License-Identifier: BSD-3-Clause */
/* Copies answers into an arena of the call, and counts what they weigh. */
#include "plugin/answer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "io/secret.h"
#include "plugin/abi.h"

#define ARENA_KEEP_BYTES (256u << 10) /* an arena that grew larger is not kept for the next call */
#define LIST_KEEP_ITEMS 1024
#define LINE_LIMIT 4096

const char *answer_name(unsigned kind)
{
    static const char *const names[] = {"fact",  "identity",  "form",       "native_id", "ending",
                                        "found", "reference", "credential", "text",      "moment"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (kind & (1u << i))
            return names[i];
    }
    return "nothing";
}

void answers_reset(struct answers *answers)
{
    if (answers->arena) {
        if (arena_bytes(answers->arena) > ARENA_KEEP_BYTES) {
            arena_free(answers->arena);
            answers->arena = NULL;
        } else {
            arena_reset(answers->arena);
        }
    }
    secret_release(answers->password);
    answers->given = 0;
    answers->bytes = 0;
    answers->fault = NULL;
    answers->identity = NULL;
    answers->form = NULL;
    answers->ending = NULL;
    answers->credential = NULL;
    answers->password = NULL;
    answers->reference = NULL;
    answers->moment_ms = 0;
    if (answers->facts.capacity > LIST_KEEP_ITEMS)
        list_clear(&answers->facts);
    if (answers->native_ids.capacity > LIST_KEEP_ITEMS)
        list_clear(&answers->native_ids);
    if (answers->found.capacity > LIST_KEEP_ITEMS)
        list_clear(&answers->found);
    if (answers->texts.capacity > LIST_KEEP_ITEMS)
        list_clear(&answers->texts);
    answers->facts.count = answers->native_ids.count = answers->found.count = answers->texts.count = 0;
}

void answers_clear(struct answers *answers)
{
    arena_free(answers->arena);
    secret_release(answers->password);
    list_clear(&answers->facts);
    list_clear(&answers->native_ids);
    list_clear(&answers->found);
    list_clear(&answers->texts);
    *answers = (struct answers){0};
}

static struct arena *arena_of(struct answers *answers)
{
    if (!answers->arena)
        answers->arena = arena_new();
    return answers->arena;
}

void answers_fault(struct answers *answers, const char *format, ...)
{
    char line[512];
    if (answers->fault)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    answers->fault = arena_copy_text(arena_of(answers), line);
}

static bool weigh(struct answers *answers, size_t bytes)
{
    if (bytes <= ANSWER_LIMIT_BYTES - answers->bytes) {
        answers->bytes += bytes;
        return true;
    }
    answers_fault(answers, "answered more than %u MiB", ANSWER_LIMIT_BYTES >> 20);
    return false;
}

static void *take_bytes(struct answers *answers, size_t bytes)
{
    return weigh(answers, bytes) ? arena_allocate(arena_of(answers), bytes) : NULL;
}

char *answers_copy(struct answers *answers, const char *text)
{
    if (!text)
        return NULL;
    size_t length = strlen(text);
    return weigh(answers, length + 1) ? arena_copy(arena_of(answers), text, length) : NULL;
}

char *answers_copy_line(struct answers *answers, const char *text)
{
    cleanup(text_clear) struct text line = TEXT_INIT;
    text_append_printable(&line, text, LINE_LIMIT);
    return answers_copy(answers, text_bytes(&line));
}

static const char *const *copy_list(struct answers *answers, const char *const *list)
{
    if (!list)
        return NULL;
    size_t count = 0;
    while (list[count])
        count++;
    const char **copy = take_bytes(answers, (count + 1) * sizeof(*copy));
    for (size_t i = 0; copy && i < count; i++) {
        copy[i] = answers_copy(answers, list[i]);
        if (!copy[i])
            return NULL;
    }
    return copy;
}

/* Takes the struct or notes the fault; NULL then. */
static void *take_struct(struct answers *answers, const void *from, size_t size, size_t least, const char *what)
{
    void *copy = take_bytes(answers, size);
    if (copy && !struct_take(copy, size, from, least)) {
        answers_fault(answers, "answered a struct %s that is %s", what, from ? "too small" : "NULL");
        return NULL;
    }
    return copy;
}

void answer_identity(struct answers *answers, const struct descpipe_image_identity *identity)
{
    struct descpipe_image_identity *copy =
        take_struct(answers, identity, sizeof(*copy), ABI_SIZE_IMAGE_IDENTITY, "descpipe_image_identity");
    if (!copy)
        return;
    copy->config_digest = answers_copy(answers, copy->config_digest);
    copy->manifest_digest = answers_copy(answers, copy->manifest_digest);
    copy->media_type = answers_copy(answers, copy->media_type);
    copy->platform = answers_copy(answers, copy->platform);
    copy->handle = answers_copy(answers, copy->handle);
    answers->identity = copy;
}

static const struct descpipe_mount *const *copy_mounts(struct answers *answers,
                                                       const struct descpipe_mount *const *mounts)
{
    if (!mounts)
        return NULL;
    size_t count = 0;
    while (mounts[count])
        count++;
    const struct descpipe_mount **list = take_bytes(answers, (count + 1) * sizeof(*list));
    for (size_t i = 0; list && i < count; i++) {
        struct descpipe_mount *copy = take_struct(answers, mounts[i], sizeof(*copy), ABI_SIZE_MOUNT, "descpipe_mount");
        if (!copy)
            return NULL;
        copy->source = answers_copy(answers, copy->source);
        copy->target = answers_copy(answers, copy->target);
        list[i] = copy;
    }
    return list;
}

void answer_form(struct answers *answers, const struct descpipe_form *form)
{
    struct descpipe_form *copy = take_struct(answers, form, sizeof(*copy), ABI_SIZE_FORM, "descpipe_form");
    if (!copy)
        return;
    copy->argv = copy_list(answers, copy->argv);
    copy->environment = copy_list(answers, copy->environment);
    copy->directory = answers_copy(answers, copy->directory);
    copy->late_prefix = answers_copy(answers, copy->late_prefix);
    copy->setup = copy_list(answers, copy->setup);
    copy->removal = copy_list(answers, copy->removal);
    copy->directives = copy_list(answers, copy->directives);
    copy->image = answers_copy(answers, copy->image);
    copy->mounts = copy_mounts(answers, copy->mounts);
    if (copy->form != DESCPIPE_FORM_COMMAND && copy->form != DESCPIPE_FORM_POD)
        answers_fault(answers, "answered a form that is neither COMMAND nor POD (%u)", copy->form);
    else if (copy->form == DESCPIPE_FORM_COMMAND && (!copy->argv || !copy->argv[0]))
        answers_fault(answers, "answered a COMMAND form without argv");
    else if (copy->form == DESCPIPE_FORM_POD && !copy->image)
        answers_fault(answers, "answered a POD form without an image");
    answers->form = copy;
}

struct descpipe_ending *ending_copy(struct arena *arena, const struct descpipe_ending *ending)
{
    struct descpipe_ending *copy = arena_allocate(arena, sizeof(*copy));
    if (!struct_take(copy, sizeof(*copy), ending, ABI_SIZE_ENDING))
        return NULL;
    copy->witness = arena_copy_text(arena, copy->witness);
    copy->host = arena_copy_text(arena, copy->host);
    copy->reason = arena_copy_text(arena, copy->reason);
    return copy;
}

void answer_ending(struct answers *answers, const struct descpipe_ending *ending)
{
    answers->ending = ending_copy(arena_of(answers), ending);
    if (!answers->ending)
        answers_fault(answers, "answered a struct descpipe_ending that is %s", ending ? "too small" : "NULL");
}

void answer_found(struct answers *answers, const struct descpipe_found *found)
{
    struct descpipe_found *copy = take_struct(answers, found, sizeof(*copy), ABI_SIZE_FOUND, "descpipe_found");
    if (!copy)
        return;
    copy->token = answers_copy(answers, copy->token);
    copy->native_id = answers_copy(answers, copy->native_id);
    if (!copy->token) {
        answers_fault(answers, "answered something found without its token");
        return;
    }
    list_add(&answers->found, copy);
}

void answer_credential(struct answers *answers, const struct descpipe_credential *credential)
{
    struct descpipe_credential *copy =
        take_struct(answers, credential, sizeof(*copy), ABI_SIZE_CREDENTIAL, "descpipe_credential");
    if (!copy)
        return;
    if (copy->username && !copy->password) {
        answers_fault(answers, "answered a user's name without a password");
        return;
    }
    answers->password = copy->password ? secret_copy(copy->password) : NULL;
    copy->password = answers->password;
    copy->username = answers_copy(answers, copy->username);
    copy->origin = answers_copy(answers, copy->origin);
    copy->endpoint = answers_copy(answers, copy->endpoint);
    copy->ca_file = answers_copy(answers, copy->ca_file);
    copy->client_certificate = answers_copy(answers, copy->client_certificate);
    copy->client_key = answers_copy(answers, copy->client_key);
    copy->proxy = answers_copy(answers, copy->proxy);
    answers->credential = copy;
}
