/* SPDX-License-Identifier: BSD-3-Clause */
/* A growing buffer of bytes, always followed by a NUL, and the few things we do with texts. */
#ifndef DESCPIPE_BASE_TEXT_H
#define DESCPIPE_BASE_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/memory.h"

struct text {
    char *bytes; /* never NULL after the first append; text_bytes() is "" before */
    size_t length;
    size_t capacity;
};
#define TEXT_INIT ((struct text){0})

void text_clear(struct text *text); /* frees */
static inline void text_clear_at(struct text *place) { text_clear(place); } /* cleanup(text_clear) struct text t = TEXT_INIT; */
void text_reset(struct text *text); /* length 0, keeps the memory */
void text_reserve(struct text *text, size_t more);
const char *text_bytes(const struct text *text);
char *text_take(struct text *text); /* the owned bytes; the buffer is empty after */

/* Inline, for documents are written in a thousand small pieces: the length of a literal is then a constant. */
static inline void text_append_bytes(struct text *text, const void *bytes, size_t length)
{
    if (length >= text->capacity - text->length) /* one is kept for the NUL */
        text_reserve(text, length);
    if (length > 0)
        memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
    text->bytes[text->length] = '\0';
}
static inline void text_append(struct text *text, const char *more)
{
    text_append_bytes(text, more, strlen(more));
}
void text_append_character(struct text *text, char character);
void text_append_unsigned(struct text *text, uint64_t number); /* decimal, fast */
void text_append_signed(struct text *text, int64_t number);
/* "1 stage", "2 stages". */
void text_append_count(struct text *text, uint64_t count, const char *what);
void text_format(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_format_list(struct text *text, const char *format, va_list arguments) __attribute__((format(printf, 2, 0)));

/* A JSON string with its quotes. Invalid UTF-8 becomes U+FFFD, so that the result is always valid JSON. */
void text_append_json(struct text *text, const char *value);
void text_append_json_bytes(struct text *text, const char *value, size_t length);
/* One word for a POSIX shell, quoted only when needed. Bytes other than NUL survive exactly. */
void text_append_shell_word(struct text *text, const char *word);
/* Control characters as \xNN and cut to `limit` bytes with "…": fit for a terminal, whatever came from outside. */
void text_append_printable(struct text *text, const char *value, size_t limit);

bool text_equal(const char *left, const char *right); /* NULL equals only NULL */
bool text_starts_with(const char *text, const char *prefix);
bool text_ends_with(const char *text, const char *suffix);
bool text_is_utf8(const char *bytes, size_t length);
/* Whole-text decimal or false; never wraps. */
bool text_to_unsigned(const char *text, uint64_t *number);
bool text_to_signed(const char *text, int64_t *number);
/* Damerau-Levenshtein distance, capped: returns limit + 1 when it is larger. For "did you mean". */
size_t text_distance(const char *left, const char *right, size_t limit);
/* The nearest of `candidates` (ends with NULL) within a third of the word's length, else NULL. */
const char *text_nearest(const char *word, const char *const *candidates);

#endif
