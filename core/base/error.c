/* SPDX-License-Identifier: BSD-3-Clause */
/* Filling and handing on errors. */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static char *format_line(const char *format, va_list arguments) __attribute__((format(printf, 1, 0)));

/* A message is one line, whatever was quoted in it. */
static char *format_line(const char *format, va_list arguments)
{
    char *line = NULL;
    if (vasprintf(&line, format, arguments) < 0)
        memory_exhausted();
    for (char *c = line; *c != '\0'; c++)
        if (*c == '\n' || *c == '\r')
            *c = ' ';
    return line;
}

void error_clear(struct error *error)
{
    free(error->message);
    free(error->hint);
    free(error->file);
    *error = ERROR_INIT;
}

bool error_set(struct error *error, enum error_kind kind, const char *format, ...)
{
    if (error == NULL)
        return false;
    va_list arguments;
    va_start(arguments, format);
    char *message = format_line(format, arguments); /* before clearing: an argument may come from the old error */
    va_end(arguments);
    error_clear(error);
    error->kind = kind;
    error->message = message;
    return false;
}

bool error_system(struct error *error, const char *format, ...)
{
    int reason = errno;
    if (error == NULL)
        return false;
    va_list arguments;
    va_start(arguments, format);
    cleanup(memory_free) char *what = format_line(format, arguments);
    va_end(arguments);
    char buffer[128];
    return error_set(error, ERROR_SYSTEM, "%s: %s", what, strerror_r(reason, buffer, sizeof buffer));
}

bool error_is_no_room(int failure)
{
    return failure == ENOSPC || failure == EDQUOT;
}

bool error_hint(struct error *error, const char *format, ...)
{
    if (error == NULL)
        return false;
    va_list arguments;
    va_start(arguments, format);
    char *hint = format_line(format, arguments);
    va_end(arguments);
    free(error->hint);
    error->hint = hint;
    return false;
}

bool error_place(struct error *error, const char *file, uint32_t line, uint32_t column)
{
    if (error == NULL)
        return false;
    char *copy = memory_copy_text(file);
    free(error->file);
    error->file = copy;
    error->line = line;
    error->column = column;
    return false;
}

bool error_wrap(struct error *error, const char *format, ...)
{
    if (error == NULL)
        return false;
    va_list arguments;
    va_start(arguments, format);
    cleanup(memory_free) char *context = format_line(format, arguments);
    va_end(arguments);
    char *message = error->message != NULL ? memory_format("%s: %s", context, error->message) : steal(&context);
    free(error->message);
    error->message = message;
    return false;
}

void error_move(struct error *to, struct error *from)
{
    if (to == from)
        return;
    if (to == NULL) {
        error_clear(from);
        return;
    }
    error_clear(to);
    *to = *from;
    *from = ERROR_INIT;
}

int error_exit_status(enum error_kind kind)
{
    switch (kind) {
    case ERROR_NONE:
        return 0;
    case ERROR_DIFFERS:
        return 1;
    case ERROR_INPUT:
        return 2;
    case ERROR_PLUGIN:
        return 3;
    case ERROR_NETWORK:
        return 4;
    case ERROR_STAGE:
        return 5;
    case ERROR_SYSTEM:
        return 6;
    case ERROR_INTERRUPTED:
        return 7;
    case ERROR_BUG:
        break;
    }
    return 70;
}
