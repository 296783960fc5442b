/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A plan as one submission of pods, rendered by its scheduler.
 *
 * How it works: every task is a job with edges to the tasks that it waits for, its form made by the runtime as for a
 * run. Nobody here lays files, so that a stage which takes, makes or is configured by files is refused; the other three
 * folders it is promised are empty ones of its pod.
 */
#include "export/graph.h"

#include <string.h>

#include "base/memory.h"

struct graph {
    const struct plan *plan;
    const struct pipeline *pipeline;
    const char *name;
    struct arena *arena;
    LIST(const struct descpipe_job *) jobs;
    struct error *error;
    const struct descpipe_form *form; /* of the launch that is under way */
    struct text *out;                 /* NULL: nothing of it is wanted */
    bool answered;
};

static bool refuse(struct graph *graph, const struct stage *stage, const char *message, const char *hint)
{
    error_set(graph->error, ERROR_INPUT, "stage '%s' %s", pipeline_text(graph->pipeline, stage->name), message);
    error_place(graph->error, graph->pipeline->file, stage->line, stage->column);
    return hint == NULL ? false : error_hint(graph->error, "%s", hint);
}

/* All texts of it live until the end. */
static const char *const *keep_words(struct arena *arena, const char *const *words)
{
    size_t count = 0;
    while (words != NULL && words[count] != NULL)
        count++;
    const char **copy = arena_allocate(arena, (count + 1) * sizeof *copy);
    for (size_t i = 0; i < count; i++)
        copy[i] = arena_copy_text(arena, words[i]);
    copy[count] = NULL;
    return copy;
}

static void launched(void *context, const struct call_result *result)
{
    struct graph *graph = context;
    if (!result->ok) {
        error_set(graph->error, ERROR_PLUGIN, "%s", result->message);
        return;
    }
    struct descpipe_form *form = arena_allocate(graph->arena, sizeof *form);
    *form = (struct descpipe_form){.size = sizeof *form,
                                   .form = result->form->form,
                                   .argv = keep_words(graph->arena, result->form->argv),
                                   .environment = keep_words(graph->arena, result->form->environment)};
    if (result->form->directory != NULL)
        form->directory = arena_copy_text(graph->arena, result->form->directory);
    if (result->form->image != NULL)
        form->image = arena_copy_text(graph->arena, result->form->image);
    graph->form = form;
}

static bool is_own_folder(const char *target)
{
    return text_equal(target, PLAN_CONTAINER_INPUT) || text_equal(target, PLAN_CONTAINER_OUTPUT) ||
           text_equal(target, PLAN_CONTAINER_CONFIG);
}

/* The stage's own folders are empty ones of the pod. */
static const struct descpipe_mount *const *empty_folders(struct graph *graph,
                                                         const struct descpipe_mount *const *mounts)
{
    size_t count = 0;
    while (mounts[count] != NULL)
        count++;
    const struct descpipe_mount **copies = arena_allocate(graph->arena, (count + 1) * sizeof *copies);
    for (size_t i = 0; i < count; i++) {
        struct descpipe_mount *copy = arena_allocate(graph->arena, sizeof *copy);
        *copy = *mounts[i];
        if (is_own_folder(copy->target))
            copy->flags = DESCPIPE_MOUNT_SCRATCH;
        copies[i] = copy;
    }
    copies[count] = NULL;
    return copies;
}

static const struct descpipe_form *make_form(struct graph *graph, uint32_t number, uint32_t task)
{
    const struct plan *plan = graph->plan;
    const struct plan_stage *planned = &plan->stages[number];
    const struct plan_launch launch = {.arena = graph->arena,
                                       .task = task,
                                       .attempt = 1,
                                       .run = graph->name,
                                       .token = graph->name,
                                       .input = PLAN_CONTAINER_INPUT,
                                       .output = PLAN_CONTAINER_OUTPUT,
                                       .config = PLAN_CONTAINER_CONFIG};
    struct descpipe_stage stage = *plan_launch_stage(plan, &launch);
    struct descpipe_image image = {.size = sizeof image};
    if (stage.image != NULL) {
        image = *stage.image;
        if (image.reference == NULL) /* nobody was asked about it */
            image.reference = plan->images[planned->image].reference;
        stage.image = &image;
    }
    graph->form = NULL;
    runtime_launch(plan->backends[planned->backend].runtime, &stage,
                   (struct call_options){.done = launched, .context = graph});
    if (graph->form == NULL)
        return NULL;
    struct descpipe_form *form = arena_allocate(graph->arena, sizeof *form);
    *form = *graph->form;
    form->mounts = empty_folders(graph, stage.mounts);
    return form;
}

/* The tasks that a task waits for: its own member of a stage with the same members, else all of it. */
static const struct descpipe_edge *const *edges_of(struct graph *graph, const struct stage *stage, uint32_t member)
{
    const struct pipeline *pipeline = graph->pipeline;
    size_t most = 0, count = 0;
    for (uint32_t i = 0; i < stage->after.count; i++) {
        const struct stage *producer = &pipeline->stages.items[pipeline->edges.items[stage->after.at + i]];
        most += producer->members > 0 ? producer->members : 1;
    }
    const struct descpipe_edge **edges = arena_allocate(graph->arena, (most + 1) * sizeof *edges);
    for (uint32_t i = 0; i < stage->after.count; i++) {
        uint32_t number = pipeline->edges.items[stage->after.at + i];
        const struct stage *producer = &pipeline->stages.items[number];
        bool matched = stage->members > 0 && stage_members_match(stage, producer);
        uint32_t from = matched ? stage_member_match(pipeline, stage, member, producer) : 0;
        uint32_t to = matched ? from + 1 : producer->members > 0 ? producer->members : 1;
        for (uint32_t j = from; graph->plan->stages[number].selected && j < to; j++) {
            struct descpipe_edge *edge = arena_allocate(graph->arena, sizeof *edge);
            *edge = (struct descpipe_edge){.size = sizeof *edge,
                                           .condition = DESCPIPE_AFTER_OK,
                                           .job = (uint64_t)graph->plan->stages[number].first_task + j + 1};
            edges[count++] = edge;
        }
    }
    edges[count] = NULL;
    return edges;
}

static bool add_job(struct graph *graph, uint32_t number, uint32_t member)
{
    const struct stage *stage = &graph->pipeline->stages.items[number];
    const struct plan_stage *planned = &graph->plan->stages[number];
    uint32_t task = planned->first_task + member;
    struct descpipe_resources *resources = arena_allocate(graph->arena, sizeof *resources);
    plan_resources(graph->plan, number, resources);
    struct descpipe_job *job = arena_allocate(graph->arena, sizeof *job);
    const char *name = pipeline_text(graph->pipeline, stage->name);
    *job = (struct descpipe_job){.size = sizeof *job,
                                 .job = (uint64_t)task + 1,
                                 .order = graph->jobs.count,
                                 .attempt = 1,
                                 .stage = name,
                                 .group = name,
                                 .resources = resources,
                                 .form = make_form(graph, number, task),
                                 .after = edges_of(graph, stage, member),
                                 .retries = plan_retries(graph->arena, stage),
                                 .settings = (const struct descpipe_settings *)planned->scheduler_settings};
    plan_warning(stage, job);
    if (stage->members > 0) {
        cleanup(text_clear) struct text text = TEXT_INIT;
        stage_member_name(graph->pipeline, stage, member, &text);
        job->member = arena_copy(graph->arena, text_bytes(&text), text.length);
    }
    if (stage->extras != NULL && stage->extras->script != 0)
        job->source = pipeline_text(graph->pipeline, stage->extras->script);
    list_add(&graph->jobs, job);
    return job->form != NULL;
}

/* What this cannot say yet is refused, never left out. */
static bool check_stage(struct graph *graph, const struct stage *stage)
{
    const struct stage_extras *extras = stage->extras;
    if (stage->inputs.count + stage->outputs.count + stage->configs.count > 0)
        return refuse(graph, stage, "takes or makes files, which an exported graph cannot move yet",
                      "run it: 'descpipe run' makes a Workflow that moves its files");
    const struct descpipe_scheduler *scheduler = plugin_scheduler(graph->plan->backends[0].scheduler);
    if (extras != NULL && extras->retries.limit > 0 && (scheduler->capabilities & DESCPIPE_SCHEDULER_RETRIES) == 0)
        return refuse(graph, stage, "has retries, which its scheduler cannot be told of",
                      "remove 'retries' for the export");
    if (extras != NULL && extras->limit != 0)
        return refuse(graph, stage, "is under a limit, which an exported graph cannot keep yet",
                      "remove 'limit' for the export");
    for (size_t i = 0; extras != NULL && i < extras->environment.count; i++)
        if (extras->environment.items[i].secret)
            return refuse(graph, stage, "has a secret in its env, which belongs in no file",
                          "remove it for the export");
    return true;
}

static bool add_jobs(struct graph *graph)
{
    const struct pipeline *pipeline = graph->pipeline;
    for (size_t i = 0; i < pipeline->stages.count; i++) {
        uint32_t number = pipeline->order[i];
        const struct stage *stage = &pipeline->stages.items[number];
        if (!graph->plan->stages[number].selected)
            continue;
        if (graph->plan->stages[number].backend != 0)
            return refuse(graph, stage, "is on another backend than the rest", "export one backend at a time: --only");
        if (graph->out != NULL && !check_stage(graph, stage))
            return false;
        for (uint32_t member = 0; member < (stage->members > 0 ? stage->members : 1); member++)
            if (!add_job(graph, number, member))
                return false;
    }
    return true;
}

/* A scheduler's words begin with the stage that they are about: "stage 'x': ...". NULL when they are about all. */
static const struct stage *stage_of(const struct graph *graph, const char *message)
{
    static const char before[] = "stage '", after[] = "': ";
    const struct pipeline *pipeline = graph->pipeline;
    if (strncmp(message, before, sizeof before - 1) != 0)
        return NULL;
    for (size_t i = 0; i < pipeline->stages.count; i++) {
        const char *name = pipeline_text(pipeline, pipeline->stages.items[i].name);
        size_t length = strlen(name);
        const char *rest = message + sizeof before - 1;
        if (strncmp(rest, name, length) == 0 && strncmp(rest + length, after, sizeof after - 1) == 0)
            return &pipeline->stages.items[i];
    }
    return NULL;
}

static void rendered(void *context, const struct call_result *result)
{
    struct graph *graph = context;
    graph->answered = true;
    if (!result->ok) {
        const struct stage *stage = stage_of(graph, result->message);
        error_set(graph->error, ERROR_INPUT, "%s", result->message);
        if (stage != NULL)
            error_place(graph->error, graph->pipeline->file, stage->line, stage->column);
        if (result->hint != NULL)
            error_hint(graph->error, "%s", result->hint);
        return;
    }
    for (size_t i = 0; graph->out != NULL && i < result->texts_count; i++)
        text_append(graph->out, result->texts[i]);
}

static bool render(const struct plan *plan, const char *name, struct text *out, struct error *error)
{
    struct graph graph = {
        .plan = plan, .pipeline = plan->pipeline, .name = name, .arena = arena_new(), .error = error, .out = out};
    if (!add_jobs(&graph) && error->message == NULL) {
        error_set(error, ERROR_PLUGIN, "runtime '%s' did not make the form of a stage at once",
                  plan->backends[0].runtime_name);
    } else if (error->message == NULL) {
        const struct descpipe_submission submission = {.size = sizeof submission,
                                                       .count = (uint32_t)graph.jobs.count,
                                                       .token = name,
                                                       .run = name,
                                                       .jobs = graph.jobs.items,
                                                       .flags = DESCPIPE_SUBMISSION_DETACHED};
        scheduler_render(plan->backends[0].scheduler, &submission,
                         (struct call_options){.done = rendered, .context = &graph});
        if (!graph.answered)
            error_set(error, ERROR_PLUGIN, "scheduler '%s' did not render at once", plan->backends[0].scheduler_name);
    }
    list_clear(&graph.jobs);
    arena_free(graph.arena);
    return error->message == NULL;
}

bool export_graph(const struct plan *plan, const char *name, struct text *out, struct error *error)
{
    return render(plan, name, out, error);
}

bool export_check(const struct plan *plan, struct error *error)
{
    const struct plan_backend *backend = &plan->backends[0];
    if (plan->backends_count != 1 || backend->scheduler == NULL || backend->form != DESCPIPE_FORM_POD)
        return true;
    const struct descpipe_scheduler *scheduler = plugin_scheduler(backend->scheduler);
    bool whole = (scheduler->capabilities & DESCPIPE_SCHEDULER_WHOLE) != 0 && scheduler->render != NULL;
    return !whole || render(plan, "descpipe-check", NULL, error);
}
