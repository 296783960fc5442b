/* SPDX-License-Identifier: BSD-3-Clause */
/* What the site's udiRoot.conf allows; site_limits.h tells what of it. */
#include "site_limits.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "registry/ownership.h"

#define LINES_LIMIT 4096
#define NAME_LIMIT 128

struct line {
    char *key, *value; /* in `text` */
};
struct site_limits {
    char *path, *text;
    struct line *lines;
    size_t count;
};

void site_limits_free(struct site_limits *limits)
{
    if (limits == NULL)
        return;
    free(limits->path);
    free(limits->text);
    free(limits->lines);
    free(limits);
}

static char *read_text(const char *path, struct failure *failure)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        if (errno != ENOENT)
            failure_system(failure, "cannot read '%s'", path);
        return NULL;
    }
    char *text = malloc(SITE_LIMITS_BYTES + 1);
    size_t length = text != NULL ? fread(text, 1, SITE_LIMITS_BYTES, file) : 0;
    bool whole = fgetc(file) == EOF && ferror(file) == 0;
    fclose(file);
    if (text == NULL)
        failure_memory(failure);
    else if (!whole)
        failure_set(failure, DESCPIPE_FAILED_REFUSED, "'%s' is larger than 1 MiB, or cannot be read", path);
    if (failure->kind != 0) {
        free(text);
        return NULL;
    }
    text[length] = '\0';
    return text;
}

/* "Multiple lines can be used if the final character on the line is '\'." */
static void join_lines(char *text)
{
    for (char *place = text; (place = strstr(place, "\\\n")) != NULL;)
        place[0] = place[1] = ' ';
}

static char *trim(char *text)
{
    text += strspn(text, " \t\r");
    size_t length = strlen(text);
    while (length > 0 && isspace((unsigned char)text[length - 1]))
        text[--length] = '\0';
    return text;
}

static void split_lines(struct site_limits *limits)
{
    char *rest = limits->text;
    for (char *text; (text = strsep(&rest, "\n")) != NULL && limits->count < LINES_LIMIT;) {
        char *value = strchr(text, '=');
        if (value == NULL || text[strspn(text, " \t")] == '#')
            continue;
        *value = '\0';
        limits->lines[limits->count++] = (struct line){.key = trim(text), .value = trim(value + 1)};
    }
}

struct site_limits *site_limits_read(const char *path, struct failure *failure)
{
    cleanup(site_limits_free) struct site_limits *limits = calloc(1, sizeof *limits);
    if (limits == NULL) {
        failure_memory(failure);
        return NULL;
    }
    limits->text = read_text(path, failure);
    if (limits->text == NULL)
        return NULL;
    limits->path = strdup(path);
    limits->lines = calloc(LINES_LIMIT, sizeof *limits->lines);
    if (limits->path == NULL || limits->lines == NULL) {
        failure_memory(failure);
        return NULL;
    }
    join_lines(limits->text);
    split_lines(limits);
    return steal(&limits);
}

/* The last one counts. */
static const char *value_of(const struct site_limits *limits, const char *key)
{
    for (size_t i = limits->count; i-- > 0;)
        if (strcmp(limits->lines[i].key, key) == 0)
            return limits->lines[i].value;
    return NULL;
}

static bool has_word(const char *list, const char *word)
{
    size_t length = strlen(word);
    for (; *list != '\0'; list += strcspn(list, " \t")) {
        list += strspn(list, " \t");
        if (strncmp(list, word, length) == 0 && (list[length] == '\0' || isspace((unsigned char)list[length])))
            return true;
    }
    return false;
}

/* ---- modules ---- */

static bool has_module(const struct site_limits *limits, const char *name)
{
    char beginning[NAME_LIMIT + 16];
    int length = snprintf(beginning, sizeof beginning, "module_%s_", name);
    for (size_t i = 0; i < limits->count; i++)
        if (strncmp(limits->lines[i].key, beginning, (size_t)length) == 0)
            return true;
    return false;
}

static const char *module_value(const struct site_limits *limits, const char *name, const char *what)
{
    char key[NAME_LIMIT + 32];
    snprintf(key, sizeof key, "module_%s_%s", name, what);
    return value_of(limits, key);
}

static bool refuse_module(const struct site_limits *limits, const char *name, const char *why, struct failure *failure)
{
    return failure_set(failure, DESCPIPE_FAILED_UNSUPPORTED, "Shifter module '%s' %s, as '%s' has it", name, why,
                       limits->path);
}

static bool allow_module(const struct site_limits *limits, const char *name, const char *all, struct failure *failure)
{
    const char *enabled = module_value(limits, name, "enabled"), *conflict = module_value(limits, name, "conflict");
    char other[NAME_LIMIT + 1], why[2 * NAME_LIMIT];
    if (!has_module(limits, name))
        return refuse_module(limits, name, "is not known at this site", failure);
    if (enabled != NULL && strcmp(enabled, "0") == 0)
        return refuse_module(limits, name, "is switched off by the site", failure);
    for (; conflict != NULL && *all != '\0'; all += strcspn(all, ","), all += *all == ',') {
        snprintf(other, sizeof other, "%.*s", (int)strcspn(all, ","), all);
        snprintf(why, sizeof why, "cannot be loaded beside '%s'", other);
        if (strcmp(other, name) != 0 && has_word(conflict, other))
            return refuse_module(limits, name, why, failure);
    }
    return true;
}

bool site_limits_allow_modules(const struct site_limits *limits, const char *modules, struct failure *failure)
{
    char name[NAME_LIMIT + 1];
    for (const char *place = modules; *place != '\0'; place += strcspn(place, ","), place += *place == ',') {
        size_t length = strcspn(place, ",");
        if (length > NAME_LIMIT)
            return failure_set(failure, DESCPIPE_FAILED_UNSUPPORTED, "the name of a Shifter module is too long");
        snprintf(name, sizeof name, "%.*s", (int)length, place);
        if (!allow_module(limits, name, modules, failure))
            return false;
    }
    return true;
}

/* ---- perNodeCache ---- */

/* "10G", "512M", "1073741824"; 0: it is none. */
static uint64_t bytes_of(const char *text)
{
    static const char suffixes[] = "KMGTP";
    char *end;
    unsigned long long number = strtoull(text, &end, 10);
    const char *suffix = *end != '\0' ? strchr(suffixes, toupper((unsigned char)*end)) : NULL;
    unsigned shift = suffix != NULL ? 10 * (unsigned)(suffix - suffixes + 1) : 0;
    return shift > 0 && number > UINT64_MAX >> shift ? UINT64_MAX : (uint64_t)number << shift;
}

/* The value of NAME= in "perNodeCache=size=10G,fstype=xfs". */
static bool cache_word(const char *volume, const char *name, char value[NAME_LIMIT])
{
    const char *place = strcasestr(volume, ":perNodeCache=");
    place = place != NULL ? place + strlen(":perNodeCache") : "";
    size_t length = strlen(name);
    while (*place == '=' || *place == ',') {
        place++;
        size_t word = strcspn(place, ",:");
        if (strncasecmp(place, name, length) == 0 && place[length] == '=') {
            snprintf(value, NAME_LIMIT, "%.*s", (int)(word - length - 1), place + length + 1);
            return true;
        }
        place += word;
    }
    return false;
}

bool site_limits_allow_volume(const struct site_limits *limits, const char *volume, struct failure *failure)
{
    char value[NAME_LIMIT];
    const char *most = value_of(limits, "perNodeCacheSizeLimit"),
               *types = value_of(limits, "perNodeCacheAllowedFsType");
    if (most != NULL && cache_word(volume, "size", value) && bytes_of(value) > bytes_of(most))
        return failure_set(failure, DESCPIPE_FAILED_UNSUPPORTED,
                           "option 'volumes': '%s': this site allows perNodeCache volumes of %s at most ('%s')", volume,
                           most, limits->path);
    if (types != NULL && cache_word(volume, "fstype", value) && !has_word(types, value))
        return failure_set(
            failure, DESCPIPE_FAILED_UNSUPPORTED,
            "option 'volumes': '%s': this site allows perNodeCache volumes of these file systems: %s ('%s')", volume,
            types, limits->path);
    return true;
}
