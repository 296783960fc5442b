/* SPDX-License-Identifier: BSD-3-Clause */
/* `descpipe push`: every image of a pipeline from this machine to its registry, side by side. */
#include "base/clock.h"
#include "command/image/image_work.h"

struct push_values {
    struct pipeline_options pipeline;
    bool json;
};

static const struct argument_option options[] = {
    {.name = "json",
     .kind = ARGUMENT_FLAG,
     .offset = offsetof(struct push_values, json),
     .help = "one JSON object per event and line: started, progress, ended"},
    {.name = NULL},
};

static struct plugin_instance *runtime_of(const struct image_job *job)
{
    return job->work->planning->plan->backends[job->image->backend].runtime;
}

static bool stopped(struct image_job *job)
{
    if (job->work->interrupts == 0)
        return false;
    cleanup(error_clear) struct error error = ERROR_INIT;
    error_set(&error, ERROR_INTERRUPTED, "not pushed");
    image_job_fail(job, &error);
    return true;
}

static void pushed(void *context, const struct call_result *result)
{
    struct image_job *job = context;
    job->call = NULL;
    memory_free(steal(&job->pushing.handle));
    if (!result->ok) {
        image_job_fail_call(job, runtime_of(job), "push", result);
        return;
    }
    const char *digest = result->identity->manifest_digest;
    cleanup(memory_free) char *message =
        memory_format("pushed to %s%s%s", job->image->name, digest != NULL ? " as " : "", digest != NULL ? digest : "");
    image_job_end(job, message);
}

static void push_now(struct image_job *job)
{
    if (stopped(job))
        return;
    cleanup(memory_free) char *action = memory_format("pushing to %s", job->image->name);
    progress_start(job->work->progress, job->number, action, clock_monotonic_ms());
    job->pushing.push = (struct descpipe_push){.size = sizeof job->pushing.push,
                                               .image = &job->pushing.source,
                                               .image_handle = job->pushing.handle,
                                               .target = &job->pushing.target};
    struct plugin_call *call =
        runtime_push(runtime_of(job), &job->pushing.push,
                     (struct call_options){
                         .deadline_ms = INT64_MAX, .done = pushed, .progress = image_job_progress, .context = job});
    if (!job->ended)
        job->call = call;
}

static void repository_is_there(void *context, const struct call_result *result)
{
    struct image_job *job = context;
    job->call = NULL;
    if (result->ok)
        push_now(job);
    else
        image_job_fail_call(job, job->image->home, "ensure_repository", result);
}

static void make_repository(struct image_job *job)
{
    const struct descpipe_registry *registry = plugin_registry(job->image->home);
    if (stopped(job))
        return;
    if (!(registry->capabilities & DESCPIPE_REGISTRY_CREATES)) {
        push_now(job);
        return;
    }
    job->pushing.lookup = (struct descpipe_lookup){.size = sizeof job->pushing.lookup,
                                                   .purpose = DESCPIPE_PURPOSE_PUSH,
                                                   .reference = job->image->name,
                                                   .platform = lookup_platform()};
    struct plugin_call *call = registry_ensure_repository(
        job->image->home, &job->pushing.lookup,
        (struct call_options){.deadline_ms = REGISTRY_DEADLINE_MS, .done = repository_is_there, .context = job});
    if (!job->ended && job->call == NULL)
        job->call = call;
}

static void look_for(struct image_job *job, const char *reference);

static void looked(void *context, const struct call_result *result)
{
    struct image_job *job = context;
    job->call = NULL;
    const struct plan_image *image = job->image;
    if (result->ok && result->identity->present) {
        job->pushing.handle = memory_copy_text(result->identity->handle);
        make_repository(job);
    } else if (!result->ok && result->failure != DESCPIPE_FAILED_NOT_FOUND) {
        image_job_fail_call(job, runtime_of(job), "identify", result);
    } else if (job->pushing.source.reference == image->name && !text_equal(image->name, image->reference)) {
        look_for(job, image->reference); /* built by another tool under the name that the pipeline says */
    } else {
        cleanup(error_clear) struct error error = ERROR_INIT;
        error_set(&error, ERROR_INPUT, "%s is not on this machine", image->reference);
        error_hint(&error, "build it first: descpipe build %s", command_word(job->work->invocation, 0));
        image_job_fail(job, &error);
    }
}

static void look_for(struct image_job *job, const char *reference)
{
    job->pushing.source.reference = reference;
    runtime_identify(runtime_of(job), &job->pushing.source, (struct call_options){.done = looked, .context = job});
}

static bool can_be_pushed(struct image_job *job, struct error *error)
{
    const struct plan_image *image = job->image;
    if (image->image.source != DESCPIPE_SOURCE_REGISTRY)
        return error_set(error, ERROR_INPUT, "%s is no image of a registry", image->reference);
    if (image->home == NULL) {
        error_set(error, ERROR_PLUGIN, "%s: there is no registry plugin here for it", image->reference);
        return error_hint(error, "'descpipe plugins list' shows which are here");
    }
    if (strchr(image->name, '@') != NULL)
        return error_set(error, ERROR_INPUT, "%s names a digest: that cannot be pushed, only a tag", image->reference);
    return true;
}

static void start(struct image_job *job)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    const struct plan_image *image = job->image;
    if (!can_be_pushed(job, &error)) {
        image_job_fail(job, &error);
        return;
    }
    job->pushing.source = image->image;
    job->pushing.source.config_digest = job->pushing.source.manifest_digest = NULL;
    job->pushing.target = job->pushing.source;
    job->pushing.target.reference = image->name;
    look_for(job, image->name);
}

static int run_push(struct invocation *invocation)
{
    struct push_values *values = invocation->values;
    return image_work_with_each(invocation, &values->pipeline, values->json, start);
}

const struct command command_push = {
    .name = "push",
    .summary = "send the images of a pipeline to their registry",
    .description = "Sends what this machine has under the images' names, several at a time; layers that the registry "
                   "has already are not sent again. A registry that wants repositories made first (ECR) gets them.",
    .examples = "  descpipe push pipeline.yaml\n  descpipe push pipeline.yaml tomography\n"
                "  descpipe push pipeline.yaml --registry ecr -o registry.region=us-east-1",
    .options = options,
    .pipeline_options = pipeline_options_table,
    .positionals = image_positionals,
    .values_size = sizeof(struct push_values),
    .run = run_push,
    .clear = pipeline_options_clear,
};
