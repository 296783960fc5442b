/* SPDX-License-Identifier: BSD-3-Clause */
/* A stream of lines, put together from pieces of any size. */
#ifndef DESCPIPE_DOCKER_LINES_H
#define DESCPIPE_DOCKER_LINES_H

#include "engine/bytes.h"

enum { LINES_LIMIT = 1 << 20 };

struct lines {
    struct bytes line;
    bool too_long; /* the line is dropped; no line that matters is that long */
};
/* Calls `line` for each that is complete, without its newline. */
void lines_add(struct lines *lines, const char *data, size_t length,
               void (*line)(void *context, const char *text, size_t length), void *context);
/* The last one may lack its newline. */
void lines_end(struct lines *lines, void (*line)(void *context, const char *text, size_t length), void *context);
void lines_clear(struct lines *lines);

#endif
