/* SPDX-License-Identifier: BSD-3-Clause */
/* Finds log files and makes their lines harmless. */
#include "report/log_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/path.h"
#include "run/journal/run_folder.h"

enum { TAIL_BYTES = 16384, LAST_LINE_BYTES = 4096, TAB_WIDTH = 8, LINE_LIMIT = 4096 };

const char *log_stream_name(enum log_stream stream)
{
    return stream == LOG_STREAM_OUT ? "stdout" : "stderr";
}

char *log_file_find(const struct run_view *view, uint32_t task, uint32_t attempt, enum log_stream stream)
{
    const struct task_view *item = &view->tasks.items[task];
    const char *stage = run_view_text(view, item->stage), *member = run_view_text(view, item->member);
    cleanup(text_clear) struct text name = TEXT_INIT;
    run_attempt_name(&name, stage, member, attempt);
    text_append(&name, stream == LOG_STREAM_OUT ? ".out" : ".err");
    cleanup(memory_free) char *folder = path_join(view->folder, "logs");
    if (!path_is_component(name.bytes))
        return NULL;
    DIR *entries = opendir(folder);
    if (entries == NULL)
        return NULL;
    char *found = NULL;
    for (struct dirent *entry; found == NULL && (entry = readdir(entries)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        cleanup(memory_free) char *path = memory_format("%s/%s/%s", folder, entry->d_name, name.bytes);
        struct stat status;
        if (lstat(path, &status) == 0 && S_ISREG(status.st_mode))
            found = steal(&path);
    }
    closedir(entries);
    return found;
}

/* The length of the escape sequence at `bytes` (ECMA-48: CSI, OSC and the other strings, two-byte ones). */
static size_t escape_length(const char *bytes, size_t length)
{
    if (length < 2)
        return length;
    size_t i = 2;
    if (bytes[1] == '[') {
        while (i < length && (unsigned char)bytes[i] >= 0x20 && (unsigned char)bytes[i] < 0x40)
            i++;
        return i < length ? i + 1 : i;
    }
    if (bytes[1] == ']' || bytes[1] == 'P' || bytes[1] == '_' || bytes[1] == '^' || bytes[1] == 'X') {
        while (i < length && bytes[i] != '\a' && bytes[i] != '\x1b')
            i++;
        if (i + 1 < length && bytes[i] == '\x1b' && bytes[i + 1] == '\\')
            i++;
        return i < length ? i + 1 : i;
    }
    while (i - 1 < length && (unsigned char)bytes[i - 1] >= 0x20 && (unsigned char)bytes[i - 1] < 0x30)
        i++;
    return i <= length ? i : length;
}

void log_line_append(const char *bytes, size_t length, size_t limit, struct text *out)
{
    while (length > 0 && (bytes[length - 1] == '\r' || bytes[length - 1] == '\n'))
        length--;
    const char *overwritten = memrchr(bytes, '\r', length);
    if (overwritten != NULL) {
        length -= (size_t)(overwritten + 1 - bytes);
        bytes = overwritten + 1;
    }
    cleanup(text_clear) struct text plain = TEXT_INIT;
    for (size_t i = 0; i < length && plain.length <= limit;) {
        if (bytes[i] == '\x1b') {
            i += escape_length(bytes + i, length - i);
            continue;
        }
        if (bytes[i] == '\t')
            do
                text_append_character(&plain, ' ');
            while (plain.length % TAB_WIDTH != 0);
        else if (bytes[i] == '\0')
            text_append(&plain, "\\x00");
        else
            text_append_character(&plain, bytes[i]);
        i++;
    }
    text_append_printable(out, text_bytes(&plain), limit);
}

/* At most `bytes` from the end of the file; *cut: it does not begin at the beginning. */
static bool read_end(const char *path, size_t bytes, struct text *into, bool *cut)
{
    struct stat status;
    cleanup(descriptor_close) int descriptor = file_open(path, &status, NULL);
    if (descriptor < 0)
        return false;
    off_t at = status.st_size > (off_t)bytes ? status.st_size - (off_t)bytes : 0;
    *cut = at > 0;
    text_reserve(into, bytes);
    while (into->length < bytes) {
        ssize_t got = pread(descriptor, into->bytes + into->length, bytes - into->length, at + (off_t)into->length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        into->length += (size_t)got;
    }
    return into->length > 0;
}

/* The start of the line that ends at `end`. */
static size_t line_start(const char *bytes, size_t end)
{
    const char *newline = end > 0 ? memrchr(bytes, '\n', end) : NULL;
    return newline != NULL ? (size_t)(newline + 1 - bytes) : 0;
}

void log_file_last_line(const char *path, size_t limit, struct text *out)
{
    cleanup(text_clear) struct text end = TEXT_INIT;
    bool cut;
    if (!read_end(path, LAST_LINE_BYTES, &end, &cut))
        return;
    for (size_t stop = end.length; stop > 0;) {
        size_t start = line_start(end.bytes, stop), before = out->length;
        log_line_append(end.bytes + start, stop - start, limit, out);
        const char *said = text_bytes(out) + before;
        if (said[strspn(said, " ")] != '\0')
            return;
        out->length = before;
        if (out->bytes != NULL)
            out->bytes[before] = '\0';
        stop = start > 0 ? start - 1 : 0;
    }
}

size_t log_file_tail(const char *path, size_t lines, const char *indent, struct text *out)
{
    cleanup(text_clear) struct text end = TEXT_INIT;
    bool cut;
    if (lines == 0 || !read_end(path, TAIL_BYTES, &end, &cut))
        return 0;
    size_t stop = end.length;
    if (end.bytes[stop - 1] == '\n')
        stop--;
    size_t first = stop, count = 0;
    while (count < lines && (first > 0 || count == 0)) {
        size_t start = line_start(end.bytes, count == 0 ? stop : first - 1);
        if (start == 0 && cut && count > 0)
            break; /* half a line */
        first = start;
        count++;
    }
    for (size_t at = first; at <= stop;) {
        const char *newline = memchr(end.bytes + at, '\n', stop - at);
        size_t length = newline != NULL ? (size_t)(newline - (end.bytes + at)) : stop - at;
        text_append(out, indent);
        log_line_append(end.bytes + at, length, LINE_LIMIT, out);
        text_append_character(out, '\n');
        at += length + 1;
    }
    return count;
}
