/* SPDX-License-Identifier: BSD-3-Clause */
/* The edges of a run's jobs; graph.h says how it works. */
#include "run/elsewhere/graph.h"

#include <string.h>

struct graph {
    struct engine *engine;
    const struct descpipe_edge *const **waiting; /* by stage: for whole stages; made when first needed */
    struct arena *arena;
};

struct graph *graph_new(struct engine *engine)
{
    struct graph *graph = memory_allocate(sizeof *graph);
    *graph = (struct graph){.engine = engine, .arena = arena_new()};
    graph->waiting = memory_allocate((engine->pipeline->stages.count + 1) * sizeof *graph->waiting);
    return graph;
}

bool graph_settle_known(struct engine *engine)
{
    cached_slice(engine);
    while (engine->ready.count > 0 && !cached_slice_is_over(engine)) {
        uint32_t task = (uint32_t)task_heap_pop(&engine->ready);
        if (engine->tasks[task].state == TASK_READY && cached_look(engine, task) == CACHED_RUN)
            engine->tasks[task].attempt_slot = NONE; /* it goes with the others */
    }
    return engine->ready.count == 0 && !cached_is_busy(engine);
}

static bool makes(const struct engine *engine, uint32_t number, const char *path)
{
    const struct stage *producer = &engine->pipeline->stages.items[number];
    const struct walk_stage *walked = &engine->stages[number];
    if (!engine->plan->stages[number].selected || walked->tasks_left == 0)
        return false;
    for (uint32_t i = 0; i < producer->outputs.count; i++) {
        const char *tag = pipeline_text(engine->pipeline, engine->pipeline->files.items[producer->outputs.at + i].tag);
        cleanup(memory_free) char *data = memory_format("%s/data/%s", engine->folder.working, tag);
        size_t length = strlen(data);
        if (strncmp(path, data, length) == 0 && (path[length] == '.' || path[length] == '/'))
            return true;
    }
    return false;
}

bool graph_is_made_later(const struct engine *engine, uint32_t task, const char *path)
{
    const struct stage *stage = &engine->pipeline->stages.items[plan_task_stage(engine->plan, task)];
    for (uint32_t i = 0; path != NULL && i < stage->after.count; i++)
        if (makes(engine, engine->pipeline->edges.items[stage->after.at + i], path))
            return true;
    return false;
}

uint32_t graph_tasks_of(const struct engine *engine, uint32_t stage)
{
    uint32_t members = engine->pipeline->stages.items[stage].members;
    return members > 0 ? members : 1;
}

static bool is_waited_for(const struct engine *engine, uint32_t task)
{
    return engine->tasks[task].state != TASK_SUCCEEDED;
}

static const struct descpipe_edge *edge_to(struct graph *graph, uint32_t task, uint32_t condition)
{
    const struct engine *engine = graph->engine;
    uint32_t attempt = engine->tasks[task].attempts > 0 ? engine->tasks[task].attempts : 1;
    struct descpipe_edge *edge = arena_allocate(graph->arena, sizeof *edge);
    *edge =
        (struct descpipe_edge){.size = sizeof *edge, .condition = condition, .job = walk_job(engine, task, attempt)};
    return edge;
}

const struct descpipe_edge *const *graph_wait_for_stages(struct graph *graph, const uint32_t *stages, uint32_t count,
                                                         uint32_t condition)
{
    const struct engine *engine = graph->engine;
    size_t edges = 0, at = 0;
    for (uint32_t i = 0; i < count; i++)
        edges += engine->plan->stages[stages[i]].selected ? graph_tasks_of(engine, stages[i]) : 0;
    const struct descpipe_edge **list = arena_allocate(graph->arena, (edges + 1) * sizeof *list);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t first = engine->plan->stages[stages[i]].first_task;
        for (uint32_t j = 0; engine->plan->stages[stages[i]].selected && j < graph_tasks_of(engine, stages[i]); j++)
            if (is_waited_for(engine, first + j))
                list[at++] = edge_to(graph, first + j, condition);
    }
    list[at] = NULL;
    return list;
}

static const struct descpipe_edge *const *wait_for_own(struct graph *graph, const struct stage *stage, uint32_t member)
{
    const struct engine *engine = graph->engine;
    const struct descpipe_edge **list = arena_allocate(graph->arena, (stage->after.count + 1) * sizeof *list);
    size_t at = 0;
    for (uint32_t i = 0; i < stage->after.count; i++) {
        uint32_t producer = engine->pipeline->edges.items[stage->after.at + i];
        if (!engine->plan->stages[producer].selected)
            continue;
        uint32_t own = stage_member_match(engine->pipeline, stage, member, &engine->pipeline->stages.items[producer]);
        uint32_t task = engine->plan->stages[producer].first_task + own;
        if (own != NONE && is_waited_for(engine, task))
            list[at++] = edge_to(graph, task, DESCPIPE_AFTER_OK);
    }
    list[at] = NULL;
    return list;
}

const struct descpipe_edge *const *graph_edges(struct graph *graph, uint32_t task)
{
    const struct engine *engine = graph->engine;
    uint32_t number, member;
    const struct stage *stage = walk_stage_of(engine, task, &number, &member);
    if (engine->stages[number].by_members)
        return wait_for_own(graph, stage, member);
    if (graph->waiting[number] == NULL)
        graph->waiting[number] = graph_wait_for_stages(graph, &engine->pipeline->edges.items[stage->after.at],
                                                       stage->after.count, DESCPIPE_AFTER_OK);
    return graph->waiting[number];
}
