/* SPDX-License-Identifier: BSD-3-Clause */
/* What witnesses saw of an attempt's end, as the journal's record `ended` has it. */
#ifndef DESCPIPE_RUN_JOURNAL_EVIDENCE_H
#define DESCPIPE_RUN_JOURNAL_EVIDENCE_H

#include <stddef.h>

#include <descpipe/types.h>

#include "base/text.h"

/* `,"exit":N` or `,"signal":N` of the first witness, and `,"evidence":[...]` of all. A whitelist: what a runtime's raw
 * answer holds besides is never written. */
void evidence_append(struct text *text, const struct descpipe_ending *endings, size_t count);
/* Back again: from the array to at most `limit` endings, whose texts are in the arena. */
size_t evidence_read(const char *evidence, struct arena *arena, struct descpipe_ending *endings, size_t limit);
/* The list alone: `[...]`. */
void evidence_append_list(struct text *text, const struct descpipe_ending *endings, size_t count);

#endif
