/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading a backend: `{scheduler: slurm, runtime: {use: docker, socket: …}, registry: dockerhub, images: …}`. */
#include "config/backend.h"

#include <string.h>

#include "config/node.h"

enum { PLUGIN_NAME_LIMIT = 64 };

static const char *const backend_keys[] = {"scheduler", "runtime", "registry", "images", NULL};

bool plugin_name_is_valid(const char *name)
{
    size_t length = strlen(name);
    return length > 0 && length <= PLUGIN_NAME_LIMIT && name[0] != '-' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

struct reading {
    const struct document *document;
    const char *backend;
    const char *file;
    struct problems *problems;
};

static struct place own_place(const struct reading *reading, struct place place)
{
    place.file = reading->file;
    return place;
}

static bool read_name(const struct reading *reading, const char *kind, const struct node *node,
                      struct plugin_choice *choice)
{
    cleanup(text_clear) struct text what = TEXT_INIT;
    text_format(&what, "the %s of backend '%.100s'", kind, reading->backend);
    const char *name;
    if (!node_to_text(reading->document, node, text_bytes(&what), &name, reading->problems))
        return false;
    if (!plugin_name_is_valid(name)) {
        problem_add(reading->problems, PROBLEM_ERROR, node_place(reading->document, node),
                    "a plugin's name has lower-case letters, digits and '-'", "%s cannot be '%.100s'",
                    text_bytes(&what), name);
        return false;
    }
    choice->use = memory_copy_text(name);
    choice->place = own_place(reading, node_place(reading->document, node));
    return true;
}

/* A copy of the mapping without its key `use`. */
static struct document *copy_options(const struct reading *reading, const struct node *mapping)
{
    struct document *options = document_copy(reading->document, mapping);
    struct node *root = node_store_take(options->store, sizeof *root);
    *root = *options->root;
    struct node *last = NULL;
    root->content.first = NULL;
    root->length = 0;
    for (const struct node *child = options->root->content.first; child != NULL; child = child->next) {
        if (strcmp(child->key, "use") == 0)
            continue;
        struct node *kept = node_store_take(options->store, sizeof(struct node_replaced));
        memcpy(kept, child, child->flags & NODE_FLAG_RAW ? sizeof(struct node_replaced) : sizeof *kept);
        kept->next = NULL;
        if (last != NULL)
            last->next = kept;
        else
            root->content.first = kept;
        last = kept;
        root->length++;
    }
    options->root = root;
    return options;
}

static void read_choice(const struct reading *reading, const char *kind, const struct node *node,
                        struct plugin_choice *choice)
{
    if (node_kind(node) == NODE_SCALAR) {
        read_name(reading, kind, node, choice);
        return;
    }
    const struct node *use = node_get(node, "use");
    if (node_kind(node) != NODE_MAPPING || use == NULL) {
        problem_add(reading->problems, PROBLEM_ERROR, node_place(reading->document, node),
                    "write a name, or {use: NAME, OPTION: VALUE}", "the %s of backend '%.100s' names no plugin", kind,
                    reading->backend);
        return;
    }
    if (read_name(reading, kind, use, choice) && node_count(node) > 1)
        choice->options = copy_options(reading, node);
}

static void add_image(const struct reading *reading, struct backend *backend, const char *stage,
                      const struct node *node)
{
    cleanup(text_clear) struct text what = TEXT_INIT;
    text_format(&what, "an image of backend '%.100s'", reading->backend);
    const char *reference;
    if (!node_to_text(reading->document, node, text_bytes(&what), &reference, reading->problems))
        return;
    struct backend_image image = {.stage = memory_copy_text(stage),
                                  .reference = memory_copy_text(reference),
                                  .place = own_place(reading, node_place(reading->document, node))};
    list_add(&backend->images, image);
}

static void read_images(const struct reading *reading, struct backend *backend, const struct node *node)
{
    if (node_kind(node) == NODE_SCALAR) {
        add_image(reading, backend, "*", node);
        return;
    }
    if (node_kind(node) == NODE_SEQUENCE)
        problem_add(reading->problems, PROBLEM_ERROR, node_place(reading->document, node), NULL,
                    "'images' of backend '%.100s' must be a reference or a mapping of stages to references, not a list",
                    reading->backend);
    else
        for (const struct node *child = node_first(node); child != NULL; child = node_next(child))
            add_image(reading, backend, node_key(child), child);
}

static void read_key(const struct reading *reading, struct backend *backend, const struct node *child)
{
    const char *key = node_key(child);
    if (strcmp(key, "scheduler") == 0) {
        read_choice(reading, key, child, &backend->scheduler);
    } else if (strcmp(key, "runtime") == 0) {
        read_choice(reading, key, child, &backend->runtime);
    } else if (strcmp(key, "registry") == 0) {
        read_choice(reading, key, child, &backend->registry);
    } else if (strcmp(key, "images") == 0) {
        read_images(reading, backend, child);
    } else {
        cleanup(text_clear) struct text hint = TEXT_INIT;
        const char *nearest = text_nearest(key, backend_keys);
        if (nearest != NULL)
            text_format(&hint, "did you mean '%s'?", nearest);
        else
            text_append(&hint, "options of a plugin stand beside its name: scheduler: {use: slurm, qos: debug}");
        problem_add(reading->problems, PROBLEM_ERROR, node_key_place(reading->document, child), text_bytes(&hint),
                    "backend '%.100s' has no key '%.100s'", reading->backend, key);
    }
}

void backend_read(struct backend *backend, const char *name, struct place key_place, const struct document *document,
                  const struct node *value, const char *file, struct problems *problems)
{
    struct reading reading = {.document = document, .backend = name, .file = file, .problems = problems};
    *backend = (struct backend){.name = memory_copy_text(name), .place = own_place(&reading, key_place)};
    if (node_kind(value) != NODE_MAPPING) {
        if (!node_is_broken(value))
            problem_add(problems, PROBLEM_ERROR, node_place(document, value),
                        "write {scheduler: NAME, runtime: NAME, registry: NAME}", "backend '%.100s' must be a mapping",
                        name);
        return;
    }
    for (const struct node *child = node_first(value); child != NULL; child = node_next(child))
        read_key(&reading, backend, child);
}

static void choice_clear(struct plugin_choice *choice)
{
    memory_free(choice->use);
    document_free(choice->options);
}

void backend_clear(struct backend *backend)
{
    memory_free(backend->name);
    choice_clear(&backend->scheduler);
    choice_clear(&backend->runtime);
    choice_clear(&backend->registry);
    for (size_t i = 0; i < backend->images.count; i++) {
        memory_free(backend->images.items[i].stage);
        memory_free(backend->images.items[i].reference);
    }
    list_clear(&backend->images);
    *backend = (struct backend){0};
}

const struct plugin_choice *backend_choice(const struct backend *backend, const char *kind)
{
    if (strcmp(kind, "scheduler") == 0)
        return &backend->scheduler;
    if (strcmp(kind, "runtime") == 0)
        return &backend->runtime;
    return strcmp(kind, "registry") == 0 ? &backend->registry : NULL;
}

const struct backend_image *backend_image(const struct backend *backend, const char *stage)
{
    const struct backend_image *any = NULL;
    for (size_t i = 0; i < backend->images.count; i++) {
        const struct backend_image *image = &backend->images.items[i];
        if (strcmp(image->stage, stage) == 0)
            return image;
        if (any == NULL && strcmp(image->stage, "*") == 0)
            any = image;
    }
    return any;
}
