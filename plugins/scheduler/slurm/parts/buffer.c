/* SPDX-License-Identifier: BSD-3-Clause */
/* Growing text and lists of texts; buffer.h. */
#include "parts/buffer.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 128 };

static bool reserve(struct buffer *buffer, size_t more)
{
    if (buffer->failed || more >= SIZE_MAX / 2 - buffer->length) {
        buffer->failed = true;
        return false;
    }
    size_t needed = buffer->length + more + 1, capacity = buffer->capacity;
    if (needed <= capacity) {
        return true;
    }
    for (capacity = capacity > 0 ? capacity : FIRST_CAPACITY; capacity < needed; capacity *= 2) {
    }
    char *data = realloc(buffer->data, capacity);
    if (data == NULL) {
        buffer->failed = true;
        return false;
    }
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

void buffer_add(struct buffer *buffer, const void *data, size_t length)
{
    if (!reserve(buffer, length)) {
        return;
    }
    if (length > 0) {
        memcpy(buffer->data + buffer->length, data, length);
    }
    buffer->length += length;
    buffer->data[buffer->length] = '\0';
}

void buffer_add_text(struct buffer *buffer, const char *text)
{
    buffer_add(buffer, text, strlen(text));
}

static void add_list(struct buffer *buffer, const char *format, va_list arguments) __attribute__((format(printf, 2, 0)));
static void add_list(struct buffer *buffer, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    if (length < 0 || !reserve(buffer, (size_t)length)) {
        buffer->failed = true;
    } else {
        vsnprintf(buffer->data + buffer->length, (size_t)length + 1, format, again);
        buffer->length += (size_t)length;
    }
    va_end(again);
}

void buffer_format(struct buffer *buffer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    add_list(buffer, format, arguments);
    va_end(arguments);
}

void buffer_add_quoted(struct buffer *buffer, const char *text)
{
    buffer_add(buffer, "'", 1);
    for (const char *end; (end = strchr(text, '\'')) != NULL; text = end + 1) {
        buffer_add(buffer, text, (size_t)(end - text));
        buffer_add_text(buffer, "'\\''");
    }
    buffer_add_text(buffer, text);
    buffer_add(buffer, "'", 1);
}

const char *buffer_text(const struct buffer *buffer)
{
    return buffer->data != NULL ? buffer->data : "";
}

void buffer_clear(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){0};
}

static void take(struct arguments *arguments, struct buffer *word)
{
    if (arguments->count + 2 > arguments->capacity) {
        size_t capacity = arguments->capacity > 0 ? arguments->capacity * 2 : 16;
        char **items = realloc(arguments->items, capacity * sizeof(*items));
        if (items == NULL) {
            arguments->failed = true;
        } else {
            arguments->items = items;
            arguments->capacity = capacity;
        }
    }
    if (arguments->failed || word->failed || word->data == NULL) {
        arguments->failed = true;
        buffer_clear(word);
        return;
    }
    arguments->items[arguments->count++] = word->data;
    arguments->items[arguments->count] = NULL;
}

void arguments_add(struct arguments *arguments, const char *text)
{
    struct buffer word = {0};
    buffer_add_text(&word, text);
    take(arguments, &word);
}

void arguments_format(struct arguments *arguments, const char *format, ...)
{
    struct buffer word = {0};
    va_list list;
    va_start(list, format);
    add_list(&word, format, list);
    va_end(list);
    take(arguments, &word);
}

const char *const *arguments_list(const struct arguments *arguments)
{
    static const char *const none[] = {NULL};
    return arguments->items != NULL ? (const char *const *)arguments->items : none;
}

void arguments_clear(struct arguments *arguments)
{
    for (size_t i = 0; i < arguments->count; i++) {
        free(arguments->items[i]);
    }
    free(arguments->items);
    *arguments = (struct arguments){0};
}
