/* SPDX-License-Identifier: BSD-3-Clause */
/* A small terminal for tests: a grid of cells that knows exactly the sequences we use; any other fails the test. */
#ifndef TESTS_UNIT_REPORT_SCREEN_H
#define TESTS_UNIT_REPORT_SCREEN_H

#include <check.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { SCREEN_WIDTH_LIMIT = 220, SCREEN_HEIGHT_LIMIT = 60, SCREEN_SCROLL_LIMIT = 400 };

struct screen {
    unsigned width, height, row, column;
    char cells[SCREEN_HEIGHT_LIMIT][SCREEN_WIDTH_LIMIT][5];
    char scrolled[SCREEN_SCROLL_LIMIT][SCREEN_WIDTH_LIMIT * 4]; /* what went up and away */
    unsigned scrolled_count;
    unsigned wrapped; /* lines that were wider than the terminal */
    bool cursor_hidden, held;
};

static inline void screen_row(const struct screen *screen, unsigned row, char *text)
{
    char *end = text;
    for (unsigned c = 0; c < screen->width; c++)
        end = stpcpy(end, screen->cells[row][c][0] != '\0' ? screen->cells[row][c] : " ");
    while (end > text && end[-1] == ' ')
        end--;
    *end = '\0';
}

static inline void screen_clear_from(struct screen *screen, unsigned row, unsigned column, bool rest)
{
    for (unsigned c = column; c < screen->width; c++)
        screen->cells[row][c][0] = '\0';
    for (unsigned r = row + 1; rest && r < screen->height; r++)
        screen_clear_from(screen, r, 0, false);
}

static inline void screen_line_feed(struct screen *screen)
{
    if (screen->row + 1 < screen->height) {
        screen->row++;
        return;
    }
    ck_assert_uint_lt(screen->scrolled_count, SCREEN_SCROLL_LIMIT);
    screen_row(screen, 0, screen->scrolled[screen->scrolled_count++]);
    memmove(screen->cells[0], screen->cells[1], sizeof screen->cells[0] * (screen->height - 1));
    screen_clear_from(screen, screen->height - 1, 0, false);
}

/* A CSI sequence; anything that is not known fails the test. */
static inline const char *screen_sequence(struct screen *screen, const char *bytes)
{
    char parameters[32] = "";
    size_t length = strspn(bytes, "?0123456789;");
    ck_assert_uint_lt(length, sizeof parameters);
    memcpy(parameters, bytes, length);
    unsigned long number = strtoul(parameters, NULL, 10);
    switch (bytes[length]) {
    case 'A':
        ck_assert_msg(number <= screen->row, "the view moved above the top of the screen");
        screen->row -= (unsigned)number;
        break;
    case 'K':
        screen_clear_from(screen, screen->row, screen->column, false);
        break;
    case 'J':
        screen_clear_from(screen, screen->row, screen->column, true);
        break;
    case 'm':
        break;
    case 'h':
    case 'l':
        if (strcmp(parameters, "?25") == 0)
            screen->cursor_hidden = bytes[length] == 'l';
        else if (strcmp(parameters, "?2026") == 0)
            screen->held = bytes[length] == 'h';
        else
            ck_abort_msg("unknown mode %s", parameters);
        break;
    default:
        ck_abort_msg("unknown sequence %s", bytes);
    }
    return bytes + length + 1;
}

static inline void screen_write(struct screen *screen, const char *bytes)
{
    while (*bytes != '\0') {
        if (*bytes == '\x1b') {
            ck_assert_int_eq(bytes[1], '[');
            bytes = screen_sequence(screen, bytes + 2);
        } else if (*bytes == '\r') {
            screen->column = 0;
            bytes++;
        } else if (*bytes == '\n') { /* the terminal's line discipline makes it both */
            screen->column = 0;
            screen_line_feed(screen);
            bytes++;
        } else {
            size_t length = 1;
            while ((bytes[length] & 0xC0) == 0x80)
                length++;
            ck_assert_uint_ge((unsigned char)*bytes, 0x20);
            if (screen->column == screen->width) {
                screen->column = 0;
                screen->wrapped++;
                screen_line_feed(screen);
            }
            memcpy(screen->cells[screen->row][screen->column], bytes, length);
            screen->cells[screen->row][screen->column++][length] = '\0';
            bytes += length;
        }
    }
}

#endif
