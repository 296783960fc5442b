/* SPDX-License-Identifier: BSD-3-Clause */
/* What goes together: launch forms, and what a stage asks against what its scheduler and runtime can do. */
#include "plan/build.h"

static void forms_names(uint32_t forms, struct text *out)
{
    static const struct {
        uint32_t bit;
        const char *name;
    } names[] = {{DESCPIPE_FORM_POD, "pod"}, {DESCPIPE_FORM_MANAGED, "managed"}, {DESCPIPE_FORM_COMMAND, "command"}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (forms & names[i].bit)
            text_format(out, "%s%s", out->length ? ", " : "", names[i].name);
    }
    if (out->length == 0)
        text_append(out, "none");
}

uint32_t plan_agree_form(struct plan_builder *builder, const struct plan_backend *backend, struct place place)
{
    uint32_t offered = plugin_runtime_forms(backend->runtime), accepted = 0;
    cleanup(error_clear) struct error error = ERROR_INIT;
    for (const uint32_t *form = backend->forms; *form; form++) {
        accepted |= *form;
        if ((offered & *form) == 0)
            continue;
        if (plugin_scheduler_accepts(backend->scheduler, *form, error.message == NULL ? &error : NULL))
            return *form;
    }
    if (error.message != NULL) { /* it could, with another option */
        problem_add(builder->problems, PROBLEM_ERROR, place, "choose another runtime for this scheduler, or set it",
                    "scheduler '%s' with runtime '%s': %s", backend->scheduler_name, backend->runtime_name,
                    error.message);
        return 0;
    }
    cleanup(text_clear) struct text offers = TEXT_INIT, accepts = TEXT_INIT;
    forms_names(offered, &offers);
    forms_names(accepted, &accepts);
    problem_add(builder->problems, PROBLEM_ERROR, place,
                "choose another runtime for this scheduler, or another scheduler",
                "scheduler '%s' (accepts: %s) and runtime '%s' (offers: %s) have no way of starting a stage in common",
                backend->scheduler_name, text_bytes(&accepts), backend->runtime_name, text_bytes(&offers));
    return 0;
}

struct place plan_stage_place(const struct plan_builder *builder, const struct stage *stage, struct spot said)
{
    return (struct place){.file = builder->pipeline->file,
                          .line = said.line ? said.line : stage->line,
                          .column = said.line ? said.column : stage->column};
}

static struct place stage_place(const struct plan_builder *builder, const struct stage *stage)
{
    return plan_stage_place(builder, stage, (struct spot){0});
}

static void check_parallel(struct plan_builder *builder, const struct stage *stage, const struct plan_backend *backend,
                           const struct resources *resources, uint32_t scheduler_can)
{
    const char *name = pipeline_text(builder->pipeline, stage->name);
    if (resources->nodes > 1 && !(scheduler_can & DESCPIPE_SCHEDULER_MPI))
        problem_add(builder->problems, PROBLEM_ERROR, stage_place(builder, stage),
                    "run it on a backend whose scheduler spans nodes, or lower 'nodes' to 1",
                    "stage '%s' asks for %u nodes; scheduler '%s' has one", name, resources->nodes,
                    backend->scheduler_name);
    else if (resources->nodes > 1 && !(plugin_runtime(backend->runtime)->capabilities & DESCPIPE_RUNTIME_RANKS_OUTSIDE))
        problem_add(builder->problems, PROBLEM_ERROR, stage_place(builder, stage),
                    "lower 'nodes' to 1, or take a runtime such as singularity or shifter",
                    "stage '%s' asks for %u nodes; runtime '%s' keeps all ranks of a stage in one container", name,
                    resources->nodes, backend->runtime_name);
}

/* Inputs are copied for a runtime without read-only mounts; what a stage mounts besides is not. */
static void check_read_only_mounts(struct plan_builder *builder, const struct stage *stage,
                                   const struct plan_backend *backend)
{
    uint32_t can = plugin_runtime(backend->runtime)->capabilities;
    if (!(can & DESCPIPE_RUNTIME_ISOLATES_PATHS) || (can & DESCPIPE_RUNTIME_READ_ONLY))
        return;
    for (size_t i = 0; i < stage->extras->mounts.count; i++) {
        const struct bind *bind = &stage->extras->mounts.items[i];
        if (bind->read_only)
            problem_add(builder->problems, PROBLEM_WARNING, stage_place(builder, stage),
                        "mount only what the stage may spoil, or take another runtime",
                        "stage '%s': the mount of '%s' cannot be forced read-only by runtime '%s'",
                        pipeline_text(builder->pipeline, stage->name), pipeline_text(builder->pipeline, bind->source),
                        backend->runtime_name);
    }
}

/* Whether somebody can tell the stage that its time is nearly up. */
static void check_checkpoint(struct plan_builder *builder, const struct stage *stage,
                             const struct plan_backend *backend)
{
    const struct checkpoint *checkpoint = &stage->extras->checkpoint;
    uint32_t can = plugin_scheduler(backend->scheduler)->capabilities;
    if (checkpoint->files.count == 0)
        return;
    bool here = (can & DESCPIPE_SCHEDULER_HOST_STARTS) != 0;
    bool by_runtime = here && backend->form == DESCPIPE_FORM_MANAGED;
    if (by_runtime ? (plugin_runtime(backend->runtime)->capabilities & DESCPIPE_RUNTIME_SIGNALS) != 0
                   : here || (can & DESCPIPE_SCHEDULER_SIGNALS) != 0)
        return;
    problem_add(builder->problems, PROBLEM_ERROR, plan_stage_place(builder, stage, checkpoint->at),
                "give it more 'minutes' instead, or run it on a backend with scheduler slurm, local or sequential",
                "stage '%s' has a 'checkpoint'; %s '%s' cannot tell a stage that its time is nearly up",
                pipeline_text(builder->pipeline, stage->name), by_runtime ? "runtime" : "scheduler",
                by_runtime ? backend->runtime_name : backend->scheduler_name);
}

void plan_check_stage(struct plan_builder *builder, uint32_t number)
{
    const struct stage *stage = &builder->pipeline->stages.items[number];
    const struct plan_backend *backend = &builder->plan->backends[builder->plan->stages[number].backend];
    const struct resources *resources = &builder->pipeline->resources.items[stage->resources];
    uint32_t runtime_can = plugin_runtime(backend->runtime)->capabilities;
    uint32_t scheduler_can = plugin_scheduler(backend->scheduler)->capabilities;
    const char *name = pipeline_text(builder->pipeline, stage->name);
    check_parallel(builder, stage, backend, resources, scheduler_can);
    plan_check_files_are_seen(builder, number);
    if (resources->gpus > 0 && (!(runtime_can & DESCPIPE_RUNTIME_GPUS) || !(scheduler_can & DESCPIPE_SCHEDULER_GPUS)))
        problem_add(builder->problems, PROBLEM_ERROR, stage_place(builder, stage), "take a backend that has GPUs",
                    "stage '%s' asks for %u GPU%s; %s '%s' cannot give any", name, resources->gpus,
                    resources->gpus == 1 ? "" : "s", runtime_can & DESCPIPE_RUNTIME_GPUS ? "scheduler" : "runtime",
                    runtime_can & DESCPIPE_RUNTIME_GPUS ? backend->scheduler_name : backend->runtime_name);
    if (!stage->extras)
        return;
    check_read_only_mounts(builder, stage, backend);
    check_checkpoint(builder, stage, backend);
    if (stage->extras->network == 0 && backend->form == DESCPIPE_FORM_POD)
        problem_add(builder->problems, PROBLEM_ERROR, stage_place(builder, stage),
                    "remove 'network: false', or run it on another backend",
                    "stage '%s' wants no network; scheduler '%s' cannot take it away from a pod", name,
                    backend->scheduler_name);
    else if (stage->extras->network == 0 && !(runtime_can & DESCPIPE_RUNTIME_NO_NETWORK))
        problem_add(builder->problems, PROBLEM_ERROR, stage_place(builder, stage),
                    "remove 'network: false' or take another runtime",
                    "stage '%s' wants no network; runtime '%s' cannot take it away", name, backend->runtime_name);
    if (stage->extras->python_module && (runtime_can & DESCPIPE_RUNTIME_ISOLATES_PATHS) &&
        !(runtime_can & DESCPIPE_RUNTIME_SINGLE_FILES))
        problem_add(builder->problems, PROBLEM_ERROR, stage_place(builder, stage),
                    "put the module into the image instead",
                    "stage '%s' wants the module 'descpipe' mounted; runtime '%s' cannot mount one file", name,
                    backend->runtime_name);
    if (stage->extras->mounts.count > 0 && !(runtime_can & DESCPIPE_RUNTIME_ISOLATES_PATHS)) {
        for (size_t i = 0; i < stage->extras->mounts.count; i++) {
            const struct bind *bind = &stage->extras->mounts.items[i];
            if (bind->source != bind->target)
                problem_add(builder->problems, PROBLEM_ERROR, stage_place(builder, stage),
                            "use a runtime with containers, or the same path on both sides",
                            "stage '%s' mounts '%s' as '%s'; runtime '%s' runs on the machine's own paths", name,
                            pipeline_text(builder->pipeline, bind->source),
                            pipeline_text(builder->pipeline, bind->target), backend->runtime_name);
        }
    }
}
