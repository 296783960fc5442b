/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One attempt, from the scheduler's word to its verdict.
 *
 *     attempt_start → files in (helper thread, when there are any) → attempt_run → command.c or managed.c
 *     → attempt_ended → files out (helper thread) → attempt_published → judged: done, again, or failed
 *
 * The scheduler hears of the end as soon as what the attempt used is free again, which is before its files are
 * published.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "run/walk.h"

#define BACKOFF_LIMIT_MS INT64_C(3600000)
#define SIGNALLED 128
#define WORD_PATIENCE_MS 3000

static struct attempt *attempt_new(struct engine *engine)
{
    if (engine->free_slots.count > 0)
        return engine->attempts.items[engine->free_slots.items[--engine->free_slots.count]];
    struct attempt *attempt = memory_allocate(sizeof *attempt);
    attempt->arena = arena_new();
    attempt->slot = (uint32_t)engine->attempts.count;
    list_add(&engine->attempts, attempt);
    return attempt;
}

static void attempt_reset(struct attempt *attempt)
{
    text_clear(&attempt->outcome.reason);
    text_clear(&attempt->files_reason);
    error_clear(&attempt->files_error);
    memory_free(attempt->waits_reason);
    arena_reset(attempt->arena);
    struct arena *arena = attempt->arena;
    const struct attempt kept = *attempt;
    *attempt = (struct attempt){.arena = arena, .slot = kept.slot, .keeper_slot = -1, .output = -1, .error = -1};
    memcpy(attempt->has_empty, kept.has_empty, sizeof kept.has_empty);
    memcpy(attempt->empty_paths, kept.empty_paths, sizeof kept.empty_paths);
}

static double power(double factor, unsigned times)
{
    double result = 1;
    for (unsigned i = 0; i < times; i++)
        result *= factor;
    return result;
}

struct attempt_limits attempt_limits(const struct engine *engine, uint32_t task, uint32_t number)
{
    struct descpipe_resources resources;
    plan_resources(engine->plan, number, &resources);
    const struct task *state = &engine->tasks[task];
    const struct stage_extras *extras = engine->pipeline->stages.items[number].extras;
    struct attempt_limits limits = {.memory = resources.memory_per_node,
                                    .time_limit_ms = engine->request->time_limit_ms};
    if (limits.time_limit_ms == 0)
        limits.time_limit_ms = (int64_t)resources.time_limit_ms;
    if (extras == NULL)
        return limits;
    const struct retries *retries = &extras->retries;
    if (state->out_of_memory > 0 && limits.memory > 0 && retries->memory_factor > 1) {
        double raised = (double)limits.memory * power(retries->memory_factor, state->out_of_memory);
        uint64_t limit = retries->max_memory > 0 ? retries->max_memory : UINT64_MAX / 2;
        limits.memory = raised < (double)limit ? (uint64_t)raised : limit;
    }
    if (state->timed_out > 0 && retries->minutes_factor > 1) {
        double raised = (double)limits.time_limit_ms * power(retries->minutes_factor, state->timed_out);
        limits.time_limit_ms = raised < (double)CLOCK_LENGTH_LIMIT_MS ? (int64_t)raised : CLOCK_LENGTH_LIMIT_MS;
    }
    return limits;
}

static void attempt_name(struct attempt *attempt, const struct stage *stage)
{
    struct engine *engine = attempt->engine;
    attempt->stage_name = pipeline_text(engine->pipeline, stage->name);
    cleanup(text_clear) struct text text = TEXT_INIT;
    if (attempt->member != NONE) {
        stage_member_name(engine->pipeline, stage, attempt->member, &text);
        attempt->member_name = arena_copy(attempt->arena, text_bytes(&text), text.length);
        text_reset(&text);
    }
    run_attempt_name(&text, attempt->stage_name, attempt->member_name, attempt->number);
    attempt->name = arena_copy(attempt->arena, text_bytes(&text), text.length);
}

struct attempt *attempt_make(struct engine *engine, uint32_t task, void (*ended)(void *scheduler, uint64_t job),
                             void *scheduler)
{
    struct attempt *attempt = attempt_new(engine);
    attempt_reset(attempt);
    attempt->engine = engine;
    attempt->task = task;
    attempt->job = walk_job(engine, task, engine->tasks[task].attempts);
    attempt->number = engine->tasks[task].attempts;
    attempt->scheduler_ended = ended;
    attempt->scheduler = scheduler;
    attempt->started_ms = clock_wall_ms();
    attempt->started_monotonic_ms = clock_monotonic_ms();
    const struct stage *stage = walk_stage_of(engine, task, &attempt->stage, &attempt->member);
    attempt_name(attempt, stage);
    struct attempt_limits limits = attempt_limits(engine, task, attempt->stage);
    attempt->memory = limits.memory;
    attempt->time_limit_ms = limits.time_limit_ms;
    engine->tasks[task].state = TASK_RUNNING;
    engine->tasks[task].attempt_slot = attempt->slot;
    engine->running++;
    return attempt;
}

/* Of a run that is handed over the configuration is laid now, and the rest by the job, which knows when it is there;
 * and so it is where only the job sees the rest. */
static void bring_in(struct attempt *attempt)
{
    if (attempt->engine->detach != NULL || apart_jobs_bring(attempt->engine, attempt->stage)) {
        attempt->later_inputs = attempt->in.inputs;
        attempt->in.inputs.count = 0;
    }
    files_bring_in(attempt);
}

void attempt_begin(struct attempt *attempt)
{
    bool here = attempt->remote == NULL; /* elsewhere its job makes the scratch folder */
    if ((here && !scratch_make(attempt)) || !files_prepare(attempt))
        attempt_not_started(attempt,
                            attempt->files_verdict == VERDICT_DISK ? DESCPIPE_ENDED_DISK : DESCPIPE_ENDED_STAGE_IN,
                            attempt->files_error.message);
    else if (attempt->has_inputs || attempt->restores != NULL)
        bring_in(attempt);
    else
        attempt_run(attempt);
}

bool attempt_start(void *context, uint64_t job, const struct descpipe_placement *placement,
                   void (*ended)(void *scheduler, uint64_t job), void *scheduler)
{
    struct engine *engine = context;
    if (engine->stop != STOP_NOT || job == 0)
        return false;
    uint32_t task = walk_job_task(engine, job);
    if (engine->tasks[task].state != TASK_SUBMITTED || engine->tasks[task].attempts != walk_job_attempt(engine, job))
        return false;
    struct attempt *attempt = attempt_make(engine, task, ended, scheduler);
    attempt->gpus = walk_copy_words(attempt->arena, placement->gpus);
    if (engine->tasks[task].resumed)
        resume_attempt(attempt);
    else
        attempt_begin(attempt);
    return true;
}

static bool says_the_same(const struct descpipe_ending *one, const struct descpipe_ending *other)
{
    return one->flags == other->flags && one->exit_code == other->exit_code && one->signal == other->signal &&
           one->peak_memory == other->peak_memory && one->cpu_ms == other->cpu_ms &&
           text_equal(one->witness, other->witness) && text_equal(one->reason, other->reason);
}

void attempt_add_ending(struct attempt *attempt, const struct descpipe_ending *ending)
{
    if (attempt->endings_count == ENDINGS_LIMIT ||
        (attempt->endings_count > 0 && says_the_same(&attempt->endings[attempt->endings_count - 1], ending)))
        return;
    struct descpipe_ending *copy = &attempt->endings[attempt->endings_count++];
    *copy = *ending;
    const char **texts[] = {&copy->witness, &copy->host, &copy->reason};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (*texts[i] != NULL)
            *texts[i] = arena_copy_text(attempt->arena, *texts[i]);
}

static void end_soon(void *context)
{
    attempt_ended(context);
}

void attempt_ended_soon(struct attempt *attempt)
{
    loop_post(attempt->engine->loop, end_soon, attempt);
}

/* Comes back from the loop: the scheduler must not hear of an end while it is still starting it. */
void attempt_not_started(struct attempt *attempt, uint32_t flags, const char *reason)
{
    const struct descpipe_ending ending = {
        .size = sizeof ending, .flags = flags | DESCPIPE_ENDED_NOT_STARTED, .witness = "descpipe", .reason = reason};
    attempt_add_ending(attempt, &ending);
    loop_post(attempt->engine->loop, end_soon, attempt);
}

void attempt_not_started_with(struct attempt *attempt, int exit_code, const char *reason)
{
    const struct descpipe_ending ending = {.size = sizeof ending,
                                           .flags = DESCPIPE_ENDED_EXITED | DESCPIPE_ENDED_NOT_STARTED,
                                           .exit_code = exit_code,
                                           .witness = "descpipe",
                                           .reason = reason};
    attempt_add_ending(attempt, &ending);
    loop_post(attempt->engine->loop, end_soon, attempt);
}

void attempt_run(struct attempt *attempt)
{
    struct engine *engine = attempt->engine;
    if (attempt->stopped != 0 || engine->stop >= STOP_CANCEL) {
        attempt_not_started(attempt, DESCPIPE_ENDED_CANCELLED, "before it started");
        return;
    }
    if (!secret_commands_are_over(attempt))
        return;
    const struct plan_stage *planned = &engine->plan->stages[attempt->stage];
    if (attempt->remote != NULL)
        remote_launch(attempt);
    else if (engine->plan->backends[planned->backend].form == DESCPIPE_FORM_MANAGED)
        managed_start(attempt);
    else
        command_start(attempt);
}

static void kill_now(void *context)
{
    struct attempt *attempt = context;
    attempt->kill = NULL;
    if (command_lives(attempt))
        command_stop(attempt, SIGKILL);
}

/* Ends it because we want it: the first reason counts. */
void attempt_end_by_us(struct attempt *attempt, uint32_t flag, int64_t grace_ms)
{
    if (attempt->stopped == 0)
        attempt->stopped = flag;
    bool at_once = grace_ms <= 0;
    if (attempt->waits_for != NULL) {
        secret_command_forget(attempt);
        attempt_run(attempt); /* which sees that it is stopped */
        return;
    }
    if (command_lives(attempt)) {
        if (at_once)
            loop_timer_stop(steal(&attempt->kill)); /* no grace any more */
        command_stop(attempt, at_once ? SIGKILL : SIGTERM);
        if (!at_once && attempt->kill == NULL)
            attempt->kill = loop_timer(attempt->engine->loop, grace_ms, kill_now, attempt);
    } else if (attempt->container.token != NULL) {
        managed_stop(attempt, grace_ms);
    } else if (attempt->remote != NULL && attempt->sent) {
        remote_cancel(attempt);
    } else if (attempt->call != NULL) {
        call_cancel(attempt->call);
    }
}

void attempt_stop(void *context, uint64_t job, uint64_t grace_ms)
{
    struct engine *engine = context;
    if (job == 0)
        return;
    const struct task *task = &engine->tasks[walk_job_task(engine, job)];
    if (task->state != TASK_RUNNING || task->attempts != walk_job_attempt(engine, job))
        return;
    attempt_end_by_us(engine->attempts.items[task->attempt_slot], DESCPIPE_ENDED_CANCELLED, (int64_t)grace_ms);
}

static void judge(struct attempt *attempt)
{
    struct outcome_case evidence = {
        .endings = attempt->endings,
        .endings_count = attempt->endings_count,
        .memory_limit = attempt->memory,
        .time_limit_ms = (uint64_t)attempt->time_limit_ms,
        .form = attempt->engine->plan->backends[attempt->engine->plan->stages[attempt->stage].backend].form,
        .argv0 = attempt->argv0,
    };
    const struct descpipe_ending *first = attempt->endings_count > 0 ? &attempt->endings[0] : NULL;
    if (attempt->argv0 != NULL && first != NULL && (first->flags & DESCPIPE_ENDED_EXITED) && first->exit_code != 0)
        evidence.error_tail = attempt_error_tail(attempt, &evidence.error_tail_whole);
    outcome_judge(&evidence, &attempt->outcome);
}

static uint32_t retry_reasons(const struct outcome *outcome)
{
    switch (outcome->verdict) {
    case VERDICT_NODE_FAIL:
        return RETRY_NODE_FAIL;
    case VERDICT_PREEMPTED:
        return RETRY_PREEMPTED;
    case VERDICT_TIMEOUT:
        return RETRY_TIMEOUT;
    case VERDICT_OOM:
        return RETRY_OOM;
    case VERDICT_LOST:
        return RETRY_LOST;
    case VERDICT_IMAGE:
        return RETRY_IMAGE;
    case VERDICT_EXIT:
        return RETRY_FAIL | RETRY_EXIT_CODES;
    case VERDICT_SIGNAL:
    case VERDICT_OUTPUT_MISSING:
    case VERDICT_STAGE_IN:
        return RETRY_FAIL;
    default:
        return 0; /* OK, CANCELLED; DISK: it will be as full in a minute */
    }
}

static bool names_exit_code(const struct retries *retries, int exit_code)
{
    for (size_t i = 0; i < retries->exit_codes_count; i++)
        if (retries->exit_codes[i] == exit_code)
            return true;
    return false;
}

static bool may_retry(const struct engine *engine, uint32_t task, const struct retries *retries,
                      const struct outcome *outcome)
{
    uint32_t reasons = retry_reasons(outcome) & retries->reasons;
    uint32_t tried = engine->tasks[task].attempts - (uint32_t)engine->tasks[task].links; /* a chain is one try */
    if (reasons == RETRY_EXIT_CODES && !names_exit_code(retries, outcome->exit_code))
        return false;
    return reasons != 0 && tried <= retries->limit && engine->tasks[task].attempts < ATTEMPTS_LIMIT &&
           engine->stop == STOP_NOT;
}

struct retry_wait {
    struct engine *engine;
    uint32_t task;
};

static void retry_now(void *context)
{
    struct retry_wait *wait = context;
    struct engine *engine = wait->engine;
    engine->retrying--;
    if (engine->tasks[wait->task].state == TASK_READY)
        walk_ready_again(engine, wait->task);
    memory_free(wait);
}

void attempt_retry_later(struct engine *engine, uint32_t task, int64_t delay_ms)
{
    struct retry_wait *wait = memory_allocate(sizeof *wait);
    *wait = (struct retry_wait){.engine = engine, .task = task};
    engine->tasks[task].state = TASK_READY;
    engine->retrying++;
    loop_timer(engine->loop, delay_ms, retry_now, wait);
}

static int64_t backoff(const struct retries *retries, unsigned attempts)
{
    int64_t delay = retries->backoff_ms;
    for (unsigned i = 1; i < attempts && delay < BACKOFF_LIMIT_MS; i++)
        delay *= 2;
    return delay < BACKOFF_LIMIT_MS ? delay : BACKOFF_LIMIT_MS;
}

static bool is_killed(int signal, int exit_code)
{
    return signal == SIGTERM || signal == SIGKILL || exit_code == SIGNALLED + SIGTERM ||
           exit_code == SIGNALLED + SIGKILL;
}

/* The verdict is known: what it means for the task. */
static void decide(struct engine *engine, uint32_t task, const struct outcome *outcome)
{
    uint32_t number, member;
    const struct stage *stage = walk_stage_of(engine, task, &number, &member);
    const struct retries *retries = stage->extras != NULL ? &stage->extras->retries : NULL;
    struct task *state = &engine->tasks[task];
    state->verdict = (uint8_t)outcome->verdict;
    struct record_retry retry = {.at_ms = 0};
    int64_t delay = 0;
    bool linked = chain_goes_on(engine, task, outcome);
    bool again = !linked && retries != NULL && engine->detach == NULL &&
                 !engine->backends[engine->plan->stages[number].backend].repeats &&
                 may_retry(engine, task, retries, outcome);
    /* What was lost with its engine is no fault of its own. */
    bool lost_before = state->resumed && engine->stop == STOP_NOT &&
                       (outcome->verdict == VERDICT_LOST ||
                        (engine->request->ends_at_ms != 0 &&
                         is_killed(outcome->signal, outcome->exit_code))); /* with its allocation */
    state->resumed = false;
    if (again || lost_before || linked) {
        delay = again ? backoff(retries, state->attempts) : 0;
        retry = (struct record_retry){.at_ms = clock_wall_ms() + delay,
                                      .reason = linked ? "checkpoint" : verdict_name(outcome->verdict)};
        if (outcome->verdict == VERDICT_OOM)
            state->out_of_memory++;
        if (outcome->verdict == VERDICT_TIMEOUT && !linked)
            state->timed_out++;
        struct attempt_limits next = attempt_limits(engine, task, number);
        retry.memory = state->out_of_memory > 0 ? next.memory : 0;
        retry.time_limit_ms = state->timed_out > 0 ? next.time_limit_ms : 0;
    }
    record_verdict(engine, task, state->attempts, outcome, &retry);
    walk_release_limit(engine, task);
    if (again || lost_before || linked) {
        attempt_retry_later(engine, task, delay);
        return;
    }
    engine->verdicts[outcome->verdict]++;
    if (outcome->verdict == VERDICT_OK)
        walk_succeeded(engine, task);
    else
        walk_failed(engine, task, outcome->verdict);
    if (engine->detach != NULL) {
        cleanup(memory_free) char *why =
            memory_format("stage '%s': %s", pipeline_text(engine->pipeline, stage->name), text_bytes(&outcome->reason));
        detach_fail(engine, why);
    }
}

static void attempt_leave_slot(struct attempt *attempt)
{
    struct engine *engine = attempt->engine;
    engine->tasks[attempt->task].attempt_slot = NONE;
    engine->running--;
    files_leave(attempt);
}

static void attempt_forget(struct engine *engine, struct attempt *attempt)
{
    uint32_t slot = attempt->slot;
    attempt_reset(attempt);
    list_add(&engine->free_slots, slot);
}

static void attempt_done(struct attempt *attempt)
{
    struct engine *engine = attempt->engine;
    attempt_leave_slot(attempt);
    if (attempt->outcome.verdict == VERDICT_OK)
        cached_keep(attempt);
    decide(engine, attempt->task, &attempt->outcome);
    attempt_forget(engine, attempt);
}

void attempt_take_back(struct attempt *attempt, const char *reason)
{
    struct engine *engine = attempt->engine;
    void (*scheduler_ended)(void *, uint64_t) = attempt->scheduler_ended;
    void *scheduler = attempt->scheduler;
    uint64_t job = attempt->job;
    attempt_leave_slot(attempt);
    walk_release_limit(engine, attempt->task);
    walk_settle(engine, attempt->task, TASK_SKIPPED, reason);
    attempt_forget(engine, attempt);
    scheduler_ended(scheduler, job);
}

void attempt_undo(struct attempt *attempt)
{
    struct engine *engine = attempt->engine;
    void (*scheduler_ended)(void *, uint64_t) = attempt->scheduler_ended;
    void *scheduler = attempt->scheduler;
    uint64_t job = attempt->job;
    uint32_t task = attempt->task;
    attempt_leave_slot(attempt);
    walk_release_limit(engine, task);
    engine->tasks[task].attempts--;
    engine->tasks[task].resumed = false;
    if (engine->whole != NULL) /* what it waits for goes with it */
        engine->tasks[task].state = TASK_READY;
    else
        walk_ready_again(engine, task);
    attempt_forget(engine, attempt);
    scheduler_ended(scheduler, job);
}

/* Its outputs come to lie where those of the first were to: what its job says of paths does not change. */
static void lead_to_first(struct attempt *attempt)
{
    cleanup(memory_free) char *folder = memory_copy_text(attempt->attempt_folder);
    files_adopt(attempt);
    if (!attempt->has_outputs || folder == NULL || text_equal(folder, attempt->attempt_folder))
        return;
    if (symlink(path_name(folder), attempt->attempt_folder) != 0 && errno != EEXIST)
        log_warning("'%s' cannot be made: what '%s' writes may not be found", attempt->attempt_folder, attempt->name);
}

void attempt_repeat(struct attempt *attempt)
{
    struct engine *engine = attempt->engine;
    uint32_t task = attempt->task;
    struct remote *remote = attempt->remote;
    const struct attempt before = *attempt;
    cleanup(memory_free) char *folder = memory_copy_text(attempt->attempt_folder);
    attempt_close_logs(attempt);
    attempt_drop_empty_logs(attempt);
    record_ended(attempt);
    judge(attempt);
    record_verdict(engine, task, attempt->number, &attempt->outcome,
                   &(struct record_retry){.at_ms = clock_wall_ms(), .reason = verdict_name(attempt->outcome.verdict)});
    attempt_leave_slot(attempt);
    attempt_forget(engine, attempt);
    engine->tasks[task].attempts++;
    struct attempt *next = attempt_make(engine, task, before.scheduler_ended, before.scheduler);
    next->remote = remote;
    next->position = before.position;
    next->job_made = before.job_made;
    next->ready = next->sent = next->has_logs = true;
    next->attempt_folder = arena_copy_text(next->arena, folder);
    lead_to_first(next);
}

void attempt_judge_unstarted(struct engine *engine, uint32_t task, const struct descpipe_ending *ending)
{
    struct outcome outcome;
    outcome_judge(&(struct outcome_case){.endings = ending, .endings_count = 1}, &outcome);
    decide(engine, task, &outcome);
    text_clear(&outcome.reason);
}

static void give_back(struct attempt *attempt)
{
    struct engine *engine = attempt->engine;
    uint32_t backend = engine->plan->stages[attempt->stage].backend;
    attempt->scheduler_ended(attempt->scheduler, attempt->job);
    submit_room_again(engine, backend);
}

static void word_has_not_come(void *context)
{
    struct attempt *attempt = context;
    attempt->again = NULL;
    attempt_ended(attempt);
}

/* An allocation that is ended ends its stages and us at the same moment, in any order: then none of them has failed. */
static bool waits_for_word(struct attempt *attempt)
{
    const struct descpipe_ending *ending = attempt->endings_count > 0 ? &attempt->endings[0] : NULL;
    bool killed = ending != NULL && is_killed(ending->signal, ending->exit_code);
    if (attempt->engine->request->ends_at_ms == 0 || attempt->resumed || attempt->heard_out || attempt->stopped != 0 ||
        !killed)
        return false;
    attempt->heard_out = true;
    attempt->again = loop_timer(attempt->engine->loop, WORD_PATIENCE_MS, word_has_not_come, attempt);
    return true;
}

void attempt_ended(struct attempt *attempt)
{
    struct engine *engine = attempt->engine;
    if (waits_for_word(attempt) || chain_waits(attempt))
        return;
    loop_timer_stop(steal(&attempt->warning));
    loop_timer_stop(steal(&attempt->limit));
    loop_timer_stop(steal(&attempt->kill));
    attempt_close_logs(attempt);
    attempt_drop_empty_logs(attempt);
    if (scratch_remove(attempt))
        return; /* its room is free before the scheduler hears of it */
    keeper_slot_give(engine->table, attempt->keeper_slot);
    attempt->keeper_slot = -1;
    if (!attempt->ended_recorded)
        record_ended(attempt);
    judge(attempt);
    chain_judge(attempt);
    /* What filled the disk is of no use, and the journal needs the room. */
    if (attempt->outcome.verdict == VERDICT_DISK && attempt->has_outputs)
        folder_remove(attempt->attempt_folder, NULL);
    bool publishes = attempt->outcome.verdict == VERDICT_OK && attempt->has_outputs &&
                     !apart_is_stage(engine, attempt->stage); /* there it has done so itself */
    void (*scheduler_ended)(void *, uint64_t) = attempt->scheduler_ended;
    if (publishes) {
        files_publish(attempt);
        give_back(attempt);
        return;
    }
    void *scheduler = attempt->scheduler;
    uint64_t job = attempt->job;
    uint32_t backend = engine->plan->stages[attempt->stage].backend;
    attempt_done(attempt);
    scheduler_ended(scheduler, job);
    submit_room_again(engine, backend);
}

void attempt_published(struct attempt *attempt)
{
    attempt_done(attempt);
}
