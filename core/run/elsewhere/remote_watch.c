/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What becomes of jobs elsewhere: the scheduler's word, the job's own, and our wish to end it.
 *
 * How it works: a scheduler's word that a job is over is met by the job's outcome file, which a shared file system may
 * show some seconds later; both are evidence.
 */
#include <string.h>

#include "base/clock.h"
#include "run/elsewhere/job_script.h"
#include "run/elsewhere/remote.h"

#define LOOK_MS 250
#define OUTCOME_PATIENCE_MS 30000    /* a file of another node, through a file system with caches */
#define OUTCOME_PATIENCE_CUT_MS 3000 /* when the scheduler says that it cut the job short */

static void cancel_answered(void *context, const struct call_result *result)
{
    (void)result; /* their ends come through the sink; what the scheduler did not hear is asked again by the user */
    memory_free(context);
}

static void cancel_now(void *context)
{
    struct walk_backend *backend = context;
    size_t count = backend->cancelled.count;
    uint64_t *jobs = memory_allocate((count + 1) * sizeof *jobs);
    memcpy(jobs, backend->cancelled.items, count * sizeof *jobs);
    backend->cancelled.count = 0;
    scheduler_cancel(backend->engine->plan->backends[backend->number].scheduler, jobs, count,
                     (struct call_options){.done = cancel_answered, .context = jobs});
}

void remote_cancel(struct attempt *attempt)
{
    struct walk_backend *backend = attempt->remote->backend;
    if (attempt->stop_sent)
        return;
    attempt->stop_sent = true;
    if (backend->cancelled.count == 0)
        loop_post(attempt->engine->loop, cancel_now, backend);
    list_add(&backend->cancelled, attempt->job);
}

/* The job's own words first: it is nearest to the command. */
static void add_outcome(struct attempt *attempt, const struct job_outcome *outcome)
{
    struct descpipe_ending ending;
    job_outcome_ending(outcome, &ending);
    attempt_add_ending(attempt, &ending);
    size_t last = attempt->endings_count - 1;
    const struct descpipe_ending first = attempt->endings[last];
    memmove(&attempt->endings[1], &attempt->endings[0], last * sizeof first);
    attempt->endings[0] = first;
    attempt->warned = outcome->warned;
    chain_take_end(attempt);
    if (outcome->started_at_ms != 0)
        attempt->started_ms = outcome->started_at_ms;
    attempt->finished_ms = outcome->finished_at_ms;
}

/* All evidence is in. */
static void settle(struct attempt *attempt, bool ran)
{
    bool given_back = attempt->stopped != 0 || attempt->engine->whole != NULL; /* which begins nothing new by itself */
    if (given_back && !ran && attempt->engine->stop == STOP_FAILED) {
        attempt_take_back(attempt, "because another stage failed");
        return;
    }
    if (attempt->stopped != 0) {
        const struct descpipe_ending ours = {.size = sizeof ours, .flags = attempt->stopped, .witness = "descpipe"};
        attempt_add_ending(attempt, &ours);
    }
    attempt_ended(attempt);
}

static void look_for_outcome(void *context)
{
    struct attempt *attempt = context;
    struct job_outcome outcome;
    attempt->again = NULL;
    job_outcome_read(attempt->outcome_path, &outcome);
    if (outcome.phase != JOB_PHASE_END && clock_monotonic_ms() < attempt->patience_until_ms) {
        attempt->again = loop_timer(attempt->engine->loop, LOOK_MS, look_for_outcome, attempt);
        return;
    }
    add_outcome(attempt, &outcome);
    settle(attempt, outcome.phase != JOB_PHASE_NONE);
}

/* Of a pod its scheduler has seen everything. */
static void take_pod_ending(struct attempt *attempt, const struct descpipe_ending *ending)
{
    static const struct descpipe_ending unknown = {.size = sizeof unknown,
                                                   .flags = DESCPIPE_ENDED_LOST,
                                                   .witness = "scheduler",
                                                   .reason = "its scheduler does not say how it ended"};
    attempt_add_ending(attempt, ending != NULL ? ending : &unknown);
    if (ending != NULL && ending->started_at_ms != 0)
        attempt->started_ms = ending->started_at_ms;
    if (ending != NULL)
        attempt->finished_ms = ending->finished_at_ms;
    settle(attempt, attempt->seen_running || (ending != NULL && (ending->flags & DESCPIPE_ENDED_EXITED) != 0));
}

void remote_look_for_outcome(struct attempt *attempt)
{
    if (attempt->outcome_path == NULL) {
        const struct descpipe_ending lost = {.size = sizeof lost,
                                             .flags = DESCPIPE_ENDED_LOST,
                                             .witness = "scheduler",
                                             .reason = "its scheduler does not know it any more"};
        attempt_add_ending(attempt, &lost);
        attempt_ended_soon(attempt);
        return;
    }
    attempt->patience_until_ms = clock_monotonic_ms() + OUTCOME_PATIENCE_CUT_MS;
    look_for_outcome(attempt);
}

static void ended(struct attempt *attempt, const struct descpipe_change *change)
{
    if (attempt->by_own_word) {
        attempt->by_own_word = false;
        remote_accounted(attempt->engine, attempt->job, change->ending);
    }
    if (attempt->patience_until_ms != 0)
        return; /* said twice */
    const uint32_t cut = DESCPIPE_ENDED_OUT_OF_MEMORY | DESCPIPE_ENDED_TIMED_OUT | DESCPIPE_ENDED_NODE_FAILED |
                         DESCPIPE_ENDED_PREEMPTED | DESCPIPE_ENDED_CANCELLED | DESCPIPE_ENDED_NOT_STARTED;
    if (attempt->outcome_path == NULL) {
        attempt->patience_until_ms = INT64_MAX;
        take_pod_ending(attempt, change->ending);
        return;
    }
    if (change->ending != NULL)
        attempt_add_ending(attempt, change->ending);
    bool is_cut = change->ending != NULL && (change->ending->flags & cut) != 0;
    attempt->patience_until_ms = clock_monotonic_ms() + (is_cut ? OUTCOME_PATIENCE_CUT_MS : OUTCOME_PATIENCE_MS);
    look_for_outcome(attempt);
}

/* The job goes on with its next attempt, which the journal hears of as of any other. */
static void repeated(struct attempt *attempt, const struct descpipe_change *change)
{
    struct engine *engine = attempt->engine;
    struct remote *remote = attempt->remote;
    uint32_t task = attempt->task, position = attempt->position;
    if (change->ending != NULL) {
        attempt_add_ending(attempt, change->ending);
        attempt->started_ms = change->ending->started_at_ms != 0 ? change->ending->started_at_ms : attempt->started_ms;
        attempt->finished_ms = change->ending->finished_at_ms;
    }
    attempt_repeat(attempt);
    attempt = engine->attempts.items[engine->tasks[task].attempt_slot];
    remote->jobs[position].attempt = attempt;
    remote->jobs[position].job = attempt->job;
    struct text *text = record_intent_begin(engine, remote->serial, position);
    record_intent_attempt(attempt, text, true);
    record_intent_end(engine, text);
    if (change->native_id != NULL)
        record_submitted(engine, remote->serial, attempt->job, change->native_id);
    if (engine->stop == STOP_CANCEL)
        attempt_end_by_us(attempt, DESCPIPE_ENDED_CANCELLED, 0);
}

void remote_take_outcome(struct attempt *attempt)
{
    attempt->patience_until_ms = clock_monotonic_ms();
    look_for_outcome(attempt);
}

static void queued(struct attempt *attempt, const struct descpipe_change *change)
{
    const char *reason = change->reason != NULL ? change->reason : "";
    if (attempt->waits_reason != NULL && text_equal(attempt->waits_reason, reason))
        return;
    memory_free(attempt->waits_reason);
    attempt->waits_reason = memory_copy_text(reason);
    record_queued(attempt->engine, attempt->job, reason);
}

bool remote_changed(struct engine *engine, uint32_t task, const struct descpipe_change *change)
{
    uint32_t backend = engine->plan->stages[plan_task_stage(engine->plan, task)].backend;
    if (!engine->backends[backend].elsewhere)
        return false;
    if (engine->detach != NULL)
        return true;                                 /* nobody watches any more */
    if (engine->tasks[task].state != TASK_RUNNING) { /* over already */
        if (change->state == DESCPIPE_JOB_ENDED && engine->tasks[task].state == TASK_SUCCEEDED) {
            remote_accounted(engine, change->job, change->ending);
            submit_room_again(engine, backend); /* its scheduler has counted it until now */
        }
        return true;
    }
    struct attempt *attempt = engine->attempts.items[engine->tasks[task].attempt_slot];
    if (attempt->remote == NULL || !attempt->ready)
        return true;
    switch (change->state) {
    case DESCPIPE_JOB_QUEUED:
        queued(attempt, change);
        break;
    case DESCPIPE_JOB_RUNNING:
        if (attempt->said_running) { /* by itself */
            attempt->said_running = false;
            break;
        }
        if (change->at_ms != 0)
            attempt->started_ms = change->at_ms;
        attempt->seen_running = true;
        record_started(attempt, change->native_id, change->host);
        break;
    case DESCPIPE_JOB_ENDED:
        ended(attempt, change);
        break;
    case DESCPIPE_JOB_REPEATED:
        repeated(attempt, change);
        break;
    default: /* a newer plugin's word */
        break;
    }
    return true;
}

void remote_withdraw(struct engine *engine)
{
    if (engine->whole != NULL)
        return;
    for (struct remote *remote = engine->remotes; remote != NULL; remote = remote->next)
        for (uint32_t i = 0; i < remote->count; i++) {
            struct attempt *attempt = remote->jobs[i].attempt;
            if (attempt != NULL && attempt->sent && !attempt->seen_running)
                attempt_end_by_us(attempt, DESCPIPE_ENDED_CANCELLED, 0);
        }
}

uint32_t remote_in_progress(const struct engine *engine)
{
    uint32_t count = 0;
    for (const struct remote *remote = engine->remotes; remote != NULL; remote = remote->next)
        for (uint32_t i = 0; i < remote->count; i++)
            count += remote->jobs[i].attempt != NULL && remote->jobs[i].attempt->sent;
    return count;
}
