/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which image each stage uses, and what the runtimes know of it.
 *
 * How it works: equal references of one backend are one image. Each is looked up once (lookup.h), a bounded number at a
 * time. A registry's image that this machine does not have yet is fine (it is fetched before its first stage) unless
 * `pull: never`; a file or folder that is not there is an error now.
 */
#include "plan/build.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/witness.h"
#include "pipeline/image_name.h"
#include "plan/lookup.h"

enum { NAMES_SHOWN = 5 }; /* of images that failed as another did */

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
    if (backend->form == DESCPIPE_FORM_POD && source != DESCPIPE_SOURCE_REGISTRY) {
        problem_add(builder->problems, PROBLEM_ERROR, stage_place(builder, stage),
                    "push it to a registry that the cluster can reach, and name it there",
                    "stage '%s': scheduler '%s' runs images of registries only, not '%s'",
                    pipeline_text(builder->pipeline, stage->name), backend->scheduler_name, reference);
        return false;
    }
    if (backend->runtime == NULL || plugin_runtime(backend->runtime)->sources & source)
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
    bool elsewhere =
        backend->scheduler && !(plugin_scheduler(backend->scheduler)->capabilities & DESCPIPE_SCHEDULER_HOST_STARTS);
    if (name->path && !folder)
        witness_saw(name->path);
    if (!name->path || elsewhere)
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
        if (!planned->selected ||
            (backend->runtime && plugin_runtime(backend->runtime)->sources & DESCPIPE_SOURCE_NONE))
            continue;
        text_reset(&reference);
        if (!pipeline_image_reference(pipeline, stage, builder->words.items[planned->backend].backend, &reference)) {
            problem_add(builder->problems, PROBLEM_ERROR, stage_place(builder, stage),
                        "give it an 'image:', or the pipeline 'owner', 'basename' and 'version'",
                        "stage '%s' has no image, and runtime '%s' needs one", pipeline_text(pipeline, stage->name),
                        backend->runtime_name ? backend->runtime_name : builder->words.items[planned->backend].runtime);
            continue;
        }
        planned->image = find_or_add_image(builder, stage, planned->backend, text_bytes(&reference));
    }
}

/* True when the registry that the backend names may serve this image: one without a host, or one whose host its plugin
 * takes before all others, or which no plugin knows without options. */
static bool is_of_backend(struct plan_builder *builder, const struct plan_image *image,
                          const struct plan_backend *backend)
{
    cleanup(memory_free) char *host = image_host(image->reference);
    if (image->image.source != DESCPIPE_SOURCE_REGISTRY || !registries_has(builder->registries, backend->registry_name))
        return false;
    if (!host)
        return true;
    cleanup(error_clear) struct error told = ERROR_INIT; /* by the lookup */
    const struct plugin_instance *instance = registries_for(builder->registries, image->reference, &told);
    return instance && (registry_takes_any(instance) || text_equal(registry_name(instance), backend->registry_name));
}

/* The registries of backends, with the options that they give there. False: builder->error or problems say why. */
bool plan_open_registries(struct plan_builder *builder)
{
    struct plan *plan = builder->plan;
    for (size_t i = 0; builder->registries && i < plan->images_count; i++) {
        const struct plan_image *image = &plan->images[i];
        struct plan_backend *backend = &plan->backends[image->backend];
        if (backend->registry || !is_of_backend(builder, image, backend))
            continue;
        struct settings *settings =
            plan_choose_settings(builder, &builder->words.items[image->backend], "registry", backend->registry_name);
        if (!settings || builder->problems->errors > builder->errors_before) {
            plugin_host_keep(builder->host, settings);
            return false;
        }
        backend->registry = registries_open(builder->registries, backend->registry_name, settings, &builder->error);
        if (!backend->registry)
            return false;
    }
    return true;
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

/* True when this image's host is the one that did not answer before. */
static bool is_silent_host(struct plan_builder *builder, const struct plan_image *image)
{
    cleanup(memory_free) char *host = image_host(image->place);
    if (builder->silent_host)
        return text_equal(builder->silent_host, host);
    builder->silent_host = steal(&host);
    return false;
}

/* What was told of the first image holds for this one, in the same words: no keys, a login that a host refuses. */
static bool is_same_failure(const struct error *first, const struct error *error)
{
    static const char behind_name[] = "': ";
    const char *one = first->kind == error->kind ? strstr(first->message, behind_name) : NULL;
    const char *other = strstr(error->message, behind_name);
    return one != NULL && other != NULL && text_equal(one, other);
}

static void count_same_failure(struct plan_builder *builder, const struct plan_image *image)
{
    if (builder->same_failures++ < NAMES_SHOWN)
        text_format(&builder->same_names, "%s'%s'", builder->same_names.length > 0 ? ", " : "", image->reference);
}

/* "(likewise 'a:1', 'b:1' and 3 more)" */
static void append_same_failures(struct plan_builder *builder)
{
    cleanup(memory_free) char *message = steal(&builder->error.message);
    cleanup(text_clear) struct text more = TEXT_INIT;
    if (builder->same_failures > NAMES_SHOWN)
        text_format(&more, " and %zu more", builder->same_failures - NAMES_SHOWN);
    builder->error.message =
        memory_format("%s (likewise %s%s)", message, text_bytes(&builder->same_names), text_bytes(&more));
}

/* The first failure of plugins and network is the error that decides the exit status; all others stand beside it, those
 * of the same silent host or the same cause in its line: a machine without a network says so once. */
static void image_failed(struct plan_builder *builder, const struct plan_image *image, const struct lookup_end *end)
{
    const struct error *error = end->error;
    struct place place = image_place(builder, image);
    if ((end->silent && is_silent_host(builder, image)) || is_same_failure(&builder->error, error)) {
        count_same_failure(builder, image);
        return;
    }
    if (error->kind == ERROR_INPUT || builder->error.kind != ERROR_NONE) {
        problem_add(builder->problems, PROBLEM_ERROR, place, error->hint, "%s", error->message);
        return;
    }
    error_set(&builder->error, error->kind, "%s", error->message);
    if (error->hint)
        error_hint(&builder->error, "%s", error->hint);
    if (image->image.source == DESCPIPE_SOURCE_REGISTRY && error->kind == ERROR_NETWORK)
        error_place(&builder->error, place.file, place.line, place.column);
}

static void image_looked_up(void *context, const struct lookup_end *end)
{
    struct asked_image *asked = context;
    struct plan_builder *builder = asked->builder;
    if (!end->ok)
        image_failed(builder, asked->image, end);
    else if (end->warning)
        problem_add(builder->problems, PROBLEM_WARNING, image_place(builder, asked->image), end->warning_hint, "%s",
                    end->warning);
    void (*advance)(struct plan_builder *) = asked->advance;
    memory_free(asked);
    builder->open_calls--;
    if (!builder->asking) /* else it ended inside the loop below, which goes on by itself */
        ask_more(builder, advance);
}

static void ask_more(struct plan_builder *builder, void (*advance)(struct plan_builder *builder))
{
    struct plan *plan = builder->plan;
    bool names_only = builder->choices.extent == PLAN_IMAGES || builder->choices.extent == PLAN_NAMES;
    builder->asking = true;
    while (builder->next_image < plan->images_count && builder->open_calls < LOOKUPS_LIMIT) {
        struct asked_image *asked = memory_allocate(sizeof(*asked));
        *asked =
            (struct asked_image){.builder = builder, .image = &plan->images[builder->next_image++], .advance = advance};
        builder->open_calls++;
        const struct lookup_request request = {.registries = builder->registries,
                                               .lock = plan->lock,
                                               .backend = &plan->backends[asked->image->backend],
                                               .image = asked->image,
                                               .extent = names_only ? LOOKUP_NAME : LOOKUP_PINS,
                                               .done = image_looked_up,
                                               .context = asked};
        lookup_start(&request);
    }
    builder->asking = false;
    if (builder->open_calls > 0 || builder->next_image < plan->images_count)
        return;
    if (builder->same_failures > 0 && builder->error.message)
        append_same_failures(builder);
    advance(builder); /* the builder may be gone after it */
}

void plan_identify_images(struct plan_builder *builder, void (*advance)(struct plan_builder *builder))
{
    builder->next_image = 0;
    builder->open_calls = 0;
    ask_more(builder, advance);
}
