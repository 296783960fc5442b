/* SPDX-License-Identifier: BSD-3-Clause */
/* Finds what there is to build and sorts it. */
#include "command/image/build_list.h"

#include <dirent.h>
#include <string.h>

#include "base/file.h"
#include "base/path.h"
#include "pipeline/github.h"

void build_list_clear(struct build_list *list)
{
    for (size_t i = 0; i < list->items.count; i++) {
        struct build_item *item = &list->items.items[i];
        memory_free(item->name);
        memory_free(item->folder);
        memory_free(item->file);
        memory_free(item->source);
        memory_free(item->commit);
        words_clear(&item->references);
        words_clear(&item->arguments);
        words_clear(&item->bases);
        dockerfile_clear(&item->dockerfile);
        list_clear(&item->after);
    }
    list_clear(&list->items);
}

/* One build. */

static const char *value_of(const struct words *arguments, const char *name, size_t length)
{
    for (size_t i = arguments->count; i-- > 0;)
        if (strncmp(arguments->items[i], name, length) == 0 && arguments->items[i][length] == '=')
            return arguments->items[i];
    return NULL;
}

/* --build-arg for what it declares, and `user`, which the original's images are made from. */
static void choose_arguments(struct build_item *item, const struct pipeline *pipeline, const struct words *given)
{
    const struct words *declared = &item->dockerfile.arguments;
    for (size_t i = 0; i < declared->count; i++) {
        const char *name = declared->items[i], *said = value_of(given, name, strlen(name));
        if (said != NULL)
            words_add(&item->arguments, said);
        else if (strcmp(name, "user") == 0 && pipeline->owner != 0)
            words_format(&item->arguments, "user=%s", pipeline_text(pipeline, pipeline->owner));
    }
}

static bool complete(struct build_item *item, const struct pipeline *pipeline, const struct words *given,
                     struct error *error)
{
    item->file = dockerfile_find(item->folder);
    if (item->file == NULL) {
        error_set(error, ERROR_INPUT, "'%s' cannot be built: '%s' has no Dockerfile", item->name, item->folder);
        return error_hint(error, "write one, or name an image in the stage's 'image:' and no folder");
    }
    if (!dockerfile_read(item->file, &item->dockerfile, error))
        return false;
    choose_arguments(item, pipeline, given);
    dockerfile_bases(&item->dockerfile, words_list(&item->arguments), &item->bases);
    return true;
}

static void take_source(struct build_item *item, const struct pipeline *pipeline, const struct stage *stage)
{
    if (stage->extras == NULL || stage->extras->github == 0)
        return;
    const char *repository = pipeline_text(pipeline, stage->extras->github);
    const char *checkout =
        stage->extras->checkout != 0 ? pipeline_text(pipeline, stage->extras->checkout) : GITHUB_DEFAULT_CHECKOUT;
    item->source = memory_format("%s/%s", GITHUB_HOST, repository);
    item->commit = github_known_commit(repository, checkout);
}

static bool add_stage(struct build_list *list, const struct plan *plan, uint32_t number, const struct words *given,
                      struct error *error)
{
    const struct stage *stage = &plan->pipeline->stages.items[number];
    const struct plan_image *image = &plan->images[plan->stages[number].image];
    struct build_item *item = list_grow(&list->items);
    item->name = memory_copy_text(pipeline_text(plan->pipeline, stage->name));
    item->folder = memory_copy_text(pipeline_text(plan->pipeline, stage->folder));
    item->stage = number;
    words_add(&item->references, image->reference);
    if (image->name != NULL && !text_equal(image->name, image->reference))
        words_add(&item->references, image->name);
    take_source(item, plan->pipeline, stage);
    return complete(item, plan->pipeline, given, error);
}

/* Base images. */

/* The same image, whether the default host is written out or not. */
static bool same_image(const char *left, const char *right)
{
    static const char host[] = "docker.io/";
    left += strncmp(left, host, sizeof host - 1) == 0 ? sizeof host - 1 : 0;
    right += strncmp(right, host, sizeof host - 1) == 0 ? sizeof host - 1 : 0;
    size_t left_length = strlen(left), right_length = strlen(right);
    left_length -= text_ends_with(left, ":latest") ? 7 : 0;
    right_length -= text_ends_with(right, ":latest") ? 7 : 0;
    return left_length == right_length && memcmp(left, right, left_length) == 0;
}

static uint32_t find_build(const struct build_list *list, const char *reference)
{
    for (size_t i = 0; i < list->items.count; i++)
        for (size_t j = 0; j < list->items.items[i].references.count; j++)
            if (same_image(list->items.items[i].references.items[j], reference))
                return (uint32_t)i;
    return UINT32_MAX;
}

/* FOLDER of {owner}/{basename}-FOLDER[:TAG]; NULL when it is called otherwise. */
static char *folder_of_name(const struct pipeline *pipeline, const char *reference)
{
    if (pipeline->owner == 0 || pipeline->basename == 0)
        return NULL;
    cleanup(memory_free) char *prefix =
        memory_format("%s/%s-", pipeline_text(pipeline, pipeline->owner), pipeline_text(pipeline, pipeline->basename));
    const char *name = text_starts_with(reference, "docker.io/") ? reference + 10 : reference;
    if (!text_starts_with(name, prefix))
        return NULL;
    char *folder = memory_copy_bytes(name + strlen(prefix), strcspn(name + strlen(prefix), ":@"));
    if (path_is_component(folder))
        return folder;
    memory_free(folder);
    return NULL;
}

/* A folder beside the stages' that builds this image; adds it. UINT32_MAX: there is none, or the error is set. */
static uint32_t add_base(struct build_list *list, const struct pipeline *pipeline, const char *reference,
                         const struct words *given, struct error *error)
{
    cleanup(memory_free) char *name = folder_of_name(pipeline, reference);
    for (size_t i = 0; name != NULL && i < pipeline->image_folders.count; i++) {
        cleanup(memory_free) char *folder = path_join(pipeline_text(pipeline, pipeline->image_folders.items[i]), name);
        cleanup(memory_free) char *file = dockerfile_find(folder);
        if (file == NULL)
            continue;
        struct build_item *item = list_grow(&list->items);
        item->name = memory_copy_text(name);
        item->folder = steal(&folder);
        item->stage = UINT32_MAX;
        words_add(&item->references, reference);
        return complete(item, pipeline, given, error) ? (uint32_t)(list->items.count - 1) : UINT32_MAX;
    }
    return UINT32_MAX;
}

static bool add_bases(struct build_list *list, const struct pipeline *pipeline, const struct words *given,
                      struct error *error)
{
    for (size_t i = 0; i < list->items.count; i++) { /* grows while it is walked */
        for (size_t j = 0; j < list->items.items[i].bases.count; j++) {
            const char *reference = list->items.items[i].bases.items[j];
            uint32_t base = find_build(list, reference);
            if (base == UINT32_MAX)
                base = add_base(list, pipeline, reference, given, error);
            if (base == UINT32_MAX && error->kind != ERROR_NONE)
                return false;
            if (base != UINT32_MAX)
                list_add(&list->items.items[i].after, base);
            if (list->items.count > BUILDS_LIMIT)
                return error_set(error, ERROR_INPUT, "there are more than %d images to build", BUILDS_LIMIT);
        }
    }
    return true;
}

/* Order. */

static bool name_circle(const struct build_list *list, struct error *error)
{
    cleanup(text_clear) struct text names = TEXT_INIT;
    for (size_t i = 0; i < list->items.count; i++)
        if (list->items.items[i].waiting > 0)
            text_format(&names, "%s%s", names.length > 0 ? ", " : "", list->items.items[i].name);
    error_set(error, ERROR_INPUT, "these images are made from each other: %s", text_bytes(&names));
    return error_hint(error, "look at the FROM lines of their Dockerfiles");
}

/* Kahn's way: each round takes the first in the list that waits for nothing, base images before stages. */
static bool sort(struct build_list *list, struct error *error)
{
    size_t count = list->items.count;
    struct build_item *sorted = memory_allocate((count + 1) * sizeof *sorted);
    cleanup(memory_free) uint32_t *position = memory_allocate((count + 1) * sizeof *position);
    for (size_t i = 0; i < count; i++)
        list->items.items[i].waiting = (uint32_t)list->items.items[i].after.count + 1;
    size_t done = 0;
    for (bool moved = true; moved;) {
        moved = false;
        for (size_t i = 0; i < count; i++) {
            struct build_item *item = &list->items.items[i];
            uint32_t open = 0;
            for (size_t j = 0; item->waiting > 0 && j < item->after.count; j++)
                open += list->items.items[item->after.items[j]].waiting > 0;
            if (item->waiting == 0 || open > 0)
                continue;
            item->waiting = 0;
            position[i] = (uint32_t)done;
            sorted[done++] = *item;
            moved = true;
        }
    }
    if (done < count) {
        memory_free(sorted);
        return name_circle(list, error);
    }
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < sorted[i].after.count; j++)
            sorted[i].after.items[j] = position[sorted[i].after.items[j]];
    if (count > 0)
        memcpy(list->items.items, sorted, count * sizeof *sorted);
    memory_free(sorted);
    return true;
}

static bool check_arguments(const struct build_list *list, const struct words *given, struct error *error)
{
    for (size_t i = 0; i < given->count; i++) {
        size_t length = strcspn(given->items[i], "=");
        cleanup(memory_free) char *name = memory_copy_bytes(given->items[i], length);
        bool declared = false;
        for (size_t j = 0; j < list->items.count && !declared; j++)
            declared = dockerfile_declares(&list->items.items[j].dockerfile, name);
        if (given->items[i][length] != '=' || length == 0) {
            error_set(error, ERROR_INPUT, "--build-arg %s: it has no value", given->items[i]);
            return error_hint(error, "write --build-arg NAME=VALUE");
        }
        if (!declared) {
            error_set(error, ERROR_INPUT, "--build-arg %s: no Dockerfile here has ARG %s", name, name);
            return error_hint(error, "look at how it is spelled there");
        }
    }
    return true;
}

bool build_list_make(const struct plan *plan, const struct words *arguments, struct build_list *list,
                     struct error *error)
{
    for (uint32_t i = 0; i < plan->pipeline->stages.count; i++) {
        if (!plan->stages[i].selected || plan->pipeline->stages.items[i].folder == 0 ||
            plan->stages[i].image == UINT32_MAX ||
            plan->images[plan->stages[i].image].image.source != DESCPIPE_SOURCE_REGISTRY)
            continue;
        if (!add_stage(list, plan, i, arguments, error))
            return false;
    }
    return add_bases(list, plan->pipeline, arguments, error) && check_arguments(list, arguments, error) &&
           sort(list, error);
}
