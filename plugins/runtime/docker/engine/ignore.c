/* SPDX-License-Identifier: BSD-3-Clause */
/* Patterns as lists of tokens, and a walk through a path that keeps all places in the pattern where it may be. */
#include "engine/ignore.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind {
    LETTER,      /* this byte */
    ANY_LETTER,  /* `?`: any byte but '/' */
    ONE_OF,      /* `[...]` */
    ANY_LETTERS, /* `*`: any number of bytes but '/' */
    ANY_FOLDERS, /* `**` followed by more: nothing, or anything that ends with '/' */
    ANYTHING     /* `**` at the end */
};

struct token {
    uint8_t kind;
    unsigned char letter;
    bool inverted;
    uint8_t set[32]; /* ONE_OF: a bit for each byte */
};

struct ignore_pattern {
    struct token *tokens;
    size_t count;
    bool takes_back;
};

static void set_add(struct token *token, unsigned char low, unsigned char high)
{
    for (unsigned value = low; value <= high; value++) {
        token->set[value / 8] |= (uint8_t)(1u << value % 8);
    }
}

static bool set_has(const struct token *token, unsigned char letter)
{
    return (token->set[letter / 8] >> letter % 8 & 1) != 0;
}

/* One letter of a class, perhaps behind a backslash; NULL at the end. */
static const char *class_letter(const char *text, const char *end, unsigned char *letter)
{
    if (text < end && *text == '\\') {
        text++;
    }
    if (text >= end) {
        return NULL;
    }
    *letter = (unsigned char)*text;
    return text + 1;
}

/* Behind the '['; returns what follows the ']', NULL when there is none. */
static const char *read_class(const char *text, const char *end, struct token *token)
{
    bool first = true;
    token->kind = ONE_OF;
    token->inverted = text < end && *text == '^';
    text += token->inverted ? 1 : 0;
    while (text != NULL && text < end && (first || *text != ']')) {
        unsigned char low = 0, high = 0;
        first = false;
        text = class_letter(text, end, &low);
        high = low;
        if (text != NULL && text < end && *text == '-') {
            text = class_letter(text + 1, end, &high);
        }
        if (text != NULL && high < low) {
            return NULL;
        }
        if (text != NULL) {
            set_add(token, low, high);
        }
    }
    return text != NULL && text < end ? text + 1 : NULL;
}

/* `**`, and the slash behind it with it. */
static const char *read_folders(const char *text, const char *end, struct token *token)
{
    text += 2;
    if (text < end && *text == '/') {
        text++;
    }
    token->kind = text < end ? ANY_FOLDERS : ANYTHING;
    return text;
}

static const char *read_token(const char *text, const char *end, struct token *token)
{
    *token = (struct token){.kind = LETTER};
    if (*text == '*' && text + 1 < end && text[1] == '*') {
        return read_folders(text, end, token);
    }
    if (*text == '*' || *text == '?') {
        token->kind = *text == '*' ? ANY_LETTERS : ANY_LETTER;
        return text + 1;
    }
    if (*text == '[') {
        return read_class(text + 1, end, token);
    }
    if (*text == '\\' && ++text == end) {
        return NULL;
    }
    token->letter = (unsigned char)*text;
    return text + 1;
}

/* Lexically, as Go's filepath.Clean does it: no empty or "." components, ".." takes one back. In place. */
static size_t clean(char *text)
{
    char *to = text, *from = text;
    while (*from != '\0') {
        size_t length = strcspn(from, "/");
        bool nothing = length == 0 || (length == 1 && from[0] == '.');
        if (length == 2 && memcmp(from, "..", 2) == 0 && to > text) {
            while (to > text && *--to != '/') {
            }
        } else if (!nothing) {
            if (to > text) {
                *to++ = '/';
            }
            memmove(to, from, length);
            to += length;
        }
        from += length;
        from += *from == '/' ? 1 : 0;
    }
    *to = '\0';
    return (size_t)(to - text);
}

static bool add_pattern(struct ignore *ignore, const char *text, size_t length, bool takes_back)
{
    struct ignore_pattern *more = realloc(ignore->patterns, (ignore->count + 1) * sizeof(*more));
    if (more == NULL) {
        return false;
    }
    ignore->patterns = more;
    struct ignore_pattern *pattern = &more[ignore->count];
    *pattern = (struct ignore_pattern){.takes_back = takes_back, .tokens = calloc(length, sizeof(struct token))};
    if (pattern->tokens == NULL) {
        return false;
    }
    ignore->count++;
    for (const char *place = text, *end = text + length; place < end;) {
        place = read_token(place, end, &pattern->tokens[pattern->count++]);
        if (place == NULL) {
            return false;
        }
    }
    ignore->takes_back = ignore->takes_back || takes_back;
    return true;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

static bool read_line(struct ignore *ignore, const char *line, size_t length)
{
    bool comment = length > 0 && line[0] == '#';
    while (length > 0 && is_space(line[length - 1])) {
        length--;
    }
    while (length > 0 && is_space(*line)) {
        line++;
        length--;
    }
    bool takes_back = length > 0 && *line == '!';
    size_t skipped = takes_back ? 1 : 0;
    while (takes_back && skipped < length && is_space(line[skipped])) {
        skipped++;
    }
    if (comment || length == skipped) {
        return comment || !takes_back; /* a lone '!' is an error, for Docker too */
    }
    char *pattern = strndup(line + skipped, length - skipped);
    size_t size = pattern != NULL ? clean(pattern) : 0;
    bool done = pattern != NULL && size <= IGNORE_TOKENS_LIMIT && ignore->count < IGNORE_PATTERNS_LIMIT &&
                (size == 0 || add_pattern(ignore, pattern, size, takes_back));
    free(pattern);
    return done;
}

bool ignore_read(const char *text, size_t length, struct ignore *ignore, char *words, size_t words_size)
{
    unsigned number = 0;
    if (length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        length -= 3;
    }
    for (const char *end = text + length; text < end; text++) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *line = text;
        text = newline != NULL ? newline : end;
        number++;
        if (!read_line(ignore, line, (size_t)(text - line))) {
            snprintf(words, words_size, "line %u of its .dockerignore is no pattern, or too long", number);
            return false;
        }
    }
    return true;
}

/* Where in the pattern the walk may stand: before token i, or within the folders that token i stands for. */
struct places {
    bool before[IGNORE_TOKENS_LIMIT + 1], within[IGNORE_TOKENS_LIMIT + 1];
};

/* What may be empty is stepped over. */
static void step_over(const struct ignore_pattern *pattern, struct places *places)
{
    for (size_t i = 0; i < pattern->count; i++) {
        uint8_t kind = pattern->tokens[i].kind;
        if (places->before[i] && (kind == ANY_LETTERS || kind == ANY_FOLDERS || kind == ANYTHING)) {
            places->before[i + 1] = true;
        }
    }
}

static bool takes(const struct token *token, unsigned char letter)
{
    switch (token->kind) {
    case LETTER:
        return token->letter == letter;
    case ANY_LETTER:
        return letter != '/';
    case ONE_OF:
        return letter != '/' && set_has(token, letter) != token->inverted;
    default:
        return false;
    }
}

static bool advance(const struct ignore_pattern *pattern, const struct places *from, struct places *to,
                    unsigned char letter)
{
    bool anywhere = false;
    memset(to->before, 0, (pattern->count + 1) * sizeof(bool));
    memset(to->within, 0, (pattern->count + 1) * sizeof(bool));
    for (size_t i = 0; i < pattern->count; i++) {
        const struct token *token = &pattern->tokens[i];
        if (token->kind == ANY_FOLDERS && (from->before[i] || from->within[i])) {
            to->within[i] = anywhere = true;
            to->before[i + 1] = to->before[i + 1] || letter == '/';
        } else if (from->before[i] && (token->kind == ANYTHING || (token->kind == ANY_LETTERS && letter != '/'))) {
            to->before[i] = anywhere = true;
        } else if (from->before[i] && takes(token, letter)) {
            to->before[i + 1] = anywhere = true;
        }
    }
    return anywhere;
}

/* The pattern fits the whole path, or a folder that it is in. */
static bool fits(const struct ignore_pattern *pattern, const char *path)
{
    struct places one, other, *here = &one, *next = &other;
    memset(here->before, 0, (pattern->count + 1) * sizeof(bool));
    memset(here->within, 0, (pattern->count + 1) * sizeof(bool));
    here->before[0] = true;
    for (;; path++) {
        step_over(pattern, here);
        if (here->before[pattern->count] && (*path == '\0' || *path == '/')) {
            return true;
        }
        if (*path == '\0' || !advance(pattern, here, next, (unsigned char)*path)) {
            return false;
        }
        struct places *last = here;
        here = next;
        next = last;
    }
}

bool ignore_matches(const struct ignore *ignore, const char *path)
{
    bool ignored = false;
    for (size_t i = 0; i < ignore->count; i++) {
        if (ignore->patterns[i].takes_back == ignored && fits(&ignore->patterns[i], path)) {
            ignored = !ignore->patterns[i].takes_back;
        }
    }
    return ignored;
}

void ignore_clear(struct ignore *ignore)
{
    for (size_t i = 0; i < ignore->count; i++) {
        free(ignore->patterns[i].tokens);
    }
    free(ignore->patterns);
    *ignore = (struct ignore){0};
}
