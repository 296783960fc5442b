/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The plan: an immutable value that says how each stage of a pipeline will run. Everything that needs the network or a
 * tool has been asked before it is complete; the engine only walks it.
 */
#ifndef DESCPIPE_PLAN_PLAN_H
#define DESCPIPE_PLAN_PLAN_H

#include "config/layers.h"
#include "config/settings.h"
#include "pipeline/pipeline.h"
#include "plan/lock.h"
#include "plan/registry.h"
#include "plugin/instance.h"

struct plan_backend { /* one combination of plugins in use, opened */
    char *name;       /* the backend's name, or "default" */
    char *scheduler_name, *runtime_name, *registry_name;
    char *runtime_reason; /* what `auto` picked and why, or NULL */
    struct settings *scheduler_settings, *runtime_settings;
    struct plugin_instance *scheduler, *runtime; /* NULL with an extent that leaves them out */
    struct plugin_instance *registry;            /* of struct registries; NULL until an image needs it */
    bool pilot;                                  /* the run moves, or has moved, into one allocation */
    const uint32_t *forms;                       /* to choose from, best first */
    uint32_t form;                               /* the DESCPIPE_FORM_ agreed on */
};

struct plan_image {     /* distinct images; many stages share one */
    char *reference;    /* as the pipeline says it */
    char *name, *place; /* full; where it is asked for, after mirrors. NULL: no registry knows it */
    struct plugin_instance *home, *registry;                                /* that serve `name` and `place`, or NULL */
    struct descpipe_image image;                                            /* points into this struct's own texts */
    char *config_digest, *manifest_digest, *platform, *handle, *path, *tag; /* or NULL; handle once prepared */
    uint64_t bytes;                                                         /* compressed, 0: not known */
    int64_t created_at_ms;                                                  /* 0: not known */
    bool prepared, here; /* this machine has it; and it is the one that is wanted */
    bool in_registry;    /* which was asked */
    bool locked;         /* its digests are those of descpipe.lock */
    uint32_t backend;
};

struct plan_stage {
    uint32_t backend;                    /* index into plan->backends */
    uint32_t image;                      /* index into plan->images, UINT32_MAX: none */
    uint32_t first_task;                 /* tasks of a stage lie together */
    struct settings *scheduler_settings; /* its `on:` for this scheduler, or NULL */
    struct settings *runtime_settings;   /* and for this runtime */
    bool selected;                       /* by --only/--from/--until */
};

struct plan {
    struct plugin_host *host;        /* outlives the plan */
    struct image_lock *lock;         /* beside the pipeline; NULL with PLAN_COMBINATION */
    const struct pipeline *pipeline; /* outlives the plan */
    struct plan_backend *backends;
    size_t backends_count;
    struct plan_image *images;
    size_t images_count;
    struct plan_stage *stages; /* by the pipeline's stage number */
    char *python_module;       /* its file on this machine, when a stage wants it; else NULL */
    uint32_t tasks_count;      /* one task per member, or one per stage without members */
};

enum plan_extent {
    PLAN_WHOLE = 0,
    PLAN_COMBINATION, /* plugins and how they go together, but ask nobody about images */
    PLAN_IMAGES,      /* runtimes and the images' full names: no scheduler, nothing that only a run needs */
    PLAN_NAMES        /* the images' full names alone */
};

struct plan_choices { /* what the command line says beside the layers; NULL: not said */
    const char *const *only, *const *from, *const *until;
    enum plan_extent extent;
    bool detach; /* the whole graph goes to the scheduler, and nobody watches */
};

/* What a plan is made from; all of it outlives the plan. */
struct plan_request {
    struct plugin_host *host;
    struct plugin_catalogue *catalogue;
    const struct pipeline *pipeline;
    const struct config_layers *layers;
    struct registries *registries; /* NULL: no registry is asked */
    struct plan_choices choices;
    struct problems *problems; /* until done */
};

/* pipeline_read for a plan to be built: when the file has errors, those of the backends, plugins and options that it
 * names are told with them. Of the request only catalogue, layers, choices and problems are looked at. */
struct pipeline *plan_read_pipeline(const char *path, const struct pipeline_changes *changes,
                                    const struct plan_request *request);

/* Chooses backends, opens plugins, agrees on forms, asks what the images are, checks combinations. `done` comes once,
 * on the loop or before this returns; plan is NULL when there was an error: in problems, or in `error` for failures of
 * plugins and network. The plan belongs to whoever `done` is. */
void plan_build(const struct plan_request *request,
                void (*done)(void *context, struct plan *plan, const struct error *error), void *context);
void plan_free(struct plan *plan); /* closes its plugins */
DEFINE_CLEANUP(struct plan *, plan_free);

/* {pipeline, backend: {scheduler, runtime, registry}, stages: [{name, backend, image, digest, form, command, inputs,
 * outputs, after, resources, members}]}, streamed to a descriptor: plan.json of the run folder and `descpipe plan
 * --json`. */
bool plan_write_json(const struct plan *plan, int descriptor, struct error *error);
void plan_print(const struct plan *plan, struct text *out); /* for people */

uint32_t plan_task_stage(const struct plan *plan, uint32_t task); /* stage number; O(log n) */
uint32_t plan_task_member(const struct plan *plan, uint32_t task);

/* A stage with `script:` runs its interpreter on this file of its config folder; whoever lays the folder writes it. */
#define PLAN_SCRIPT_NAME "descpipe-script"

/* Where a stage's three folders are inside a container, as the original project had them. */
#define PLAN_CONTAINER_INPUT "/opt/input"
#define PLAN_CONTAINER_OUTPUT "/opt/output"
#define PLAN_CONTAINER_CONFIG "/opt/config"
#define PLAN_CONTAINER_SCRATCH "/scratch" /* for `scratch:` */

/* Fills what a runtime needs to launch one attempt. All texts live in `arena`. Paths: where the stage's three folders
 * are as the executing machine sees them. */
struct plan_launch {
    struct arena *arena;
    uint32_t task;
    uint64_t attempt;
    const char *run, *token;
    const char *input, *output, *config; /* host folders */
    const char *scratch;                 /* likewise, becomes TMPDIR; NULL: none */
    const char *host_directory;
    const char *const *gpus;
    uint64_t memory; /* after retries; 0: the stage's own */
};
/* What a stage asks for, defaults filled in. */
void plan_resources(const struct plan *plan, uint32_t stage_number, struct descpipe_resources *resources);
/* For schedulers that try again by themselves; NULL: never. */
const struct descpipe_retries *plan_retries(struct arena *arena, const struct stage *stage);
/* The signal that a stage with a checkpoint wants before its limit. */
void plan_warning(const struct stage *stage, struct descpipe_job *job);

const struct descpipe_stage *plan_launch_stage(const struct plan *plan, const struct plan_launch *launch);

#endif
