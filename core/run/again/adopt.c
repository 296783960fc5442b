/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Processes that an engine before this one started, and that its keeper has now.
 *
 * How it works: they are no children of ours, so keeper.log says how each ended, and a look at it every LOOK_MS is all
 * there is to do. To end one its session is signalled, which its start time names for good. A keeper that has been
 * ended itself says nothing any more: what it left is ended, and lost.
 */
#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "run/journal/keeper_log.h"
#include "run/walk.h"

#define LOOK_MS 50

struct adoption {
    struct keeper_log *log;
    struct loop_timer *timer;
    uint32_t count;
};

static bool is_alive(const struct attempt *attempt)
{
    return process_lives(attempt->session, attempt->session_start);
}

void adopt_signal(struct attempt *attempt, int signal)
{
    uint64_t start = process_start_time(attempt->session);
    if (start == attempt->session_start || start == 0) /* 0: others of its session hold the number, if anybody does */
        process_signal_session(attempt->session, signal);
}

static void over(struct attempt *attempt, const struct descpipe_ending *ending)
{
    attempt_add_ending(attempt, ending);
    if (attempt->stopped != 0) {
        const struct descpipe_ending ours = {.size = sizeof ours, .flags = attempt->stopped, .witness = "descpipe"};
        attempt_add_ending(attempt, &ours);
    } else {
        chain_take_end(attempt);
    }
    if (attempt->adopted) {
        adopt_signal(attempt, SIGKILL); /* what it left behind */
        attempt->adopted = false;
        attempt->engine->adoption->count--;
    }
    bool killed = (ending->flags & (DESCPIPE_ENDED_SIGNALLED | DESCPIPE_ENDED_LOST)) != 0 || attempt->stopped != 0;
    if (attempt->removal != NULL && killed)
        command_remove_rest(attempt);
    else
        attempt_ended_soon(attempt);
}

static void ended(struct attempt *attempt, const struct keeper_end *end)
{
    bool exited = end->exit_code >= 0;
    if (attempt->started_ms > end->at_ms) /* the engine was killed before it could write when: adopted is not started */
        attempt->started_ms = end->at_ms;
    const struct descpipe_ending ending = {.size = sizeof ending,
                                           .flags = exited ? DESCPIPE_ENDED_EXITED : DESCPIPE_ENDED_SIGNALLED,
                                           .exit_code = exited ? end->exit_code : 0,
                                           .signal = end->signal,
                                           .started_at_ms = attempt->started_ms,
                                           .finished_at_ms = end->at_ms,
                                           .witness = "keeper"};
    attempt->finished_ms = end->at_ms;
    if (!exited || end->exit_code != 0)
        command_look_at_disk(attempt);
    over(attempt, &ending);
}

static void lost(struct attempt *attempt, const char *reason)
{
    const struct descpipe_ending ending = {
        .size = sizeof ending, .flags = DESCPIPE_ENDED_LOST, .witness = "descpipe", .reason = reason};
    over(attempt, &ending);
}

static bool keeper_is_gone(const struct attempt *attempt)
{
    return attempt->keeper <= 0 || !process_lives(attempt->keeper, attempt->keeper_start);
}

static void look_at(struct attempt *attempt, struct keeper_log *log)
{
    bool gone = keeper_is_gone(attempt); /* before the log is read: what it wrote last counts */
    keeper_log_read(log);
    const struct keeper_end *end = keeper_log_end(log, attempt->job);
    if (end != NULL)
        ended(attempt, end);
    else if (gone && is_alive(attempt))
        adopt_signal(attempt, SIGKILL); /* met again when it has ended */
    else if (gone)
        lost(attempt, "its keeper was ended, and nobody saw how it ended");
}

static void look(void *context)
{
    struct engine *engine = context;
    struct adoption *adoption = engine->adoption;
    adoption->timer = NULL;
    for (size_t i = 0; i < engine->attempts.count; i++)
        if (engine->attempts.items[i]->adopted)
            look_at(engine->attempts.items[i], adoption->log);
    if (adoption->count > 0)
        adoption->timer = loop_timer(engine->loop, LOOK_MS, look, engine);
}

static void follow(struct attempt *attempt, struct keeper_log *log)
{
    struct engine *engine = attempt->engine;
    if (engine->adoption == NULL) {
        engine->adoption = memory_allocate(sizeof *engine->adoption);
        engine->adoption->log = log;
    }
    attempt->adopted = true;
    engine->adoption->count++;
    if (engine->adoption->timer == NULL)
        engine->adoption->timer = loop_timer(engine->loop, LOOK_MS, look, engine);
    command_time_limit(attempt);
}

bool adopt_process(struct attempt *attempt, struct keeper_log *log)
{
    bool gone = keeper_is_gone(attempt); /* before the log is read, as in look_at */
    keeper_log_read(log);
    const struct keeper_end *end = keeper_log_end(log, attempt->job);
    if (end != NULL) {
        ended(attempt, end);
        return true;
    }
    if (attempt->session <= 0 || gone) {
        if (attempt->session > 0 && is_alive(attempt))
            adopt_signal(attempt, SIGKILL);
        return false;
    }
    follow(attempt, log);
    return true;
}
