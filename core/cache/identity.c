/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Collecting what decides a task's results.
 *
 * How it works: the task's launch is made as for a start, with the places of its folders as they are in a container, so
 * that a working folder may be moved. What it names is taken over; what only says where and by whom it runs is left
 * out.
 */
#include "cache/identity.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/path.h"
#include "base/text.h"
#include "cache/file_digest.h"
#include "plan/python_module.h"

#define KEY_VERSION "descpipe results 1"
#define SHOWN_BYTES 16384 /* of a text: a longer one is only named by its digest */

static const char *arena_text(struct arena *arena, const char *text)
{
    return arena_copy_text(arena, text);
}

static const char *arena_pair(struct arena *arena, const char *first, const char *second)
{
    size_t one = strlen(first), other = strlen(second);
    char *joined = arena_allocate(arena, one + other + 2);
    memcpy(joined, first, one);
    joined[one] = ' ';
    memcpy(joined + one + 1, second, other);
    return joined;
}

static struct identity_field *add_field(struct identity *identity, const char *name, const char *value)
{
    if (identity->count == identity->capacity) {
        size_t capacity = identity->capacity == 0 ? 24 : identity->capacity * 2;
        struct identity_field *fields = arena_allocate(identity->arena, capacity * sizeof *fields);
        if (identity->count > 0)
            memcpy(fields, identity->fields, identity->count * sizeof *fields);
        identity->fields = fields;
        identity->capacity = capacity;
    }
    struct identity_field *field = &identity->fields[identity->count++];
    *field = (struct identity_field){.name = name, .value = value};
    return field;
}

/* A file whose content counts. `path` lives as long as the arena. */
static void add_file(struct identity *identity, const char *name, const char *path, struct cache_store *store)
{
    char sha256[DIGEST_TEXT];
    struct identity_field *field = add_field(identity, name, NULL);
    field->path = path;
    if (file_digest_known(store, path, &field->stamp, &field->is_folder, sha256))
        field->value = arena_text(identity->arena, sha256);
    else if (identity->unknown == NULL)
        identity->unknown = path;
}

/* One that was just looked at, and is no folder. */
static void add_seen_file(struct identity *identity, const char *name, const char *path, const struct stat *status,
                          struct cache_store *store)
{
    char sha256[DIGEST_TEXT];
    struct identity_field *field = add_field(identity, name, NULL);
    field->path = path;
    field->stamp = file_stamp_of(status);
    if (cache_store_digest(store, &field->stamp, sha256))
        field->value = arena_text(identity->arena, sha256);
    else if (identity->unknown == NULL)
        identity->unknown = path;
}

/* A text that may be long: its digest counts, and it is kept for whoever asks what it said. */
static void add_text(struct identity *identity, const char *name, const char *text)
{
    uint8_t digest[DIGEST_BYTES];
    char sha256[DIGEST_TEXT];
    digest_of(text, strlen(text), digest);
    digest_to_text(digest, sha256);
    add_field(identity, name, arena_text(identity->arena, sha256))->text = text;
}

bool identity_image_is_file(const struct plan_image *image)
{
    uint32_t files = DESCPIPE_SOURCE_SIF | DESCPIPE_SOURCE_DOCKER_ARCHIVE | DESCPIPE_SOURCE_OCI_ARCHIVE;
    return image->path != NULL && (image->image.source & files) != 0;
}

/* An image is its configuration's digest, which every registry and runtime agrees on; else its file; a root folder and
 * what needs no image are only a name. */
static void add_image(struct identity *identity, const struct plan *plan, uint32_t number, struct cache_store *store)
{
    uint32_t index = plan->stages[number].image;
    const struct plan_image *image = index != UINT32_MAX ? &plan->images[index] : NULL;
    const char *digest = image == NULL                    ? "none"
                         : image->config_digest != NULL   ? image->config_digest
                         : image->manifest_digest != NULL ? image->manifest_digest
                                                          : NULL;
    if (digest != NULL)
        add_field(identity, "image", arena_text(identity->arena, digest));
    else if (identity_image_is_file(image))
        add_file(identity, "image", image->path, store);
    else
        add_field(identity, "image", arena_text(identity->arena, image->reference));
}

bool identity_knows_image(const struct plan *plan, uint32_t stage)
{
    uint32_t index = plan->stages[stage].image;
    if (index == UINT32_MAX)
        return true;
    const struct plan_image *image = &plan->images[index];
    uint32_t plain = DESCPIPE_SOURCE_ROOTFS | DESCPIPE_SOURCE_NONE;
    return image->config_digest != NULL || image->manifest_digest != NULL || (image->image.source & plain) != 0 ||
           identity_image_is_file(image);
}

static void add_command(struct identity *identity, const char *const *command)
{
    cleanup(text_clear) struct text words = TEXT_INIT;
    for (size_t i = 0; command[i] != NULL; i++) {
        if (i > 0)
            text_append_character(&words, ' ');
        text_append_shell_word(&words, command[i]);
    }
    add_field(identity, "command", arena_copy(identity->arena, text_bytes(&words), words.length));
}

const char *identity_always_runs(const struct stage *stage)
{
    if (stage->extras != NULL && stage->extras->never_cached)
        return "the pipeline says that it always runs";
    if (stage->outputs.count == 0 && (stage->extras == NULL || !stage->extras->remembered))
        return "it declares no outputs, so it runs for what else it does ('cache: true' has it run once)";
    return NULL;
}

char *identity_find_program(const char *name)
{
    const char *path = secure_getenv("PATH");
    while (path != NULL && *path != '\0') {
        size_t length = strcspn(path, ":");
        cleanup(memory_free) char *folder = memory_copy_bytes(path, length);
        cleanup(memory_free) char *whole = path_join(folder, name);
        struct stat status;
        if (length > 0 && stat(whole, &status) == 0 && S_ISREG(status.st_mode) && access(whole, X_OK) == 0)
            return steal(&whole);
        path += length;
        path += *path == ':';
    }
    return NULL;
}

/* No image says what runs on the bare machine: the files that its command names do. */
static void add_programs(struct identity *identity, const char *const *command, struct cache_store *store)
{
    for (size_t i = 0; command[i] != NULL; i++) {
        struct stat status;
        bool has_path = command[i][0] == '/';
        cleanup(memory_free) char *found =
            i == 0 && strchr(command[i], '/') == NULL ? identity_find_program(command[i]) : NULL;
        const char *path = has_path ? command[i] : found;
        if (path == NULL || strlen(path) >= PATH_MAX || stat(path, &status) != 0 || !S_ISREG(status.st_mode))
            continue;
        add_seen_file(identity, arena_pair(identity->arena, "program", command[i]), arena_text(identity->arena, path),
                      &status, store);
    }
}

/* Of the bare machine's own environment PATH and HOME are whoever starts descpipe has: the programs found there count
 * instead. */
static void add_environment(struct identity *identity, const char *const *environment, bool isolated)
{
    for (size_t i = 0; environment[i] != NULL; i++) {
        const char *equals = strchr(environment[i], '=');
        if (equals == NULL)
            continue;
        const char *name = arena_copy(identity->arena, environment[i], (size_t)(equals - environment[i]));
        if (!isolated && (text_equal(name, "PATH") || text_equal(name, "HOME") || text_equal(name, "PYTHONPATH")))
            continue;
        add_field(identity, arena_pair(identity->arena, "environment", name), equals + 1);
    }
}

static void add_extras(struct identity *identity, const struct pipeline *pipeline, const struct stage *stage)
{
    const struct stage_extras *extras = stage->extras;
    if (extras == NULL)
        return;
    for (size_t i = 0; i < extras->environment.count; i++)
        if (extras->environment.items[i].secret)
            add_field(identity,
                      arena_pair(identity->arena, "secret", pipeline_text(pipeline, extras->environment.items[i].name)),
                      pipeline_text(pipeline, extras->environment.items[i].value));
    if (extras->network >= 0)
        add_field(identity, "network", extras->network ? "yes" : "no");
    if (extras->script != 0)
        add_text(identity, "script", pipeline_text(pipeline, extras->script));
}

static bool is_own_mount(const char *target)
{
    static const char *const own[] = {PLAN_CONTAINER_INPUT, PLAN_CONTAINER_OUTPUT, PLAN_CONTAINER_CONFIG,
                                      PLAN_CONTAINER_SCRATCH, PYTHON_MODULE_TARGET};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (text_equal(target, own[i]))
            return true;
    return false;
}

static void add_mounts(struct identity *identity, const struct descpipe_mount *const *mounts)
{
    for (size_t i = 0; mounts[i] != NULL; i++)
        if (!is_own_mount(mounts[i]->target))
            add_field(identity, arena_pair(identity->arena, "mount", mounts[i]->target), mounts[i]->source);
}

static void add_launch(struct identity *identity, const struct plan *plan, uint32_t task, struct cache_store *store)
{
    uint32_t number = plan_task_stage(plan, task);
    const struct stage *stage = &plan->pipeline->stages.items[number];
    const struct plan_backend *backend = &plan->backends[plan->stages[number].backend];
    bool isolated = (plugin_runtime(backend->runtime)->capabilities & DESCPIPE_RUNTIME_ISOLATES_PATHS) != 0;
    const struct plan_launch request = {
        .arena = identity->arena,
        .task = task,
        .attempt = 1,
        .run = "",
        .token = "",
        .input = PLAN_CONTAINER_INPUT,
        .output = PLAN_CONTAINER_OUTPUT,
        .config = PLAN_CONTAINER_CONFIG,
        .scratch = plan->pipeline->resources.items[stage->resources].scratch > 0 ? PLAN_CONTAINER_SCRATCH : NULL};
    const struct descpipe_stage *launch = plan_launch_stage(plan, &request);
    add_image(identity, plan, number, store);
    add_command(identity, launch->command);
    add_field(identity, "directory", launch->directory);
    add_environment(identity, launch->environment, isolated);
    add_extras(identity, plan->pipeline, stage);
    add_mounts(identity, launch->mounts);
    if (!isolated)
        add_programs(identity, launch->command, store);
    if (stage->extras != NULL && stage->extras->python_module && plan->python_module != NULL)
        add_file(identity, "module descpipe.py", plan->python_module, store);
    if (launch->resources->gpus_per_node > 0) {
        cleanup(text_clear) struct text gpus = TEXT_INIT;
        text_append_unsigned(&gpus, launch->resources->gpus_per_node);
        add_field(identity, "gpus", arena_copy(identity->arena, text_bytes(&gpus), gpus.length));
    }
}

static void add_list(struct identity *identity, const char *kind, struct task_file_list list, struct cache_store *store)
{
    for (size_t i = 0; i < list.count; i++) {
        const struct task_file *file = &list.items[i];
        if (file->from != NULL)
            add_file(identity, arena_pair(identity->arena, kind, file->name), file->from, store);
    }
}

bool identity_find(struct identity *identity, const struct plan *plan, uint32_t task, const struct task_files *files,
                   struct cache_store *store, struct error *error)
{
    uint32_t number = plan_task_stage(plan, task);
    const struct stage *stage = &plan->pipeline->stages.items[number];
    uint32_t member = stage->members > 0 ? plan_task_member(plan, task) : TASK_FILES_NO_MEMBER;
    struct task_file_list inputs, configs;
    *identity = (struct identity){.arena = files->arena};
    if (!task_files_inputs(files, stage, member, &inputs, error) || !task_files_configs(files, stage, &configs, error))
        return false;
    add_launch(identity, plan, task, store);
    add_list(identity, "input", inputs, store);
    add_list(identity, "config", configs, store);
    for (uint32_t i = 0; i < stage->outputs.count; i++)
        add_field(identity,
                  arena_pair(identity->arena, "output",
                             task_files_name(files, &plan->pipeline->files.items[stage->outputs.at + i])),
                  "");
    return true;
}

static int compare_fields(const void *left, const void *right)
{
    return strcmp(((const struct identity_field *)left)->name, ((const struct identity_field *)right)->name);
}

void identity_make_key(struct identity *identity, struct digest *digest)
{
    uint8_t result[DIGEST_BYTES];
    qsort(identity->fields, identity->count, sizeof *identity->fields, compare_fields);
    digest_start(digest);
    digest_add(digest, KEY_VERSION, sizeof KEY_VERSION);
    for (size_t i = 0; i < identity->count; i++) {
        const struct identity_field *field = &identity->fields[i];
        digest_add(digest, field->name, strlen(field->name) + 1);
        digest_add(digest, field->value, strlen(field->value) + 1);
    }
    digest_end(digest, result);
    digest_to_text(result, identity->key);
}

bool identity_field_equal(const struct identity_field *one, const struct identity_field *other)
{
    return strcmp(one->value, other->value) == 0 && text_equal(one->path, other->path);
}

size_t identity_difference(const struct identity *one, const struct identity *other)
{
    size_t difference = 0;
    for (size_t i = 0, j = 0; i < one->count || j < other->count;) {
        int order = i == one->count ? 1 : j == other->count ? -1 : strcmp(one->fields[i].name, other->fields[j].name);
        difference += order != 0 || !identity_field_equal(&one->fields[i], &other->fields[j]);
        i += order <= 0;
        j += order >= 0;
    }
    return difference;
}

void identity_copy(struct identity *copy, const struct identity *identity, struct arena *arena)
{
    *copy = (struct identity){.arena = arena, .count = identity->count, .capacity = identity->count};
    copy->fields = arena_allocate(arena, (identity->count + 1) * sizeof *copy->fields);
    for (size_t i = 0; i < identity->count; i++) {
        const struct identity_field *field = &identity->fields[i];
        copy->fields[i] = (struct identity_field){.name = arena_text(arena, field->name),
                                                  .value = arena_text(arena, field->value),
                                                  .path = field->path != NULL ? arena_text(arena, field->path) : NULL};
    }
}

static const char *put_text(char **place, const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *put = memcpy(*place, text, bytes);
    *place += bytes;
    return put;
}

struct identity *identity_keep_files(const struct identity *identity)
{
    size_t files = 0, bytes = 0;
    for (size_t i = 0; i < identity->count; i++) {
        const struct identity_field *field = &identity->fields[i];
        if (field->path == NULL)
            continue;
        files++;
        bytes += strlen(field->name) + strlen(field->path) + 2;
    }
    struct kept {
        struct identity identity;
        struct identity_field fields[];
    } *kept = memory_allocate(sizeof *kept + files * sizeof *kept->fields + bytes);
    kept->identity = (struct identity){.fields = kept->fields, .capacity = files};
    memcpy(kept->identity.key, identity->key, DIGEST_TEXT);
    char *place = (char *)&kept->fields[files];
    for (size_t i = 0; i < identity->count; i++) {
        const struct identity_field *field = &identity->fields[i];
        if (field->path != NULL)
            kept->fields[kept->identity.count++] = (struct identity_field){.name = put_text(&place, field->name),
                                                                           .path = put_text(&place, field->path),
                                                                           .stamp = field->stamp,
                                                                           .is_folder = field->is_folder};
    }
    return &kept->identity;
}

bool identity_still_holds(const struct identity *identity)
{
    for (size_t i = 0; i < identity->count; i++) {
        struct stat status;
        const struct identity_field *field = &identity->fields[i];
        if (field->path == NULL)
            continue;
        if (stat(field->path, &status) != 0)
            return false;
        const struct file_stamp now = file_stamp_of(&status);
        if (!file_stamp_equal(&now, &field->stamp))
            return false;
    }
    return true;
}

static void append_shown(const char *content, struct text *out)
{
    for (const char *line = content; *line != '\0';) {
        size_t length = strcspn(line, "\n"), whole = length + (line[length] == '\n');
        size_t name = strcspn(line, ":=\n");
        cleanup(memory_free) char *word = memory_copy_bytes(line, name);
        if (name < length && name_sounds_secret(word))
            text_format(out, "%s: (not shown)\n", word);
        else
            text_append_bytes(out, line, whole);
        line += whole;
    }
}

bool identity_field_text(const struct identity_field *field, struct text *out)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    if (field->text != NULL && strlen(field->text) <= SHOWN_BYTES)
        text_append(&text, field->text);
    else if (text_starts_with(field->name, "config ") && field->stamp.bytes <= SHOWN_BYTES)
        file_read(field->path, SHOWN_BYTES, &text, NULL);
    if (text.length == 0 || memchr(text.bytes, '\0', text.length) != NULL || !text_is_utf8(text.bytes, text.length))
        return false;
    append_shown(text_bytes(&text), out);
    return true;
}
