/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether a stage sees what it takes. A backend's jobs may see files that this machine does not: those of a volume that
 * stands for the working folder. Every path below that folder then means the same file to all its jobs, and nothing
 * here.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/path.h"
#include "plan/build.h"

static bool is_apart(const struct plan_builder *builder, uint32_t number)
{
    return plugin_scheduler_is_apart(builder->plan->backends[builder->plan->stages[number].backend].scheduler);
}

static const char *backend_name(const struct plan_builder *builder, uint32_t number)
{
    return builder->plan->backends[builder->plan->stages[number].backend].name;
}

/* Is it said of an earlier stage already? */
static bool is_taken_before(const struct plan_builder *builder, uint32_t number, symbol tag)
{
    const struct pipeline *pipeline = builder->pipeline;
    for (uint32_t i = 0; i < number; i++)
        for (uint32_t j = 0; j < pipeline->stages.items[i].inputs.count; j++)
            if (pipeline->files.items[pipeline->stages.items[i].inputs.at + j].tag == tag &&
                builder->plan->stages[i].selected && !is_apart(builder, i))
                return true;
    return false;
}

/* What the reader of the pipeline has left open: an input below the working folder. */
static void check_here(struct plan_builder *builder, uint32_t number, const struct run_input *given)
{
    const struct pipeline *pipeline = builder->pipeline;
    const char *path = given->path != 0 ? pipeline_text(pipeline, given->path) : NULL;
    struct stat status;
    if (path == NULL || !path_is_inside(pipeline->working, path) || stat(path, &status) == 0 || errno != ENOENT ||
        is_taken_before(builder, number, given->tag))
        return;
    problem_add(builder->problems, PROBLEM_ERROR,
                (struct place){.file = pipeline->file, .line = given->line, .column = given->column},
                "relative paths count from the working directory (or --base)", "the input '%s': cannot read '%s': %s",
                pipeline_text(pipeline, given->tag), path, strerror(ENOENT));
}

static void check_there(struct plan_builder *builder, uint32_t number, const struct run_input *given)
{
    const struct pipeline *pipeline = builder->pipeline;
    if (given->url == 0 && path_is_inside(pipeline->working, pipeline_text(pipeline, given->path)))
        return;
    cleanup(text_clear) struct text hint = TEXT_INIT;
    text_format(
        &hint,
        "put the file on the backend's volume, and name it below the working folder, which the volume stands for: "
        "%s/inputs/...",
        pipeline->working);
    problem_add(builder->problems, PROBLEM_ERROR,
                (struct place){.file = pipeline->file, .line = given->line, .column = given->column}, text_bytes(&hint),
                "the input '%s': the jobs of backend '%s' (stage '%s') cannot see '%s'",
                pipeline_text(pipeline, given->tag), backend_name(builder, number),
                pipeline_text(pipeline, pipeline->stages.items[number].name),
                pipeline_text(pipeline, given->url != 0 ? given->url : given->path));
}

static void check_producer(struct plan_builder *builder, uint32_t number, const struct file_tag *file)
{
    const struct pipeline *pipeline = builder->pipeline;
    const struct stage *stage = &pipeline->stages.items[number];
    uint32_t producer = pipeline_producer(pipeline, file->tag);
    if (producer == UINT32_MAX || !builder->plan->stages[producer].selected ||
        builder->plan->stages[producer].backend == builder->plan->stages[number].backend ||
        (!is_apart(builder, number) && !is_apart(builder, producer)))
        return;
    problem_add(builder->problems, PROBLEM_ERROR,
                plan_stage_place(builder, stage, stage->extras != NULL ? stage->extras->backend_at : (struct spot){0}),
                "run both on one backend, or say in its 'volume' where this machine has it mounted",
                "stage '%s' (backend '%s') takes '%s' from stage '%s' (backend '%s'), and only one of them can see it",
                pipeline_text(pipeline, stage->name), backend_name(builder, number), pipeline_text(pipeline, file->tag),
                pipeline_text(pipeline, pipeline->stages.items[producer].name), backend_name(builder, producer));
}

void plan_check_files_are_seen(struct plan_builder *builder, uint32_t number)
{
    const struct pipeline *pipeline = builder->pipeline;
    const struct stage *stage = &pipeline->stages.items[number];
    for (uint32_t i = 0; i < stage->inputs.count; i++) {
        const struct file_tag *file = &pipeline->files.items[stage->inputs.at + i];
        const struct run_input *given = pipeline_input(pipeline, file->tag);
        if (given == NULL)
            check_producer(builder, number, file);
        else if (is_apart(builder, number))
            check_there(builder, number, given);
        else
            check_here(builder, number, given);
    }
}
