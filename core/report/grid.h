/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Aligned columns for people: cells as wide as terminals show them (wide and combining characters counted), cut to the
 * terminal's width where a column says that it may shrink.
 */
#ifndef DESCPIPE_REPORT_GRID_H
#define DESCPIPE_REPORT_GRID_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

#define GRID_COLUMNS_LIMIT 16

struct grid_column {
    const char *title;
    bool right;    /* numbers */
    bool flexible; /* shrinks (not below 8) when the line would be too long */
    bool wraps;    /* goes on below instead of being cut; for the last column only */
};

struct grid;
struct grid *grid_new(const struct grid_column *columns, size_t count); /* columns outlive the grid */
void grid_free(struct grid *grid);
DEFINE_CLEANUP(struct grid *, grid_free);
/* Cell by cell, row by row. The text is made printable. `style` is "" or an escape sequence for terminals with colours.
 */
void grid_add(struct grid *grid, const char *cell, const char *style);
/* width 0: as wide as it gets. Columns that are empty in every row are left out, and the last ones when nothing can
 * shrink any more: a line is never wider than the terminal. */
void grid_print(const struct grid *grid, unsigned width, bool color, struct text *out);

/* Columns a text takes on a terminal; 0 for control characters. */
unsigned display_width(const char *text);
/* At most `width` columns of the text, with "…" when something is cut; no padding. Returns the columns used. */
unsigned display_append(struct text *out, const char *text, unsigned width);

#endif
