/* SPDX-License-Identifier: BSD-3-Clause */
/* Plans for tests: a pipeline text becomes a plan with the real plugins of this build. */
#ifndef DESCPIPE_TESTS_PLAN_FIXTURE_H
#define DESCPIPE_TESTS_PLAN_FIXTURE_H

#include "../base/suite.h"
#include "../base/temporary_folder.h"
#include "plan/plan.h"

struct planned {
    struct problems problems;
    struct error error;
    struct config_layers *layers;
    struct policy *policy;
    struct plugin_catalogue *catalogue;
    struct loop *loop;
    struct plugin_host *host;
    struct pipeline *pipeline;
    struct plan *plan;
    struct plan_choices choices;
    struct config_search search;
    bool done;
};

static inline void planned_done(void *context, struct plan *plan, const struct error *error)
{
    struct planned *planned = context;
    planned->plan = plan;
    planned->done = true;
    if (!plan && error && error->message) {
        error_set(&planned->error, error->kind, "%s", error->message);
        if (error->hint)
            error_hint(&planned->error, "%s", error->hint);
        if (error->file)
            error_place(&planned->error, error->file, error->line, error->column);
    }
    loop_stop(planned->loop);
}

static inline bool planned_open(void *context)
{
    return !((struct planned *)context)->done;
}

static inline void planned_show(const struct planned *planned)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    problems_print(&planned->problems, &text);
    fprintf(stderr, "%s%s\n", text_bytes(&text), planned->error.message ? planned->error.message : "");
}

/* `planned` may have choices and search set. The pipeline itself must be right. */
static inline void planned_make(struct planned *planned, const char *yaml)
{
    cleanup(memory_free) char *path = temporary_path("pipeline.yaml");
    cleanup(memory_free) char *work = temporary_path("work"), *out = temporary_path("out");
    static const char *const plugin_dirs[] = {BUILD_FOLDER "/plugins-built", NULL};
    put_file(path, yaml);
    struct pipeline_changes changes = {.base = temporary_folder, .working = work, .output = out};
    planned->pipeline = pipeline_read(path, &changes, &planned->problems);
    if (!planned->pipeline)
        planned_show(planned);
    ck_assert_ptr_nonnull(planned->pipeline);
    planned->layers = config_layers_read(&planned->search, &planned->problems);
    planned->policy = policy_read("/nonexistent", &planned->problems);
    struct plugin_search search = {.plugin_dirs = plugin_dirs, .system_folder = "/nonexistent"};
    planned->catalogue = plugin_catalogue_new(&search, planned->policy, &planned->error);
    planned->loop = loop_new(&planned->error);
    planned->host = plugin_host_new(planned->loop, planned->catalogue, &planned->error);
    ck_assert(planned->layers && planned->policy && planned->catalogue && planned->host);
    struct plan_request request = {.host = planned->host,
                                   .catalogue = planned->catalogue,
                                   .pipeline = planned->pipeline,
                                   .layers = planned->layers,
                                   .choices = planned->choices,
                                   .problems = &planned->problems};
    plan_build(&request, planned_done, planned);
    if (!planned->done)
        loop_run(planned->loop, planned_open, planned);
    if (!planned->plan && planned->problems.errors == 0 && planned->error.kind == ERROR_NONE)
        ck_abort_msg("no plan, and nothing says why");
}

static inline void planned_clear(struct planned *planned)
{
    plan_free(planned->plan);
    plugin_host_free(planned->host);
    loop_free(planned->loop);
    plugin_catalogue_free(planned->catalogue);
    policy_free(planned->policy);
    config_layers_free(planned->layers);
    pipeline_free(planned->pipeline);
    problems_clear(&planned->problems);
    error_clear(&planned->error);
}
static inline void planned_clear_at(struct planned *place)
{
    planned_clear(place);
}

/* The first problem of level error. */
static inline const struct problem *planned_problem(const struct planned *planned)
{
    for (size_t i = 0; i < planned->problems.count; i++) {
        if (planned->problems.items[i].level == PROBLEM_ERROR)
            return &planned->problems.items[i];
    }
    planned_show(planned);
    ck_abort_msg("there is no problem");
    return NULL;
}

#endif
