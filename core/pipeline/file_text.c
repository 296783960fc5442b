/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * JSON, YAML and CSV: parsed as far as the head of the file reaches.
 *
 * How it works: a head that is not the whole file ends somewhere in the middle of a value. Trouble at that very end is
 * then no fault of the file's.
 */
#include <jansson.h>

#include "config/document_syntax.h"
#include "pipeline/file_content.h"

enum { CUT_SLACK = 64 }; /* bytes before the cut in which a value may have been torn: a number, a word, an escape */

static bool refuse(struct text *why, const char *words)
{
    text_append(why, words);
    return false;
}

/* The head as text without a byte order mark; shorter by the character that the cut fell into. */
static bool take_text(const struct file_content *content, const char **bytes, size_t *length, struct text *why)
{
    size_t missing = 0, most = file_content_is_cut(content) && content->head_length > 3 ? 3 : 0;
    while (missing <= most && !text_is_utf8(content->head, content->head_length - missing))
        missing++;
    if (missing > most)
        return refuse(why, "it is not UTF-8 text");
    if (memchr(content->head, '\0', content->head_length) || memchr(content->tail, '\0', content->tail_length))
        return refuse(why, "it has a NUL byte, as no text has");
    bool marked = content->head_length >= 3 && memcmp(content->head, "\xEF\xBB\xBF", 3) == 0;
    *bytes = content->head + (marked ? 3 : 0);
    *length = content->head_length - missing - (marked ? 3 : 0);
    return true;
}

/* JSON. */

/* What the library cannot hold, but the grammar allows: nothing beyond it is judged. */
static bool is_beyond_parser(const json_error_t *error)
{
    enum json_error_code code = json_error_code(error);
    return code == json_error_numeric_overflow || code == json_error_stack_overflow ||
           code == json_error_null_byte_in_key || code == json_error_null_character;
}

static bool json_closes(const struct file_content *content, char first)
{
    char closing = first == '{' ? '}' : first == '[' ? ']' : '\0';
    size_t at = content->tail_length;
    while (at > 0 && memchr(" \t\r\n", content->tail[at - 1], 4) != NULL)
        at--;
    return closing == '\0' || (at > 0 && content->tail[at - 1] == closing);
}

bool file_content_json(const struct file_content *content, struct text *why)
{
    const char *bytes;
    size_t length;
    if (!take_text(content, &bytes, &length, why))
        return false;
    json_error_t error;
    bool cut = file_content_is_cut(content);
    size_t flags = JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL | (cut ? JSON_DISABLE_EOF_CHECK : 0);
    json_t *value = json_loadb(bytes, length, flags, &error);
    bool fits = value != NULL || is_beyond_parser(&error) ||
                (cut && (json_error_code(&error) == json_error_premature_end_of_input ||
                         (size_t)error.position + CUT_SLACK >= length));
    bool ended_early = cut && value != NULL;
    json_decref(value);
    if (!fits) {
        text_format(why, "line %d, column %d: %s", error.line, error.column, error.text);
        if (strstr(error.text, "NaN") != NULL || strstr(error.text, "Infinity") != NULL)
            text_append(why, " (JSON has no such number: write null)");
        return false;
    }
    size_t first = 0;
    while (first < length && memchr(" \t\r\n", bytes[first], 4) != NULL)
        first++;
    if (ended_early && (bytes[first] == '{' || bytes[first] == '['))
        return refuse(why, "something stands behind its value");
    if (cut && first < length && !json_closes(content, bytes[first]))
        return refuse(why, "its last bracket is not closed: it is cut");
    return true;
}

/* YAML. */

bool file_content_yaml(const struct file_content *content, struct text *why)
{
    const char *bytes;
    size_t length;
    if (!take_text(content, &bytes, &length, why))
        return false;
    if (file_content_is_cut(content)) {
        const char *newline = memrchr(bytes, '\n', length);
        length = newline != NULL ? (size_t)(newline - bytes) + 1 : length;
    }
    return document_syntax_check(bytes, length, file_content_is_cut(content), why);
}

/* CSV. */

struct table_scan {
    char separator;
    bool seen;                  /* the separator, outside of quotes */
    size_t line, line_fields;   /* now */
    size_t first, first_fields; /* of the first line that counts */
    size_t odd, odd_fields;     /* of the first line that differs; odd 0: none does */
    size_t open_quote;          /* line of a quote that nothing closes; 0: none */
};

static void end_line(struct table_scan *scan, bool counts)
{
    if (counts && scan->first == 0) {
        scan->first = scan->line;
        scan->first_fields = scan->line_fields;
    } else if (counts && scan->odd == 0 && scan->line_fields != scan->first_fields) {
        scan->odd = scan->line;
        scan->odd_fields = scan->line_fields;
    }
}

/* The fields of the line at `bytes`; returns where the next begins, `end` too when the line does not end. */
static const char *scan_line(struct table_scan *scan, const char *bytes, const char *end, bool *ended)
{
    size_t newlines = 0;
    bool quoted = false, fresh = true;
    scan->line_fields = 1;
    *ended = false;
    for (; bytes < end && !*ended; bytes++) {
        bool was_fresh = fresh;
        fresh = false;
        if (*bytes == '"' && (quoted || was_fresh)) {
            if (quoted && bytes + 1 < end && bytes[1] == '"')
                bytes++;
            else
                quoted = !quoted;
        } else if (*bytes == '\n' && quoted) {
            newlines++;
        } else if (*bytes == '\n') {
            *ended = true;
        } else if (*bytes == scan->separator && !quoted) {
            scan->line_fields++;
            scan->seen = fresh = true;
        }
    }
    scan->open_quote = quoted ? scan->line : 0;
    scan->line += newlines;
    return bytes;
}

static void scan_table(struct table_scan *scan, const char *bytes, size_t length, bool cut)
{
    const char *end = bytes + length;
    while (bytes < end) {
        const char *start = bytes;
        bool ended;
        scan->line++;
        bool comment = *start == '#', empty = *start == '\n' || (*start == '\r' && start + 1 < end && start[1] == '\n');
        if (comment) {
            const char *newline = memchr(start, '\n', length - (size_t)(start - (end - length)));
            bytes = newline != NULL ? newline + 1 : end;
            continue;
        }
        bytes = scan_line(scan, start, end, &ended);
        if (!ended && cut) { /* it goes on behind the cut */
            scan->open_quote = 0;
            return;
        }
        end_line(scan, !empty);
    }
}

bool file_content_csv(const struct file_content *content, struct text *why)
{
    static const char separators[] = {',', ';', '\t'};
    const char *bytes;
    size_t length;
    if (!take_text(content, &bytes, &length, why))
        return false;
    struct table_scan worst = {0};
    bool separated = false;
    for (size_t i = 0; i < sizeof separators; i++) {
        struct table_scan scan = {.separator = separators[i]};
        scan_table(&scan, bytes, length, file_content_is_cut(content));
        if (scan.seen && scan.odd == 0 && scan.open_quote == 0)
            return true;
        if (i == 0 || (scan.seen && (!worst.seen || scan.first_fields > worst.first_fields)))
            worst = scan;
        separated = separated || scan.seen;
    }
    if (worst.open_quote > 0)
        text_format(why, "a quote that opens at line %zu is never closed", worst.open_quote);
    else if (separated)
        text_format(why, "line %zu has %zu field%s, line %zu has %zu", worst.odd, worst.odd_fields,
                    worst.odd_fields == 1 ? "" : "s", worst.first, worst.first_fields);
    return !separated && worst.open_quote == 0;
}
