/* SPDX-License-Identifier: BSD-3-Clause */
/* The growing buffer, and texts as numbers, JSON, shell words and terminal lines. */
#include "base/text.h"

#include <stdio.h>
#include <string.h>

void text_clear(struct text *text)
{
    free(text->bytes);
    *text = TEXT_INIT;
}

void text_reset(struct text *text)
{
    text->length = 0;
    if (text->bytes != NULL)
        text->bytes[0] = '\0';
}

void text_reserve(struct text *text, size_t more)
{
    if (more < text->capacity - text->length) /* one is kept for the NUL; 0 < 0 is false */
        return;
    if (more > SIZE_MAX / 2 - 1 - text->length)
        memory_exhausted();
    size_t capacity = text->capacity + text->capacity / 2;
    if (capacity < text->length + more + 1)
        capacity = text->length + more + 1;
    if (capacity < 64)
        capacity = 64;
    text->bytes = memory_resize(text->bytes, capacity);
    text->capacity = capacity;
    text->bytes[text->length] = '\0';
}

const char *text_bytes(const struct text *text)
{
    return text->bytes != NULL ? text->bytes : "";
}

char *text_take(struct text *text)
{
    text_reserve(text, 0);
    char *bytes = text->bytes;
    *text = TEXT_INIT;
    return bytes;
}

void text_append_character(struct text *text, char character)
{
    text_reserve(text, 1);
    text->bytes[text->length++] = character;
    text->bytes[text->length] = '\0';
}

void text_append_unsigned(struct text *text, uint64_t number)
{
    char digits[20];
    size_t start = sizeof digits;
    do {
        digits[--start] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    text_append_bytes(text, digits + start, sizeof digits - start);
}

void text_append_count(struct text *text, uint64_t count, const char *what)
{
    text_append_unsigned(text, count);
    text_append_character(text, ' ');
    text_append(text, what);
    if (count != 1)
        text_append_character(text, 's');
}

void text_append_signed(struct text *text, int64_t number)
{
    if (number < 0) {
        text_append_character(text, '-');
        text_append_unsigned(text, -(uint64_t)number);
    } else {
        text_append_unsigned(text, (uint64_t)number);
    }
}

void text_format_list(struct text *text, const char *format, va_list arguments)
{
    text_reserve(text, 0);
    va_list again;
    va_copy(again, arguments);
    size_t room = text->capacity - text->length;
    int length = vsnprintf(text->bytes + text->length, room, format, arguments);
    if (length < 0)
        memory_exhausted();
    if ((size_t)length >= room) {
        text_reserve(text, (size_t)length);
        vsnprintf(text->bytes + text->length, (size_t)length + 1, format, again);
    }
    va_end(again);
    text->length += (size_t)length;
}

void text_format(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    text_format_list(text, format, arguments);
    va_end(arguments);
}

/* The length of the well-formed UTF-8 sequence at `bytes` (RFC 3629: no surrogates, nothing overlong), 0 when it is
 * none. */
static size_t utf8_sequence(const unsigned char *bytes, size_t length)
{
    unsigned char lead = bytes[0];
    if (lead < 0x80)
        return 1;
    size_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || size > length)
        return 0;
    for (size_t i = 1; i < size; i++)
        if ((bytes[i] & 0xC0) != 0x80)
            return 0;
    if ((lead == 0xE0 && bytes[1] < 0xA0) || (lead == 0xED && bytes[1] > 0x9F) || (lead == 0xF0 && bytes[1] < 0x90) ||
        (lead == 0xF4 && bytes[1] > 0x8F))
        return 0;
    return size;
}

bool text_is_utf8(const char *bytes, size_t length)
{
    const unsigned char *place = (const unsigned char *)bytes;
    while (length > 0) {
        size_t size = utf8_sequence(place, length);
        if (size == 0)
            return false;
        place += size;
        length -= size;
    }
    return true;
}

static void append_json_escape(struct text *text, unsigned char byte)
{
    static const char digits[] = "0123456789abcdef";
    switch (byte) {
    case '"':
        text_append_bytes(text, "\\\"", 2);
        break;
    case '\\':
        text_append_bytes(text, "\\\\", 2);
        break;
    case '\n':
        text_append_bytes(text, "\\n", 2);
        break;
    case '\r':
        text_append_bytes(text, "\\r", 2);
        break;
    case '\t':
        text_append_bytes(text, "\\t", 2);
        break;
    default:
        text_append_bytes(text, (const char[]){'\\', 'u', '0', '0', digits[byte >> 4], digits[byte & 15]}, 6);
        break;
    }
}

/* True when one of eight bytes is a control, '"', '\\' or not ASCII. May say so too often (where a lower byte borrows),
 * never too rarely. */
static inline bool word_needs_care(uint64_t word)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), high = UINT64_C(0x8080808080808080);
    uint64_t quotes = word ^ (ones * '"'), slashes = word ^ (ones * '\\');
    return ((word | (word - ones * 0x20) | (quotes - ones) | (slashes - ones)) & high) != 0;
}

/* How many bytes from the front stand for themselves inside a JSON string. */
static size_t plain_span(const unsigned char *bytes, size_t length)
{
    size_t span = 0;
    for (uint64_t word; length - span >= sizeof word; span += sizeof word) {
        memcpy(&word, bytes + span, sizeof word);
        if (word_needs_care(word))
            break;
    }
    while (span < length && bytes[span] >= 0x20 && bytes[span] < 0x80 && bytes[span] != '"' && bytes[span] != '\\')
        span++;
    return span;
}

static void append_json_with_care(struct text *text, const unsigned char *place, size_t length)
{
    const unsigned char *end = place + length;
    while (place < end) {
        size_t span = plain_span(place, (size_t)(end - place));
        text_append_bytes(text, place, span);
        place += span;
        if (place == end)
            break;
        if (*place < 0x80) {
            append_json_escape(text, *place++);
            continue;
        }
        size_t size = utf8_sequence(place, (size_t)(end - place));
        if (size > 0)
            text_append_bytes(text, place, size);
        else
            text_append_bytes(text, "\xEF\xBF\xBD", 3);
        place += size > 0 ? size : 1;
    }
}

/* Most texts stand for themselves as a whole and are copied at once. */
void text_append_json_bytes(struct text *text, const char *value, size_t length)
{
    size_t plain = plain_span((const unsigned char *)value, length);
    text_reserve(text, length + 2);
    text->bytes[text->length++] = '"';
    text_append_bytes(text, value, plain);
    if (plain < length)
        append_json_with_care(text, (const unsigned char *)value + plain, length - plain);
    text_append_character(text, '"');
}

void text_append_json(struct text *text, const char *value)
{
    text_append_json_bytes(text, value, strlen(value));
}

/* A shell would take these for its own where a command may stand; '=' would make an assignment, so it is not plain. */
static bool is_shell_plain(const char *word)
{
    static const char *const reserved[] = {"case",  "do",       "done",   "elif", "else",  "esac",
                                           "fi",    "for",      "if",     "in",   "then",  "until",
                                           "while", "function", "select", "time", "coproc"};
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+:,./-";
    size_t length = strlen(word);
    if (length == 0 || strspn(word, plain) != length)
        return false;
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++)
        if (strcmp(word, reserved[i]) == 0)
            return false;
    return true;
}

void text_append_shell_word(struct text *text, const char *word)
{
    if (is_shell_plain(word)) {
        text_append(text, word);
        return;
    }
    text_append_character(text, '\'');
    for (;;) {
        size_t span = strcspn(word, "'");
        text_append_bytes(text, word, span);
        word += span;
        if (*word == '\0')
            break;
        text_append(text, "'\\''");
        word++;
    }
    text_append_character(text, '\'');
}

/* Sequences that are text but would steer a terminal: C1 controls, line separators, changes of direction. */
static bool utf8_steers(const unsigned char *bytes, size_t size)
{
    if (size == 2)
        return bytes[0] == 0xC2 && bytes[1] < 0xA0;
    if (size != 3 || bytes[0] != 0xE2)
        return false;
    return (bytes[1] == 0x80 && bytes[2] >= 0xA8 && bytes[2] <= 0xAE) ||
           (bytes[1] == 0x81 && bytes[2] >= 0xA6 && bytes[2] <= 0xA9);
}

void text_append_printable(struct text *text, const char *value, size_t limit)
{
    static const char digits[] = "0123456789ABCDEF";
    const unsigned char *place = (const unsigned char *)value;
    size_t left = strlen(value);
    size_t room = limit;
    while (left > 0) {
        size_t size = utf8_sequence(place, left);
        bool as_is = size > 0 && *place >= 0x20 && *place != 0x7F && !utf8_steers(place, size);
        size = size > 0 ? size : 1;
        if ((as_is ? size : 4 * size) > room) {
            text_append(text, "\xE2\x80\xA6");
            return;
        }
        room -= as_is ? size : 4 * size;
        if (as_is)
            text_append_bytes(text, place, size);
        for (size_t i = 0; !as_is && i < size; i++)
            text_append_bytes(text, (const char[]){'\\', 'x', digits[place[i] >> 4], digits[place[i] & 15]}, 4);
        place += size;
        left -= size;
    }
}

bool text_equal(const char *left, const char *right)
{
    return left == right || (left != NULL && right != NULL && strcmp(left, right) == 0);
}

bool text_starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool text_ends_with(const char *text, const char *suffix)
{
    size_t length = strlen(text), suffix_length = strlen(suffix);
    return length >= suffix_length && memcmp(text + length - suffix_length, suffix, suffix_length) == 0;
}

bool text_to_unsigned(const char *text, uint64_t *number)
{
    uint64_t value = 0;
    const char *c = text;
    for (; *c >= '0' && *c <= '9'; c++) {
        uint64_t digit = (uint64_t)(*c - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    if (c == text || *c != '\0')
        return false;
    *number = value;
    return true;
}

bool text_to_signed(const char *text, int64_t *number)
{
    bool negative = text[0] == '-';
    uint64_t value;
    if (!text_to_unsigned(text + negative, &value) || value > (uint64_t)INT64_MAX + negative)
        return false;
    *number = negative ? (value > 0 ? -(int64_t)(value - 1) - 1 : 0) : (int64_t)value;
    return true;
}

enum { DISTANCE_LENGTH_LIMIT = 256 }; /* longer words are no typing errors of a name */

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* Three rows of the usual matrix: a swap of neighbours looks two rows back. */
size_t text_distance(const char *left, const char *right, size_t limit)
{
    size_t left_length = strlen(left), right_length = strlen(right);
    size_t difference = left_length > right_length ? left_length - right_length : right_length - left_length;
    if (difference > limit)
        return limit + 1;
    if (left_length > DISTANCE_LENGTH_LIMIT || right_length > DISTANCE_LENGTH_LIMIT)
        return strcmp(left, right) == 0 ? 0 : limit + 1;
    size_t rows[3][DISTANCE_LENGTH_LIMIT + 1];
    for (size_t j = 0; j <= right_length; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= left_length; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i + 2) % 3], *two_above = rows[(i + 1) % 3];
        size_t best = row[0] = i;
        for (size_t j = 1; j <= right_length; j++) {
            size_t change = left[i - 1] != right[j - 1];
            row[j] = smallest(above[j] + 1, row[j - 1] + 1, above[j - 1] + change);
            if (i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] &&
                two_above[j - 2] + 1 < row[j])
                row[j] = two_above[j - 2] + 1;
            if (row[j] < best)
                best = row[j];
        }
        if (best > limit + 1) /* a swap may still gain one on the best of this row */
            return limit + 1;
    }
    size_t distance = rows[left_length % 3][right_length];
    return distance > limit ? limit + 1 : distance;
}

const char *text_nearest(const char *word, const char *const *candidates)
{
    size_t limit = strlen(word) / 3;
    const char *nearest = NULL;
    for (; *candidates != NULL; candidates++) {
        size_t distance = text_distance(word, *candidates, limit);
        if (distance <= limit) {
            nearest = *candidates;
            if (distance == 0)
                break;
            limit = distance - 1;
        }
    }
    return nearest;
}
