/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * run.py's literals without Python.
 *
 * How it works: a scanner walks logical lines (brackets, strings and backslashes join physical ones), so that nothing
 * inside a docstring or a call is taken for a statement. The body of `class Stage` is read until its first `def`,
 * decorator or dedent; of its assignments only the four known names are parsed, by a parser that knows texts and
 * dictionaries of texts and nothing else.
 */
#include "pipeline/run_py.h"

#include <ctype.h>
#include <string.h>

#include "base/text.h"

#define ADVICE "write what the stage reads and writes into a stage.yaml beside it"
#define BRACKETS_LIMIT 1000

struct scanner {
    const char *bytes;
    size_t length, at, line_start;
    uint32_t line;
    const char *file;
    struct problems *problems;
    bool failed;
};

static int peek(const struct scanner *scanner, size_t ahead)
{
    size_t at = scanner->at + ahead;
    return at < scanner->length ? (unsigned char)scanner->bytes[at] : -1;
}

static void step(struct scanner *scanner)
{
    if (scanner->bytes[scanner->at] == '\n') {
        scanner->line++;
        scanner->line_start = scanner->at + 1;
    }
    scanner->at++;
}

static void steps(struct scanner *scanner, size_t count)
{
    while (count-- > 0 && scanner->at < scanner->length)
        step(scanner);
}

static struct place scanner_place(const struct scanner *scanner)
{
    uint32_t column = 1;
    for (size_t at = scanner->line_start; at < scanner->at; at++)
        column += ((unsigned char)scanner->bytes[at] & 0xc0) != 0x80;
    return (struct place){.file = scanner->file, .line = scanner->line, .column = column};
}

static bool refuse(struct scanner *scanner, struct place place, const char *what)
{
    if (!scanner->failed)
        problem_add(scanner->problems, PROBLEM_ERROR, place, ADVICE, "%s", what);
    scanner->failed = true;
    return false;
}

static void skip_comment(struct scanner *scanner)
{
    while (scanner->at < scanner->length && peek(scanner, 0) != '\n')
        step(scanner);
}

/* Between the parts of a literal: blanks, and inside brackets also line ends and comments. */
static void skip_blank(struct scanner *scanner, bool inside)
{
    for (;;) {
        int next = peek(scanner, 0);
        if (next == ' ' || next == '\t' || next == '\f' || (next == '\r' && inside) || (next == '\n' && inside))
            step(scanner);
        else if (next == '\\' && (peek(scanner, 1) == '\n' || (peek(scanner, 1) == '\r' && peek(scanner, 2) == '\n')))
            steps(scanner, peek(scanner, 1) == '\n' ? 2 : 3);
        else if (next == '#' && inside)
            skip_comment(scanner);
        else
            return;
    }
}

static bool is_name_character(int character)
{
    return character == '_' || (character >= 0 && (isalnum(character) || character >= 0x80));
}

static size_t name_length(const struct scanner *scanner)
{
    size_t length = 0;
    if (isdigit(peek(scanner, 0)))
        return 0;
    while (is_name_character(peek(scanner, length)))
        length++;
    return length;
}

static bool at_word(const struct scanner *scanner, const char *word)
{
    size_t length = strlen(word);
    return name_length(scanner) == length && memcmp(scanner->bytes + scanner->at, word, length) == 0;
}

/* 3 for a triple quote, 1 for a single one. */
static size_t quote_width(const struct scanner *scanner)
{
    int quote = peek(scanner, 0);
    return peek(scanner, 1) == quote && peek(scanner, 2) == quote ? 3 : 1;
}

static bool at_quote(const struct scanner *scanner)
{
    return peek(scanner, 0) == '"' || peek(scanner, 0) == '\'';
}

static bool ends_here(const struct scanner *scanner, int quote, size_t width)
{
    for (size_t i = 0; i < width; i++) {
        if (peek(scanner, i) != quote)
            return false;
    }
    return true;
}

/* Over a text that does not matter; an unterminated one ends with the file or, single quoted, with its line. */
static void skip_string(struct scanner *scanner)
{
    int quote = peek(scanner, 0);
    size_t width = quote_width(scanner);
    steps(scanner, width);
    while (scanner->at < scanner->length && !ends_here(scanner, quote, width)) {
        if (width == 1 && peek(scanner, 0) == '\n')
            return;
        steps(scanner, peek(scanner, 0) == '\\' ? 2 : 1);
    }
    steps(scanner, width);
}

/* To the end of the logical line, the newline included. */
static void skip_statement(struct scanner *scanner)
{
    size_t open = 0;
    while (scanner->at < scanner->length) {
        int next = peek(scanner, 0);
        if (next == '#') {
            skip_comment(scanner);
        } else if (at_quote(scanner)) {
            skip_string(scanner);
        } else if (next == '\\') {
            steps(scanner, 2);
        } else if (next == '\n' && open == 0) {
            step(scanner);
            return;
        } else {
            open += next == '(' || next == '[' || next == '{';
            open -= (next == ')' || next == ']' || next == '}') && open > 0;
            step(scanner);
        }
    }
}

static void append_code_point(struct text *text, uint32_t code)
{
    if (code < 0x80) {
        text_append_character(text, (char)code);
    } else if (code < 0x800) {
        text_append_character(text, (char)(0xc0 | code >> 6));
        text_append_character(text, (char)(0x80 | (code & 0x3f)));
    } else if (code < 0x10000) {
        text_append_character(text, (char)(0xe0 | code >> 12));
        text_append_character(text, (char)(0x80 | (code >> 6 & 0x3f)));
        text_append_character(text, (char)(0x80 | (code & 0x3f)));
    } else {
        text_append_character(text, (char)(0xf0 | code >> 18));
        text_append_character(text, (char)(0x80 | (code >> 12 & 0x3f)));
        text_append_character(text, (char)(0x80 | (code >> 6 & 0x3f)));
        text_append_character(text, (char)(0x80 | (code & 0x3f)));
    }
}

static bool parse_hex(struct scanner *scanner, size_t digits, struct text *text)
{
    struct place place = scanner_place(scanner);
    uint32_t code = 0;
    for (size_t i = 0; i < digits; i++) {
        int digit = peek(scanner, 0);
        if (!isxdigit(digit))
            return refuse(scanner, place, "an escape in this text has too few hexadecimal digits");
        code = code << 4 | (uint32_t)(isdigit(digit) ? digit - '0' : tolower(digit) - 'a' + 10);
        step(scanner);
    }
    if (code == 0 || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        return refuse(scanner, place, "an escape in this text is no character");
    append_code_point(text, code);
    return true;
}

static bool parse_escape(struct scanner *scanner, struct text *text)
{
    static const char letters[] = "\\'\"abfnrtv", values[] = "\\'\"\a\b\f\n\r\t\v";
    struct place place = scanner_place(scanner);
    step(scanner);
    int letter = peek(scanner, 0);
    if (letter < 0)
        return refuse(scanner, place, "a text has no end");
    if (letter == '\n') {
        step(scanner);
        return true;
    }
    if (letter == 'x' || letter == 'u' || letter == 'U') {
        step(scanner);
        return parse_hex(scanner, letter == 'x' ? 2 : letter == 'u' ? 4 : 8, text);
    }
    const char *known = letter ? strchr(letters, letter) : NULL;
    if (!known)
        return refuse(scanner, place, "an escape in this text cannot be read without Python");
    text_append_character(text, values[known - letters]);
    step(scanner);
    return true;
}

static bool parse_quoted(struct scanner *scanner, bool raw, struct text *text)
{
    struct place place = scanner_place(scanner);
    int quote = peek(scanner, 0);
    size_t width = quote_width(scanner);
    steps(scanner, width);
    while (!ends_here(scanner, quote, width)) {
        int next = peek(scanner, 0);
        if (next < 0 || (next == '\n' && width == 1))
            return refuse(scanner, place, "a text has no end");
        if (next == '\0')
            return refuse(scanner, place, "a text holds a NUL byte");
        if (text->length >= RUN_PY_TEXT_LIMIT)
            return refuse(scanner, place, "a text is longer than 4096 bytes");
        if (next == '\\' && raw && peek(scanner, 1) >= 0) {
            text_append_bytes(text, scanner->bytes + scanner->at, 2);
            steps(scanner, 2);
        } else if (next == '\\') {
            if (!parse_escape(scanner, text))
                return false;
        } else {
            text_append_character(text, (char)next);
            step(scanner);
        }
    }
    steps(scanner, width);
    return true;
}

/* r"...", u'...'; refuses f"..." and b"...". On success the scanner stands at the quote. */
static bool parse_string_prefix(struct scanner *scanner, bool *raw)
{
    struct place place = scanner_place(scanner);
    *raw = false;
    size_t length = name_length(scanner);
    int quote = peek(scanner, length);
    if (length > 2 || (quote != '"' && quote != '\''))
        return refuse(scanner, place, "only texts in quotes can be read here without running Python");
    for (size_t i = 0; i < length; i++) {
        int letter = tolower(peek(scanner, 0));
        if (letter != 'r' && letter != 'u')
            return refuse(scanner, place,
                          letter == 'f' ? "a formatted text (f\"...\") can only be known by running Python"
                                        : "bytes (b\"...\") are not a text");
        *raw |= letter == 'r';
        step(scanner);
    }
    return true;
}

/* One text: adjacent ones are joined, brackets around it are fine. */
static bool parse_text(struct scanner *scanner, bool inside, struct text *text)
{
    size_t open = 0;
    while (peek(scanner, 0) == '(' && open < BRACKETS_LIMIT) {
        open++;
        step(scanner);
        skip_blank(scanner, true);
    }
    do {
        bool raw = false;
        if (!parse_string_prefix(scanner, &raw) || !parse_quoted(scanner, raw, text))
            return false;
        skip_blank(scanner, inside || open > 0);
    } while (at_quote(scanner) || (name_length(scanner) > 0 && name_length(scanner) <= 2));
    for (; open > 0; open--) {
        if (peek(scanner, 0) != ')')
            return refuse(scanner, scanner_place(scanner),
                          "only texts in quotes can be read here without running Python");
        step(scanner);
        skip_blank(scanner, inside || open > 1);
    }
    return true;
}

static bool entry_is_new(struct scanner *scanner, const struct run_py_entries *entries, const char *tag,
                         struct place place)
{
    if (entries->count >= RUN_PY_ENTRIES_LIMIT)
        return refuse(scanner, place, "this dictionary has more than 1000 entries");
    for (size_t i = 0; i < entries->count; i++) {
        if (text_equal(entries->items[i].tag, tag)) {
            cleanup(memory_free) char *what = memory_format("'%s' stands twice in this dictionary", tag);
            return refuse(scanner, place, what);
        }
    }
    return true;
}

static bool parse_entry(struct scanner *scanner, struct run_py_entries *entries)
{
    cleanup(text_clear) struct text tag = TEXT_INIT, value = TEXT_INIT;
    struct place place = scanner_place(scanner);
    if (!parse_text(scanner, true, &tag) || !entry_is_new(scanner, entries, text_bytes(&tag), place))
        return false;
    if (peek(scanner, 0) != ':')
        return refuse(scanner, scanner_place(scanner), "a ':' is missing after the tag");
    step(scanner);
    skip_blank(scanner, true);
    if (!parse_text(scanner, true, &value))
        return false;
    struct run_py_entry *entry = list_grow(entries);
    entry->tag = memory_copy_text(text_bytes(&tag));
    entry->value = memory_copy_text(text_bytes(&value));
    entry->line = place.line;
    entry->column = place.column;
    return true;
}

static bool parse_dictionary(struct scanner *scanner, struct run_py_entries *entries)
{
    if (peek(scanner, 0) != '{')
        return refuse(scanner, scanner_place(scanner),
                      "only a dictionary of texts, {\"tag\": \"suffix\"}, can be read here without running Python");
    step(scanner);
    skip_blank(scanner, true);
    while (peek(scanner, 0) != '}') {
        if (!parse_entry(scanner, entries))
            return false;
        if (peek(scanner, 0) == ',') {
            step(scanner);
            skip_blank(scanner, true);
        } else if (peek(scanner, 0) != '}') {
            return refuse(scanner, scanner_place(scanner), "a ',' or '}' is missing after this entry");
        }
    }
    step(scanner);
    return true;
}

/* Nothing may follow a literal on its line: `{} if x else y` is not a literal. */
static bool parse_line_end(struct scanner *scanner)
{
    skip_blank(scanner, false);
    int next = peek(scanner, 0);
    if (next == '\r' || next == '#' || next == '\n' || next < 0 || next == ';') {
        skip_statement(scanner);
        return true;
    }
    return refuse(scanner, scanner_place(scanner), "what stands here can only be known by running Python");
}

static void entries_clear(struct run_py_entries *entries)
{
    for (size_t i = 0; i < entries->count; i++) {
        memory_free(entries->items[i].tag);
        memory_free(entries->items[i].value);
    }
    list_clear(entries);
}

void run_py_clear(struct run_py *run_py)
{
    entries_clear(&run_py->config);
    entries_clear(&run_py->inputs);
    entries_clear(&run_py->outputs);
    memory_free(run_py->name);
    *run_py = (struct run_py){0};
}

static bool parse_dictionary_of(struct scanner *scanner, struct run_py_entries *entries, bool *has)
{
    entries_clear(entries); /* as in Python, the last assignment counts */
    *has = true;
    return parse_dictionary(scanner, entries) && parse_line_end(scanner);
}

static bool parse_name(struct scanner *scanner, struct run_py *run_py)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    if (!parse_text(scanner, false, &text))
        return false;
    memory_free(run_py->name);
    run_py->name = memory_copy_text(text_bytes(&text));
    return parse_line_end(scanner);
}

/* At the first word of a statement of the class body. */
static bool parse_class_statement(struct scanner *scanner, struct run_py *run_py)
{
    static const char *const known[] = {"name", "config", "inputs", "outputs"};
    size_t which = 0;
    while (which < 4 && !at_word(scanner, known[which]))
        which++;
    struct scanner ahead = *scanner;
    steps(&ahead, name_length(&ahead));
    skip_blank(&ahead, false);
    if (which == 4 || peek(&ahead, 0) == '(' || peek(&ahead, 0) == '.' ||
        (peek(&ahead, 0) == '=' && peek(&ahead, 1) == '=')) {
        skip_statement(scanner);
        return true;
    }
    *scanner = ahead;
    if (peek(scanner, 0) != '=')
        return refuse(scanner, scanner_place(scanner), "what stands here can only be known by running Python");
    step(scanner);
    skip_blank(scanner, false);
    switch (which) {
    case 0:
        return parse_name(scanner, run_py);
    case 1:
        return parse_dictionary_of(scanner, &run_py->config, &run_py->has_config);
    case 2:
        return parse_dictionary_of(scanner, &run_py->inputs, &run_py->has_inputs);
    default:
        return parse_dictionary_of(scanner, &run_py->outputs, &run_py->has_outputs);
    }
}

/* Over blank lines and comments to the next statement; its indentation, or -1 at the end of the file. */
static int next_statement(struct scanner *scanner)
{
    for (;;) {
        int indentation = 0;
        while (peek(scanner, 0) == ' ' || peek(scanner, 0) == '\t' || peek(scanner, 0) == '\f') {
            indentation += peek(scanner, 0) == '\t' ? 8 - indentation % 8 : 1;
            step(scanner);
        }
        int next = peek(scanner, 0);
        if (next < 0)
            return -1;
        if (next == '#')
            skip_comment(scanner);
        else if (next == '\r' || next == '\n')
            step(scanner);
        else
            return indentation;
    }
}

static bool parse_class_body(struct scanner *scanner, struct run_py *run_py)
{
    int body = next_statement(scanner);
    for (int indentation = body; indentation >= body && body > 0; indentation = next_statement(scanner)) {
        if (at_word(scanner, "def") || at_word(scanner, "async") || peek(scanner, 0) == '@')
            return true;
        if (indentation > body) {
            skip_statement(scanner); /* inside an `if` or a `for`, which only Python can follow */
            continue;
        }
        if (!parse_class_statement(scanner, run_py))
            return false;
    }
    return true;
}

/* `class Stage` or `class Stage(bases):`, the scanner after its colon's line. */
static bool at_class_stage(struct scanner *scanner)
{
    if (!at_word(scanner, "class"))
        return false;
    struct scanner ahead = *scanner;
    steps(&ahead, strlen("class"));
    skip_blank(&ahead, false);
    return at_word(&ahead, "Stage");
}

static void read_shebang(const struct scanner *scanner, struct run_py *run_py)
{
    run_py->is_python = true;
    if (peek(scanner, 0) != '#' || peek(scanner, 1) != '!')
        return;
    run_py->has_shebang = true;
    const char *end = memchr(scanner->bytes, '\n', scanner->length);
    size_t length = end ? (size_t)(end - scanner->bytes) : scanner->length;
    cleanup(memory_free) char *line = memory_copy_bytes(scanner->bytes, length);
    run_py->is_python = strstr(line, "python") != NULL;
}

bool run_py_parse(const char *bytes, size_t length, const char *file, struct run_py *run_py, struct problems *problems)
{
    *run_py = (struct run_py){0};
    struct scanner scanner = {.bytes = bytes, .length = length, .line = 1, .file = file, .problems = problems};
    if (length > RUN_PY_BYTES_LIMIT)
        return refuse(&scanner, (struct place){.file = file}, "the file is larger than 4 MiB");
    if (length >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0)
        scanner.at = scanner.line_start = 3;
    read_shebang(&scanner, run_py);
    if (!run_py->is_python)
        return true; /* another language: it describes itself in stage.yaml */
    while (next_statement(&scanner) >= 0) {
        if (!at_class_stage(&scanner)) {
            skip_statement(&scanner);
            continue;
        }
        if (run_py->has_class)
            return refuse(&scanner, scanner_place(&scanner), "there is a second class 'Stage'");
        run_py->has_class = true;
        run_py->line = scanner.line;
        skip_statement(&scanner);
        if (!parse_class_body(&scanner, run_py))
            return false;
    }
    return !scanner.failed;
}
