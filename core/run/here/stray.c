/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Processes that a stage left behind. When their parent ends they become children of the keeper, which is a subreaper:
 * so they are found in its list of children, and their session says whose they are. One that made a session of its own
 * (a daemon) belongs to no stage that can be named; it is ended when no stage is running that it might serve.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "run/walk.h"

#define PIECE 4096                               /* of the list, at a time: a page is what the kernel gives */
#define PID_BYTES 64                             /* more than one has in the list */
#define CHILDREN_BYTES ((size_t)8 * 1024 * 1024) /* a million of them */

static bool is_running_session(const struct engine *engine, pid_t session)
{
    for (size_t i = 0; i < engine->attempts.count; i++)
        if (command_lives(engine->attempts.items[i]) && engine->attempts.items[i]->session == session)
            return true;
    return false;
}

static bool is_stray(const struct engine *engine, pid_t own, pid_t session)
{
    return own == session || (session == 0 && own != getsid(0) && !is_running_session(engine, own));
}

/* The kernel's list of the keeper's children; false when it cannot be had. Opened once: it is read after each end. A
 * child more fits into what a piece leaves free, so only a piece that is nearly full may have another one behind it. */
static bool read_children(struct engine *engine, int keeper, struct text *children)
{
    if (engine->children_list == 0) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/task/%d/children", keeper, keeper);
        engine->children_list = open(path, O_RDONLY | O_CLOEXEC);
    }
    ssize_t length = engine->children_list >= 0 ? PIECE : -1;
    while (length > PIECE - PID_BYTES && children->length < CHILDREN_BYTES) {
        text_reserve(children, PIECE);
        length = pread(engine->children_list, children->bytes + children->length, PIECE, (off_t)children->length);
        children->length += length > 0 ? (size_t)length : 0;
    }
    if (children->length == 0)
        return false;
    children->bytes[children->length] = '\0';
    return true;
}

/* One of a session of our own stages ends with all that its session has; a daemon alone, for what it has started comes
 * to the keeper when it has ended, and is met by the next look. */
static size_t end_one(pid_t pid, pid_t own, pid_t session)
{
    return own == session ? process_signal_session(own, SIGKILL) : process_signal_member(pid, own, SIGKILL);
}

size_t stray_end(struct engine *engine, pid_t session)
{
    int keeper = atomic_load(&engine->table->keeper);
    cleanup(text_clear) struct text children = TEXT_INIT;
    if (keeper <= 0 || !read_children(engine, keeper, &children))
        return 0;
    size_t count = 0;
    for (char *place = children.bytes; *place != '\0';) {
        char *end;
        long pid = strtol(place, &end, 10);
        if (end == place)
            break;
        pid_t own = pid != getpid() ? getsid((pid_t)pid) : -1;
        if (own > 0 && is_stray(engine, own, session))
            count += end_one((pid_t)pid, own, session);
        place = end + (*end == ' ');
    }
    return count;
}
