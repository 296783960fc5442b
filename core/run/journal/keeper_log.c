/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads keeper.log. */
#include "run/journal/keeper_log.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/path.h"
#include "run/keeper.h"

#define PIECE ((size_t)64 * 1024)

void keeper_log_open(struct keeper_log *log, const char *run_folder)
{
    *log = (struct keeper_log){.path = path_join(run_folder, KEEPER_LOG)};
}

void keeper_log_clear(struct keeper_log *log)
{
    memory_free(log->path);
    text_clear(&log->rest);
    list_clear(&log->children);
    list_clear(&log->ends);
    list_clear(&log->keepers);
    *log = (struct keeper_log){.path = NULL};
}

static uint64_t number(const json_t *object, const char *name)
{
    json_int_t value = json_integer_value(json_object_get(object, name));
    return value > 0 ? (uint64_t)value : 0;
}

static pid_t process_number(const json_t *object, const char *name)
{
    uint64_t value = number(object, name);
    return value <= INT32_MAX ? (pid_t)value : 0;
}

static void take_children(struct keeper_log *log, const json_t *line)
{
    pid_t keeper = process_number(line, "keeper");
    size_t index;
    json_t *one;
    json_array_foreach(json_object_get(line, "running"), index, one)
    {
        const struct keeper_child child = {.job = number(one, "job"),
                                           .keeper = keeper,
                                           .pid = process_number(one, "pid"),
                                           .start_time = number(one, "start")};
        if (child.job != 0)
            list_add(&log->children, child);
    }
    list_add(&log->keepers, keeper);
}

static void take_end(struct keeper_log *log, const json_t *line)
{
    const json_t *exit_code = json_object_get(line, "exit"), *signal = json_object_get(line, "signal");
    struct keeper_end end = {.job = number(line, "job"), .exit_code = -1, .at_ms = (int64_t)number(line, "at")};
    if (json_is_integer(exit_code))
        end.exit_code = (int)(json_integer_value(exit_code) & 0xFF);
    else
        end.signal = (int)(json_integer_value(signal) & 0x7F);
    if (end.job != 0 && (json_is_integer(exit_code) || json_is_integer(signal)))
        list_add(&log->ends, end);
}

static void take_line(struct keeper_log *log, const char *bytes, size_t length)
{
    json_t *line = json_loadb(bytes, length, 0, NULL);
    if (json_is_array(json_object_get(line, "running")))
        take_children(log, line);
    else
        take_end(log, line); /* NULL has no members */
    json_decref(line);
}

static void take_lines(struct keeper_log *log)
{
    struct text *rest = &log->rest;
    size_t from = 0;
    for (const char *newline; (newline = memchr(rest->bytes + from, '\n', rest->length - from)) != NULL;) {
        size_t length = (size_t)(newline - rest->bytes) - from;
        take_line(log, rest->bytes + from, length);
        from += length + 1;
    }
    memmove(rest->bytes, rest->bytes + from, rest->length - from);
    rest->length -= from;
}

void keeper_log_read(struct keeper_log *log)
{
    cleanup(descriptor_close) int file = file_open(log->path, NULL, NULL);
    while (file >= 0 && log->at < KEEPER_LOG_LIMIT) {
        text_reserve(&log->rest, PIECE);
        ssize_t got = pread(file, log->rest.bytes + log->rest.length, PIECE, (off_t)log->at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return;
        log->at += (uint64_t)got;
        log->rest.length += (size_t)got;
        take_lines(log);
    }
}

bool keeper_log_knows(const struct keeper_log *log, pid_t keeper)
{
    for (size_t i = 0; i < log->keepers.count; i++)
        if (log->keepers.items[i] == keeper)
            return true;
    return false;
}

const struct keeper_child *keeper_log_child(const struct keeper_log *log, uint64_t job)
{
    for (size_t i = log->children.count; i-- > 0;)
        if (log->children.items[i].job == job)
            return &log->children.items[i];
    return NULL;
}

const struct keeper_end *keeper_log_end(const struct keeper_log *log, uint64_t job)
{
    for (size_t i = log->ends.count; i-- > 0;)
        if (log->ends.items[i].job == job)
            return &log->ends.items[i];
    return NULL;
}
