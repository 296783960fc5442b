/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads and writes descpipe.lock. */
#include "plan/lock.h"

#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/file.h"
#include "base/path.h"
#include "config/document.h"

#define LOCK_VERSION 1

static const struct document_reader lock_reader = {.budget = {.bytes = 16u << 20, .depth = 8, .nodes = 500000},
                                                   .no_variables = true};

static void entry_clear(struct lock_entry *entry)
{
    memory_free(entry->reference);
    memory_free(entry->platform);
    memory_free(entry->config_digest);
    memory_free(entry->manifest_digest);
}

void image_lock_free(struct image_lock *lock)
{
    if (lock == NULL)
        return;
    for (size_t i = 0; i < lock->entries.count; i++)
        entry_clear(&lock->entries.items[i]);
    for (size_t i = 0; i < lock->sources.count; i++) {
        memory_free(lock->sources.items[i].name);
        memory_free(lock->sources.items[i].commit);
    }
    list_clear(&lock->entries);
    list_clear(&lock->sources);
    memory_free(lock->path);
    memory_free(lock);
}

struct lock_reading {
    struct image_lock *lock;
    const struct document *document;
    struct problems *problems;
};

static void refuse(const struct lock_reading *reading, const struct node *node, const char *why)
{
    problem_add(reading->problems, PROBLEM_ERROR, node_place(reading->document, node),
                "'descpipe images PIPELINE --lock' writes a new one when this one is removed", "%s", why);
}

static bool is_digest(const char *text)
{
    return strncmp(text, "sha256:", 7) == 0 && digest_is_text(text + 7);
}

static void read_digest(const struct lock_reading *reading, const struct node *node, char **digest)
{
    const char *text;
    if (!node_to_text(reading->document, node, "a digest", &text, reading->problems))
        return;
    if (!is_digest(text))
        refuse(reading, node, "a digest is sha256: and 64 hexadecimal digits");
    else
        *digest = memory_copy_text(text);
}

/* What it does not know is left alone: a later descpipe may write more. */
static void read_entry(const struct lock_reading *reading, const char *reference, const struct node *node)
{
    struct lock_entry entry = {0};
    if (node_kind(node) != NODE_MAPPING) {
        refuse(reading, node, "a locked image must be a mapping with 'config' or 'manifest'");
        return;
    }
    for (const struct node *child = node_first(node); child != NULL; child = node_next(child)) {
        if (strcmp(node_key(child), "config") == 0)
            read_digest(reading, child, &entry.config_digest);
        else if (strcmp(node_key(child), "manifest") == 0)
            read_digest(reading, child, &entry.manifest_digest);
        else if (strcmp(node_key(child), "bytes") == 0)
            node_to_unsigned(reading->document, child, "'bytes'", 0, INT64_MAX, &entry.bytes, reading->problems);
    }
    if (entry.config_digest == NULL && entry.manifest_digest == NULL) {
        refuse(reading, node, "a locked image must have a digest: 'config' or 'manifest'");
        return;
    }
    entry.reference = memory_copy_text(reference);
    entry.platform = memory_copy_text(node_key(node));
    list_add(&reading->lock->entries, entry);
}

static void read_images(const struct lock_reading *reading, const struct node *images)
{
    for (const struct node *image = node_first(images); image != NULL; image = node_next(image)) {
        if (node_kind(image) != NODE_MAPPING) {
            refuse(reading, image, "a locked image must be a mapping of platforms");
            continue;
        }
        for (const struct node *child = node_first(image); child != NULL; child = node_next(child))
            read_entry(reading, node_key(image), child);
    }
}

static bool is_commit(const char *text)
{
    size_t length = strlen(text);
    return (length == 40 || length == 64) && strspn(text, "0123456789abcdef") == length;
}

static void read_sources(const struct lock_reading *reading, const struct node *sources)
{
    for (const struct node *source = node_first(sources); source != NULL; source = node_next(source)) {
        const char *commit;
        if (!node_to_text(reading->document, source, "a commit", &commit, reading->problems))
            continue;
        if (is_commit(commit))
            image_lock_put_source(reading->lock, node_key(source), commit);
        else
            refuse(reading, source, "a commit is 40 hexadecimal digits");
    }
}

static void read_document(const struct lock_reading *reading)
{
    const struct node *root = document_root(reading->document);
    const struct node *version = node_get(root, "version");
    uint64_t number = 0;
    if (version == NULL) {
        refuse(reading, root, "this is no lock of images: it has no 'version'");
        return;
    }
    if (!node_to_unsigned(reading->document, version, "'version'", 1, UINT32_MAX, &number, reading->problems))
        return;
    if (number != LOCK_VERSION) {
        refuse(reading, version, "this lock was written by a newer descpipe");
        return;
    }
    const struct node *images = node_get(root, "images"), *sources = node_get(root, "sources");
    if (images != NULL && !node_is_null(images)) {
        if (node_kind(images) == NODE_MAPPING)
            read_images(reading, images);
        else
            refuse(reading, images, "'images' must be a mapping");
    }
    if (sources != NULL && node_kind(sources) == NODE_MAPPING)
        read_sources(reading, sources);
}

struct image_lock *image_lock_read(const char *pipeline_file, struct problems *problems)
{
    cleanup(image_lock_free) struct image_lock *lock = memory_allocate(sizeof *lock);
    cleanup(memory_free) char *folder = path_folder(pipeline_file);
    lock->path = strcmp(folder, ".") == 0 ? memory_copy_text(IMAGE_LOCK_NAME) : path_join(folder, IMAGE_LOCK_NAME);
    lock->exists = file_exists(lock->path);
    if (!lock->exists)
        return steal(&lock);
    size_t errors = problems->errors;
    cleanup(document_free) struct document *document =
        document_read_with(lock->path, lock->path, &lock_reader, problems);
    if (document != NULL) {
        const struct lock_reading reading = {.lock = lock, .document = document, .problems = problems};
        read_document(&reading);
    }
    return problems->errors == errors ? steal(&lock) : NULL;
}

static struct lock_entry *find_entry(const struct image_lock *lock, const char *reference, const char *platform)
{
    for (size_t i = 0; lock != NULL && i < lock->entries.count; i++) {
        struct lock_entry *entry = &lock->entries.items[i];
        if (text_equal(entry->reference, reference) && text_equal(entry->platform, platform))
            return entry;
    }
    return NULL;
}

const struct lock_entry *image_lock_find(const struct image_lock *lock, const char *reference, const char *platform)
{
    return find_entry(lock, reference, platform);
}

const char *image_lock_source(const struct image_lock *lock, const char *name)
{
    for (size_t i = 0; lock != NULL && i < lock->sources.count; i++)
        if (text_equal(lock->sources.items[i].name, name))
            return lock->sources.items[i].commit;
    return NULL;
}

void image_lock_put(struct image_lock *lock, const struct lock_entry *given)
{
    struct lock_entry entry = {.reference = memory_copy_text(given->reference),
                               .platform = memory_copy_text(given->platform),
                               .config_digest = memory_copy_text(given->config_digest),
                               .manifest_digest = memory_copy_text(given->manifest_digest),
                               .bytes = given->bytes};
    struct lock_entry *known = find_entry(lock, given->reference, given->platform);
    if (known == NULL) {
        list_add(&lock->entries, entry);
        return;
    }
    entry_clear(known);
    *known = entry;
}

void image_lock_put_source(struct image_lock *lock, const char *name, const char *commit)
{
    for (size_t i = 0; i < lock->sources.count; i++) {
        struct lock_source *source = &lock->sources.items[i];
        if (!text_equal(source->name, name))
            continue;
        memory_free(source->commit);
        source->commit = memory_copy_text(commit);
        return;
    }
    struct lock_source source = {.name = memory_copy_text(name), .commit = memory_copy_text(commit)};
    list_add(&lock->sources, source);
}

static int compare_entries(const void *left, const void *right)
{
    const struct lock_entry *a = left, *b = right;
    int order = strcmp(a->reference, b->reference);
    return order != 0 ? order : strcmp(a->platform, b->platform);
}

static int compare_sources(const void *left, const void *right)
{
    return strcmp(((const struct lock_source *)left)->name, ((const struct lock_source *)right)->name);
}

static void print_entry(const struct lock_entry *entry, struct text *out)
{
    const char *comma = "";
    text_format(out, "    %s: {", entry->platform);
    if (entry->config_digest != NULL) {
        text_format(out, "config: \"%s\"", entry->config_digest);
        comma = ", ";
    }
    if (entry->manifest_digest != NULL) {
        text_format(out, "%smanifest: \"%s\"", comma, entry->manifest_digest);
        comma = ", ";
    }
    if (entry->bytes != 0)
        text_format(out, "%sbytes: %llu", comma, (unsigned long long)entry->bytes);
    text_append(out, "}\n");
}

void image_lock_print(struct image_lock *lock, struct text *out)
{
    if (lock->entries.count > 1)
        qsort(lock->entries.items, lock->entries.count, sizeof lock->entries.items[0], compare_entries);
    if (lock->sources.count > 1)
        qsort(lock->sources.items, lock->sources.count, sizeof lock->sources.items[0], compare_sources);
    text_append(out, "# Which image each tag stood for; kept by 'descpipe images PIPELINE --lock'.\n");
    text_format(out, "version: %d\nimages:%s\n", LOCK_VERSION, lock->entries.count > 0 ? "" : " {}");
    for (size_t i = 0; i < lock->entries.count; i++) {
        const struct lock_entry *entry = &lock->entries.items[i];
        if (i == 0 || !text_equal(entry->reference, entry[-1].reference)) {
            text_append(out, "  ");
            text_append_json(out, entry->reference); /* a JSON string is a YAML one */
            text_append(out, ":\n");
        }
        print_entry(entry, out);
    }
    if (lock->sources.count > 0)
        text_append(out, "sources:\n");
    for (size_t i = 0; i < lock->sources.count; i++) {
        text_append(out, "  ");
        text_append_json(out, lock->sources.items[i].name);
        text_format(out, ": %s\n", lock->sources.items[i].commit);
    }
}

bool image_lock_write(struct image_lock *lock, struct error *error)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    image_lock_print(lock, &text);
    if (!file_write(lock->path, text_bytes(&text), text.length, 0666, error))
        return false;
    lock->exists = true;
    return true;
}
