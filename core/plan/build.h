/* SPDX-License-Identifier: BSD-3-Clause */
/* Building a plan, shared by the files that do it: build.c (the steps), choose.c (the words), image.c (what the images
 * are; lookup.c for one of them), combine.c (what goes together). */
#ifndef DESCPIPE_PLAN_BUILD_H
#define DESCPIPE_PLAN_BUILD_H

#include "plan/plan.h"

/* The words and plugins of one backend, before anything is opened. */
struct backend_words {
    const struct backend *backend; /* NULL: none was said */
    enum layer layer;              /* who said it */
    const char *name, *scheduler, *runtime, *registry;
    struct place place;
    struct place scheduler_place, runtime_place, registry_place; /* of the words; line 0: nobody wrote it */
};

struct plan_builder {
    struct plugin_host *host;
    struct plugin_catalogue *catalogue;
    const struct pipeline *pipeline;
    const struct config_layers *layers;
    struct registries *registries; /* or NULL */
    struct plan_choices choices;
    struct problems *problems;
    size_t errors_before; /* problems that were there already */
    void (*done)(void *context, struct plan *plan, const struct error *error);
    void *context;
    struct plan *plan;             /* owned until done */
    struct error error;            /* the first failure of a plugin or the network */
    struct table *images;          /* "backend reference" → index + 1 */
    size_t next_image, open_calls; /* identify */
    char *silent_host;             /* of a registry: it did not answer for one image */
    size_t same_failures;          /* so many others failed as the first did */
    struct text same_names;        /* some of them */
    bool asking;                   /* the loop that asks is on the stack */
    size_t next_scheduler;         /* to be asked what this machine has */
    void (*advance)(struct plan_builder *builder);
    LIST(struct backend_words) words; /* of plan->backends, same order */
    size_t backends_open;             /* so many are done */
    size_t candidate;                 /* of `auto` for the next one */
    struct text tried;                /* what `auto` found wrong with the others */
};

/* Finds the backend for a stage's (or the pipeline's: 0) word. false with a problem when there is none of that name. */
bool plan_choose_words(const struct plan_builder *builder, symbol word, struct spot said, struct backend_words *words);
/* False with problems, or with builder->error when nothing else is wrong, when a plugin of these words is not here. */
bool plan_check_words(struct plan_builder *builder);
/* Settings of one plugin of a backend, all layers applied; NULL with problems or error. */
struct settings *plan_choose_settings(struct plan_builder *builder, const struct backend_words *words, const char *kind,
                                      const char *plugin);
/* For the scheduler that runs stages on the only node of an allocation: what that has. */
#define ALLOCATION_SCHEDULER "local"
struct settings *plan_allocation_settings(struct plan_builder *builder, const struct backend_words *words,
                                          const char *plugin, const struct descpipe_resources *resources);
/* The `on:` options of a stage for the plugin of that name, its backend's scheduler or runtime; NULL: it has none. */
struct settings *plan_stage_settings(struct plan_builder *builder, const struct stage *stage,
                                     const struct plugin_instance *plugin, const char *name);

/* Fills plan->images and each stage's image. */
void plan_collect_images(struct plan_builder *builder);
/* False with problems or builder->error. */
bool plan_open_registries(struct plan_builder *builder);
/* Asks runtimes and registries what the images are; `advance` is called when all have answered. */
void plan_identify_images(struct plan_builder *builder, void (*advance)(struct plan_builder *builder));

/* The form a scheduler and a runtime agree on, 0 with a problem. */
uint32_t plan_agree_form(struct plan_builder *builder, const struct plan_backend *backend, struct place place);
/* What a stage asks against what its backend can. */
void plan_check_stage(struct plan_builder *builder, uint32_t number);
void plan_check_files_are_seen(struct plan_builder *builder, uint32_t number);
/* detached.c: what a run that nobody watches cannot do, and what waits for `resume`. */
void plan_check_detached(struct plan_builder *builder);
/* … and what a scheduler cannot do that takes nothing but whole graphs; false: there is none. */
bool plan_check_whole(struct plan_builder *builder);
/* here.c: asks the schedulers that start stages on this machine what it has, checks the stages that run here against it
 * (cpus, memory, gpus, mounts, secrets), and calls `advance`. */
void plan_check_here(struct plan_builder *builder, void (*advance)(struct plan_builder *builder));
/* The place of a stage, or of a value of it when that is known. */
struct place plan_stage_place(const struct plan_builder *builder, const struct stage *stage, struct spot said);

#endif
