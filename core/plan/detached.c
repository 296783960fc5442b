/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What goes with `--detach`: the whole graph is handed to a scheduler that goes on without us, and repeats only what it
 * knows itself. And what goes with a scheduler that takes nothing but whole graphs.
 */
#include "plan/build.h"

static bool can_take_graphs(const struct plan_backend *backend)
{
    const uint32_t wanted = DESCPIPE_SCHEDULER_GRAPH | DESCPIPE_SCHEDULER_OUTLIVES | DESCPIPE_SCHEDULER_SHARED_FILES;
    return (plugin_scheduler(backend->scheduler)->capabilities & wanted) == wanted &&
           backend->form == DESCPIPE_FORM_COMMAND;
}

static void check_limit(struct plan_builder *builder, const struct stage *stage, bool whole)
{
    if (stage->extras == NULL || stage->extras->limit == 0)
        return;
    problem_add(builder->problems, PROBLEM_ERROR, plan_stage_place(builder, stage, stage->extras->limit_at),
                whole ? "remove 'limit'; the option 'parallelism' of its scheduler bounds all pods at a time"
                      : "run it without --detach, or without 'limit'",
                "stage '%s' is under the limit '%s', which nobody keeps when %s",
                pipeline_text(builder->pipeline, stage->name), pipeline_text(builder->pipeline, stage->extras->limit),
                whole ? "its scheduler has the whole graph" : "the run is detached");
}

/* What a scheduler does not repeat by itself. */
static void check_retries(struct plan_builder *builder, const struct stage *stage, bool repeats_all)
{
    static const struct {
        uint32_t reasons;
        const char *words;
    } names[] = {{RETRY_FAIL, "a failure"},         {RETRY_EXIT_CODES, "an exit code"},
                 {RETRY_OOM, "too little memory"},  {RETRY_TIMEOUT, "too little time"},
                 {RETRY_IMAGE, "an image not had"}, {RETRY_LOST, "a lost job"}};
    if (stage->extras == NULL || stage->extras->retries.limit == 0 || repeats_all)
        return;
    cleanup(text_clear) struct text reasons = TEXT_INIT;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (stage->extras->retries.reasons & names[i].reasons)
            text_format(&reasons, "%s%s", reasons.length > 0 ? ", " : "", names[i].words);
    if (reasons.length == 0)
        return;
    problem_add(builder->problems, PROBLEM_NOTE, plan_stage_place(builder, stage, (struct spot){0}),
                "'descpipe resume' tries what failed again",
                "stage '%s' is not tried again by itself when the run is detached (%s)",
                pipeline_text(builder->pipeline, stage->name), text_bytes(&reasons));
}

static void check_chain(struct plan_builder *builder, const struct stage *stage)
{
    if (stage->extras != NULL && stage->extras->checkpoint.files.count > 0)
        problem_add(builder->problems, PROBLEM_NOTE, plan_stage_place(builder, stage, stage->extras->checkpoint.at),
                    "'descpipe resume' goes on from what it wrote",
                    "stage '%s' does not go on from its checkpoint by itself when the run is detached",
                    pipeline_text(builder->pipeline, stage->name));
}

/* A scheduler repeats a pod as it is. */
static void check_raising(struct plan_builder *builder, const struct stage *stage)
{
    const struct retries *retries = stage->extras != NULL ? &stage->extras->retries : NULL;
    if (retries == NULL || retries->limit == 0 || (retries->memory_factor <= 1 && retries->minutes_factor <= 1))
        return;
    problem_add(builder->problems, PROBLEM_WARNING, plan_stage_place(builder, stage, (struct spot){0}),
                "give it what it may need from the start; or 'descpipe resume', which gives more",
                "stage '%s' is tried again with as much %s as before: its scheduler cannot give a later attempt more",
                pipeline_text(builder->pipeline, stage->name), retries->memory_factor > 1 ? "memory" : "time");
}

/* Nobody of us is there when a stage begins: its pod must fetch what another one made. */
static void check_taking(struct plan_builder *builder, const struct stage *stage, const struct plan_backend *backend)
{
    const struct pipeline *pipeline = builder->pipeline;
    for (uint32_t i = 0; i < stage->inputs.count && !plugin_scheduler_jobs_bring(backend->scheduler); i++) {
        symbol tag = pipeline->files.items[stage->inputs.at + i].tag;
        uint32_t producer = pipeline_producer(pipeline, tag);
        if (producer == UINT32_MAX || !builder->plan->stages[producer].selected ||
            pipeline_input(pipeline, tag) != NULL)
            continue;
        problem_add(
            builder->problems, PROBLEM_ERROR, plan_stage_place(builder, stage, (struct spot){0}),
            "set 'volume' and 'helper-image' under the backend's scheduler: 'descpipe plugins show' explains them",
            "stage '%s' takes '%s' from stage '%s', and scheduler '%s' is not told how its pods are to fetch it",
            pipeline_text(pipeline, stage->name), pipeline_text(pipeline, tag),
            pipeline_text(pipeline, pipeline->stages.items[producer].name), backend->scheduler_name);
        return;
    }
}

bool plan_check_whole(struct plan_builder *builder)
{
    const struct plan *plan = builder->plan;
    const struct plan_backend *whole = NULL;
    for (uint32_t i = 0; i < plan->pipeline->stages.count && whole == NULL; i++) {
        const struct plan_backend *backend = &plan->backends[plan->stages[i].backend];
        if (plan->stages[i].selected &&
            (plugin_scheduler(backend->scheduler)->capabilities & DESCPIPE_SCHEDULER_WHOLE) != 0)
            whole = backend;
    }
    for (uint32_t i = 0; i < plan->pipeline->stages.count && whole != NULL; i++) {
        const struct stage *stage = &plan->pipeline->stages.items[i];
        const struct plan_backend *backend = &plan->backends[plan->stages[i].backend];
        if (!plan->stages[i].selected)
            continue;
        if (backend != whole) {
            problem_add(
                builder->problems, PROBLEM_ERROR,
                plan_stage_place(builder, stage, stage->extras != NULL ? stage->extras->backend_at : (struct spot){0}),
                "put all stages on one backend, or run them one backend at a time: --only",
                "stage '%s' runs on backend '%s' and others on '%s', whose scheduler '%s' must have the whole "
                "graph",
                pipeline_text(builder->pipeline, stage->name), backend->name, whole->name, whole->scheduler_name);
            break;
        }
        check_limit(builder, stage, true);
        check_raising(builder, stage);
        check_taking(builder, stage, backend);
    }
    return whole != NULL;
}

void plan_check_detached(struct plan_builder *builder)
{
    const struct plan *plan = builder->plan;
    uint32_t first = UINT32_MAX;
    for (uint32_t i = 0; i < plan->pipeline->stages.count; i++) {
        const struct stage *stage = &plan->pipeline->stages.items[i];
        const char *name = pipeline_text(builder->pipeline, stage->name);
        if (!plan->stages[i].selected)
            continue;
        const struct plan_backend *backend = &plan->backends[plan->stages[i].backend];
        struct place place =
            plan_stage_place(builder, stage, stage->extras != NULL ? stage->extras->backend_at : (struct spot){0});
        if (first == UINT32_MAX)
            first = plan->stages[i].backend;
        if (backend->pilot)
            return; /* there an engine follows it to its end */
        if (!can_take_graphs(backend)) {
            problem_add(builder->problems, PROBLEM_ERROR, place, "run it without --detach, or with --backend=slurm",
                        "stage '%s': scheduler '%s' ends with descpipe, so that a run of it cannot be detached", name,
                        backend->scheduler_name);
            return; /* of the others the same would be said */
        }
        if (plan->stages[i].backend != first) {
            problem_add(builder->problems, PROBLEM_ERROR, place, "run it without --detach, or on one backend",
                        "stage '%s' runs on backend '%s' and others on '%s': one scheduler must have the whole graph "
                        "when the run is detached",
                        name, backend->name, plan->backends[first].name);
            return;
        }
        check_limit(builder, stage, false);
        check_chain(builder, stage);
        check_retries(builder, stage,
                      (plugin_scheduler(backend->scheduler)->capabilities & DESCPIPE_SCHEDULER_RETRIES) != 0);
    }
}
