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

static bool is_running_session(const struct engine *engine, pid_t session)
{
    for (size_t i = 0; i < engine->attempts.count; i++)
        if ((engine->attempts.items[i]->process != NULL || engine->attempts.items[i]->lingering != NULL) &&
            engine->attempts.items[i]->session == session)
            return true;
    return false;
}

static bool is_stray(const struct engine *engine, pid_t own, pid_t session)
{
    return own == session || (session == 0 && own != getsid(0) && !is_running_session(engine, own));
}

size_t stray_end(struct engine *engine, pid_t session)
{
    char path[64], children[4096];
    int keeper = atomic_load(&engine->table->keeper);
    if (keeper <= 0)
        return 0;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", keeper, keeper);
    cleanup(descriptor_close) int list = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = list >= 0 ? read(list, children, sizeof children - 1) : -1;
    if (length <= 0)
        return 0;
    children[length] = '\0';
    size_t count = 0;
    for (char *place = children; *place != '\0';) {
        char *end;
        long pid = strtol(place, &end, 10);
        if (end == place)
            break;
        pid_t own = pid != getpid() ? getsid((pid_t)pid) : -1;
        /* The whole session: what it has started itself is not our child until it has ended. */
        if (own > 0 && is_stray(engine, own, session))
            count += process_signal_session(own, SIGKILL);
        place = end + (*end == ' ');
    }
    return count;
}
