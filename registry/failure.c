/* SPDX-License-Identifier: BSD-3-Clause */
/* The failure object of plugins: set, wrapped outward, told to the host. */
#include "registry/failure.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "registry/ownership.h"

void failure_clear(struct failure *failure)
{
    free(failure->message);
    free(failure->hint);
    *failure = FAILURE_INIT;
}

__attribute__((format(printf, 1, 0))) static char *format_text(const char *format, va_list arguments)
{
    char *text = NULL;
    return vasprintf(&text, format, arguments) < 0 ? NULL : text;
}

bool failure_set(struct failure *failure, uint32_t kind, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *message = format_text(format, arguments);
    va_end(arguments);
    failure_clear(failure);
    failure->kind = kind;
    failure->message = message;
    return false;
}

bool failure_system(struct failure *failure, const char *format, ...)
{
    int number = errno;
    va_list arguments;
    va_start(arguments, format);
    cleanup(memory_free) char *message = format_text(format, arguments);
    va_end(arguments);
    return failure_set(failure, DESCPIPE_FAILED_REFUSED, "%s: %s", message != NULL ? message : "", strerror(number));
}

bool failure_memory(struct failure *failure)
{
    return failure_set(failure, DESCPIPE_FAILED_LATER, "out of memory");
}

bool failure_hint(struct failure *failure, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *hint = format_text(format, arguments);
    va_end(arguments);
    free(failure->hint);
    failure->hint = hint;
    return false;
}

bool failure_wrap(struct failure *failure, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    cleanup(memory_free) char *context = format_text(format, arguments);
    va_end(arguments);
    char *message = NULL;
    if (asprintf(&message, "%s: %s", context != NULL ? context : "", failure_message(failure)) < 0)
        return false;
    free(failure->message);
    failure->message = message;
    return false;
}

bool failure_copy(struct failure *to, const struct failure *from)
{
    failure_set(to, from->kind, "%s", failure_message(from));
    if (from->hint != NULL)
        failure_hint(to, "%s", from->hint);
    return false;
}

const char *failure_message(const struct failure *failure)
{
    return failure->message != NULL ? failure->message : "out of memory";
}

void failure_finish(const struct failure *failure, const struct descpipe_host *host, struct descpipe_call *call)
{
    host->call->fail(call, failure->kind, failure_message(failure), failure->hint);
}
