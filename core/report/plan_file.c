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
    struct text value; /* the bytes of the value being cut */
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

static bool hand_over(struct scanner *scanner, const char *path, struct error *error)
{
    json_error_t fault;
    json_t *value = json_loadb(text_bytes(&scanner->value), scanner->value.length, JSON_DECODE_ANY, &fault);
    if (value == NULL)
        return error_set(error, ERROR_INPUT, "'%s': %s", path, fault.text);
    if (scanner->in_stages)
        scanner->reader->stage(scanner->reader->context, value);
    else if (scanner->reader->member != NULL)
        scanner->reader->member(scanner->reader->context, scanner->name, value);
    json_decref(value);
    text_reset(&scanner->value);
    scanner->cutting = false;
    return true;
}

/* One byte of a value: a value ends with its closing bracket, or before the ',' or bracket that follows a plain one.
 * *again: the byte belongs to what is outside. */
static bool cut_byte(struct scanner *scanner, char byte, const char *path, bool *again, struct error *error)
{
    if (scanner->value.length >= PLAN_FILE_ELEMENT_LIMIT)
        return error_set(error, ERROR_INPUT, "'%s': one element is larger than %u bytes", path,
                         PLAN_FILE_ELEMENT_LIMIT);
    *again = false;
    if (scanner->in_string) {
        text_append_character(&scanner->value, byte);
        if (scanner->escaped)
            scanner->escaped = false;
        else if (byte == '\\')
            scanner->escaped = true;
        else if (byte == '"')
            scanner->in_string = false;
        return true;
    }
    bool closes = byte == '}' || byte == ']';
    if (scanner->value_depth == 0 && (closes || byte == ',')) {
        *again = true;
        return hand_over(scanner, path, error);
    }
    text_append_character(&scanner->value, byte);
    if (byte == '"')
        scanner->in_string = true;
    if ((byte == '{' || byte == '[') && ++scanner->value_depth > DEPTH_LIMIT)
        return error_set(error, ERROR_INPUT, "'%s': nested deeper than %d", path, (int)DEPTH_LIMIT);
    if (closes && --scanner->value_depth == 0)
        return hand_over(scanner, path, error);
    return true;
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
        bool again;
        return cut_byte(scanner, byte, path, &again, error);
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

static bool scan_byte(struct scanner *scanner, char byte, const char *path, struct error *error)
{
    if (scanner->naming) {
        name_byte(scanner, byte);
        return true;
    }
    if (scanner->cutting) {
        bool again;
        if (!cut_byte(scanner, byte, path, &again, error))
            return false;
        if (!again)
            return true;
    }
    return outside_byte(scanner, byte, path, error);
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
        for (ssize_t i = 0; i < got; i++)
            if (!scan_byte(scanner, buffer[i], path, error))
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
    struct scanner scanner = {.reader = reader};
    bool done = scan_file(&scanner, descriptor, path, error);
    text_clear(&scanner.value);
    return done;
}
