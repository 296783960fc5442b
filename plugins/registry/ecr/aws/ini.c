/* SPDX-License-Identifier: BSD-3-Clause */
/* AWS's shared files, line by line. */
#include "aws/ini.h"

#include <string.h>

struct line {
    const char *start;
    size_t length;
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

static void trim(struct line *line)
{
    while (line->length > 0 && is_space(line->start[line->length - 1]))
        line->length--;
    while (line->length > 0 && is_space(*line->start)) {
        line->start++;
        line->length--;
    }
}

static char *copy_lower(struct line line)
{
    char *copy = strndup(line.start, line.length);
    for (char *c = copy; c != NULL && *c != '\0'; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    return copy;
}

/* "profile  "my name"" → "profile my name" */
static char *copy_name(struct line line)
{
    char *name = malloc(line.length + 1), *to = name;
    if (name == NULL)
        return NULL;
    char quote = '\0';
    for (size_t i = 0; i < line.length; i++) {
        char c = line.start[i];
        if (quote != '\0' ? c == quote : c == '"' || c == '\'') {
            quote = quote != '\0' ? '\0' : c;
            continue;
        }
        if (quote == '\0' && is_space(c)) {
            if (to > name && to[-1] != ' ')
                *to++ = ' ';
            continue;
        }
        *to++ = c;
    }
    *to = '\0';
    return name;
}

static struct ini_section *add_section(struct ini *ini, struct line line, struct failure *failure)
{
    cleanup(memory_free) char *name = copy_name(line);
    if (name == NULL) {
        failure_memory(failure);
        return NULL;
    }
    for (size_t i = 0; i < ini->count; i++)
        if (strcmp(ini->sections[i].name, name) == 0)
            return &ini->sections[i];
    if (ini->count == INI_SECTIONS_LIMIT) {
        failure_set(failure, DESCPIPE_FAILED_REFUSED, "more than %d sections", INI_SECTIONS_LIMIT);
        return NULL;
    }
    struct ini_section *more = realloc(ini->sections, (ini->count + 1) * sizeof *more);
    if (more == NULL) {
        failure_memory(failure);
        return NULL;
    }
    ini->sections = more;
    more[ini->count] = (struct ini_section){.name = steal(&name)};
    return &more[ini->count++];
}

static void wipe(char *text)
{
    if (text != NULL)
        explicit_bzero(text, strlen(text));
    free(text);
}

static bool add_setting(struct ini *ini, struct ini_section *section, struct line key, struct line value,
                        struct failure *failure)
{
    if (++ini->settings > INI_SETTINGS_LIMIT)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "more than %d settings", INI_SETTINGS_LIMIT);
    struct ini_setting *more = realloc(section->settings, (section->count + 1) * sizeof *more);
    if (more == NULL)
        return failure_memory(failure);
    section->settings = more;
    more[section->count] = (struct ini_setting){copy_lower(key), strndup(value.start, value.length)};
    section->count++;
    return more[section->count - 1].name != NULL && more[section->count - 1].value != NULL ? true
                                                                                           : failure_memory(failure);
}

/* What follows " #" or " ;" is a comment; '#' within a word is not: secret keys may hold one. */
static void drop_comment(struct line *line)
{
    for (size_t i = 1; i < line->length; i++)
        if ((line->start[i] == '#' || line->start[i] == ';') && is_space(line->start[i - 1])) {
            line->length = i;
            return;
        }
}

static bool read_section(struct ini *ini, struct line line, struct ini_section **section, struct failure *failure)
{
    const char *end = memchr(line.start, ']', line.length);
    if (end == NULL)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "a section without its closing bracket");
    struct line name = {line.start + 1, (size_t)(end - line.start) - 1};
    trim(&name);
    *section = add_section(ini, name, failure);
    return *section != NULL;
}

static bool read_line(struct ini *ini, struct line line, struct ini_section **section, struct failure *failure)
{
    bool indented = line.length > 0 && is_space(*line.start);
    trim(&line);
    if (line.length == 0 || *line.start == '#' || *line.start == ';' || indented)
        return true;
    if (*line.start == '[')
        return read_section(ini, line, section, failure);
    const char *equals = memchr(line.start, '=', line.length);
    if (equals == NULL || equals == line.start)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "neither a section nor a setting (NAME = VALUE)");
    if (*section == NULL)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "a setting before the first section");
    struct line name = {line.start, (size_t)(equals - line.start)};
    struct line value = {equals + 1, line.length - name.length - 1};
    trim(&name);
    drop_comment(&value);
    trim(&value);
    return add_setting(ini, *section, name, value, failure);
}

bool ini_read(const char *text, size_t length, struct ini *ini, struct failure *failure)
{
    if (length > INI_FILE_LIMIT)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "it is larger than %d KiB", INI_FILE_LIMIT >> 10);
    if (memchr(text, '\0', length) != NULL)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "it holds NUL bytes, so that it is no text file");
    if (length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        length -= 3;
    }
    struct ini_section *section = NULL;
    unsigned number = 0;
    for (const char *end = text + length; text < end;) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        struct line line = {text, (size_t)((newline != NULL ? newline : end) - text)};
        number++;
        if (!read_line(ini, line, &section, failure))
            return failure_wrap(failure, "line %u", number);
        text = line.start + line.length + 1;
    }
    return true;
}

const struct ini_section *ini_find(const struct ini *ini, const char *section)
{
    for (size_t i = 0; i < ini->count; i++)
        if (strcmp(ini->sections[i].name, section) == 0)
            return &ini->sections[i];
    return NULL;
}

const char *ini_value(const struct ini_section *section, const char *name)
{
    for (size_t i = section != NULL ? section->count : 0; i > 0; i--)
        if (strcmp(section->settings[i - 1].name, name) == 0)
            return section->settings[i - 1].value[0] != '\0' ? section->settings[i - 1].value : NULL;
    return NULL;
}

void ini_clear(struct ini *ini)
{
    for (size_t i = 0; i < ini->count; i++) {
        for (size_t j = 0; j < ini->sections[i].count; j++) {
            free(ini->sections[i].settings[j].name);
            wipe(ini->sections[i].settings[j].value);
        }
        free(ini->sections[i].settings);
        free(ini->sections[i].name);
    }
    free(ini->sections);
    *ini = (struct ini){0};
}
