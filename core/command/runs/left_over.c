/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ends what a run left running.
 *
 * How it works: a session is named by its id and the start time of the process that made it, as the journal has them.
 * Before each signal that process is looked at: another start time means that the number belongs to somebody else now.
 * When it has ended while others of its session live, the number is still taken by them: they get what it would.
 */
#include "command/runs/left_over.h"

#include <signal.h>

#include "base/clock.h"
#include "base/list.h"
#include "io/process.h"

enum { KILL_WAIT_MS = 5000, NAMES_SHOWN = 10 };

struct remnant {
    uint32_t task;
    pid_t session;
    uint64_t session_start;
};
struct remnants {
    struct remnant *items;
    size_t count, capacity;
};

static void append_name(const struct run_view *view, uint32_t task, size_t *count, struct text *out)
{
    if (*count < NAMES_SHOWN) {
        text_append(out, *count > 0 ? ", " : "");
        run_view_append_task(view, task, out);
    } else if (*count == NAMES_SHOWN) {
        text_append(out, " and others");
    }
    ++*count;
}

static struct remnants find_remnants(const struct run_view *view, size_t *kept_count, struct text *kept)
{
    struct remnants remnants = {0};
    for (uint32_t i = 0; i < view->tasks.count; i++) {
        const struct task_view *task = &view->tasks.items[i];
        const struct remnant remnant = {.task = i, .session = task->session, .session_start = task->session_start};
        if (task->state == TASK_RUNNING && task->session > 0)
            list_add(&remnants, remnant);
        else if (task->state == TASK_RUNNING)
            append_name(view, i, kept_count, kept);
    }
    return remnants;
}

static void terminate(const struct remnant *remnant)
{
    if (process_start_time(remnant->session) == remnant->session_start)
        process_signal_session(remnant->session, SIGTERM);
}

static bool kill_rest(const struct remnant *remnant)
{
    uint64_t start = process_start_time(remnant->session);
    if (start != remnant->session_start && start != 0)
        return true;
    process_signal_session(remnant->session, SIGKILL);
    return process_await_end(remnant->session, remnant->session_start, clock_monotonic_ms() + KILL_WAIT_MS);
}

void left_over_end(const struct run_view *view, struct text *ended, struct text *kept)
{
    size_t ended_count = 0, kept_count = 0;
    struct remnants remnants = find_remnants(view, &kept_count, kept);
    for (size_t i = 0; i < remnants.count; i++)
        terminate(&remnants.items[i]);
    int64_t deadline_ms = clock_monotonic_ms() + LEFT_OVER_GRACE_MS;
    for (size_t i = 0; i < remnants.count; i++)
        process_await_end(remnants.items[i].session, remnants.items[i].session_start, deadline_ms);
    for (size_t i = 0; i < remnants.count; i++) {
        bool gone = kill_rest(&remnants.items[i]);
        append_name(view, remnants.items[i].task, gone ? &ended_count : &kept_count, gone ? ended : kept);
    }
    list_clear(&remnants);
}
