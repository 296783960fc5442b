/* SPDX-License-Identifier: BSD-3-Clause */
/* Aligned columns for people. */
#include "report/grid.h"

#include <locale.h>
#include <string.h>
#include <wchar.h>

#include "base/list.h"

enum { CELL_LIMIT = 4096, FLEXIBLE_MINIMUM = 8, GAP = 2 };

struct grid_cell {
    char *text;
    const char *style;
    unsigned width;
};

struct grid {
    const struct grid_column *columns;
    size_t count;
    LIST(struct grid_cell) cells;
};

/* One character: its bytes, its columns. Text that is not UTF-8 counts one column a byte. */
static size_t character(const char *text, unsigned *width)
{
    static locale_t utf8;
    if ((unsigned char)text[0] < 0x80) {
        *width = (unsigned char)text[0] >= 0x20 && text[0] != 0x7F ? 1 : 0;
        return 1;
    }
    if (utf8 == (locale_t)0)
        utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    *width = 1;
    if (utf8 == (locale_t)0)
        return 1;
    locale_t before = uselocale(utf8);
    wchar_t wide;
    mbstate_t state = {0};
    size_t bytes = mbrtowc(&wide, text, strnlen(text, 8), &state);
    if (bytes == 0 || bytes > 8) {
        bytes = 1;
    } else {
        int columns = wcwidth(wide);
        *width = columns > 0 ? (unsigned)columns : 0;
    }
    uselocale(before);
    return bytes;
}

unsigned display_width(const char *text)
{
    unsigned total = 0, width;
    while (*text != '\0') {
        text += character(text, &width);
        total += width;
    }
    return total;
}

unsigned display_append(struct text *out, const char *text, unsigned width)
{
    unsigned whole = display_width(text);
    if (whole <= width) {
        text_append(out, text);
        return whole;
    }
    if (width == 0)
        return 0;
    unsigned used = 0;
    while (*text != '\0') {
        unsigned columns;
        size_t bytes = character(text, &columns);
        if (used + columns > width - 1)
            break;
        text_append_bytes(out, text, bytes);
        used += columns;
        text += bytes;
    }
    text_append(out, "…");
    return used + 1;
}

struct grid *grid_new(const struct grid_column *columns, size_t count)
{
    struct grid *grid = memory_allocate(sizeof *grid);
    grid->columns = columns;
    grid->count = count <= GRID_COLUMNS_LIMIT ? count : GRID_COLUMNS_LIMIT;
    return grid;
}

void grid_free(struct grid *grid)
{
    if (grid == NULL)
        return;
    for (size_t i = 0; i < grid->cells.count; i++)
        memory_free(grid->cells.items[i].text);
    list_clear(&grid->cells);
    memory_free(grid);
}

void grid_add(struct grid *grid, const char *cell, const char *style)
{
    struct text printable = TEXT_INIT;
    text_append_printable(&printable, cell, CELL_LIMIT);
    unsigned width = display_width(text_bytes(&printable));
    struct grid_cell item = {.text = text_take(&printable), .style = style, .width = width};
    list_add(&grid->cells, item);
}

/* Takes what is too much from the widest flexible column, again and again; leaves out columns when that is not enough.
 */
static void shrink(const struct grid *grid, unsigned widths[GRID_COLUMNS_LIMIT], unsigned width)
{
    for (;;) {
        unsigned total = 0;
        size_t widest = grid->count;
        for (size_t i = 0; i < grid->count; i++) {
            total += widths[i] > 0 ? widths[i] + (total > 0 ? GAP : 0) : 0;
            if (grid->columns[i].flexible && widths[i] > FLEXIBLE_MINIMUM &&
                (widest == grid->count || widths[i] > widths[widest]))
                widest = i;
        }
        if (total <= width)
            return;
        if (widest == grid->count) { /* what is right counts least */
            size_t last = grid->count - 1;
            while (last > 0 && widths[last] == 0)
                last--;
            if (last == 0)
                return;
            widths[last] = 0;
            continue;
        }
        unsigned second = FLEXIBLE_MINIMUM, excess = total - width;
        for (size_t i = 0; i < grid->count; i++)
            if (i != widest && grid->columns[i].flexible && widths[i] > second && widths[i] < widths[widest])
                second = widths[i];
        unsigned room = widths[widest] - second;
        widths[widest] -= room == 0 ? 1 : excess < room ? excess : room;
    }
}

static void print_cell(const struct grid *grid, size_t column, const struct grid_cell *cell, unsigned width, bool color,
                       bool last, struct text *out)
{
    unsigned used = cell->width < width ? cell->width : width;
    bool styled = color && cell->style != NULL && cell->style[0] != '\0' && cell->text[0] != '\0';
    if (grid->columns[column].right)
        for (unsigned i = used; i < width; i++)
            text_append_character(out, ' ');
    if (styled)
        text_append(out, cell->style);
    unsigned shown = display_append(out, cell->text, width);
    if (styled)
        text_append(out, "\x1b[0m");
    if (!grid->columns[column].right && !last)
        for (unsigned i = shown; i < width; i++)
            text_append_character(out, ' ');
}

/* Bytes of the text that stand in `width` columns, broken behind a blank where there is one. */
static size_t fitting(const char *text, unsigned width)
{
    size_t at = 0, blank = 0;
    unsigned used = 0, columns;
    while (text[at] != '\0') {
        size_t bytes = character(text + at, &columns);
        if (used + columns > width)
            return blank > 0 ? blank : at > 0 ? at : bytes;
        used += columns;
        at += bytes;
        if (text[at - 1] == ' ')
            blank = at;
        else if (text[at] == ' ' && used == width)
            blank = at;
    }
    return at;
}

/* The next piece, without the blank that it is broken at. Returns its bytes with that. */
static size_t print_piece(const char *text, const char *style, unsigned width, struct text *out)
{
    size_t bytes = fitting(text, width), shown = bytes;
    while (shown > 1 && text[shown - 1] == ' ')
        shown--;
    text_append(out, style);
    text_append_bytes(out, text, shown);
    text_append(out, style[0] != '\0' ? "\x1b[0m" : "");
    return bytes;
}

/* What did not fit, below its column. */
static void print_rest(const char *text, const char *style, unsigned indent, unsigned width, struct text *out)
{
    while (*(text += strspn(text, " ")) != '\0') {
        text_append_character(out, '\n');
        for (unsigned i = 0; i < indent; i++)
            text_append_character(out, ' ');
        text += print_piece(text, style, width, out);
    }
}

static void print_wrapped(const struct grid_cell *cell, unsigned indent, unsigned width, bool color, struct text *out)
{
    const char *style = color && cell->style != NULL ? cell->style : "";
    size_t bytes = print_piece(cell->text, style, width, out);
    print_rest(cell->text + bytes, style, indent, width, out);
}

static void print_row(const struct grid *grid, const struct grid_cell *cells, const unsigned widths[GRID_COLUMNS_LIMIT],
                      bool color, struct text *out)
{
    size_t last = 0;
    for (size_t i = 0; i < grid->count; i++)
        if (widths[i] > 0 && cells[i].text[0] != '\0')
            last = i;
    unsigned used = 0;
    for (size_t i = 0; i <= last; i++) {
        if (widths[i] == 0)
            continue;
        if (used > 0)
            text_append(out, "  ");
        used += used > 0 ? GAP : 0;
        if (grid->columns[i].wraps && cells[i].width > widths[i]) {
            print_wrapped(&cells[i], used, widths[i], color, out);
            break;
        }
        used += widths[i];
        print_cell(grid, i, &cells[i], widths[i], color, i == last, out);
    }
    text_append_character(out, '\n');
}

void grid_print(const struct grid *grid, unsigned width, bool color, struct text *out)
{
    unsigned widths[GRID_COLUMNS_LIMIT] = {0};
    size_t rows = grid->cells.count / grid->count;
    for (size_t i = 0; i < rows * grid->count; i++)
        if (grid->cells.items[i].width > widths[i % grid->count])
            widths[i % grid->count] = grid->cells.items[i].width;
    struct grid_cell titles[GRID_COLUMNS_LIMIT] = {0};
    char title_texts[GRID_COLUMNS_LIMIT][64];
    for (size_t i = 0; i < grid->count; i++) {
        titles[i].width = display_width(grid->columns[i].title);
        titles[i].style = "\x1b[1m";
        size_t length = strnlen(grid->columns[i].title, sizeof title_texts[i] - 1);
        memcpy(title_texts[i], grid->columns[i].title, length);
        title_texts[i][length] = '\0';
        titles[i].text = title_texts[i];
        if (widths[i] > 0 && titles[i].width > widths[i])
            widths[i] = titles[i].width;
    }
    if (rows == 0)
        return;
    if (width > 0)
        shrink(grid, widths, width);
    print_row(grid, titles, widths, color, out);
    for (size_t row = 0; row < rows; row++)
        print_row(grid, &grid->cells.items[row * grid->count], widths, color, out);
}
