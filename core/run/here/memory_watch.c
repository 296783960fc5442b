/* SPDX-License-Identifier: BSD-3-Clause */
/* Finds and reads the kernel's counter of processes ended for want of memory. */
#include "run/here/memory_watch.h"

#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"

#define FILE_LIMIT (256 * 1024)
#define KEY "oom_kill "

/* The number after `oom_kill` at the start of a line. */
static bool read_counter(const char *path, uint64_t *kills)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    if (!file_read(path, FILE_LIMIT, &text, NULL))
        return false;
    for (const char *line = text_bytes(&text); line != NULL && *line != '\0';) {
        const char *end = strchrnul(line, '\n');
        if (text_starts_with(line, KEY)) {
            cleanup(memory_free) char *number =
                memory_copy_bytes(line + strlen(KEY), (size_t)(end - line) - strlen(KEY));
            return text_to_unsigned(number, kills);
        }
        line = *end != '\0' ? end + 1 : end;
    }
    return false;
}

/* The path of our control group in the line of /proc/self/cgroup whose second field this is: "" for v2. */
static char *own_group(const char *root, const char *controller)
{
    cleanup(memory_free) char *path = memory_format("%s/proc/self/cgroup", root);
    cleanup(text_clear) struct text text = TEXT_INIT;
    if (!file_read(path, FILE_LIMIT, &text, NULL))
        return NULL;
    cleanup(memory_free) char *wanted = memory_format(":%s:", controller);
    for (const char *line = text_bytes(&text); *line != '\0';) {
        const char *end = strchrnul(line, '\n');
        const char *fields = memchr(line, ':', (size_t)(end - line));
        if (fields != NULL && text_starts_with(fields, wanted)) {
            const char *group = fields + strlen(wanted);
            return memory_copy_bytes(group, (size_t)(end - group));
        }
        line = *end != '\0' ? end + 1 : end;
    }
    return NULL;
}

static bool take(struct memory_watch *watch, char *path)
{
    uint64_t kills;
    if (!read_counter(path, &kills)) {
        memory_free(path);
        return false;
    }
    watch->path = path;
    watch->kills = kills;
    return true;
}

void memory_watch_begin(struct memory_watch *watch, const char *root)
{
    static const char of_group[] = "the kernel ended a process of this run for want of memory while it ran";
    cleanup(memory_free) char *unified = own_group(root, "");
    cleanup(memory_free) char *memory = own_group(root, "memory");
    *watch = (struct memory_watch){.reason = of_group};
    watch->witness = "memory.events";
    if (unified != NULL && take(watch, memory_format("%s/sys/fs/cgroup%s/memory.events", root, unified)))
        return;
    watch->witness = "memory.oom_control";
    if (memory != NULL && take(watch, memory_format("%s/sys/fs/cgroup/memory%s/memory.oom_control", root, memory)))
        return;
    watch->witness = "vmstat";
    watch->reason = "the kernel ended a process of this machine for want of memory while it ran";
    take(watch, memory_format("%s/proc/vmstat", root));
}

void memory_watch_clear(struct memory_watch *watch)
{
    memory_free(steal(&watch->path));
}

void memory_watch_look(struct memory_watch *watch)
{
    uint64_t kills;
    if (watch->path == NULL || !read_counter(watch->path, &kills))
        return;
    if (kills > watch->kills)
        watch->changed_ms = clock_wall_ms();
    watch->kills = kills;
}

bool memory_watch_killed_since(struct memory_watch *watch, int64_t since_ms)
{
    memory_watch_look(watch);
    return watch->changed_ms != 0 && watch->changed_ms >= since_ms;
}
