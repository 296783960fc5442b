/* SPDX-License-Identifier: BSD-3-Clause */
/* `descpipe pull`: every image of a pipeline to this machine, side by side. */
#include "base/clock.h"
#include "command/image/image_work.h"

struct pull_values {
    struct pipeline_options pipeline;
    bool json;
};

static const struct argument_option options[] = {
    {.name = "json",
     .kind = ARGUMENT_FLAG,
     .offset = offsetof(struct pull_values, json),
     .help = "one JSON object per event and line: started, progress, ended"},
    {.name = NULL},
};

static struct plan_backend *backend_of(const struct image_job *job)
{
    return &job->work->planning->plan->backends[job->image->backend];
}

static void prepared(void *context, const struct call_result *result)
{
    struct image_job *job = context;
    job->call = NULL;
    if (!result->ok) {
        image_job_fail_call(job, backend_of(job)->runtime, "prepare", result);
        return;
    }
    const char *digest = result->identity->config_digest;
    if (job->image->in_registry && job->image->config_digest != NULL && digest != NULL &&
        !text_equal(digest, job->image->config_digest)) {
        cleanup(error_clear) struct error error = ERROR_INIT;
        error_set(&error, ERROR_NETWORK, "%s: the image that came is %s, not %s as its registry says",
                  job->image->reference, digest, job->image->config_digest);
        image_job_fail(job, &error);
        return;
    }
    cleanup(text_clear) struct text message = TEXT_INIT;
    text_append(&message, "pulled");
    if (job->image->bytes > 0) {
        text_append(&message, ", ");
        bytes_append(&message, job->image->bytes);
    }
    image_job_end(job, text_bytes(&message));
}

static void looked_up(void *context, const struct lookup_end *end)
{
    struct image_job *job = context;
    struct plan_image *image = job->image;
    if (end->warning != NULL) {
        cleanup(memory_free) char *line = memory_format("warning: %s; %s", end->warning, end->warning_hint);
        progress_say(job->work->progress, line);
    }
    if (!end->ok) {
        image_job_fail(job, end->error);
    } else if (job->work->interrupts > 0) {
        cleanup(error_clear) struct error error = ERROR_INIT;
        error_set(&error, ERROR_INTERRUPTED, "not begun");
        image_job_fail(job, &error);
    } else if (image->prepared) {
        image_job_end(job, "is here already");
    } else {
        cleanup(memory_free) char *action = memory_format("pulling %s", image->image.reference);
        progress_start(job->work->progress, job->number, action, clock_monotonic_ms());
        job->prepare = (struct descpipe_prepare){
            .size = sizeof job->prepare, .where = DESCPIPE_PREPARE_HERE, .image = &image->image};
        struct plugin_call *call = runtime_prepare(
            backend_of(job)->runtime, &job->prepare,
            (struct call_options){
                .deadline_ms = INT64_MAX, .done = prepared, .progress = image_job_progress, .context = job});
        if (!job->ended)
            job->call = call;
    }
}

static void start(struct image_job *job)
{
    const struct plan *plan = job->work->planning->plan;
    if (job->image->image.pull == DESCPIPE_PULL_NEVER) {
        image_job_end(job, "left alone: 'pull: never'");
        return;
    }
    const struct lookup_request request = {.registries = job->work->planning->installation.registries,
                                           .lock = plan->lock,
                                           .backend = backend_of(job),
                                           .image = job->image,
                                           .extent = LOOKUP_REGISTRY,
                                           .call = &job->call,
                                           .done = looked_up,
                                           .context = job};
    lookup_start(&request);
}

static int run_pull(struct invocation *invocation)
{
    struct pull_values *values = invocation->values;
    return image_work_with_each(invocation, &values->pipeline, values->json, start);
}

const struct command command_pull = {
    .name = "pull",
    .summary = "get the images of a pipeline to this machine",
    .description =
        "Asks each image's registry what its tag means now (or takes what descpipe.lock says) and gets it, several at "
        "a time.\nWhat was interrupted goes on where it stopped when the same is typed again.",
    .examples = "  descpipe pull pipeline.yaml\n  descpipe pull pipeline.yaml tomography treecorr\n"
                "  descpipe pull pipeline.yaml --runtime native --registry ecr",
    .options = options,
    .pipeline_options = pipeline_options_table,
    .positionals = image_positionals,
    .values_size = sizeof(struct pull_values),
    .run = run_pull,
    .clear = pipeline_options_clear,
};
