/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads Dockerfiles.
 *
 * How it works: lines are joined to instructions first; of an instruction only its words are looked at, parted by
 * blanks. The lines of a here-document are skipped when the instruction that opens it has been read.
 */
#include "pipeline/dockerfile.h"

#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/path.h"
#include "base/text.h"

#define BLANKS " \t\r"
#define VALUE_LIMIT 65536 /* of an argument: defaults may double each other */

struct scanner {
    const char *at, *end;
    char escape;
    struct text instruction;
    struct dockerfile *dockerfile;
};

char *dockerfile_find(const char *folder)
{
    static const char *const names[] = {"Dockerfile", "dockerfile"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char *path = path_join(folder, names[i]);
        if (file_exists(path))
            return path;
        memory_free(path);
    }
    return NULL;
}

void dockerfile_clear(struct dockerfile *dockerfile)
{
    words_clear(&dockerfile->defaults);
    words_clear(&dockerfile->arguments);
    words_clear(&dockerfile->images);
    words_clear(&dockerfile->stages);
    words_clear(&dockerfile->copied);
}

/* Lines. */

/* The next line without its newline; false at the end. */
static bool next_line(struct scanner *scanner, const char **line, size_t *length)
{
    if (scanner->at >= scanner->end)
        return false;
    const char *newline = memchr(scanner->at, '\n', (size_t)(scanner->end - scanner->at));
    *line = scanner->at;
    *length = (size_t)((newline != NULL ? newline : scanner->end) - scanner->at);
    scanner->at = newline != NULL ? newline + 1 : scanner->end;
    if (*length > 0 && (*line)[*length - 1] == '\r')
        (*length)--;
    return true;
}

static size_t skip_blanks(const char *line, size_t length)
{
    size_t at = 0;
    while (at < length && strchr(BLANKS, line[at]) != NULL && line[at] != '\0')
        at++;
    return at;
}

/* "# escape=`" counts before everything else only. */
static void read_directives(struct scanner *scanner)
{
    for (;;) {
        const char *start = scanner->at, *line;
        size_t length;
        if (!next_line(scanner, &line, &length))
            return;
        size_t at = skip_blanks(line, length);
        cleanup(memory_free) char *text = memory_copy_bytes(line + at, length - at);
        const char *equals = text[0] == '#' ? strchr(text, '=') : NULL;
        const char *name = text + 1 + strspn(text[0] == '#' ? text + 1 : "", BLANKS);
        if (equals == NULL || name + strcspn(name, BLANKS "=") > equals) {
            scanner->at = start;
            return;
        }
        const char *value = equals + 1 + strspn(equals + 1, BLANKS);
        if (strncasecmp(name, "escape", 6) == 0 && (*value == '`' || *value == '\\'))
            scanner->escape = *value;
    }
}

/* One instruction with its continued lines, comments and empty lines between them left out. False at the end. */
static bool next_instruction(struct scanner *scanner)
{
    text_reset(&scanner->instruction);
    const char *line;
    size_t length;
    bool continued = false;
    while (next_line(scanner, &line, &length)) {
        size_t at = skip_blanks(line, length);
        if (at == length || line[at] == '#')
            continue;
        size_t last = length;
        while (last > at && strchr(BLANKS, line[last - 1]) != NULL && line[last - 1] != '\0')
            last--;
        continued = line[last - 1] == scanner->escape;
        text_append_bytes(&scanner->instruction, line + (scanner->instruction.length > 0 ? 0 : at),
                          last - (continued ? 1 : 0) - (scanner->instruction.length > 0 ? 0 : at));
        if (!continued)
            return true;
    }
    return scanner->instruction.length > 0;
}

static void skip_document(struct scanner *scanner, const char *name, bool tabs)
{
    const char *line;
    size_t length;
    while (next_line(scanner, &line, &length)) {
        while (tabs && length > 0 && *line == '\t') {
            line++;
            length--;
        }
        if (length == strlen(name) && memcmp(line, name, length) == 0)
            return;
    }
}

/* <<NAME, <<-NAME, <<"NAME": the documents follow in this order. "<<<" and a shift of numbers are none. */
static void skip_documents(struct scanner *scanner, const char *words)
{
    for (const char *at = words; (at = strstr(at, "<<")) != NULL;) {
        at += 2;
        bool tabs = *at == '-';
        at += tabs;
        char quote = *at == '"' || *at == '\'' ? *at : '\0';
        at += quote != '\0';
        size_t length =
            strspn(at, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-."); /* as BuildKit has it */
        if (length == 0 || (*at >= '0' && *at <= '9') || (quote != '\0' && at[length] != quote)) {
            at += strspn(at, "<");
            continue;
        }
        cleanup(memory_free) char *name = memory_copy_bytes(at, length);
        skip_document(scanner, name, tabs);
        at += length;
    }
}

/* Words. */

static bool has_word(const struct words *words, const char *word, size_t length)
{
    for (size_t i = 0; i < words->count; i++)
        if (strlen(words->items[i]) == length && strncmp(words->items[i], word, length) == 0)
            return true;
    return false;
}

/* The next word behind *at, owned; NULL at the end. Quotes around all of it are taken off. */
static char *next_word(const char **at)
{
    *at += strspn(*at, BLANKS);
    if (**at == '\0')
        return NULL;
    char quote = **at == '"' || **at == '\'' ? **at : '\0';
    const char *end = quote != '\0' ? strchr(*at + 1, quote) : NULL;
    if (end != NULL && (end[1] == '\0' || strchr(BLANKS, end[1]) != NULL)) {
        char *word = memory_copy_bytes(*at + 1, (size_t)(end - *at) - 1);
        *at = end + 1;
        return word;
    }
    size_t length = strcspn(*at, BLANKS);
    char *word = memory_copy_bytes(*at, length);
    *at += length;
    return word;
}

static void read_from(struct dockerfile *dockerfile, const char *at)
{
    cleanup(memory_free) char *image = NULL;
    while ((image = next_word(&at)) != NULL && strncmp(image, "--", 2) == 0)
        memory_free(steal(&image));
    if (image == NULL)
        return;
    cleanup(memory_free) char *as = next_word(&at);
    cleanup(memory_free) char *name = as != NULL && strcasecmp(as, "as") == 0 ? next_word(&at) : NULL;
    words_add(&dockerfile->images, image);
    words_add(&dockerfile->stages, name != NULL ? name : "");
}

/* ARG NAME[=VALUE] ..., where the quotes of a value are taken off. */
static void read_arguments(struct dockerfile *dockerfile, const char *at)
{
    for (;;) {
        cleanup(memory_free) char *word = next_word(&at);
        if (word == NULL)
            return;
        size_t length = strcspn(word, "=");
        size_t whole = strlen(word);
        if (word[length] == '=' && whole > length + 2 && strchr("\"'", word[length + 1]) != NULL &&
            word[whole - 1] == word[length + 1]) {
            memmove(word + length + 1, word + length + 2, whole - length - 3);
            word[whole - 2] = '\0';
        }
        if (length > 0 && !has_word(&dockerfile->arguments, word, length))
            words_take(&dockerfile->arguments, memory_copy_bytes(word, length));
        if (dockerfile->images.count == 0)
            words_add(&dockerfile->defaults, word);
    }
}

static void read_copied(struct dockerfile *dockerfile, const char *at)
{
    for (;;) {
        cleanup(memory_free) char *word = next_word(&at);
        if (word == NULL || strncmp(word, "--", 2) != 0)
            return;
        const char *mount = strncmp(word, "--mount=", 8) == 0 ? strstr(word, ",from=") : NULL;
        const char *from = strncmp(word, "--from=", 7) == 0 ? word + 7 : mount != NULL ? mount + 6 : NULL;
        if (from == NULL && strncmp(word, "--mount=from=", 13) == 0)
            from = word + 13;
        if (from != NULL)
            words_take(&dockerfile->copied, memory_copy_bytes(from, strcspn(from, ",")));
    }
}

bool dockerfile_parse(const char *bytes, size_t length, const char *path, struct dockerfile *dockerfile,
                      struct error *error)
{
    struct scanner scanner = {.at = bytes, .end = bytes + length, .escape = '\\', .dockerfile = dockerfile};
    bool fits = length <= DOCKERFILE_BYTES_LIMIT;
    read_directives(&scanner);
    while (fits && next_instruction(&scanner)) {
        const char *text = text_bytes(&scanner.instruction);
        size_t word = strcspn(text, BLANKS);
        const char *rest = text + word;
        if (word == 4 && strncasecmp(text, "FROM", 4) == 0) {
            read_from(dockerfile, rest);
        } else if (word == 3 && strncasecmp(text, "ARG", 3) == 0) {
            read_arguments(dockerfile, rest);
        } else if ((word == 4 && strncasecmp(text, "COPY", 4) == 0) ||
                   (word == 3 && (strncasecmp(text, "RUN", 3) == 0 || strncasecmp(text, "ADD", 3) == 0))) {
            read_copied(dockerfile, rest);
            skip_documents(&scanner, rest);
        }
        fits = dockerfile->images.count <= DOCKERFILE_IMAGES_LIMIT &&
               dockerfile->copied.count <= DOCKERFILE_IMAGES_LIMIT &&
               dockerfile->defaults.count <= DOCKERFILE_IMAGES_LIMIT &&
               dockerfile->arguments.count <= DOCKERFILE_IMAGES_LIMIT;
    }
    text_clear(&scanner.instruction);
    return fits || error_set(error, ERROR_INPUT, "'%s' is larger than a Dockerfile may be", path);
}

bool dockerfile_read(const char *path, struct dockerfile *dockerfile, struct error *error)
{
    cleanup(text_clear) struct text bytes = TEXT_INIT;
    return file_read(path, DOCKERFILE_BYTES_LIMIT, &bytes, error) &&
           dockerfile_parse(text_bytes(&bytes), bytes.length, path, dockerfile, error);
}

bool dockerfile_declares(const struct dockerfile *dockerfile, const char *argument)
{
    return has_word(&dockerfile->arguments, argument, strlen(argument));
}

/* Expansion. */

struct expansion {
    const struct dockerfile *dockerfile;
    const char *const *given;
    struct words values; /* "NAME=value": the defaults so far */
};

static const char *value_of(const struct words *values, const char *name, size_t length)
{
    for (size_t i = values->count; i-- > 0;)
        if (strncmp(values->items[i], name, length) == 0 && values->items[i][length] == '=')
            return values->items[i] + length + 1;
    return "";
}

static size_t name_length(const char *text)
{
    return strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
}

/* ${NAME}, ${NAME:-word}, ${NAME:+word}, ${NAME-word}, ${NAME+word}; a word is taken as it stands. */
static const char *expand_braces(const struct expansion *expansion, const char *at, struct text *out)
{
    size_t length = name_length(at);
    const char *close = strchr(at, '}');
    if (length == 0 || close == NULL)
        return NULL;
    const char *value = value_of(&expansion->values, at, length);
    const char *operator= at + length +(at[length] == ':');
    if (*operator== '-' && value[0] == '\0')
        text_append_bytes(out, operator+ 1, (size_t)(close - operator) - 1);
    else if (*operator== '+' && value[0] != '\0')
        text_append_bytes(out, operator+ 1, (size_t)(close - operator) - 1);
    else if (*operator!= '+')
        text_append(out, value);
    return close + 1;
}

static void expand(const struct expansion *expansion, const char *text, struct text *out)
{
    for (const char *at = text; *at != '\0' && out->length <= VALUE_LIMIT;) {
        if (*at != '$') {
            text_append_character(out, *at++);
            continue;
        }
        const char *next = at[1] == '{' ? expand_braces(expansion, at + 2, out) : NULL;
        size_t length = name_length(at + 1);
        if (next != NULL) {
            at = next;
        } else if (length > 0) {
            text_append(out, value_of(&expansion->values, at + 1, length));
            at += 1 + length;
        } else {
            text_append_character(out, *at++);
        }
    }
}

/* The arguments before the first FROM: what was given, else the default, which may use those before it. */
static void fill_values(struct expansion *expansion)
{
    const struct words *defaults = &expansion->dockerfile->defaults;
    for (size_t i = 0; i < defaults->count; i++) {
        size_t length = strcspn(defaults->items[i], "=");
        const char *given = NULL;
        for (size_t j = 0; expansion->given != NULL && expansion->given[j] != NULL; j++)
            if (strncmp(expansion->given[j], defaults->items[i], length) == 0 && expansion->given[j][length] == '=')
                given = expansion->given[j];
        cleanup(text_clear) struct text value = TEXT_INIT;
        text_append_bytes(&value, defaults->items[i], length);
        if (given != NULL)
            text_append(&value, given + length);
        else if (defaults->items[i][length] == '=')
            expand(expansion, defaults->items[i] + length, &value);
        else
            text_append_character(&value, '=');
        if (value.length <= VALUE_LIMIT)
            words_add(&expansion->values, text_bytes(&value));
    }
}

static void add_base(const struct expansion *expansion, const char *written, size_t stages, struct words *bases)
{
    cleanup(text_clear) struct text image = TEXT_INIT;
    expand(expansion, written, &image);
    const char *name = text_bytes(&image);
    if (image.length == 0 || image.length > 1024 || strcmp(name, "scratch") == 0 ||
        strspn(name, "0123456789") == image.length)
        return;
    for (size_t i = 0; i < stages; i++)
        if (strcasecmp(expansion->dockerfile->stages.items[i], name) == 0)
            return;
    if (!has_word(bases, name, image.length))
        words_add(bases, name);
}

void dockerfile_bases(const struct dockerfile *dockerfile, const char *const *arguments, struct words *bases)
{
    struct expansion expansion = {.dockerfile = dockerfile, .given = arguments};
    fill_values(&expansion);
    for (size_t i = 0; i < dockerfile->images.count; i++)
        add_base(&expansion, dockerfile->images.items[i], i, bases);
    for (size_t i = 0; i < dockerfile->copied.count; i++)
        add_base(&expansion, dockerfile->copied.items[i], dockerfile->images.count, bases);
    words_clear(&expansion.values);
}
