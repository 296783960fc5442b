/* SPDX-License-Identifier: BSD-3-Clause */
/* Members of a record, put together by hand: there are several records per task. */
#ifndef DESCPIPE_RUN_JOURNAL_RECORD_MEMBERS_H
#define DESCPIPE_RUN_JOURNAL_RECORD_MEMBERS_H

#include <stdint.h>

#include "base/text.h"

static inline void member_name(struct text *text, const char *name)
{
    text_append_bytes(text, ",\"", 2);
    text_append(text, name);
    text_append_bytes(text, "\":", 2);
}

static inline void member_text(struct text *text, const char *name, const char *value)
{
    member_name(text, name);
    text_append_json(text, value);
}

static inline void member_unsigned(struct text *text, const char *name, uint64_t value)
{
    member_name(text, name);
    text_append_unsigned(text, value);
}

static inline void member_signed(struct text *text, const char *name, int64_t value)
{
    member_name(text, name);
    text_append_signed(text, value);
}

#endif
