/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The literals of a run.py.
 *
 * How it works: a lexer for the lines of Python that matter (comments, texts, brackets, line continuations) walks the
 * file once. Outside of class Stage whole logical lines are skipped. Inside, `name = literal` lines are read until the
 * first `def`, `@` or a line that is indented less. Nothing is evaluated.
 */
#include "pipeline/metadata.h"

#include <ctype.h>
#include <string.h>

#include "base/file.h"

enum { TEXT_LIMIT = 4096, BRACKET_LIMIT = 64 };

static const char advice[] = "write a stage.yaml beside it instead: inputs, outputs and config as in the pipeline file";

struct lexer {
    const char *at, *end;
    const char *line_start;
    uint32_t line;
    const char *file;
    struct problems *problems;
};

static uint32_t column_of(const struct lexer *lexer, const char *at)
{
    uint32_t column = 1;
    for (const char *c = lexer->line_start; c < at; c++)
        column += ((unsigned char)*c & 0xC0) != 0x80;
    return column;
}

static struct place here(const struct lexer *lexer)
{
    return (struct place){.file = lexer->file, .line = lexer->line, .column = column_of(lexer, lexer->at)};
}

static bool refuse(const struct lexer *lexer, struct place place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static bool refuse(const struct lexer *lexer, struct place place, const char *format, ...)
{
    cleanup(text_clear) struct text message = TEXT_INIT;
    va_list arguments;
    va_start(arguments, format);
    text_format_list(&message, format, arguments);
    va_end(arguments);
    problem_add(lexer->problems, PROBLEM_ERROR, place, advice, "%s", text_bytes(&message));
    return false;
}

static char peek(const struct lexer *lexer, size_t ahead)
{
    return (size_t)(lexer->end - lexer->at) > ahead ? lexer->at[ahead] : '\0';
}

static void step(struct lexer *lexer)
{
    if (lexer->at >= lexer->end)
        return;
    if (*lexer->at++ == '\n') {
        lexer->line++;
        lexer->line_start = lexer->at;
    }
}

static void skip_comment(struct lexer *lexer)
{
    while (lexer->at < lexer->end && *lexer->at != '\n')
        lexer->at++;
}

/* Blanks and comments; line ends too when `lines`, and a backslash at the end of a line always. */
static void skip_blank(struct lexer *lexer, bool lines)
{
    for (;;) {
        char c = peek(lexer, 0);
        if (c == ' ' || c == '\t' || c == '\r' || c == '\f' || (lines && c == '\n' && lexer->at < lexer->end)) {
            step(lexer);
        } else if (c == '#') {
            skip_comment(lexer);
        } else if (c == '\\' && (peek(lexer, 1) == '\n' || (peek(lexer, 1) == '\r' && peek(lexer, 2) == '\n'))) {
            step(lexer);
            while (peek(lexer, 0) != '\n')
                step(lexer);
            step(lexer);
        } else {
            return;
        }
    }
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

/* A text with an optional prefix begins here; *quote is its offset. */
static bool at_string(const struct lexer *lexer, size_t *quote)
{
    size_t i = 0;
    while (i < 2 && peek(lexer, i) != '\0' && strchr("rRuUbBfF", peek(lexer, i)) != NULL)
        i++;
    *quote = i;
    return peek(lexer, i) == '"' || peek(lexer, i) == '\'';
}

static void append_code_point(struct text *out, uint32_t code)
{
    if (code < 0x80) {
        text_append_character(out, (char)code);
    } else if (code < 0x800) {
        text_append_character(out, (char)(0xC0 | code >> 6));
        text_append_character(out, (char)(0x80 | (code & 63)));
    } else if (code < 0x10000) {
        text_append_character(out, (char)(0xE0 | code >> 12));
        text_append_character(out, (char)(0x80 | (code >> 6 & 63)));
        text_append_character(out, (char)(0x80 | (code & 63)));
    } else {
        text_append_character(out, (char)(0xF0 | code >> 18));
        text_append_character(out, (char)(0x80 | (code >> 12 & 63)));
        text_append_character(out, (char)(0x80 | (code >> 6 & 63)));
        text_append_character(out, (char)(0x80 | (code & 63)));
    }
}

/* `digits` digits of `base` at the lexer; false when they are not there. */
static bool take_digits(struct lexer *lexer, unsigned digits, unsigned base, bool fewer, uint32_t *code)
{
    *code = 0;
    unsigned taken = 0;
    for (; taken < digits; taken++) {
        char c = peek(lexer, 0);
        unsigned digit = c >= '0' && c <= '9'         ? (unsigned)(c - '0')
                         : isxdigit((unsigned char)c) ? (unsigned)(tolower((unsigned char)c) - 'a') + 10
                                                      : 99;
        if (digit >= base)
            break;
        *code = *code * base + digit;
        step(lexer);
    }
    return taken == digits || (fewer && taken > 0);
}

/* Behind a backslash. Python keeps a backslash before a letter that means nothing. */
static bool take_escape(struct lexer *lexer, struct text *out)
{
    static const char letters[] = "\\'\"abfnrtv", values[] = "\\'\"\a\b\f\n\r\t\v";
    struct place place = here(lexer);
    char c = peek(lexer, 0);
    const char *found = c != '\0' ? strchr(letters, c) : NULL;
    uint32_t code;
    if (found != NULL) {
        text_append_character(out, values[found - letters]);
        step(lexer);
        return true;
    }
    if (c == '\n') {
        step(lexer);
        return true;
    }
    bool good;
    if (c == 'x' || c == 'u' || c == 'U') {
        step(lexer);
        good = take_digits(lexer, c == 'x' ? 2 : c == 'u' ? 4 : 8, 16, false, &code);
    } else if (c >= '0' && c <= '7') {
        good = take_digits(lexer, 3, 8, true, &code);
    } else if (c == 'N') {
        return refuse(lexer, place, "a '\\N{...}' escape is not understood");
    } else {
        text_append_character(out, '\\');
        return true;
    }
    if (!good || code == 0 || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
        return refuse(lexer, place, "this escape is no character");
    append_code_point(out, code);
    return true;
}

/* One quoted text, the lexer on its prefix. `out` NULL: skipped, whatever it holds. */
static bool take_one_string(struct lexer *lexer, struct text *out)
{
    size_t prefix;
    at_string(lexer, &prefix);
    struct place place = here(lexer);
    bool raw = false, formatted = false, bytes = false;
    for (; prefix > 0; prefix--, step(lexer)) {
        char c = (char)tolower((unsigned char)peek(lexer, 0));
        raw |= c == 'r';
        formatted |= c == 'f';
        bytes |= c == 'b';
    }
    if (out != NULL && (formatted || bytes))
        return refuse(lexer, place,
                      formatted ? "an f-string cannot be read without running Python"
                                : "a value must be a text, not bytes");
    char quote = peek(lexer, 0);
    bool triple = peek(lexer, 1) == quote && peek(lexer, 2) == quote;
    for (int i = 0; i < (triple ? 3 : 1); i++)
        step(lexer);
    for (;;) {
        char c = peek(lexer, 0);
        if (lexer->at >= lexer->end || (c == '\n' && !triple))
            return refuse(lexer, place, "this text has no closing quote");
        if (c == quote && (!triple || (peek(lexer, 1) == quote && peek(lexer, 2) == quote))) {
            for (int i = 0; i < (triple ? 3 : 1); i++)
                step(lexer);
            return true;
        }
        if (out != NULL && out->length >= TEXT_LIMIT)
            return refuse(lexer, place, "this text is longer than %d bytes", TEXT_LIMIT);
        step(lexer);
        if (c != '\\') {
            if (out != NULL)
                text_append_character(out, c);
            continue;
        }
        if (raw || out == NULL) { /* the quote behind a backslash does not close */
            if (out != NULL)
                text_append_character(out, '\\');
            if (lexer->at < lexer->end) {
                if (out != NULL)
                    text_append_character(out, peek(lexer, 0));
                step(lexer);
            }
        } else if (!take_escape(lexer, out)) {
            return false;
        }
    }
}

/* What stands here, for a message: a word, or a character. */
static void describe(const struct lexer *lexer, struct text *out)
{
    size_t length = 0;
    while (length < 60 && is_word(peek(lexer, length)))
        length++;
    if (lexer->at >= lexer->end)
        text_append(out, "the end of the file");
    else if (peek(lexer, 0) == '\n')
        text_append(out, "the end of the line");
    else
        text_format(out, "'%.*s'", (int)(length > 0 ? length : 1), lexer->at);
}

/* A text literal: adjacent ones are joined, parentheses may stand around. `lines`: inside brackets a literal may go
 * over lines. */
static bool take_text(struct lexer *lexer, const char *what, bool lines, struct text *out)
{
    unsigned parentheses = 0;
    for (skip_blank(lexer, lines); peek(lexer, 0) == '('; skip_blank(lexer, true)) {
        if (++parentheses > BRACKET_LIMIT)
            return refuse(lexer, here(lexer), "too many parentheses");
        step(lexer);
    }
    size_t prefix;
    if (!at_string(lexer, &prefix)) {
        cleanup(text_clear) struct text found = TEXT_INIT;
        describe(lexer, &found);
        return refuse(lexer, here(lexer), "%s must be a text in quotes, not %s", what, text_bytes(&found));
    }
    while (at_string(lexer, &prefix)) {
        if (!take_one_string(lexer, out))
            return false;
        skip_blank(lexer, lines || parentheses > 0);
    }
    for (; parentheses > 0; parentheses--) {
        skip_blank(lexer, true);
        if (peek(lexer, 0) != ')')
            return refuse(lexer, here(lexer), "')' is missing after %s", what);
        step(lexer);
    }
    skip_blank(lexer, lines);
    return true;
}

static bool add_entry(const struct lexer *lexer, struct metadata_map *map, struct place place, const char *key,
                      const char *value)
{
    if (map->entries.count >= METADATA_ENTRIES_LIMIT)
        return refuse(lexer, place, "a dictionary here holds at most %d entries", METADATA_ENTRIES_LIMIT);
    for (size_t i = 0; i < map->entries.count; i++)
        if (strcmp(map->entries.items[i].key, key) == 0)
            return refuse(lexer, place, "the key '%.100s' is already given in line %u", key,
                          map->entries.items[i].line);
    struct metadata_entry entry = {
        .key = memory_copy_text(key), .value = memory_copy_text(value), .line = place.line, .column = place.column};
    list_add(&map->entries, entry);
    return true;
}

/* Behind "{". */
static bool take_entries(struct lexer *lexer, const char *attribute, struct metadata_map *map)
{
    cleanup(text_clear) struct text key_what = TEXT_INIT;
    cleanup(text_clear) struct text value_what = TEXT_INIT;
    text_format(&key_what, "a key of '%s'", attribute);
    text_format(&value_what, "a value of '%s'", attribute);
    for (;;) {
        skip_blank(lexer, true);
        if (peek(lexer, 0) == '}') {
            step(lexer);
            return true;
        }
        cleanup(text_clear) struct text key = TEXT_INIT;
        cleanup(text_clear) struct text value = TEXT_INIT;
        struct place place = here(lexer);
        if (!take_text(lexer, text_bytes(&key_what), true, &key))
            return false;
        if (peek(lexer, 0) != ':')
            return refuse(lexer, here(lexer), "':' is missing after the key '%.100s'", text_bytes(&key));
        step(lexer);
        if (!take_text(lexer, text_bytes(&value_what), true, &value) ||
            !add_entry(lexer, map, place, text_bytes(&key), text_bytes(&value)))
            return false;
        if (peek(lexer, 0) == ',') {
            step(lexer);
        } else if (peek(lexer, 0) != '}') {
            cleanup(text_clear) struct text found = TEXT_INIT;
            describe(lexer, &found);
            return refuse(lexer, here(lexer), "',' or '}' must follow in '%s', not %s", attribute, text_bytes(&found));
        }
    }
}

static bool at_line_end(struct lexer *lexer)
{
    skip_blank(lexer, false);
    return lexer->at >= lexer->end || *lexer->at == '\n' || *lexer->at == ';';
}

static bool expect_line_end(struct lexer *lexer, const char *attribute)
{
    if (at_line_end(lexer))
        return true;
    cleanup(text_clear) struct text found = TEXT_INIT;
    describe(lexer, &found);
    return refuse(lexer, here(lexer), "the value of '%s' must end here, but %s follows", attribute, text_bytes(&found));
}

static bool take_map(struct lexer *lexer, const char *attribute, struct metadata_map *map)
{
    struct place place = here(lexer);
    unsigned parentheses = 0;
    for (skip_blank(lexer, false); peek(lexer, 0) == '('; skip_blank(lexer, true)) {
        if (++parentheses > BRACKET_LIMIT)
            return refuse(lexer, here(lexer), "too many parentheses");
        step(lexer);
    }
    if (peek(lexer, 0) != '{') {
        cleanup(text_clear) struct text found = TEXT_INIT;
        describe(lexer, &found);
        return refuse(lexer, here(lexer), "'%s' must be a dictionary of texts, {\"tag\": \"suffix\"}, not %s",
                      attribute, text_bytes(&found));
    }
    step(lexer);
    if (map->given)
        return refuse(lexer, place, "'%s' is already given in line %u", attribute, map->line);
    map->given = true;
    map->line = place.line;
    map->column = place.column;
    if (!take_entries(lexer, attribute, map))
        return false;
    for (; parentheses > 0; parentheses--, step(lexer)) {
        skip_blank(lexer, true);
        if (peek(lexer, 0) != ')')
            return refuse(lexer, here(lexer), "')' is missing after '%s'", attribute);
    }
    return expect_line_end(lexer, attribute);
}

/* To the end of the logical line: brackets and texts may hold line ends. */
static bool skip_logical_line(struct lexer *lexer)
{
    unsigned depth = 0;
    while (lexer->at < lexer->end) {
        skip_blank(lexer, depth > 0);
        size_t prefix;
        char c = peek(lexer, 0);
        if (lexer->at >= lexer->end)
            break;
        if (at_string(lexer, &prefix)) {
            if (!take_one_string(lexer, NULL))
                return false;
            continue;
        }
        if (is_word(c)) {
            while (is_word(peek(lexer, 0)))
                step(lexer);
            continue;
        }
        if (c == '(' || c == '[' || c == '{')
            depth++;
        if ((c == ')' || c == ']' || c == '}') && depth > 0)
            depth--;
        step(lexer);
        if (c == '\n' && depth == 0)
            return true;
    }
    return true;
}

static size_t word_length(const struct lexer *lexer)
{
    size_t length = 0;
    while (is_word(peek(lexer, length)))
        length++;
    return length;
}

static bool word_is(const struct lexer *lexer, size_t length, const char *word)
{
    return strlen(word) == length && memcmp(lexer->at, word, length) == 0;
}

static struct metadata_map *map_of(struct metadata *metadata, const struct lexer *lexer, size_t length,
                                   const char **name)
{
    *name = "config";
    if (word_is(lexer, length, *name))
        return &metadata->config;
    *name = "inputs";
    if (word_is(lexer, length, *name))
        return &metadata->inputs;
    *name = "outputs";
    return word_is(lexer, length, *name) ? &metadata->outputs : NULL;
}

/* One line of the class body. *over: the attributes end here. */
static bool take_statement(struct lexer *lexer, struct metadata *metadata, bool *over)
{
    size_t length = word_length(lexer);
    if (peek(lexer, 0) == '@' || word_is(lexer, length, "def") || word_is(lexer, length, "async")) {
        *over = true;
        return true;
    }
    const char *name;
    struct metadata_map *map = map_of(metadata, lexer, length, &name);
    bool is_name = word_is(lexer, length, "name");
    struct lexer start = *lexer;
    if (map != NULL || is_name) {
        for (; length > 0; length--)
            step(lexer);
        skip_blank(lexer, false);
    }
    if ((map == NULL && !is_name) || peek(lexer, 0) != '=' || peek(lexer, 1) == '=') {
        bool changes = map != NULL && (peek(lexer, 0) == '[' || peek(lexer, 0) == '.' || peek(lexer, 1) == '=' ||
                                       peek(lexer, 0) == ':');
        if (changes)
            return refuse(&start, here(&start), "'%s' must be set once, to a dictionary of texts", name);
        *lexer = start;
        return skip_logical_line(lexer);
    }
    step(lexer);
    if (map != NULL)
        return take_map(lexer, name, map) && skip_logical_line(lexer);
    return skip_logical_line(lexer); /* `name` is decorative: the folder names the stage */
}

/* The indentation of the next line that holds something, tabs counting to the next multiple of eight; the lexer stands
 * on its first word. */
static bool next_line(struct lexer *lexer, unsigned *indent)
{
    while (lexer->at < lexer->end) {
        unsigned width = 0;
        while (peek(lexer, 0) == ' ' || peek(lexer, 0) == '\t' || peek(lexer, 0) == '\f') {
            width = peek(lexer, 0) == '\t' ? (width / 8 + 1) * 8 : peek(lexer, 0) == '\f' ? 0 : width + 1;
            step(lexer);
        }
        skip_blank(lexer, false);
        if (lexer->at >= lexer->end)
            return false;
        if (peek(lexer, 0) != '\n') {
            *indent = width;
            return true;
        }
        step(lexer);
    }
    return false;
}

static bool take_body(struct lexer *lexer, struct metadata *metadata, unsigned class_indent)
{
    unsigned indent, body = 0;
    bool over = false;
    while (!over && next_line(lexer, &indent)) {
        if (indent <= class_indent)
            return true;
        if (body == 0)
            body = indent;
        if (indent != body)
            return refuse(lexer, here(lexer), "the lines of class Stage are not indented alike");
        if (!take_statement(lexer, metadata, &over))
            return false;
    }
    return true;
}

/* At "class": true when it is `class Stage` with or without bases; the lexer then stands behind the ':'. */
static bool take_class_head(struct lexer *lexer)
{
    for (size_t length = word_length(lexer); length > 0; length--)
        step(lexer);
    skip_blank(lexer, false);
    size_t length = word_length(lexer);
    if (!word_is(lexer, length, "Stage"))
        return false;
    for (; length > 0; length--)
        step(lexer);
    unsigned depth = 0;
    while (lexer->at < lexer->end) {
        skip_blank(lexer, depth > 0);
        char c = peek(lexer, 0);
        if (c == '(')
            depth++;
        if (c == ')' && depth > 0)
            depth--;
        if (c == '\n' && depth == 0)
            return false;
        step(lexer);
        if (c == ':' && depth == 0)
            return true;
    }
    return false;
}

bool metadata_parse(const char *bytes, size_t length, const char *shown_path, struct metadata *metadata,
                    struct problems *problems)
{
    struct lexer lexer = {
        .at = bytes, .end = bytes + length, .line_start = bytes, .line = 1, .file = shown_path, .problems = problems};
    struct place whole = {.file = shown_path};
    if (length > METADATA_FILE_LIMIT)
        return refuse(&lexer, whole, "a run.py of more than 1 MiB is not read");
    if (!text_is_utf8(bytes, length) || memchr(bytes, '\0', length) != NULL)
        return refuse(&lexer, whole, "the file is not UTF-8 text");
    if (length >= 3 && memcmp(bytes, "\xEF\xBB\xBF", 3) == 0)
        lexer.at = lexer.line_start = bytes + 3;
    unsigned indent;
    while (next_line(&lexer, &indent)) {
        if (word_is(&lexer, word_length(&lexer), "class")) {
            struct lexer start = lexer;
            if (take_class_head(&lexer)) {
                if (!at_line_end(&lexer))
                    return refuse(&start, here(&start),
                                  "the attributes of class Stage must stand on lines of their own");
                return take_body(&lexer, metadata, indent);
            }
            lexer = start;
        }
        if (!skip_logical_line(&lexer))
            return false;
    }
    return refuse(&lexer, whole, "there is no class Stage in this file");
}

bool metadata_read(const char *path, struct metadata *metadata, struct problems *problems)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(text_clear) struct text bytes = TEXT_INIT;
    if (!file_read(path, METADATA_FILE_LIMIT, &bytes, &error)) {
        problem_from_error(problems, &error);
        return false;
    }
    return metadata_parse(text_bytes(&bytes), bytes.length, path, metadata, problems);
}

static void map_clear(struct metadata_map *map)
{
    for (size_t i = 0; i < map->entries.count; i++) {
        memory_free(map->entries.items[i].key);
        memory_free(map->entries.items[i].value);
    }
    list_clear(&map->entries);
}

void metadata_clear(struct metadata *metadata)
{
    map_clear(&metadata->config);
    map_clear(&metadata->inputs);
    map_clear(&metadata->outputs);
    *metadata = (struct metadata){0};
}
