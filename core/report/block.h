/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A block of lines at the bottom of a terminal that is drawn again and again, and what scrolls away above it.
 *
 * How it works: a frame is built in one buffer and written with one call: cursor up to the block's first line, the new
 * lines for above, the block, the rest of the screen below cleared. The cursor is hidden inside a frame only, so there
 * is no exit path that could leave it hidden. When the terminal's width changed, the rows that the old lines take now
 * are counted before going up.
 */
#ifndef DESCPIPE_REPORT_BLOCK_H
#define DESCPIPE_REPORT_BLOCK_H

#include "base/list.h"
#include "base/text.h"
#include "report/terminal.h"

struct block {
    const struct terminal *terminal; /* outlives it */
    LIST(unsigned) drawn;            /* width of each line of the block on the screen */
    unsigned seen_width;             /* of the terminal, when it was drawn last */
};
void block_clear(struct block *block);
unsigned block_width(const struct block *block); /* of its lines: the last column would wrap on some terminals */
/* Begins a frame at the top of the old one: first the lines for above, then those of the block, each ended by
 * block_end_line. */
void block_begin(struct block *block, struct text *out);
void block_end_line(struct block *block, struct text *out, size_t start); /* appended from `start` on */
void block_end(struct text *out);                                         /* of the frame */
/* Takes the block away; lines for above may follow, then "\x1b[J". */
void block_leave(struct block *block, struct text *out);

void bar_append(const struct terminal *terminal, unsigned width, double share, struct text *out);
/* A short piece that wanders: something goes on and nobody knows how far it is. */
void bar_append_wandering(const struct terminal *terminal, unsigned width, unsigned step, struct text *out);

#endif
