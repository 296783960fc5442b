/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which image each stage uses, and what the runtimes know of it.
 *
 * How it works: equal references of one backend are one image. Each is asked of its runtime once, a bounded number at a
 * time. A registry's image that this machine does not have yet is fine (it is fetched before its first stage) unless
 * `pull: never`; a file or folder that is not there is an error now.
 */
#include "plan/build.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "pipeline/image_name.h"

#define OPEN_CALLS_LIMIT 16

static uint32_t pull_policy(const struct pipeline *pipeline, const struct stage *stage)
{
    const char *word = stage->extras && stage->extras->pull ? pipeline_text(pipeline, stage->extras->pull) : "missing";
    return text_equal(word, "always")  ? (uint32_t)DESCPIPE_PULL_ALWAYS
           : text_equal(word, "never") ? (uint32_t)DESCPIPE_PULL_NEVER
                                       : (uint32_t)DESCPIPE_PULL_MISSING;
}

static struct place stage_place(const struct plan_builder *builder, const struct stage *stage)
{
    return plan_stage_place(builder, stage, stage->extras ? stage->extras->image_at : (struct spot){0});
}

static const char *this_platform(void)
{
#if defined(__x86_64__)
    return "linux/amd64";
#elif defined(__aarch64__)
    return "linux/arm64";
#elif defined(__powerpc64__)
    return "linux/ppc64le";
#else
    return "linux";
#endif
}

/* Room in plan->images, which doubles; texts are pointed to only in plan_identify_images, when it no longer moves. */
static struct plan_image *add_image(struct plan *plan)
{
    size_t count = plan->images_count;
    if ((count & (count - 1)) == 0)
        plan->images = memory_resize(plan->images, (count ? count * 2 : 1) * sizeof(*plan->images));
    struct plan_image *image = &plan->images[plan->images_count++];
    memset(image, 0, sizeof(*image));
    return image;
}

static bool image_fits_runtime(struct plan_builder *builder, const struct stage *stage,
                               const struct plan_backend *backend, uint32_t source, const char *reference)
{
    if (plugin_runtime(backend->runtime)->sources & source)
        return true;
    problem_add(builder->problems, PROBLEM_ERROR, stage_place(builder, stage),
                "give it another 'image:' or take another runtime",
                "stage '%s': runtime '%s' cannot use the image '%s'", pipeline_text(builder->pipeline, stage->name),
                backend->runtime_name, reference);
    return false;
}

/* An image that is a file or a folder of this machine is there or not, whatever the runtime says of it. */
static bool image_is_here(struct plan_builder *builder, const struct stage *stage, const struct plan_backend *backend,
                          const struct image_name *name, const char *reference)
{
    bool folder = name->source == DESCPIPE_SOURCE_ROOTFS || name->source == DESCPIPE_SOURCE_OCI_LAYOUT;
    const char *stage_name = pipeline_text(builder->pipeline, stage->name);
    struct stat status;
    if (!name->path || !(plugin_scheduler(backend->scheduler)->capabilities & DESCPIPE_SCHEDULER_HOST_STARTS))
        return true;
    if (stat(name->path, &status) != 0) {
        problem_add(builder->problems, PROBLEM_ERROR, stage_place(builder, stage),
                    errno == ENOENT ? "relative paths count from the working directory (or --base)" : NULL,
                    "stage '%s': cannot find the image '%s': %s", stage_name, reference, strerror(errno));
        return false;
    }
    if (folder ? S_ISDIR(status.st_mode) : S_ISREG(status.st_mode))
        return true;
    problem_add(builder->problems, PROBLEM_ERROR, stage_place(builder, stage),
                folder ? "name an archive as docker-archive:FILE or oci-archive:FILE"
                       : "name a folder as rootfs:FOLDER or oci:FOLDER",
                "stage '%s': the image '%s' is not a %s", stage_name, reference, folder ? "folder" : "file");
    return false;
}

static uint32_t find_or_add_image(struct plan_builder *builder, const struct stage *stage, uint32_t backend_number,
                                  const char *reference)
{
    uint32_t pull = pull_policy(builder->pipeline, stage);
    cleanup(memory_free) char *key = memory_format("%u %u %s", backend_number, pull, reference);
    uintptr_t known = (uintptr_t)table_get(builder->images, key);
    if (known)
        return (uint32_t)known - 1;
    cleanup(image_name_clear) struct image_name name = {0};
    cleanup(error_clear) struct error error = ERROR_INIT;
    if (!image_parse(reference, builder->pipeline->base, &name, &error)) {
        problem_add(builder->problems, PROBLEM_ERROR, stage_place(builder, stage), error.hint, "stage '%s': %s",
                    pipeline_text(builder->pipeline, stage->name), error.message);
        return UINT32_MAX;
    }
    const struct plan_backend *backend = &builder->plan->backends[backend_number];
    if (!image_fits_runtime(builder, stage, backend, name.source, reference) ||
        !image_is_here(builder, stage, backend, &name, reference))
        return UINT32_MAX;
    struct plan_image *image = add_image(builder->plan);
    image->reference = memory_copy_text(reference);
    image->path = steal(&name.path);
    image->tag = steal(&name.tag);
    image->backend = backend_number;
    image->image.size = sizeof(image->image);
    image->image.source = name.source;
    image->image.pull = pull;
    uint32_t number = (uint32_t)(builder->plan->images_count - 1);
    table_put(builder->images, key, (void *)(uintptr_t)(number + 1));
    return number;
}

void plan_collect_images(struct plan_builder *builder)
{
    const struct pipeline *pipeline = builder->pipeline;
    cleanup(text_clear) struct text reference = TEXT_INIT;
    for (uint32_t i = 0; i < pipeline->stages.count; i++) {
        const struct stage *stage = &pipeline->stages.items[i];
        struct plan_stage *planned = &builder->plan->stages[i];
        planned->image = UINT32_MAX;
        const struct plan_backend *backend = &builder->plan->backends[planned->backend];
        if (!planned->selected || plugin_runtime(backend->runtime)->sources & DESCPIPE_SOURCE_NONE)
            continue;
        text_reset(&reference);
        if (!pipeline_image_reference(pipeline, stage, builder->words.items[planned->backend].backend, &reference)) {
            problem_add(builder->problems, PROBLEM_ERROR, stage_place(builder, stage),
                        "give it an 'image:', or the pipeline 'owner', 'basename' and 'version'",
                        "stage '%s' has no image, and runtime '%s' needs one", pipeline_text(pipeline, stage->name),
                        backend->runtime_name);
            continue;
        }
        planned->image = find_or_add_image(builder, stage, planned->backend, text_bytes(&reference));
    }
}

struct asked_image {
    struct plan_builder *builder;
    struct plan_image *image;
    void (*advance)(struct plan_builder *builder);
};

static void ask_more(struct plan_builder *builder, void (*advance)(struct plan_builder *builder));

/* Of the first stage that uses it. */
static struct place image_place(const struct plan_builder *builder, const struct plan_image *image)
{
    const struct plan *plan = builder->plan;
    for (size_t i = 0; i < plan->pipeline->stages.count; i++) {
        if (plan->stages[i].image == (uint32_t)(image - plan->images))
            return stage_place(builder, &plan->pipeline->stages.items[i]);
    }
    return (struct place){.file = plan->pipeline->file};
}

static void image_failed(struct plan_builder *builder, const struct plan_image *image, const struct call_result *result)
{
    bool missing = result->failure == DESCPIPE_FAILED_NOT_FOUND;
    if (missing && image->image.source == DESCPIPE_SOURCE_REGISTRY && image->image.pull != DESCPIPE_PULL_NEVER)
        return;
    const struct plan_backend *backend = &builder->plan->backends[image->backend];
    if (missing || image->image.source != DESCPIPE_SOURCE_REGISTRY) {
        bool never = missing && image->image.pull == DESCPIPE_PULL_NEVER;
        bool named = strstr(result->message, image->reference) != NULL;
        problem_add(builder->problems, PROBLEM_ERROR, image_place(builder, image),
                    never && !result->hint ? "build or pull it first, or remove 'pull: never'" : result->hint,
                    "%s%s%s%s", named ? "" : "image '", named ? "" : image->reference,
                    named ? "" : "': ", result->message);
    } else if (builder->error.kind == ERROR_NONE) {
        call_error(backend->runtime, "identify", result, &builder->error);
    }
}

static void image_identified(void *context, const struct call_result *result)
{
    struct asked_image *asked = context;
    struct plan_builder *builder = asked->builder;
    struct plan_image *image = asked->image;
    const struct descpipe_image_identity *identity = result->identity;
    if (!result->ok) {
        image_failed(builder, image, result);
    } else if (identity) {
        image->config_digest = memory_copy_text(identity->config_digest);
        image->manifest_digest = memory_copy_text(identity->manifest_digest);
        image->platform = memory_copy_text(identity->platform);
        image->handle = memory_copy_text(identity->handle);
        image->prepared = identity->present && image->image.pull != DESCPIPE_PULL_ALWAYS;
        image->image.config_digest = image->config_digest;
        image->image.manifest_digest = image->manifest_digest;
    }
    void (*advance)(struct plan_builder *) = asked->advance;
    memory_free(asked);
    builder->open_calls--;
    if (!builder->asking) /* else it ended inside the loop below, which goes on by itself */
        ask_more(builder, advance);
}

static void ask_more(struct plan_builder *builder, void (*advance)(struct plan_builder *builder))
{
    struct plan *plan = builder->plan;
    builder->asking = true;
    while (builder->next_image < plan->images_count && builder->open_calls < OPEN_CALLS_LIMIT) {
        struct asked_image *asked = memory_allocate(sizeof(*asked));
        *asked =
            (struct asked_image){.builder = builder, .image = &plan->images[builder->next_image++], .advance = advance};
        struct plan_image *image = asked->image;
        image->image.reference = image->reference;
        image->image.path = image->path;
        image->image.tag = image->tag;
        image->image.platform = this_platform();
        builder->open_calls++;
        struct call_options options = {.done = image_identified, .context = asked};
        runtime_identify(plan->backends[image->backend].runtime, &image->image, options);
    }
    builder->asking = false;
    if (builder->open_calls == 0 && builder->next_image == plan->images_count)
        advance(builder); /* the builder may be gone after it */
}

void plan_identify_images(struct plan_builder *builder, void (*advance)(struct plan_builder *builder))
{
    builder->next_image = 0;
    builder->open_calls = 0;
    ask_more(builder, advance);
}
