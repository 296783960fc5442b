/* SPDX-License-Identifier: BSD-3-Clause */
/* Draws blocks and bars. */
#include "report/block.h"

#include "report/grid.h"

void block_clear(struct block *block)
{
    list_clear(&block->drawn);
}

unsigned block_width(const struct block *block)
{
    return block->terminal->width > 1 ? block->terminal->width - 1 : 1;
}

/* Rows that the lines on the screen take now, had the terminal wrapped them anew at its present width. */
static unsigned drawn_rows(const struct block *block)
{
    unsigned rows = 0, width = block->terminal->width > 0 ? block->terminal->width : 1;
    for (size_t i = 0; i < block->drawn.count; i++)
        rows += block->drawn.items[i] > width ? (block->drawn.items[i] + width - 1) / width : 1;
    return rows;
}

void block_leave(struct block *block, struct text *out)
{
    unsigned rows = drawn_rows(block);
    text_append(out, "\r");
    if (rows > 0)
        text_format(out, "\x1b[%uA", rows);
    block->drawn.count = 0;
}

void block_begin(struct block *block, struct text *out)
{
    /* Unaware terminals ignore 2026, "show it when it is complete". */
    text_append(out, "\x1b[?2026h\x1b[?25l");
    block_leave(block, out);
    /* A line that the terminal has broken stays one line to it, and is joined again when it gets wider: tmux, for one,
     * forgets that only when the line is cleared. */
    if (block->seen_width != block->terminal->width)
        text_append(out, "\x1b[J");
    block->seen_width = block->terminal->width;
}

void block_end(struct text *out)
{
    text_append(out, "\x1b[J\x1b[?25h\x1b[?2026l");
}

/* Remembers how wide the line is: sequences take no columns. */
void block_end_line(struct block *block, struct text *out, size_t start)
{
    cleanup(text_clear) struct text plain = TEXT_INIT;
    const char *bytes = text_bytes(out) + start;
    for (size_t i = 0; bytes[i] != '\0'; i++) {
        if (bytes[i] == '\x1b')
            i += strcspn(bytes + i, "mK");
        else
            text_append_character(&plain, bytes[i]);
    }
    unsigned width = display_width(text_bytes(&plain));
    list_add(&block->drawn, width);
    text_append(out, "\x1b[K\n");
}

void bar_append(const struct terminal *terminal, unsigned width, double share, struct text *out)
{
    unsigned full = share >= 1 ? width : share <= 0 ? 0 : (unsigned)(share * width);
    if (terminal->color)
        text_append(out, "\x1b[36m");
    for (unsigned i = 0; i < full; i++)
        text_append(out, terminal->unicode ? "━" : "#");
    if (terminal->color)
        text_append(out, "\x1b[0;2m");
    for (unsigned i = full; i < width; i++)
        text_append(out, terminal->unicode ? (terminal->color ? "━" : "─") : ".");
    if (terminal->color)
        text_append(out, "\x1b[0m");
}

void bar_append_wandering(const struct terminal *terminal, unsigned width, unsigned step, struct text *out)
{
    enum { PIECE = 3 };
    unsigned span = width > PIECE ? width - PIECE : 1, at = step % (2 * span);
    if (at > span)
        at = 2 * span - at;
    bool unicode = terminal->unicode, color = terminal->color;
    for (unsigned i = 0; i < width; i++) {
        bool lit = i >= at && i < at + PIECE;
        if (color)
            text_append(out, lit ? "\x1b[36m" : "\x1b[2m");
        text_append(out, unicode ? (lit || color ? "━" : "─") : lit ? "#" : ".");
        if (color)
            text_append(out, "\x1b[0m");
    }
}
