/* SPDX-License-Identifier: BSD-3-Clause */
/* Stopping: after a failure, because somebody asked, or because the engine itself must go. */
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "base/path.h"
#include "run/message.h"
#include "run/walk.h"

#define PATIENCE_MS 5000 /* after the second request, for runtimes that seem to answer */

void stop_after_failure(struct engine *engine)
{
    if (engine->stop != STOP_NOT)
        return;
    engine->stop = STOP_FAILED; /* what runs ends by itself; what waits in schedulers is refused when it comes */
    remote_withdraw(engine);
    remote_hurry(engine);
}

static int64_t grace_of(const struct engine *engine)
{
    if (engine->cancels > 1)
        return 0;
    return engine->request->grace_ms > 0 ? engine->request->grace_ms : DEFAULT_GRACE_MS;
}

static void end_attempts(struct engine *engine)
{
    for (size_t i = 0; i < engine->attempts.count; i++) {
        struct attempt *attempt = engine->attempts.items[i];
        if (attempt->engine == NULL || engine->tasks[attempt->task].attempt_slot != attempt->slot)
            continue;
        if (!engine->leaves_remote || !attempt->sent)
            attempt_end_by_us(attempt, DESCPIPE_ENDED_CANCELLED, grace_of(engine));
    }
}

/* What waits in schedulers: they give each back through the sink. */
static void cancelled(void *context, const struct call_result *result)
{
    (void)result;
    memory_free(context);
}

static void cancel_waiting(struct engine *engine)
{
    for (uint32_t backend = 0; backend < engine->plan->backends_count; backend++) {
        uint64_t *jobs = memory_allocate(((size_t)engine->plan->tasks_count + 1) * sizeof *jobs);
        uint64_t count = 0;
        for (uint32_t i = 0; i < engine->plan->tasks_count; i++)
            if (engine->tasks[i].state == TASK_SUBMITTED &&
                engine->plan->stages[plan_task_stage(engine->plan, i)].backend == backend)
                jobs[count++] = walk_job(engine, i, engine->tasks[i].attempts);
        if (count == 0)
            memory_free(jobs);
        else
            scheduler_cancel(engine->plan->backends[backend].scheduler, jobs, count,
                             (struct call_options){.done = cancelled, .context = jobs});
    }
}

/* Runtimes that do not answer must not keep a user who has asked twice. */
static void give_up(struct engine *engine, bool all)
{
    for (size_t i = 0; i < engine->attempts.count; i++) {
        struct attempt *attempt = engine->attempts.items[i];
        if (attempt->engine == NULL || engine->tasks[attempt->task].attempt_slot != attempt->slot)
            continue;
        uint32_t backend = engine->plan->stages[attempt->stage].backend;
        if (engine->plan->backends[backend].form == DESCPIPE_FORM_MANAGED && (all || attempt->blind))
            managed_give_up(attempt);
    }
}

static void patience_is_over(void *context)
{
    struct engine *engine = context;
    if (!engine->walking || engine->finished) /* the plan is gone */
        return;
    give_up(engine, true);
    engine->leaves_remote = true; /* a scheduler that does not answer keeps what it has */
    engine_finish_when_done(engine);
}

void stop_cancel(struct engine *engine, const char *by)
{
    if (!engine->walking || engine->finished)
        return;
    engine->cancels++;
    if (engine->cancels > 2)
        return;
    record_request(engine, engine->cancels == 1 ? "cancel" : "cancel_now", by);
    engine->stop = STOP_CANCEL;
    engine->error.kind = ERROR_INTERRUPTED;
    if (engine->detach != NULL) {
        detach_give_up(engine);
        return;
    }
    engine->leaves_remote = engine->request->on_interrupt == ON_INTERRUPT_DEFAULT && text_equal(by, "interrupt");
    if (engine->cancels == 1)
        cancel_waiting(engine);
    end_attempts(engine);
    remote_hurry(engine);
    if (engine->cancels == 2) {
        give_up(engine, false);
        loop_timer(engine->loop, PATIENCE_MS, patience_is_over, engine);
    }
    engine_finish_when_done(engine);
}

void stop_leave(struct engine *engine, const char *by)
{
    if (engine->finished || (engine->detach != NULL && !engine->lease_lost))
        return; /* it takes seconds to hand a run over as a whole, and then it is left */
    engine->stop = STOP_LEAVE;
    engine->error.kind = ERROR_INTERRUPTED;
    if (engine->walking && !engine->lease_lost)
        record_request(engine, "leave", by);
    engine->finished = true;
    loop_stop(engine->loop);
}

void stop_message(void *context, unsigned events)
{
    struct engine *engine = context;
    (void)events;
    struct run_message message;
    ssize_t got = recv(engine->socket, &message, sizeof message, MSG_DONTWAIT);
    if (got == (ssize_t)sizeof message && engine->finished) {
        engine->hurried = true;
        return;
    }
    if (got == (ssize_t)sizeof message) {
        if (message.kind == RUN_CANCEL && engine->request->on_interrupt == ON_INTERRUPT_LEAVE && engine->cancels == 0)
            stop_leave(engine, "interrupt");
        else if (message.kind == RUN_CANCEL && engine->walking)
            stop_cancel(engine, "interrupt");
        else if (message.kind == RUN_CANCEL || message.kind == RUN_LEAVE)
            stop_leave(engine, message.kind == RUN_LEAVE ? "signal" : "interrupt");
        return;
    }
    if (got != 0)
        return;
    loop_unwatch(engine->socket_watch); /* the front is gone */
    engine->socket_watch = NULL;
    stop_leave(engine, "front ended");
}

void stop_signal(void *context, int signal, int sender_pid)
{
    (void)signal;
    (void)sender_pid;
    stop_leave(context, "signal");
}

void stop_check_file(struct engine *engine)
{
    if (engine->cancels > 0)
        return;
    cleanup(memory_free) char *path = path_join(engine->folder.path, RUN_CANCEL_FILE);
    if (file_exists(path))
        stop_cancel(engine, "request");
}
