/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages of the program. Each line is one write, so that lines of several processes do not mix. */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <unistd.h>

#include "base/text.h"

enum { LINE_LIMIT = 16384 };

static enum log_level level_limit = LOG_LEVEL_NOTICE;
static int log_descriptor = STDERR_FILENO;

void log_set_level(enum log_level level)
{
    level_limit = level;
}

void log_to(int descriptor)
{
    log_descriptor = descriptor;
}

/* What cannot be written is lost: there is no better place to say so. errno survives, so that callers may log first. */
static void write_line(struct text *line)
{
    int kept = errno;
    text_append_character(line, '\n');
    const char *place = line->bytes;
    size_t left = line->length;
    while (left > 0) {
        ssize_t written = write(log_descriptor, place, left);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            break;
        place += written;
        left -= (size_t)written;
    }
    errno = kept;
}

static const char *level_prefix(enum log_level level)
{
    switch (level) {
    case LOG_LEVEL_ERROR:
        return "error: ";
    case LOG_LEVEL_WARNING:
        return "warning: ";
    case LOG_LEVEL_NOTICE:
        return "";
    case LOG_LEVEL_DEBUG:
        break;
    }
    return "debug: ";
}

void log_write(enum log_level level, const char *format, ...)
{
    if (level > level_limit)
        return;
    int kept = errno;
    cleanup(text_clear) struct text message = TEXT_INIT;
    va_list arguments;
    va_start(arguments, format);
    text_format_list(&message, format, arguments);
    va_end(arguments);
    cleanup(text_clear) struct text line = TEXT_INIT;
    text_append(&line, "descpipe: ");
    text_append(&line, level_prefix(level));
    text_append_printable(&line, text_bytes(&message), LINE_LIMIT);
    write_line(&line);
    errno = kept;
}

void log_error(const struct error *error)
{
    cleanup(text_clear) struct text line = TEXT_INIT;
    text_append(&line, "descpipe: error: ");
    if (error->file != NULL) {
        text_append_printable(&line, error->file, LINE_LIMIT);
        if (error->line > 0)
            text_format(&line, ":%u", (unsigned)error->line);
        if (error->line > 0 && error->column > 0)
            text_format(&line, ":%u", (unsigned)error->column);
        text_append(&line, ": ");
    }
    text_append_printable(&line, error->message != NULL ? error->message : "failed without saying why", LINE_LIMIT);
    write_line(&line);
    if (error->hint == NULL)
        return;
    text_reset(&line);
    text_append(&line, "descpipe: hint: ");
    text_append_printable(&line, error->hint, LINE_LIMIT);
    write_line(&line);
}
