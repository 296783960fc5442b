/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Handing a run over to a scheduler that goes on without us.
 *
 *     detach_start → images, inputs → what is known already is settled → one submission after the other → the last job
 *     → `detached`, to the disk → the leases are the run's own → the engine ends
 *
 * How it works: what earlier runs have made, as far as it can be known before anything runs, is not made again. Every
 * other task is one job of its first attempt, with edges to the jobs that make what it takes; its script looks after
 * its files itself (job_files.c). Submissions go one by one, in the order of the graph, since an edge names
 * jobs that the scheduler has already. A stage whose members wait for their own member of another, or are so waited
 * for, has submissions of its own, so that a member has the same position in both: schedulers with arrays have a word
 * for that. The last job waits for the end of all others, puts the results in place and gives the leases back
 * (detach_end.c). When anything goes wrong on the way all of it is taken back: a run is handed over as a whole or not
 * at all.
 */
#include "run/elsewhere/detach.h"

#include <string.h>

#include "base/log.h"
#include "base/path.h"
#include "pipeline/file_type.h"
#include "run/journal/lease.h"

#define LARGEST 1000 /* when the scheduler does not say */

/* Giving up. */

static void finish(struct detach *detach)
{
    struct engine *engine = detach->engine;
    engine->finished = true;
    engine->walking = false;
    loop_stop(engine->loop);
}

static void taken_back(void *context, const struct call_result *result)
{
    struct detach *detach = context;
    struct engine *engine = detach->engine;
    if (!result->ok)
        log_warning("what scheduler '%s' has of run %s could not be cancelled: %s",
                    engine->plan->backends[detach->backend].scheduler_name, engine->folder.id, result->message);
    for (uint32_t i = 0; i < engine->plan->tasks_count; i++)
        if (engine->plan->stages[plan_task_stage(engine->plan, i)].selected)
            walk_settle(engine, i, TASK_CANCELLED, "because the run was not handed over");
    record_end(engine, engine->error.kind == ERROR_INTERRUPTED ? "cancelled" : "failed");
    finish(detach);
}

void detach_give_up(struct engine *engine)
{
    struct detach *detach = engine->detach;
    if (detach->failing)
        return;
    detach->failing = true;
    engine->stop = STOP_CANCEL; /* nothing is sent any more */
    uint64_t *jobs = memory_allocate((engine->attempts.count + 1) * sizeof *jobs);
    uint64_t count = 0;
    for (size_t i = 0; i < engine->attempts.count; i++) {
        const struct attempt *attempt = engine->attempts.items[i];
        if (attempt->engine != NULL && attempt->sent)
            jobs[count++] = attempt->job;
    }
    scheduler_cancel(engine->plan->backends[detach->backend].scheduler, jobs, count,
                     (struct call_options){.done = taken_back, .context = detach}); /* `jobs` lives as long as we */
}

void detach_fail(struct engine *engine, const char *message)
{
    if (engine->detach->failing)
        return;
    if (engine->error.message == NULL)
        error_set(&engine->error, ERROR_STAGE, "run %s was not handed over: %s", engine->folder.id, message);
    detach_give_up(engine);
}

/* Who waits for whom. */

static void find_paired(struct detach *detach)
{
    const struct engine *engine = detach->engine;
    const struct pipeline *pipeline = engine->pipeline;
    for (uint32_t i = 0; i < detach->order_count; i++) {
        uint32_t number = detach->order[i];
        const struct stage *stage = &pipeline->stages.items[number];
        for (uint32_t j = 0; engine->stages[number].by_members && j < stage->after.count; j++) {
            uint32_t producer = pipeline->edges.items[stage->after.at + j];
            if (engine->plan->stages[producer].selected)
                detach->is_paired[number] = detach->is_paired[producer] = true;
        }
    }
}

struct descpipe_job *detach_make_job(struct remote *remote, const char *name,
                                     const struct descpipe_resources *resources)
{
    const struct engine *engine = remote->engine;
    struct descpipe_resources *own = arena_allocate(remote->arena, sizeof *own);
    *own = *resources;
    cleanup(memory_free) char *script = path_join(remote->folder, DETACH_SCRIPT);
    cleanup(memory_free) char *output = path_join(remote->folder, "job.0.out");
    const char *log = arena_copy_text(remote->arena, output);
    struct descpipe_job *job = arena_allocate(remote->arena, sizeof *job);
    *job = (struct descpipe_job){.size = sizeof *job,
                                 .job = walk_job(engine, engine->plan->tasks_count, ATTEMPTS_LIMIT),
                                 .attempt = 1,
                                 .stage = name,
                                 .group = "",
                                 .resources = own,
                                 .script = arena_copy_text(remote->arena, script),
                                 .output_path = log,
                                 .error_path = log};
    return job;
}

void detach_send_job(struct remote *remote, const struct descpipe_job *job, uint32_t flags)
{
    struct engine *engine = remote->engine;
    const struct descpipe_job **jobs = arena_allocate(remote->arena, sizeof *jobs);
    jobs[0] = job;
    remote->submission = (struct descpipe_submission){.size = sizeof remote->submission,
                                                      .count = 1,
                                                      .token = remote->token,
                                                      .run = engine->folder.id,
                                                      .folder = remote->folder,
                                                      .jobs = jobs,
                                                      .flags = flags};
    remote->sending = true;
    record_intent_end(engine, record_intent_begin(engine, remote->serial, 0));
    remote_announce(remote);
}

const struct descpipe_edge *const *detach_wait_for_all(struct detach *detach)
{
    return graph_wait_for_stages(detach->engine->graph, detach->order, detach->order_count, DESCPIPE_AFTER_END);
}

/* Sending. */

static void remember(struct detach *detach, uint64_t serial, uint32_t count)
{
    if (detach->sent_count == detach->sent_capacity) {
        detach->sent_capacity = detach->sent_capacity > 0 ? detach->sent_capacity * 2 : 16;
        detach->sent = memory_resize(detach->sent, detach->sent_capacity * sizeof *detach->sent);
    }
    detach->sent[detach->sent_count].serial = serial;
    detach->sent[detach->sent_count++].count = count;
}

/* The next tasks that go together; what is known already does not go. */
static uint32_t collect(struct detach *detach, uint32_t *tasks)
{
    const struct engine *engine = detach->engine;
    uint32_t count = 0;
    while (detach->stage < detach->order_count && count < detach->largest) {
        uint32_t number = detach->order[detach->stage];
        bool alone = detach->is_paired[number];
        if (alone && count > 0)
            break;
        while (detach->member < graph_tasks_of(engine, number) && count < detach->largest) {
            uint32_t task = engine->plan->stages[number].first_task + detach->member++;
            if (engine->tasks[task].state == TASK_SUCCEEDED)
                continue;
            if (engine->tasks[task].state == TASK_PLANNED)
                cached_tell_handed_over(detach->engine, task);
            tasks[count++] = task;
        }
        if (detach->member == graph_tasks_of(engine, number)) {
            detach->member = 0;
            detach->stage++;
        }
        if (alone && count > 0)
            break;
    }
    return count;
}

static void send_next(struct detach *detach)
{
    cleanup(memory_free) uint32_t *tasks = memory_allocate((size_t)detach->largest * sizeof *tasks);
    uint32_t count = collect(detach, tasks);
    detach->sending = true;
    if (count > 0) {
        remember(detach, detach->engine->serial + 1, count);
        remote_submit(detach->engine, detach->backend, tasks, count);
        return;
    }
    detach->closing = true;
    detach_send_end(detach);
}

/* All is the scheduler's. From the leases on nothing of it is ours. */
static void hand_over(struct detach *detach, uint64_t serial)
{
    struct engine *engine = detach->engine;
    cleanup(error_clear) struct error error = ERROR_INIT;
    record_detached(engine, engine->plan->backends[detach->backend].scheduler_name, serial, detach->pilot);
    if (!engine_flush(engine, true)) {
        detach_fail(engine, "its journal cannot be written");
        return;
    }
    if (!lease_hand_over(engine->lease, engine->folder.id, &error) ||
        !lease_hand_over(engine->working_lease, engine->folder.id, &error))
        log_warning("%s: another run may begin in '%s' before this one has ended", error.message,
                    engine->pipeline->working);
    finish(detach);
}

void detach_taken(struct engine *engine, uint64_t serial)
{
    struct detach *detach = engine->detach;
    detach->sending = false;
    if (detach->failing)
        return;
    if (detach->closing)
        hand_over(detach, serial);
    else
        send_next(detach);
}

/* Before anything is sent. */

/* What the pipeline names is looked at here: a job could only say the same much later. */
static bool look_at_inputs(struct detach *detach, struct error *error)
{
    struct engine *engine = detach->engine;
    const struct pipeline *pipeline = engine->pipeline;
    for (uint32_t i = 0; i < detach->order_count; i++) {
        const struct stage *stage = &pipeline->stages.items[detach->order[i]];
        for (uint32_t j = 0; j < stage->inputs.count; j++) {
            const struct file_tag *file = &pipeline->files.items[stage->inputs.at + j];
            const struct run_input *given = pipeline_input(pipeline, file->tag);
            char **place = given != NULL ? &engine->fetched[given - pipeline->inputs.items] : NULL;
            if (place == NULL)
                continue;
            char *real = path_real(*place != NULL ? *place : pipeline_text(pipeline, given->path), error);
            memory_free(*place);
            *place = real;
            const char *tag = pipeline_text(pipeline, file->tag);
            cleanup(memory_free) char *shown = memory_format("the input '%s' ('%s')", tag, real != NULL ? real : "");
            if (real == NULL || !file_type_check(pipeline, pipeline_text(pipeline, file->suffix),
                                                 (struct file_named){.path = real, .shown = shown}, error))
                return false;
        }
    }
    return true;
}

/* Who types --detach wants to leave: a site that takes less than the whole at a time keeps them here for a while. */
static void tell_room(const struct detach *detach)
{
    const struct engine *engine = detach->engine;
    const struct plan_backend *backend = &engine->plan->backends[detach->backend];
    uint64_t room = plugin_scheduler_room(backend->scheduler), jobs = engine->left + 1;
    if (jobs <= room)
        return;
    log_warning(
        "%llu jobs are to be handed over, and scheduler '%s' takes %llu more of yours for now: the others go as "
        "these end, and until then this command has to go on; Ctrl-C takes all of it back",
        (unsigned long long)jobs, backend->scheduler_name, (unsigned long long)room);
    log_notice("hint: without --detach the run can be left and resumed at any time; 'mode: pilot' is one job for all");
}

/* In each round, as long as something is ready. With nothing left to do the run ends here, as any other does. */
void detach_look(struct engine *engine)
{
    struct detach *detach = engine->detach;
    if (!detach->looking || detach->failing || !graph_settle_known(engine))
        return;
    detach->looking = false;
    if (engine->left == 0) {
        engine->detach = NULL;
        return;
    }
    tell_room(detach);
    send_next(detach);
}

void detach_image_prepared(struct engine *engine)
{
    struct detach *detach = engine->detach;
    if (detach->looking || detach->sending || detach->failing)
        return;
    bool all = true;
    for (uint32_t i = 0; i < detach->order_count; i++) {
        uint32_t image = engine->plan->stages[detach->order[i]].image;
        if (image == NONE || engine->images[image].state == IMAGE_READY)
            continue;
        if (engine->images[image].state == IMAGE_UNKNOWN && engine->images[image].failure != NULL) {
            detach_fail(engine, engine->images[image].failure);
            return;
        }
        all = false;
        submit_prepare_image(engine, image);
    }
    if (all && detach->pilot) {
        pilot_send(detach);
    } else if (all) {
        detach->looking = true;
        walk_start(engine);
    }
}

static void probed(void *context, const struct call_result *result)
{
    struct detach *detach = context;
    struct engine *engine = detach->engine;
    if (!result->ok) {
        detach_fail(engine, result->message);
        return;
    }
    uint64_t room = plugin_scheduler_room(engine->plan->backends[detach->backend].scheduler);
    detach->largest = room > 0 && room < LARGEST ? (uint32_t)room : LARGEST;
    detach_image_prepared(engine);
}

void detach_start(struct engine *engine, bool pilot)
{
    const struct pipeline *pipeline = engine->pipeline;
    struct detach *detach = memory_allocate(sizeof *detach); /* lives as long as the engine */
    *detach = (struct detach){.engine = engine, .pilot = pilot};
    engine->detach = detach;
    engine->graph = graph_new(engine);
    detach->order = memory_allocate((pipeline->stages.count + 1) * sizeof *detach->order);
    detach->is_paired = memory_allocate((pipeline->stages.count + 1) * sizeof *detach->is_paired);
    for (uint32_t i = 0; i < pipeline->stages.count; i++) {
        if (engine->plan->stages[pipeline->order[i]].selected)
            detach->order[detach->order_count++] = pipeline->order[i];
    }
    detach->backend = engine->plan->stages[detach->order[0]].backend;
    find_paired(detach);
    cleanup(error_clear) struct error error = ERROR_INIT;
    if (strchr(engine->folder.working, '\n') != NULL ||
        (pipeline->output != NULL && strchr(pipeline->output, '\n') != NULL)) {
        detach_fail(engine, "the working or the output folder has a line break in its name");
    } else if (pilot ? !pilot_takes_all(engine, &error) : !look_at_inputs(detach, &error)) {
        detach_fail(engine, error.message);
    } else {
        scheduler_probe(engine->plan->backends[detach->backend].scheduler,
                        (struct call_options){.done = probed, .context = detach});
    }
}
