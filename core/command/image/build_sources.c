/* SPDX-License-Identifier: BSD-3-Clause */
/* Stages in repositories, fetched by commit before anything is built. */
#include "command/image/build_sources.h"

#include "base/clock.h"
#include "command/image/github_fetch.h"
#include "command/image/image_work.h"
#include "pipeline/github.h"

struct fetching {
    struct github_fetch *fetch;
    struct image_job *job;
    const char *repository, *checkout, *locked;
};

static void fetch_line(void *context, const char *line)
{
    const struct fetching *fetching = context;
    progress_output(fetching->job->work->progress, fetching->job->number, line);
}

static void fetched(void *context, const char *commit, bool fresh, const struct error *error)
{
    struct fetching *fetching = context;
    fetching->fetch = NULL;
    if (error != NULL) {
        image_job_fail(fetching->job, error);
        return;
    }
    cleanup(memory_free) char *message =
        memory_format("%s %s of %s is commit %s", fresh ? "fetched:" : "fetched before:", fetching->checkout,
                      fetching->repository, commit);
    image_job_end(fetching->job, message);
}

static void fetch_start(struct image_job *job)
{
    struct fetching *fetching = job->own;
    fetching->job = job;
    progress_start(job->work->progress, job->number, "fetching", clock_monotonic_ms());
    const struct github_fetch_request request = {.loop = job->work->planning->installation.loop,
                                                 .repository = fetching->repository,
                                                 .checkout = fetching->checkout,
                                                 .commit = fetching->locked,
                                                 .line = fetch_line,
                                                 .done = fetched,
                                                 .context = fetching};
    fetching->fetch = github_fetch_start(&request);
}

static void fetch_stop(struct image_job *job)
{
    struct fetching *fetching = job->own;
    if (fetching->fetch != NULL)
        github_fetch_stop(fetching->fetch);
}

static void add_fetching(struct image_work *work, const struct plan *plan, const struct stage *stage)
{
    struct fetching *fetching = memory_allocate(sizeof *fetching);
    const struct pipeline *pipeline = plan->pipeline;
    fetching->repository = pipeline_text(pipeline, stage->extras->github);
    fetching->checkout =
        stage->extras->checkout != 0 ? pipeline_text(pipeline, stage->extras->checkout) : GITHUB_DEFAULT_CHECKOUT;
    cleanup(memory_free) char *name = memory_format(GITHUB_HOST "/%s@%s", fetching->repository, fetching->checkout);
    fetching->locked = image_lock_source(plan->lock, name);
    image_work_add(work, pipeline_text(pipeline, stage->name), NULL)->own = fetching;
}

int build_sources_fetch(struct invocation *invocation, struct planning *planning, bool json, bool *any)
{
    const struct plan *plan = planning->plan;
    cleanup(image_work_clear) struct image_work work;
    image_work_open(&work, invocation, planning, json);
    work.start = fetch_start;
    work.stop = fetch_stop;
    for (size_t i = 0; i < plan->pipeline->stages.count; i++) {
        const struct stage *stage = &plan->pipeline->stages.items[i];
        if (plan->stages[i].selected && stage->extras != NULL && stage->extras->github != 0)
            add_fetching(&work, plan, stage);
    }
    *any = work.jobs.count > 0;
    int status = *any ? image_work_run(&work) : 0;
    for (size_t i = 0; i < work.jobs.count; i++)
        memory_free(work.jobs.items[i].own);
    return status;
}
