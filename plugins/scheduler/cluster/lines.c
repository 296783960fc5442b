/* SPDX-License-Identifier: BSD-3-Clause */
/* Lines of streams; lines.h says how it works. */
#include "cluster/lines.h"

#include <stdlib.h>
#include <string.h>

static bool add(struct lines *lines, const char *bytes, size_t length)
{
    if (length == 0) {
        return true;
    }
    if (lines->length + length > LINE_BYTES) {
        return false;
    }
    if (lines->length + length > lines->capacity) {
        size_t capacity = (lines->length + length) * 2;
        char *grown = realloc(lines->bytes, capacity);
        if (grown == NULL) {
            return false;
        }
        lines->bytes = grown;
        lines->capacity = capacity;
    }
    memcpy(lines->bytes + lines->length, bytes, length);
    lines->length += length;
    return true;
}

enum lines_word lines_next(struct lines *lines, const char **bytes, size_t *length)
{
    if (lines->whole) {
        lines_begin(lines);
    }
    const char *end = *length > 0 ? memchr(*bytes, '\n', *length) : NULL;
    size_t piece = end != NULL ? (size_t)(end - *bytes) : *length;
    if (!add(lines, *bytes, piece)) {
        return LINES_TOO_LONG;
    }
    lines->whole = end != NULL;
    *bytes += piece + lines->whole;
    *length -= piece + lines->whole;
    return lines->whole ? LINES_WHOLE : LINES_MORE;
}

bool lines_are_whole(const struct lines *lines)
{
    return lines->whole || lines->length == 0;
}

void lines_begin(struct lines *lines)
{
    lines->length = 0;
    lines->whole = false;
}

void lines_free(struct lines *lines)
{
    free(lines->bytes);
    *lines = (struct lines){0};
}
