/* SPDX-License-Identifier: BSD-3-Clause */
/* Cuts plan.json into its parts and parses each on its own. */
#include "report/plan_file.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"

enum { MEMBER_NAME_LIMIT = 256, DEPTH_LIMIT = 64 };

struct scanner {
    const struct plan_file_reader *reader;
    struct text value;   /* the bytes of the value being cut */
    struct arena *texts; /* of the stage that is handed over */
    char name[MEMBER_NAME_LIMIT];
    size_t name_length;
    unsigned depth;       /* open brackets outside the value being cut */
    unsigned value_depth; /* open brackets inside it */
    bool in_string, escaped;
    bool cutting;      /* inside a value */
    bool naming;       /* inside the name of a top-level member */
    bool awaits_value; /* after the colon */
    bool in_stages;
    bool closed; /* the outermost object has ended */
};

static bool hand_over_stage(struct scanner *scanner, const char *path, struct error *error)
{
    struct members stage;
    arena_reset(scanner->texts);
    if (!members_find(&stage, scanner->texts, text_bytes(&scanner->value), scanner->value.length))
        return error_set(error, ERROR_INPUT, "'%s': a stage is not an object", path);
    scanner->reader->stage(scanner->reader->context, &stage);
    return true;
}

static bool hand_over_member(struct scanner *scanner, const char *path, struct error *error)
{
    json_error_t fault;
    json_t *value = json_loadb(text_bytes(&scanner->value), scanner->value.length, JSON_DECODE_ANY, &fault);
    if (value == NULL)
        return error_set(error, ERROR_INPUT, "'%s': %s", path, fault.text);
    if (scanner->reader->member != NULL)
        scanner->reader->member(scanner->reader->context, scanner->name, value);
    json_decref(value);
    return true;
}

static bool hand_over(struct scanner *scanner, const char *path, struct error *error)
{
    if (!(scanner->in_stages ? hand_over_stage : hand_over_member)(scanner, path, error))
        return false;
    text_reset(&scanner->value);
    scanner->cutting = false;
    return true;
}

/* Behind what of a string lies here; its closing quote is looked for, and nothing else counts in it. */
static const char *pass_string(struct scanner *scanner, const char *at, const char *end)
{
    for (; at < end && scanner->in_string; at++) {
        if (scanner->escaped)
            scanner->escaped = false;
        else if (*at == '\\')
            scanner->escaped = true;
        else if (*at == '"')
            scanner->in_string = false;
    }
    return at;
}

/* Behind what of a value lies here. A value ends with its closing bracket, or before the ',' or bracket that follows a
 * plain one. */
static const char *pass_value(struct scanner *scanner, const char *at, const char *end, bool *over)
{
    while (at < end && !*over && scanner->value_depth <= DEPTH_LIMIT) {
        if (scanner->in_string) {
            at = pass_string(scanner, at, end);
            continue;
        }
        bool closes = *at == '}' || *at == ']';
        if (scanner->value_depth == 0 && (closes || *at == ',')) {
            *over = true;
            return at;
        }
        scanner->in_string = *at == '"';
        scanner->value_depth += *at == '{' || *at == '[';
        *over = closes && --scanner->value_depth == 0;
        at++;
    }
    return at;
}

/* Takes over what belongs to the value, and hands it over when it ends; NULL with an error. */
static const char *cut(struct scanner *scanner, const char *at, const char *end, const char *path, struct error *error)
{
    bool over = false;
    const char *behind = pass_value(scanner, at, end, &over);
    if (scanner->value_depth > DEPTH_LIMIT) {
        error_set(error, ERROR_INPUT, "'%s': nested deeper than %d", path, (int)DEPTH_LIMIT);
        return NULL;
    }
    if (scanner->value.length + (size_t)(behind - at) > PLAN_FILE_ELEMENT_LIMIT) {
        error_set(error, ERROR_INPUT, "'%s': one element is larger than %u bytes", path, PLAN_FILE_ELEMENT_LIMIT);
        return NULL;
    }
    text_append_bytes(&scanner->value, at, (size_t)(behind - at));
    return !over || hand_over(scanner, path, error) ? behind : NULL;
}

static void name_byte(struct scanner *scanner, char byte)
{
    if (byte == '"') {
        scanner->naming = false;
        scanner->name[scanner->name_length] = '\0';
    } else if (scanner->name_length + 1 < sizeof scanner->name) {
        scanner->name[scanner->name_length++] = byte;
    }
}

static bool is_space(char byte)
{
    return byte == ' ' || byte == '\n' || byte == '\t' || byte == '\r';
}

static bool outside_byte(struct scanner *scanner, char byte, const char *path, struct error *error)
{
    if (is_space(byte) || byte == ',')
        return true;
    if (scanner->closed)
        return error_set(error, ERROR_INPUT, "'%s': text after the end", path);
    if (scanner->depth == 0 && byte == '{') {
        scanner->depth = 1;
    } else if (scanner->in_stages && byte == ']') {
        scanner->in_stages = false;
        scanner->awaits_value = false;
    } else if (scanner->awaits_value && !scanner->in_stages && strcmp(scanner->name, "stages") == 0 && byte == '[') {
        scanner->in_stages = true;
    } else if (scanner->in_stages || scanner->awaits_value) {
        scanner->cutting = true;
        scanner->value_depth = 0;
        scanner->in_string = scanner->escaped = false;
        if (!scanner->in_stages)
            scanner->awaits_value = false;
    } else if (scanner->depth == 1 && byte == '"') {
        scanner->naming = true;
        scanner->name_length = 0;
    } else if (scanner->depth == 1 && byte == ':') {
        scanner->awaits_value = true;
    } else if (scanner->depth == 1 && byte == '}') {
        scanner->closed = true;
    } else {
        return error_set(error, ERROR_INPUT, "'%s' is not a plan: a JSON object was expected", path);
    }
    return true;
}

static bool scan(struct scanner *scanner, const char *at, const char *end, const char *path, struct error *error)
{
    while (at < end) {
        if (!scanner->cutting && scanner->naming) {
            name_byte(scanner, *at++);
            continue;
        }
        if (!scanner->cutting && !outside_byte(scanner, *at, path, error))
            return false;
        if (scanner->cutting)
            at = cut(scanner, at, end, path, error);
        else
            at++;
        if (at == NULL)
            return false;
    }
    return true;
}

static bool scan_file(struct scanner *scanner, int descriptor, const char *path, struct error *error)
{
    enum { BUFFER = 65536 };
    cleanup(memory_free) char *buffer = memory_allocate(BUFFER);
    for (;;) {
        ssize_t got = read(descriptor, buffer, BUFFER);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_system(error, "cannot read '%s'", path);
        if (got == 0)
            break;
        if (!scan(scanner, buffer, buffer + got, path, error))
            return false;
    }
    if (!scanner->closed)
        return error_set(error, ERROR_INPUT, "'%s' ends in the middle", path);
    return true;
}

bool plan_file_read(const char *path, const struct plan_file_reader *reader, struct error *error)
{
    cleanup(descriptor_close) int descriptor = file_open(path, NULL, error);
    if (descriptor < 0)
        return false;
    struct scanner scanner = {.reader = reader, .texts = arena_new()};
    bool done = scan_file(&scanner, descriptor, path, error);
    text_clear(&scanner.value);
    arena_free(scanner.texts);
    return done;
}
