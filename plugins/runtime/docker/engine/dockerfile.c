/* SPDX-License-Identifier: BSD-3-Clause */
/* FROM and ARG lines of a Dockerfile, with ${NAME}, ${NAME:-word} and ${NAME:+word} filled in. */
#include "engine/dockerfile.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { LINE_LIMIT = 16384, VALUE_LIMIT = 1024 };

struct reading {
    const char *const *arguments;
    struct texts defaults; /* "NAME=value" of ARG lines before the first FROM */
    struct texts stages;
    struct texts *bases;
    bool began; /* a FROM was seen */
};

static const char *find_value(const char *const *list, const char *name, size_t length)
{
    for (; list != NULL && *list != NULL; list++) {
        if (strncmp(*list, name, length) == 0 && (*list)[length] == '=') {
            return *list + length + 1;
        }
    }
    return NULL;
}

static const char *value_of(const struct reading *reading, const char *name, size_t length)
{
    const char *declared = find_value(texts_list(&reading->defaults), name, length);
    const char *given = declared != NULL ? find_value(reading->arguments, name, length) : NULL;
    return given != NULL ? given : declared;
}

static size_t name_length(const char *text)
{
    return strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
}

/* Behind the '$'; returns what follows. NULL: not understood. */
static const char *fill_variable(const struct reading *reading, const char *text, struct bytes *into)
{
    bool braces = *text == '{';
    text += braces ? 1 : 0;
    size_t length = name_length(text);
    const char *value = value_of(reading, text, length);
    const char *rest = text + length;
    if (length == 0) {
        return NULL;
    }
    if (!braces) {
        bytes_add_text(into, value != NULL ? value : "");
        return rest;
    }
    const char *end = strchr(rest, '}');
    bool set = value != NULL && value[0] != '\0';
    if (end == NULL || memchr(rest, '$', (size_t)(end - rest)) != NULL) {
        return NULL;
    }
    if (end == rest) {
        bytes_add_text(into, value != NULL ? value : "");
    } else if (rest[0] == ':' && rest[1] == '-') {
        bytes_add(into, set ? value : rest + 2, set ? strlen(value) : (size_t)(end - rest) - 2);
    } else if (rest[0] == ':' && rest[1] == '+') {
        bytes_add(into, rest + 2, set ? (size_t)(end - rest) - 2 : 0);
    } else {
        return NULL;
    }
    return end + 1;
}

static bool fill(const struct reading *reading, const char *text, struct bytes *into)
{
    while (text != NULL && *text != '\0' && into->length <= VALUE_LIMIT) {
        if (*text == '$') {
            text = fill_variable(reading, text + 1, into);
        } else {
            text += *text == '"' || *text == '\'' ? 1 : 0;
            text += *text != '\0' && *text != '$' && bytes_add(into, text, 1) ? 1 : 0;
        }
    }
    return text != NULL && into->length <= VALUE_LIMIT;
}

/* The next word of a line, ended by NUL in place; NULL: none. */
static char *next_word(char **line)
{
    char *word = *line + strspn(*line, " \t");
    size_t length = strcspn(word, " \t");
    if (length == 0) {
        return NULL;
    }
    *line = word + length + (word[length] != '\0' ? 1 : 0);
    word[length] = '\0';
    return word;
}

static bool has_text(const struct texts *texts, const char *text)
{
    for (const char *const *item = texts_list(texts); *item != NULL; item++) {
        if (strcasecmp(*item, text) == 0) {
            return true;
        }
    }
    return false;
}

static void read_from(struct reading *reading, char *line)
{
    struct bytes image = {0};
    char *word = next_word(&line);
    reading->began = true;
    while (word != NULL && strncmp(word, "--", 2) == 0) {
        word = next_word(&line);
    }
    bool known = word != NULL && fill(reading, word, &image) && image.length > 0;
    const char *text = bytes_text(&image);
    if (known && strcmp(text, "scratch") != 0 && !has_text(&reading->stages, text) && !has_text(reading->bases, text) &&
        reading->bases->count < DOCKERFILE_BASES_LIMIT) {
        texts_add(reading->bases, text);
    }
    bytes_clear(&image);
    word = word != NULL ? next_word(&line) : NULL;
    const char *name = word != NULL && strcasecmp(word, "AS") == 0 ? next_word(&line) : NULL;
    if (name != NULL) {
        texts_add(&reading->stages, name);
    }
}

static void read_arg(struct reading *reading, char *line)
{
    for (char *word = next_word(&line); word != NULL; word = next_word(&line)) {
        struct bytes value = {0};
        const char *equals = strchr(word, '=');
        size_t length = equals != NULL ? (size_t)(equals - word) : strlen(word);
        if (equals == NULL || fill(reading, equals + 1, &value)) {
            texts_format(&reading->defaults, "%.*s=%s", (int)length, word, bytes_text(&value));
        }
        bytes_clear(&value);
    }
}

static void read_instruction(struct reading *reading, char *line)
{
    char *word = next_word(&line);
    if (word != NULL && strcasecmp(word, "FROM") == 0) {
        read_from(reading, line);
    } else if (word != NULL && strcasecmp(word, "ARG") == 0 && !reading->began) {
        read_arg(reading, line);
    }
}

/* Adds a line to the instruction; true when it goes on. */
static bool join_line(struct bytes *instruction, const char *line, size_t length)
{
    while (length > 0 && (line[length - 1] == '\r' || line[length - 1] == ' ' || line[length - 1] == '\t')) {
        length--;
    }
    bool goes_on = length > 0 && line[length - 1] == '\\';
    length -= goes_on ? 1 : 0;
    if (instruction->length + length <= LINE_LIMIT) {
        bytes_add(instruction, line, length);
    }
    return goes_on;
}

bool dockerfile_bases(const char *text, size_t length, const char *const *arguments, struct texts *bases)
{
    struct reading reading = {.arguments = arguments, .bases = bases};
    struct bytes instruction = {0};
    if (memchr(text, '\0', length) != NULL) {
        length = (size_t)((const char *)memchr(text, '\0', length) - text);
    }
    for (const char *end = text + length; text < end; text++) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *line = text;
        text = newline != NULL ? newline : end;
        const char *first = line;
        while (first < text && (*first == ' ' || *first == '\t')) {
            first++;
        }
        if (first < text && *first == '#') {
            continue; /* a comment, also within an instruction */
        }
        if (join_line(&instruction, line, (size_t)(text - line)) && text < end) {
            continue;
        }
        if (instruction.data != NULL) {
            read_instruction(&reading, instruction.data);
        }
        bytes_clear(&instruction);
    }
    bool done = !reading.defaults.failed && !reading.stages.failed && !bases->failed;
    texts_clear(&reading.defaults);
    texts_clear(&reading.stages);
    bytes_clear(&instruction);
    return done;
}
