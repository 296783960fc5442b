/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Jobs that a scheduler elsewhere may have of an engine before this one.
 *
 * How it works: the journal says which jobs were to go with which submission, and at which position. The scheduler is
 * asked once what it has of the run (`find`), and not before the last tool of the engine before has ended: one that is
 * still telling it of jobs would be met too early. A submission of which it has anything, or ever gave a job's name
 * for, is there: its jobs are adopted by their names, and what it says of them comes through the sink as if this engine
 * had sent them. Of any other it has nothing: those attempts were never begun.
 */
#include <string.h>

#include "base/clock.h"
#include "run/elsewhere/remote.h"
#include "run/journal/history.h"

#define AGAIN_MS 1000
#define AGAIN_LIMIT_MS 30000
#define TOOLS_LOOK_MS 100
#define TOOLS_PATIENCE_MS 180000 /* longer than any tool is given */

struct asking { /* one backend */
    struct engine *engine;
    uint32_t backend;
    int64_t again_ms, tools_until_ms;
    LIST(struct remote *) remotes;
};

static void give_name(struct remote *remote, uint64_t serial)
{
    memory_free(remote->folder);
    memory_free(remote->token);
    remote->serial = serial;
    remote->folder = memory_format("%s/submissions/%llu", remote->engine->folder.path, (unsigned long long)serial);
    remote->token = memory_format("%s-%llu", remote->engine->folder.id, (unsigned long long)serial);
}

static bool belongs(const struct engine *engine, uint32_t backend, uint32_t task, uint64_t serial)
{
    return engine->tasks[task].resumed && resume_past(engine, task)->serial == serial &&
           engine->plan->stages[plan_task_stage(engine->plan, task)].backend == backend;
}

static void begin_attempt(struct remote *remote, uint32_t task)
{
    struct engine *engine = remote->engine;
    const struct history_task *past = resume_past(engine, task);
    struct attempt *attempt = attempt_make(engine, task, remote_job_over, remote);
    attempt->remote = remote;
    attempt->position = past->position;
    attempt->ready = true;
    if (past->outcome != NULL) {
        cleanup(memory_free) char *path = memory_format("%s/%s", engine->folder.path, past->outcome);
        attempt->outcome_path = arena_copy_text(attempt->arena, path);
    }
    remote->jobs[past->position] = (struct remote_job){.attempt = attempt, .job = attempt->job, .ready = true};
    remote->open++;
    if (resume_take_past(attempt))
        remote->jobs[past->position].known = true;
}

/* A submission with those of its jobs that are not over; places between them stay empty. */
static struct remote *make_remote(struct engine *engine, uint32_t backend, uint64_t serial)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < engine->plan->tasks_count; i++)
        if (belongs(engine, backend, i, serial) && resume_past(engine, i)->position >= count)
            count = resume_past(engine, i)->position + 1;
    struct remote *remote = remote_new(engine, backend, count);
    give_name(remote, serial);
    remote->open = remote->preparing = 0;
    remote->sending = true;
    for (uint32_t i = 0; i < engine->plan->tasks_count; i++)
        if (belongs(engine, backend, i, serial))
            begin_attempt(remote, i);
    return remote;
}

/* Asking. */

static const char *found_name(const struct remote *remote, uint32_t position, const struct call_result *result)
{
    for (size_t i = 0; i < result->found_count; i++)
        if (text_equal(result->found[i]->token, remote->token) && result->found[i]->index == position)
            return result->found[i]->native_id;
    return NULL;
}

static bool is_there(const struct remote *remote, const struct call_result *result)
{
    for (size_t i = 0; i < result->found_count; i++)
        if (text_equal(result->found[i]->token, remote->token))
            return true;
    for (uint32_t i = 0; i < remote->count; i++)
        if (remote->jobs[i].attempt != NULL && !remote->jobs[i].known &&
            resume_past(remote->engine, remote->jobs[i].attempt->task)->native != NULL)
            return true;
    return false;
}

static void undo_all(struct remote *remote)
{
    remote->submission.count = 0;
    if (remote->engine->whole != NULL)
        whole_undone(remote->engine, remote->serial);
    for (uint32_t i = 0; i < remote->count; i++)
        if (remote->jobs[i].attempt != NULL && !remote->jobs[i].known)
            attempt_undo(remote->jobs[i].attempt);
    remote->sending = false;
    remote_over_when_empty(remote);
}

/* One job for each position; those without a name are left out. */
static void fill(struct remote *remote, const struct call_result *result)
{
    struct engine *engine = remote->engine;
    const struct descpipe_job **jobs = arena_allocate(remote->arena, (remote->count + 1) * sizeof *jobs);
    static const struct descpipe_job nobody = {.size = sizeof nobody};
    for (uint32_t i = 0; i < remote->count; i++) {
        struct attempt *attempt = remote->jobs[i].known ? NULL : remote->jobs[i].attempt;
        remote->positions[i] = i;
        jobs[i] = &nobody;
        if (attempt == NULL)
            continue;
        struct descpipe_job *job = submit_fill_job(engine, remote->arena, attempt->task);
        const char *found = found_name(remote, i, result), *native = resume_past(engine, attempt->task)->native;
        if (found != NULL && native == NULL)
            record_submitted(engine, remote->serial, attempt->job, found);
        native = found != NULL ? found : native;
        if (native != NULL)
            job->native_id = arena_copy_text(remote->arena, native);
        remote_name_logs(attempt, job);
        if (apart_jobs_bring(engine, attempt->stage))
            remote_name_files(attempt, remote->arena, job);
        attempt->job_made = jobs[i] = job;
    }
    remote->submission = (struct descpipe_submission){.size = sizeof remote->submission,
                                                      .count = remote->count,
                                                      .token = remote->token,
                                                      .run = engine->folder.id,
                                                      .folder = remote->folder,
                                                      .flags = DESCPIPE_SUBMISSION_ADOPT,
                                                      .working = engine->folder.working,
                                                      .jobs = jobs};
}

static void adopt(void *context);

static void adopted(void *context, const struct call_result *result)
{
    struct remote *remote = context;
    if (!result->ok && !remote->engine->finished) {
        remote->again_ms = remote->again_ms == 0 ? AGAIN_MS : remote->again_ms * 2;
        if (remote->again_ms > AGAIN_LIMIT_MS)
            remote->again_ms = AGAIN_LIMIT_MS;
        remote->then = adopt;
        remote->again = loop_timer(remote->engine->loop, remote->again_ms, adopt, remote);
        return;
    }
    for (uint32_t i = 0; i < remote->count; i++) {
        struct attempt *attempt = remote->jobs[i].known ? NULL : remote->jobs[i].attempt;
        if (attempt != NULL && remote->submission.jobs[i]->native_id == NULL)
            remote_look_for_outcome(attempt); /* its scheduler knows others of its array, and not it */
    }
    remote_taken(remote);
}

static void adopt(void *context)
{
    struct remote *remote = context;
    remote->again = NULL;
    scheduler_submit(remote->engine->plan->backends[remote->backend->number].scheduler, &remote->submission,
                     (struct call_options){.deadline_ms = INT64_MAX, .done = adopted, .context = remote});
}

static void asking_free(struct asking *asking)
{
    list_clear(&asking->remotes);
    memory_free(asking);
}

static void ask(void *context);

static void found(void *context, const struct call_result *result)
{
    struct asking *asking = context;
    struct engine *engine = asking->engine;
    if (!result->ok && !engine->finished) {
        submit_blind(engine, result->message);
        asking->again_ms = asking->again_ms == 0 ? AGAIN_MS : asking->again_ms * 2;
        if (asking->again_ms > AGAIN_LIMIT_MS)
            asking->again_ms = AGAIN_LIMIT_MS;
        loop_timer(engine->loop, asking->again_ms, ask, asking);
        return;
    }
    if (asking->again_ms != 0)
        submit_blind(engine, NULL);
    for (size_t i = 0; i < asking->remotes.count && !engine->finished; i++) {
        struct remote *remote = asking->remotes.items[i];
        if (!is_there(remote, result)) {
            undo_all(remote);
            continue;
        }
        fill(remote, result);
        adopt(remote);
    }
    asking_free(asking);
}

static void ask(void *context)
{
    struct asking *asking = context;
    scheduler_find(asking->engine->plan->backends[asking->backend].scheduler, asking->engine->folder.id,
                   (struct call_options){.done = found, .context = asking});
}

static void ask_when_quiet(void *context)
{
    struct asking *asking = context;
    struct engine *engine = asking->engine;
    bool quiet = !resume_tools_live(engine) || clock_monotonic_ms() > asking->tools_until_ms;
    if (!quiet && !engine->finished) {
        if (asking->again_ms == 0)
            submit_blind(engine, "what descpipe was telling it when it was killed is still on its way");
        asking->again_ms = AGAIN_MS;
        loop_timer(engine->loop, TOOLS_LOOK_MS, ask_when_quiet, asking);
        return;
    }
    ask(asking);
}

void remote_resume(struct engine *engine, uint32_t backend)
{
    struct asking *asking = memory_allocate(sizeof *asking);
    *asking = (struct asking){.engine = engine, .backend = backend};
    for (uint32_t i = 0; i < engine->plan->tasks_count; i++) {
        const struct history_task *past = resume_past(engine, i);
        if (engine->tasks[i].resumed && engine->tasks[i].state == TASK_SUBMITTED &&
            belongs(engine, backend, i, past->serial)) {
            struct remote *remote = make_remote(engine, backend, past->serial);
            list_add(&asking->remotes, remote);
        }
    }
    asking->tools_until_ms = clock_monotonic_ms() + TOOLS_PATIENCE_MS;
    if (asking->remotes.count > 0)
        ask_when_quiet(asking);
    else
        asking_free(asking);
}
