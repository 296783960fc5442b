/* SPDX-License-Identifier: BSD-3-Clause */
/* A stream's lines, whole, in whatever pieces its bytes come. */
#ifndef DESCPIPE_CLUSTER_LINES_H
#define DESCPIPE_CLUSTER_LINES_H

#include <stdbool.h>
#include <stddef.h>

enum { LINE_BYTES = 8 << 20 };

/* Zero at first. */
struct lines {
    char *bytes;
    size_t length, capacity;
    bool whole; /* these are a line, without its end; else the beginning of one */
};

enum lines_word { LINES_MORE, LINES_WHOLE, LINES_TOO_LONG };

/* Takes from `bytes` up to the end of a line. LINES_WHOLE: `lines` is that line, until it is asked again; LINES_MORE:
 * all was taken; LINES_TOO_LONG: more than LINE_BYTES, or memory is short. */
enum lines_word lines_next(struct lines *lines, const char **bytes, size_t *length);
bool lines_are_whole(const struct lines *lines); /* nothing is begun */
void lines_begin(struct lines *lines);           /* what is begun is forgotten */
void lines_free(struct lines *lines);

#endif
