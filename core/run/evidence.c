/* SPDX-License-Identifier: BSD-3-Clause */
/* The words for what witnesses say. */
#include "run/evidence.h"

#include "run/record_members.h"

static void append_ending(struct text *text, const struct descpipe_ending *ending)
{
    static const char *const flags[] = {"exited",         "signalled", "out_of_memory", "timed_out",   "node_failed",
                                        "preempted",      "cancelled", "image",         "not_started", "stage_in",
                                        "output_missing", "disk",      "lost"};
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

void evidence_append(struct text *text, const struct descpipe_ending *endings, size_t count)
{
    if (count > 0 && (endings[0].flags & DESCPIPE_ENDED_EXITED))
        member_signed(text, "exit", endings[0].exit_code);
    else if (count > 0 && (endings[0].flags & DESCPIPE_ENDED_SIGNALLED))
        member_signed(text, "signal", endings[0].signal);
    text_append(text, ",\"evidence\":[");
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            text_append_character(text, ',');
        append_ending(text, &endings[i]);
    }
    text_append_character(text, ']');
}
