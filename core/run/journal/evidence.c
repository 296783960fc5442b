/* SPDX-License-Identifier: BSD-3-Clause */
/* The words for what witnesses say, and back. */
#include "run/journal/evidence.h"

#include <jansson.h>
#include <string.h>

#include "run/journal/record_members.h"

/* By bit. */
static const char *const flags[] = {"exited",         "signalled", "out_of_memory", "timed_out",   "node_failed",
                                    "preempted",      "cancelled", "image",         "not_started", "stage_in",
                                    "output_missing", "disk",      "lost"};

static void append_ending(struct text *text, const struct descpipe_ending *ending)
{
    text_append(text, "{\"witness\":");
    text_append_json(text, ending->witness != NULL ? ending->witness : "");
    if (ending->flags & DESCPIPE_ENDED_EXITED)
        member_signed(text, "exit", ending->exit_code);
    if (ending->flags & DESCPIPE_ENDED_SIGNALLED)
        member_signed(text, "signal", ending->signal);
    for (unsigned bit = 2; bit < sizeof flags / sizeof *flags; bit++)
        if (ending->flags & (1u << bit)) {
            text_append(text, ",\"");
            text_append(text, flags[bit]);
            text_append(text, "\":true");
        }
    if (ending->host != NULL)
        member_text(text, "host", ending->host);
    if (ending->reason != NULL)
        member_text(text, "reason", ending->reason);
    if (ending->peak_memory != 0)
        member_unsigned(text, "peak_memory", ending->peak_memory);
    if (ending->cpu_ms != 0)
        member_unsigned(text, "cpu_ms", ending->cpu_ms);
    text_append_character(text, '}');
}

void evidence_append_list(struct text *text, const struct descpipe_ending *endings, size_t count)
{
    text_append_character(text, '[');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            text_append_character(text, ',');
        append_ending(text, &endings[i]);
    }
    text_append_character(text, ']');
}

static const char *copy_word(struct arena *arena, const json_t *object, const char *name)
{
    const char *value = json_string_value(json_object_get(object, name));
    return arena_copy_text(arena, value);
}

static uint64_t positive(const json_t *object, const char *name)
{
    json_int_t value = json_integer_value(json_object_get(object, name));
    return value > 0 ? (uint64_t)value : 0;
}

static void read_ending(const json_t *from, struct arena *arena, struct descpipe_ending *ending)
{
    const json_t *exit_code = json_object_get(from, "exit"), *signal = json_object_get(from, "signal");
    *ending = (struct descpipe_ending){.size = sizeof *ending,
                                       .witness = copy_word(arena, from, "witness"),
                                       .host = copy_word(arena, from, "host"),
                                       .reason = copy_word(arena, from, "reason"),
                                       .peak_memory = positive(from, "peak_memory"),
                                       .cpu_ms = positive(from, "cpu_ms")};
    for (unsigned bit = 2; bit < sizeof flags / sizeof *flags; bit++)
        if (json_is_true(json_object_get(from, flags[bit])))
            ending->flags |= 1u << bit;
    if (json_is_integer(exit_code)) {
        ending->flags |= DESCPIPE_ENDED_EXITED;
        ending->exit_code = (int32_t)(json_integer_value(exit_code) & 0xFFFF);
    } else if (json_is_integer(signal)) {
        ending->flags |= DESCPIPE_ENDED_SIGNALLED;
        ending->signal = (int32_t)(json_integer_value(signal) & 0xFF);
    }
}

size_t evidence_read(const char *evidence, struct arena *arena, struct descpipe_ending *endings, size_t limit)
{
    json_t *all = json_loads(evidence, 0, NULL);
    size_t count = json_array_size(all) < limit ? json_array_size(all) : limit;
    for (size_t i = 0; i < count; i++)
        read_ending(json_array_get(all, i), arena, &endings[i]);
    json_decref(all);
    return count;
}

void evidence_append(struct text *text, const struct descpipe_ending *endings, size_t count)
{
    if (count > 0 && (endings[0].flags & DESCPIPE_ENDED_EXITED))
        member_signed(text, "exit", endings[0].exit_code);
    else if (count > 0 && (endings[0].flags & DESCPIPE_ENDED_SIGNALLED))
        member_signed(text, "signal", endings[0].signal);
    text_append(text, ",\"evidence\":");
    evidence_append_list(text, endings, count);
}
