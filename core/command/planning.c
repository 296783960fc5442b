/* SPDX-License-Identifier: BSD-3-Clause */
/* From a pipeline file and the command line to a plan. */
#include "command/planning.h"

#include "export/graph.h"
#include "run/files/folders.h"

void planning_clear(struct planning *planning)
{
    plan_free(planning->plan);
    pipeline_free(planning->pipeline);
    installation_clear(&planning->installation);
    problems_clear(&planning->problems);
    error_clear(&planning->error);
    memory_free(planning->base);
}

static void plan_done(void *context, struct plan *plan, const struct error *error)
{
    struct planning *planning = context;
    planning->plan = plan;
    planning->over = true;
    if (plan != NULL || error == NULL || error->kind == ERROR_NONE)
        return;
    error_set(&planning->error, error->kind, "%s",
              error->message != NULL ? error->message : "the plan cannot be built");
    if (error->hint != NULL)
        error_hint(&planning->error, "%s", error->hint);
    if (error->file != NULL)
        error_place(&planning->error, error->file, error->line, error->column);
}

static bool plan_goes_on(void *context)
{
    const struct planning *planning = context;
    return !planning->over;
}

static bool build_plan(struct planning *planning, const struct pipeline_options *options, enum plan_extent extent)
{
    struct installation *installation = &planning->installation;
    if (!installation_open_host(installation, &planning->error))
        return false;
    installation_open_registries(installation);
    struct plan_request request = {
        .host = installation->host,
        .registries = installation->registries,
        .catalogue = installation->catalogue,
        .pipeline = planning->pipeline,
        .layers = installation->layers,
        .problems = &planning->problems,
    };
    pipeline_options_choices(options, &request.choices);
    request.choices.extent = extent;
    plan_build(&request, plan_done, planning);
    if (!planning->over)
        loop_run(installation->loop, plan_goes_on, planning);
    return planning->plan != NULL;
}

static void check_folders(struct planning *planning)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    if (!folders_check(planning->pipeline, &error))
        problem_from_error(&planning->problems, &error);
}

bool planning_build(struct planning *planning, const struct invocation *invocation,
                    const struct pipeline_options *options, const char *file, enum plan_extent extent)
{
    struct installation *installation = &planning->installation;
    if (!installation_open(installation, invocation, &planning->error) ||
        !pipeline_options_base(invocation, &planning->base, &planning->error))
        return false;
    struct config_search search = {0};
    installation_search(installation, &search);
    pipeline_options_search(options, &search);
    bool layers = installation_read_layers(installation, &search, &planning->problems);
    struct pipeline_changes changes;
    pipeline_options_changes(options, planning->base, &changes);
    if (layers)
        pipeline_take_folders(installation->layers, &changes);
    const struct plan_request names = {.catalogue = installation->catalogue,
                                       .layers = installation->layers,
                                       .choices.extent = extent,
                                       .problems = &planning->problems};
    planning->pipeline =
        layers ? plan_read_pipeline(file, &changes, &names) : pipeline_read(file, &changes, &planning->problems);
    if (planning->pipeline != NULL && (extent == PLAN_WHOLE || extent == PLAN_COMBINATION))
        check_folders(planning);
    return layers && planning->pipeline != NULL && planning->problems.errors == 0 &&
           build_plan(planning, options, extent);
}

void planning_try(struct planning *planning)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    if (planning->plan != NULL && planning->problems.errors == 0 && !export_check(planning->plan, &error))
        problem_from_error(&planning->problems, &error);
}

int planning_status(const struct planning *planning)
{
    if (planning->error.kind != ERROR_NONE)
        return error_exit_status(planning->error.kind);
    return planning->problems.errors > 0 || planning->plan == NULL ? error_exit_status(ERROR_INPUT) : 0;
}
