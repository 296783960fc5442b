/* SPDX-License-Identifier: BSD-3-Clause */
/* Lines out of pieces. */
#include "engine/lines.h"

#include <string.h>

void lines_end(struct lines *lines, void (*line)(void *context, const char *text, size_t length), void *context)
{
    if (!lines->too_long && lines->line.length > 0) {
        line(context, bytes_text(&lines->line), lines->line.length);
    }
    lines->line.length = 0;
    lines->too_long = false;
}

void lines_add(struct lines *lines, const char *data, size_t length,
               void (*line)(void *context, const char *text, size_t length), void *context)
{
    while (length > 0) {
        const char *newline = memchr(data, '\n', length);
        size_t part = newline != NULL ? (size_t)(newline - data) : length;
        if (lines->line.length + part > LINES_LIMIT || !bytes_add(&lines->line, data, part)) {
            lines->too_long = true;
            lines->line.failed = false;
        }
        if (newline != NULL) {
            lines_end(lines, line, context);
        }
        data += part + (newline != NULL ? 1 : 0);
        length -= part + (newline != NULL ? 1 : 0);
    }
}

void lines_clear(struct lines *lines)
{
    bytes_clear(&lines->line);
}
