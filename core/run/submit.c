/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From ready tasks to submissions, and what schedulers say of them.
 *
 * How it works: once per round of the loop the ready tasks of a backend become one submission, as many as the scheduler
 * has room for. Tasks that must wait (for a named limit, for room, for their image) lie in a heap of what they wait for
 * and come back from there. The `intent` is in the kernel's hands before the scheduler hears of it.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "run/elsewhere/graph.h"
#include "run/walk.h"

#define BATCH SUBMIT_BATCH /* jobs of one submission: well below the journal's line limit */
#define GATHER_MS 500
#define BATCH_ELSEWHERE 2048 /* a submission is dear there; as far below it as names of usual length allow */
#define LATER_MS 1000
#define LATER_LIMIT_MS 60000

static void submission_free(struct submission *submission)
{
    memory_free(submission->tasks);
    arena_free(submission->arena);
    memory_free(submission);
}

/* Pods: the cluster fetches it. */
bool submit_image_is_ready(struct engine *engine, uint32_t number)
{
    struct walk_image *image = &engine->images[number];
    const struct plan_image *planned = &engine->plan->images[number];
    if (image->state == IMAGE_UNKNOWN && engine->plan->backends[planned->backend].form == DESCPIPE_FORM_POD) {
        image->state = IMAGE_READY;
        record_image(engine, number);
    }
    return image->state == IMAGE_READY;
}

/* True when the task may go now; else it waits where it will be woken. */
static bool may_go(struct engine *engine, uint32_t task)
{
    uint32_t number = plan_task_stage(engine->plan, task);
    uint32_t image = engine->plan->stages[number].image;
    if (cached_look(engine, task) != CACHED_RUN || !pilot_has_time(engine, task) || !keep_has_inputs(engine, task))
        return false;
    if (image != NONE && !submit_image_is_ready(engine, image)) {
        task_heap_push(&engine->images[image].waiting, walk_item(engine, task));
        submit_prepare_image(engine, image);
        return false;
    }
    uint32_t limit = engine->stages[number].limit;
    if (limit == NONE || engine->tasks[task].holds_limit)
        return true;
    if (engine->limits[limit].free == 0) {
        task_heap_push(&engine->limits[limit].waiting, walk_item(engine, task));
        return false;
    }
    engine->limits[limit].free--;
    engine->tasks[task].holds_limit = true;
    return true;
}

struct descpipe_job *submit_fill_job(struct engine *engine, struct arena *arena, uint32_t task)
{
    uint32_t number, member;
    const struct stage *stage = walk_stage_of(engine, task, &number, &member);
    struct descpipe_resources *resources = arena_allocate(arena, sizeof *resources);
    plan_resources(engine->plan, number, resources);
    struct attempt_limits limits = attempt_limits(engine, task, number);
    resources->memory_per_node = limits.memory;
    resources->time_limit_ms = (uint64_t)limits.time_limit_ms;
    struct descpipe_job *job = arena_allocate(arena, sizeof *job);
    const char *name = pipeline_text(engine->pipeline, stage->name);
    *job = (struct descpipe_job){.size = sizeof *job,
                                 .job = walk_job(engine, task, engine->tasks[task].attempts),
                                 .order = walk_item(engine, task) >> 32,
                                 .attempt = engine->tasks[task].attempts,
                                 .stage = name,
                                 .group = name,
                                 .resources = resources,
                                 .settings =
                                     (const struct descpipe_settings *)engine->plan->stages[number].scheduler_settings};
    plan_warning(stage, job);
    if (engine->whole != NULL && stage->extras != NULL && stage->extras->script != 0)
        job->source = pipeline_text(engine->pipeline, stage->extras->script);
    if (engine->graph != NULL)
        job->after = graph_edges(engine->graph, task);
    if (engine->backends[engine->plan->stages[number].backend].repeats)
        job->retries = plan_retries(arena, stage);
    if (member != NONE) {
        cleanup(text_clear) struct text text = TEXT_INIT;
        stage_member_name(engine->pipeline, stage, member, &text);
        job->member = arena_copy(arena, text_bytes(&text), text.length);
    }
    return job;
}

static void judge_all(struct submission *submission, const char *message)
{
    struct engine *engine = submission->backend->engine;
    const struct descpipe_ending ending = {
        .size = sizeof ending, .flags = DESCPIPE_ENDED_NOT_STARTED, .witness = "scheduler", .reason = message};
    for (uint32_t i = 0; i < submission->submission.count; i++)
        attempt_judge_unstarted(engine, submission->tasks[i], &ending);
}

static void submission_send(struct submission *submission);

/* One job of several was refused, and the scheduler takes all or none: ask for each alone. */
static void send_each(struct submission *submission)
{
    struct engine *engine = submission->backend->engine;
    for (uint32_t i = 0; i < submission->submission.count; i++) {
        struct submission *one = memory_allocate(sizeof *one);
        *one = (struct submission){.backend = submission->backend, .arena = arena_new(), .serial = ++engine->serial};
        one->tasks = memory_allocate(sizeof *one->tasks);
        one->tasks[0] = submission->tasks[i];
        const struct descpipe_job **jobs = arena_allocate(one->arena, 2 * sizeof *jobs);
        jobs[0] = submit_fill_job(engine, one->arena, submission->tasks[i]);
        one->submission = submission->submission;
        one->submission.count = 1;
        one->submission.jobs = jobs;
        struct text *text = record_intent_begin(engine, one->serial, 0);
        record_intent_job(engine, text, one->tasks[0], true);
        record_intent_end(engine, text);
        submission_send(one);
    }
}

static void room_later(void *context)
{
    struct walk_backend *backend = context;
    backend->later = NULL;
    submit_room_again(backend->engine, backend->number);
}

/* The scheduler is busy or cannot be reached: nothing was done, so all of it is ready again, a little later. */
static void send_later(struct submission *submission, const char *message)
{
    struct walk_backend *backend = submission->backend;
    struct engine *engine = backend->engine;
    for (uint32_t i = 0; i < submission->submission.count; i++) {
        uint32_t task = submission->tasks[i];
        engine->tasks[task].state = TASK_READY;
        engine->tasks[task].attempts--;
        task_heap_push(&backend->waiting, walk_item(engine, task));
    }
    backend->later_ms = backend->later_ms == 0 ? LATER_MS : backend->later_ms * 2;
    if (backend->later_ms > LATER_LIMIT_MS)
        backend->later_ms = LATER_LIMIT_MS;
    record_queued(engine, walk_job(engine, submission->tasks[0], 1), message);
    if (backend->later == NULL)
        backend->later = loop_timer(engine->loop, backend->later_ms, room_later, backend);
}

static void submitted(void *context, const struct call_result *result)
{
    struct submission *submission = context;
    struct engine *engine = submission->backend->engine;
    if (result->ok) {
        submission->backend->later_ms = 0;
    } else if (engine->stop >= STOP_CANCEL) {
        for (uint32_t i = 0; i < submission->submission.count; i++)
            walk_settle(engine, submission->tasks[i], TASK_CANCELLED, NULL);
    } else if (result->failure == DESCPIPE_FAILED_LATER || result->failure == DESCPIPE_FAILED_CANNOT_ASK) {
        send_later(submission, result->message);
    } else if (submission->submission.count > 1) {
        send_each(submission);
    } else {
        judge_all(submission, result->message);
    }
    submission_free(submission);
}

static void submission_send(struct submission *submission)
{
    struct plugin_instance *scheduler =
        submission->backend->engine->plan->backends[submission->backend->number].scheduler;
    scheduler_submit(scheduler, &submission->submission,
                     (struct call_options){.done = submitted, .context = submission});
}

/* Of tasks whose attempts have been counted. */
static struct submission *make_submission(struct engine *engine, uint32_t backend, const uint32_t *tasks,
                                          uint32_t count)
{
    struct submission *submission = memory_allocate(sizeof *submission);
    *submission =
        (struct submission){.backend = &engine->backends[backend], .arena = arena_new(), .serial = ++engine->serial};
    submission->tasks = memory_allocate(count * sizeof *tasks);
    memcpy(submission->tasks, tasks, count * sizeof *tasks);
    const struct descpipe_job **jobs = arena_allocate(submission->arena, (count + 1) * sizeof *jobs);
    for (uint32_t i = 0; i < count; i++) {
        engine->tasks[tasks[i]].state = TASK_SUBMITTED;
        jobs[i] = submit_fill_job(engine, submission->arena, tasks[i]);
    }
    char *token = arena_allocate(submission->arena, RUN_ID_LENGTH + 24);
    snprintf(token, RUN_ID_LENGTH + 24, "%s-%llu", engine->folder.id, (unsigned long long)submission->serial);
    submission->submission = (struct descpipe_submission){
        .size = sizeof submission->submission, .count = count, .token = token, .run = engine->folder.id, .jobs = jobs};
    return submission;
}

static void submit_batch(struct engine *engine, uint32_t backend, const uint32_t *tasks, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        engine->tasks[tasks[i]].attempts++;
    struct submission *submission = make_submission(engine, backend, tasks, count);
    struct text *text = record_intent_begin(engine, submission->serial, 0);
    for (uint32_t i = 0; i < count; i++)
        record_intent_job(engine, text, tasks[i], i == 0);
    record_intent_end(engine, text);
    if (engine_flush(engine, false)) {
        submission_send(submission);
        return;
    }
    /* No room for the intent, so no act: the tasks are as ready as before. */
    for (uint32_t i = 0; i < count; i++) {
        engine->tasks[tasks[i]].attempts--;
        walk_ready(engine, tasks[i]);
    }
    submission_free(submission);
}

static void nobody_to_tell(void *scheduler, uint64_t job)
{
    (void)scheduler;
    (void)job;
}

/* They run already: what their scheduler does not give a place is followed without one. */
static void resumed_submitted(void *context, const struct call_result *result)
{
    struct submission *submission = context;
    struct engine *engine = submission->backend->engine;
    const struct descpipe_placement placement = {.size = sizeof placement};
    for (uint32_t i = 0; !result->ok && i < submission->submission.count; i++)
        attempt_start(engine, submission->submission.jobs[i]->job, &placement, nobody_to_tell, NULL);
    submission_free(submission);
}

void submit_resumed(struct engine *engine, uint32_t backend, const uint32_t *tasks, uint32_t count)
{
    struct submission *submission = make_submission(engine, backend, tasks, count);
    scheduler_submit(engine->plan->backends[backend].scheduler, &submission->submission,
                     (struct call_options){.done = resumed_submitted, .context = submission});
}

static uint64_t room_of(struct engine *engine, uint32_t backend)
{
    if (engine->backends[backend].later != NULL)
        return 0;
    return plugin_scheduler_room(engine->plan->backends[backend].scheduler);
}

static void gathered(void *context)
{
    struct engine *engine = context;
    engine->gathering = NULL; /* the round that this wakes sends what there is */
}

/* What goes elsewhere goes as one, however many rounds it takes to look at it: of those that are ready now, and, for a
 * moment, of those whose files are still being read. */
static bool more_may_come(struct engine *engine)
{
    if (cached_slice_is_over(engine))
        return engine->ready.count > 0;
    if (!cached_is_busy(engine))
        return false;
    int64_t now = clock_monotonic_ms();
    if (engine->gather_until_ms == 0) {
        engine->gather_until_ms = now + GATHER_MS;
        engine->gathering = loop_timer(engine->loop, GATHER_MS, gathered, engine);
    }
    return now < engine->gather_until_ms;
}

/* Up to a batch of tasks of one backend, in order. Tasks of other backends are put aside for the next batch; `held`
 * ones are for a later round. */
static uint32_t collect(struct engine *engine, uint32_t *tasks, uint32_t *backend, struct task_heap *aside,
                        struct task_heap *held)
{
    uint32_t count = 0;
    uint64_t room = BATCH_ELSEWHERE;
    *backend = NONE;
    while (count < room && engine->ready.count > 0 && !cached_slice_is_over(engine)) {
        uint64_t item = task_heap_pop(&engine->ready);
        uint32_t task = (uint32_t)item;
        uint32_t wanted = engine->plan->stages[plan_task_stage(engine->plan, task)].backend;
        if (*backend != NONE && wanted != *backend) {
            task_heap_push(aside, item);
            continue;
        }
        uint64_t free = *backend == NONE ? room_of(engine, wanted) : room;
        if (free == 0) {
            task_heap_push(&engine->backends[wanted].waiting, item);
            continue;
        }
        if (!may_go(engine, task))
            continue;
        uint64_t most = engine->backends[wanted].elsewhere ? BATCH_ELSEWHERE : BATCH;
        if (*backend == NONE)
            room = free < most ? free : most;
        *backend = wanted;
        tasks[count++] = task;
    }
    if (*backend == NONE || !engine->backends[*backend].elsewhere)
        return count;
    if (count >= room || !more_may_come(engine)) {
        loop_timer_stop(steal(&engine->gathering));
        engine->gather_until_ms = 0;
        return count;
    }
    for (uint32_t i = 0; i < count; i++) /* who has been looked at keeps that */
        task_heap_push(held, walk_item(engine, tasks[i]));
    return 0;
}

void submit_ready(struct engine *engine)
{
    if (engine->whole != NULL) {
        whole_submit(engine);
        return;
    }
    if (engine->detach != NULL) {
        detach_look(engine);
        return;
    }
    uint32_t tasks[BATCH_ELSEWHERE], backend;
    struct task_heap aside = {.items = NULL}, held = {.items = NULL};
    cached_slice(engine);
    while (engine->stop == STOP_NOT && !engine->journal_stuck && !cached_slice_is_over(engine) &&
           (engine->ready.count > 0 || aside.count > 0)) {
        while (aside.count > 0)
            task_heap_push(&engine->ready, task_heap_pop(&aside));
        uint32_t count = collect(engine, tasks, &backend, &aside, &held);
        if (count > 0)
            sources_begin(engine);
        if (count > 0 && engine->backends[backend].elsewhere)
            remote_submit(engine, backend, tasks, count);
        else if (count > 0)
            submit_batch(engine, backend, tasks, count);
    }
    while (aside.count > 0)
        task_heap_push(&engine->ready, task_heap_pop(&aside));
    while (held.count > 0)
        task_heap_push(&engine->ready, task_heap_pop(&held));
    memory_free(aside.items);
    memory_free(held.items);
}

void submit_room_again(struct engine *engine, uint32_t backend)
{
    struct task_heap *waiting = &engine->backends[backend].waiting;
    while (waiting->count > 0)
        task_heap_push(&engine->ready, task_heap_pop(waiting));
    if (engine->backends[backend].elsewhere)
        remote_room_again(engine, backend);
}

void submit_changed(void *context, const struct descpipe_change *change)
{
    struct engine *engine = context;
    uint32_t task = walk_job_task(engine, change->job);
    uint64_t attempt = walk_job_attempt(engine, change->job);
    if (engine->whole != NULL && change->attempt > attempt) /* one that its scheduler made */
        attempt = change->attempt;
    if (change->job == 0 || engine->tasks[task].attempts != attempt || remote_changed(engine, task, change) ||
        engine->tasks[task].state != TASK_SUBMITTED)
        return; /* not ours, or of an attempt that is over */
    if (change->state == DESCPIPE_JOB_QUEUED)
        record_queued(engine, change->job, change->reason);
    if (change->state != DESCPIPE_JOB_ENDED)
        return;
    /* Of stages that the host starts, schedulers only tell that one will not start. */
    static const struct descpipe_ending unknown = {.size = sizeof unknown,
                                                   .flags = DESCPIPE_ENDED_LOST,
                                                   .witness = "scheduler",
                                                   .reason = "its scheduler gave it back without a reason"};
    const struct descpipe_ending *ending = change->ending != NULL ? change->ending : &unknown;
    if ((ending->flags & DESCPIPE_ENDED_CANCELLED) && engine->stop != STOP_NOT)
        walk_settle(engine, task, engine->stop == STOP_CANCEL ? TASK_CANCELLED : TASK_SKIPPED,
                    engine->stop == STOP_FAILED ? "because another stage failed" : NULL);
    else
        attempt_judge_unstarted(engine, task, ending);
}

void submit_blind(void *context, const char *message)
{
    struct engine *engine = context;
    struct text *text = journal_begin(engine->journal, "blind");
    if (message != NULL) {
        text_append(text, ",\"reason\":");
        text_append_json(text, message);
    }
    journal_end(engine->journal);
}

static void observe_ended(void *context, const struct call_result *result)
{
    struct walk_backend *backend = context;
    backend->observing = NULL;
    if (!result->ok && result->failure != DESCPIPE_FAILED_CANCELLED && backend->engine->walking)
        submit_blind(backend->engine, result->message);
}

void submit_observe(struct engine *engine)
{
    for (uint32_t i = 0; i < engine->plan->backends_count; i++)
        engine->backends[i].observing = scheduler_observe(
            engine->plan->backends[i].scheduler,
            (struct call_options){.deadline_ms = INT64_MAX, .done = observe_ended, .context = &engine->backends[i]});
}

/* Takes what was fetched. False: it is not the image that was pinned, and image->failure says so. */
static bool take_image(struct walk_image *image, const struct descpipe_image_identity *identity)
{
    struct plan_image *planned = &image->engine->plan->images[image->number];
    bool pinned = planned->in_registry || planned->locked;
    if (pinned && planned->config_digest != NULL && identity->config_digest != NULL &&
        !text_equal(planned->config_digest, identity->config_digest)) {
        image->failure = memory_format("the image that came is %s, not %s as the plan says", identity->config_digest,
                                       planned->config_digest);
        return false;
    }
    planned->prepared = true;
    memory_free(planned->handle);
    planned->handle = memory_copy_text(identity->handle);
    if (planned->config_digest == NULL && identity->config_digest != NULL)
        planned->image.config_digest = planned->config_digest = memory_copy_text(identity->config_digest);
    if (planned->manifest_digest == NULL && identity->manifest_digest != NULL)
        planned->image.manifest_digest = planned->manifest_digest = memory_copy_text(identity->manifest_digest);
    return true;
}

struct ending_login {
    char *reference, *registry;
};

static void tell_login_ends(void *context, const struct descpipe_credential *credential, const char *message)
{
    struct ending_login *login = context;
    cleanup(text_clear) struct text when = TEXT_INIT;
    (void)message; /* without a login now: that is for those who pull to tell */
    if (credential != NULL && credential->expires_at_ms > 0)
        clock_append_stamp(&when, credential->expires_at_ms);
    bool anonymous = credential != NULL && credential->password == NULL;
    if (!anonymous)
        log_warning("image '%s' is pulled where its stages run; %s of registry '%s' %s%s, and nobody renews it there: "
                    "a stage that waits longer may fail",
                    login->reference, when.length > 0 ? "the login" : "a login", login->registry,
                    when.length > 0 ? "ends at " : "ends after a while", text_bytes(&when));
    if (!anonymous)
        log_notice("hint: let the runtime pull before it submits, or pull it there first: descpipe pull");
    memory_free(login->reference);
    memory_free(login->registry);
    memory_free(login);
}

/* An image that is not here after it was prepared is pulled by the nodes that run its stages, whenever that is. */
static void ask_when_login_ends(const struct walk_image *image, const struct descpipe_image_identity *identity)
{
    const struct engine *engine = image->engine;
    const struct plan_image *planned = &engine->plan->images[image->number];
    bool expires = planned->registry != NULL &&
                   (plugin_registry(planned->registry)->capabilities & DESCPIPE_REGISTRY_EXPIRES) != 0;
    if (identity->present || !expires || !engine->backends[planned->backend].elsewhere)
        return;
    struct ending_login *login = memory_allocate(sizeof *login);
    *login = (struct ending_login){.reference = memory_copy_text(planned->reference),
                                   .registry = memory_copy_text(registry_name(planned->registry))};
    registries_credential(engine->registries, &planned->image, DESCPIPE_PURPOSE_PULL, tell_login_ends, login);
}

static void image_prepared(void *context, const struct call_result *result)
{
    struct walk_image *image = context;
    struct engine *engine = image->engine;
    memory_free(steal(&image->failure));
    bool taken = result->ok && take_image(image, result->identity);
    image->state = taken ? IMAGE_READY : IMAGE_UNKNOWN;
    if (!taken && image->failure == NULL) {
        cleanup(error_clear) struct error error = ERROR_INIT;
        registries_explain(engine->registries, engine->plan->images[image->number].image.reference, result, &error);
        image->failure =
            error.hint != NULL ? memory_format("%s (%s)", error.message, error.hint) : memory_copy_text(error.message);
    }
    if (taken)
        ask_when_login_ends(image, result->identity);
    record_image(engine, image->number);
    if (engine->detach != NULL)
        detach_image_prepared(engine);
    struct task_heap waiting = image->waiting;
    image->waiting = (struct task_heap){.items = NULL};
    const struct descpipe_ending ending = {.size = sizeof ending,
                                           .flags = DESCPIPE_ENDED_IMAGE | DESCPIPE_ENDED_NOT_STARTED,
                                           .witness = "runtime",
                                           .reason = image->failure};
    while (waiting.count > 0) {
        uint32_t task = (uint32_t)task_heap_pop(&waiting);
        if (taken || engine->stop != STOP_NOT) {
            task_heap_push(&engine->ready, walk_item(engine, task));
        } else {
            engine->tasks[task].attempts++;
            attempt_judge_unstarted(engine, task, &ending);
        }
    }
    memory_free(waiting.items);
}

void submit_prepare_image(struct engine *engine, uint32_t number)
{
    struct walk_image *image = &engine->images[number];
    if (image->state != IMAGE_UNKNOWN)
        return;
    image->state = IMAGE_PREPARING;
    const struct plan_image *planned = &engine->plan->images[number];
    image->prepare = (struct descpipe_prepare){
        .size = sizeof image->prepare,
        .where = engine->backends[planned->backend].elsewhere ? DESCPIPE_PREPARE_PER_NODE : DESCPIPE_PREPARE_HERE,
        .image = &planned->image};
    runtime_prepare(engine->plan->backends[planned->backend].runtime, &image->prepare,
                    (struct call_options){.deadline_ms = INT64_MAX, .done = image_prepared, .context = image});
}
