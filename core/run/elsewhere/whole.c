/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs whose scheduler takes the whole graph at once, and goes on with it whether we look or not (Argo).
 *
 *     whole_submit → what is known already is settled → everything else is one submission, with its edges
 *     → its scheduler's word, task by task, as of any other job elsewhere
 *
 * How it works: what is ready is looked up among the results of earlier runs, and what that makes ready in turn, until
 * nothing more can be known without running something. The rest goes together. The scheduler starts what can start; we
 * follow. When a task fails those that wait for it never begin, and are given back here as soon as that is known. A run
 * that is gone on with (`resume`) adopts what its scheduler has; what is left over when nothing of it runs any more is
 * the next submission. A submission that its scheduler never got is sent again under the name it had, so that two of
 * them cannot come to be even when the first arrives late.
 */
#include "run/elsewhere/graph.h"

struct whole {
    uint32_t backend;
    uint32_t *tasks; /* of the next submission */
    bool undone;     /* a submission is to be sent again as it was */
};

void whole_begin(struct engine *engine)
{
    for (uint32_t i = 0; i < engine->pipeline->stages.count && engine->whole == NULL; i++) {
        uint32_t backend = engine->plan->stages[i].backend;
        if (!engine->plan->stages[i].selected ||
            (plugin_scheduler(engine->plan->backends[backend].scheduler)->capabilities & DESCPIPE_SCHEDULER_WHOLE) == 0)
            continue;
        engine->whole = memory_allocate(sizeof *engine->whole); /* lives as long as the engine */
        *engine->whole = (struct whole){.backend = backend};
        engine->whole->tasks = memory_allocate(((size_t)engine->plan->tasks_count + 1) * sizeof(uint32_t));
        engine->graph = graph_new(engine);
    }
}

bool whole_has(const struct engine *engine, uint32_t task)
{
    if (engine->whole == NULL || engine->tasks[task].state != TASK_RUNNING)
        return false;
    const struct attempt *attempt = engine->attempts.items[engine->tasks[task].attempt_slot];
    return attempt->remote != NULL && attempt->sent && !attempt->seen_running && attempt->patience_until_ms == 0 &&
           attempt->endings_count == 0;
}

void whole_undone(struct engine *engine, uint64_t serial)
{
    engine->whole->undone = true;
    engine->serial = serial - 1;
}

/* By their order, so that the same tasks have the same positions when they are sent again. */
static uint32_t collect(struct engine *engine)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < engine->pipeline->stages.count; i++) {
        uint32_t number = engine->pipeline->order[i], first = engine->plan->stages[number].first_task;
        if (!engine->plan->stages[number].selected)
            continue;
        for (uint32_t j = 0; j < graph_tasks_of(engine, number); j++)
            if (engine->tasks[first + j].state <= TASK_READY)
                engine->whole->tasks[count++] = first + j;
        uint32_t image = engine->plan->stages[number].image;
        if (image != NONE)
            submit_image_is_ready(engine, image); /* the cluster fetches it */
    }
    return count;
}

void whole_submit(struct engine *engine)
{
    struct whole *whole = engine->whole;
    if (!whole->undone && !graph_settle_known(engine))
        return;
    if (engine->running > 0 || engine->retrying > 0 || engine->remotes != NULL || engine->left == 0)
        return;
    uint32_t count = collect(engine);
    whole->undone = false;
    engine->ready.count = 0;
    if (count == 0)
        return;
    sources_begin(engine);
    engine->graph = graph_new(engine); /* anew: what has succeeded since is not waited for */
    remote_submit(engine, whole->backend, whole->tasks, count);
}

/* Of a run that nobody wants to follow: `resume` does, when somebody does. */
void whole_taken(struct engine *engine)
{
    if (engine->whole == NULL || !engine->request->detach || engine->resume != NULL)
        return;
    record_request(engine, "leave", "detach");
    engine->stop = STOP_LEAVE;
    engine->finished = true;
    loop_stop(engine->loop);
}
