/* SPDX-License-Identifier: BSD-3-Clause */
/* Growing bytes and lists of texts for a plugin, which has no library of the host to lean on. */
#include "engine/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 256 };

static bool reserve(struct bytes *bytes, size_t more)
{
    if (bytes->failed || more >= SIZE_MAX / 2 - bytes->length) {
        bytes->failed = true;
        return false;
    }
    size_t needed = bytes->length + more + 1, capacity = bytes->capacity;
    if (needed <= capacity) {
        return true;
    }
    for (capacity = capacity > 0 ? capacity : FIRST_CAPACITY; capacity < needed; capacity *= 2) {
    }
    char *data = realloc(bytes->data, capacity);
    if (data == NULL) {
        bytes->failed = true;
        return false;
    }
    bytes->data = data;
    bytes->capacity = capacity;
    return true;
}

bool bytes_add(struct bytes *bytes, const void *data, size_t length)
{
    if (!reserve(bytes, length)) {
        return false;
    }
    if (length > 0) {
        memcpy(bytes->data + bytes->length, data, length);
    }
    bytes->length += length;
    bytes->data[bytes->length] = '\0';
    return true;
}

bool bytes_add_text(struct bytes *bytes, const char *text)
{
    return bytes_add(bytes, text, strlen(text));
}

bool bytes_format(struct bytes *bytes, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    bool done = length >= 0 && reserve(bytes, (size_t)length);
    if (done) {
        vsnprintf(bytes->data + bytes->length, (size_t)length + 1, format, again);
        bytes->length += (size_t)length;
    }
    bytes->failed = !done;
    va_end(again);
    return done;
}

static bool is_plain(char character)
{
    return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
           (character >= '0' && character <= '9') || (character != '\0' && strchr("-._~", character) != NULL);
}

bool bytes_add_escaped(struct bytes *bytes, const char *text, const char *keep)
{
    static const char digits[] = "0123456789ABCDEF";
    for (; *text != '\0'; text++) {
        unsigned char value = (unsigned char)*text;
        char escaped[3] = {'%', digits[value >> 4], digits[value & 15]};
        bool plain = is_plain(*text) || strchr(keep, *text) != NULL;
        if (!bytes_add(bytes, plain ? text : escaped, plain ? 1 : 3)) {
            return false;
        }
    }
    return bytes_add(bytes, "", 0);
}

bool bytes_add_base64url(struct bytes *bytes, const void *data, size_t length)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const unsigned char *place = data;
    for (size_t i = 0; i < length; i += 3) {
        size_t left = length - i;
        uint32_t group = (uint32_t)place[i] << 16 | (left > 1 ? (uint32_t)place[i + 1] << 8 : 0) |
                         (left > 2 ? (uint32_t)place[i + 2] : 0);
        char four[4] = {letters[group >> 18], letters[group >> 12 & 63], left > 1 ? letters[group >> 6 & 63] : '=',
                        left > 2 ? letters[group & 63] : '='};
        if (!bytes_add(bytes, four, sizeof(four))) {
            return false;
        }
    }
    return bytes_add(bytes, "", 0);
}

bool bytes_add_line(struct bytes *bytes, const char *text, size_t length, size_t limit)
{
    while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == '\r' || text[length - 1] == ' ')) {
        length--;
    }
    bool cut = length > limit;
    if (cut) {
        length = limit;
        while (length > 0 && ((unsigned char)text[length] & 0xC0) == 0x80) {
            length--;
        }
    }
    for (size_t i = 0; i < length; i++) {
        unsigned char value = (unsigned char)text[i];
        if (!bytes_add(bytes, value < 0x20 || value == 0x7F ? " " : text + i, 1)) {
            return false;
        }
    }
    return bytes_add_text(bytes, cut ? "…" : "");
}

const char *bytes_text(const struct bytes *bytes)
{
    return bytes->data != NULL ? bytes->data : "";
}

void bytes_clear(struct bytes *bytes)
{
    free(bytes->data);
    *bytes = (struct bytes){0};
}

void bytes_wipe(struct bytes *bytes)
{
    if (bytes->data != NULL) {
        explicit_bzero(bytes->data, bytes->capacity);
    }
    bytes_clear(bytes);
}

static bool texts_take(struct texts *texts, char *text)
{
    if (text != NULL && texts->count + 2 > texts->capacity) {
        size_t capacity = texts->capacity > 0 ? texts->capacity * 2 : 16;
        char **items = realloc(texts->items, capacity * sizeof(*items));
        if (items != NULL) {
            texts->items = items;
            texts->capacity = capacity;
        }
    }
    if (text == NULL || texts->failed || texts->count + 2 > texts->capacity) {
        free(text);
        texts->failed = true;
        return false;
    }
    texts->items[texts->count++] = text;
    texts->items[texts->count] = NULL;
    return true;
}

bool texts_add(struct texts *texts, const char *text)
{
    return texts_take(texts, strdup(text));
}

bool texts_format(struct texts *texts, const char *format, ...)
{
    va_list arguments;
    char *text = NULL;
    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    return texts_take(texts, length >= 0 ? text : NULL);
}

bool texts_add_all(struct texts *texts, const char *const *more)
{
    for (; more != NULL && *more != NULL; more++) {
        if (!texts_add(texts, *more)) {
            return false;
        }
    }
    return true;
}

const char *const *texts_list(const struct texts *texts)
{
    static const char *const none[] = {NULL};
    return texts->items != NULL ? (const char *const *)texts->items : none;
}

void texts_clear(struct texts *texts)
{
    for (size_t i = 0; i < texts->count; i++) {
        free(texts->items[i]);
    }
    free(texts->items);
    *texts = (struct texts){0};
}
