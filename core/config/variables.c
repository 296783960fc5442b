/* SPDX-License-Identifier: BSD-3-Clause */
/* Replacing ${VAR} in texts from the environment of the process. */
#include "config/variables.h"

#include <ctype.h>
#include <string.h>

#include "base/witness.h"

enum { VARIABLE_NAME_LIMIT = 255 };

static const char each_prefix[] = "each.";

static bool starts_with_each(const char *name, const char *end)
{
    size_t length = sizeof each_prefix - 1;
    return (size_t)(end - name) >= length && memcmp(name, each_prefix, length) == 0;
}

static bool is_variable_name(const char *name, size_t length)
{
    if (length == 0 || length > VARIABLE_NAME_LIMIT || isdigit((unsigned char)name[0]))
        return false;
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)name[i]) && name[i] != '_')
            return false;
    return true;
}

static bool fail(struct variables_problem *problem, const char *hint, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static bool fail(struct variables_problem *problem, const char *hint, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    text_format_list(&problem->message, format, arguments);
    va_end(arguments);
    problem->hint = hint;
    return false;
}

static int shown_length(size_t length)
{
    return (int)(length < VARIABLE_NAME_LIMIT ? length : VARIABLE_NAME_LIMIT);
}

/* `name` stands behind "${" and `close` on its "}". */
static bool replace_one(const char *name, const char *close, struct text *out, struct variables_problem *problem)
{
    const char *fallback = memmem(name, (size_t)(close - name), ":-", 2);
    size_t length = (size_t)((fallback != NULL ? fallback : close) - name);
    if (!is_variable_name(name, length))
        return fail(problem, "write ${NAME} or ${NAME:-default}; $$ is a dollar", "'${%.*s}' names no variable",
                    shown_length((size_t)(close - name)), name);
    if (fallback != NULL && memmem(fallback, (size_t)(close - fallback), "${", 2) != NULL)
        return fail(problem, NULL, "the default of '${%.*s:-…}' cannot hold another variable", (int)length, name);
    char key[VARIABLE_NAME_LIMIT + 1];
    memcpy(key, name, length);
    key[length] = '\0';
    witness_asked(key);
    const char *value = secure_getenv(key);
    if (fallback != NULL && (value == NULL || value[0] == '\0')) {
        text_append_bytes(out, fallback + 2, (size_t)(close - fallback - 2));
        return true;
    }
    if (value == NULL)
        return fail(problem, "set it, or write ${NAME:-default}; $$ is a dollar", "the variable '%.*s' is not set",
                    (int)length, name);
    if (!text_is_utf8(value, strlen(value)))
        return fail(problem, NULL, "the value of the variable '%.*s' is not UTF-8", (int)length, name);
    text_append(out, value);
    return true;
}

bool variables_replace(const char *text, size_t length, struct text *out, struct variables_problem *problem)
{
    const char *end = text + length;
    for (const char *place = text; place < end;) {
        const char *dollar = memchr(place, '$', (size_t)(end - place));
        const char *stop = dollar != NULL ? dollar : end;
        text_append_bytes(out, place, (size_t)(stop - place));
        if (dollar == NULL)
            return true;
        problem->at = (size_t)(dollar - text);
        place = dollar + 1;
        if (place < end && *place == '$') {
            bool escaped_each = place + 1 < end && place[1] == '{' && starts_with_each(place + 2, end);
            text_append(out, escaped_each ? "$${" : "$");
            place += escaped_each ? 2 : 1;
            continue;
        }
        if (place >= end || *place != '{') {
            text_append_character(out, '$');
            continue;
        }
        const char *name = place + 1;
        const char *close = memchr(name, '}', (size_t)(end - name));
        if (close == NULL)
            return fail(problem, "$$ is a dollar", "a '${' is not closed by '}'");
        if (starts_with_each(name, close))
            text_append_bytes(out, dollar, (size_t)(close + 1 - dollar));
        else if (!replace_one(name, close, out, problem))
            return false;
        place = close + 1;
    }
    return true;
}
