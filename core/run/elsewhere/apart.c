/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Backends whose jobs see files that this machine does not: what the cluster's volume holds.
 *
 * How it works: the volume stands for the working folder. Every path below that folder means the same file to all jobs
 * of the backend, and nothing to this machine; the run folder with its journal stays here. plan/seen.c refuses what
 * could not be seen.
 */
#include "run/walk.h"

bool apart_jobs_bring(const struct engine *engine, uint32_t stage)
{
    return plugin_scheduler_jobs_bring(engine->plan->backends[engine->plan->stages[stage].backend].scheduler);
}

bool apart_is_stage(const struct engine *engine, uint32_t stage)
{
    return plugin_scheduler_is_apart(engine->plan->backends[engine->plan->stages[stage].backend].scheduler);
}

static const char *backend_name(const struct engine *engine, uint32_t stage)
{
    return engine->plan->backends[engine->plan->stages[stage].backend].name;
}

bool apart_describe_results(const struct engine *engine, struct text *where)
{
    const char *backend = NULL;
    bool here = false;
    for (uint32_t i = 0; i < engine->pipeline->stages.count; i++) {
        if (!engine->plan->stages[i].selected || engine->pipeline->stages.items[i].outputs.count == 0)
            continue;
        if (!apart_is_stage(engine, i))
            here = true;
        else if (backend == NULL)
            backend = backend_name(engine, i);
    }
    if (backend == NULL)
        return false;
    if (here && engine->pipeline->output != NULL)
        text_format(where, "%s and ", engine->pipeline->output);
    text_format(where, "'data' on the volume of backend '%s', in its folder for %s", backend,
                engine->pipeline->working);
    return true;
}
