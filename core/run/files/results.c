/* SPDX-License-Identifier: BSD-3-Clause */
/* The final results: what the stages of a run published, put into OUTPUT when all of it has succeeded. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "run/walk.h"

/* Pairs of paths for a helper thread. */
struct final {
    struct engine *engine;
    struct arena *arena;
    LIST(struct staging_output) files; /* name: where to, published: where from */
    LIST(const char *) stale;          /* tags of stages with members: their folders may hold other members */
    void (*done)(struct engine *engine);
    struct error error;
};

static void final_add(struct final *final, const struct stage *stage, uint32_t member)
{
    struct engine *engine = final->engine;
    const struct task_files paths = files_of(engine, final->arena);
    for (uint32_t i = 0; i < stage->outputs.count; i++) {
        const struct file_tag *file = &engine->pipeline->files.items[stage->outputs.at + i];
        if (keep_passes(engine, file->tag))
            continue;
        const char *tag = pipeline_text(engine->pipeline, file->tag);
        const char *suffix = pipeline_text(engine->pipeline, file->suffix);
        const char *from = task_files_data_path(&paths, stage, member, file);
        size_t data = strlen(engine->folder.working) + strlen("/data/");
        cleanup(memory_free) char *path = path_join(engine->pipeline->output, from + data);
        const char *to = arena_copy_text(final->arena, path);
        struct staging_output item = {.tag = tag, .suffix = suffix, .name = to, .published = from};
        list_add(&final->files, item);
    }
}

static int compare_names(const void *left, const void *right)
{
    return strcmp(((const struct staging_output *)left)->name, ((const struct staging_output *)right)->name);
}

static bool is_a_result(const struct final *final, const char *path)
{
    const struct staging_output wanted = {.name = path};
    return bsearch(&wanted, final->files.items, final->files.count, sizeof wanted, compare_names) != NULL;
}

/* It lies in WORKING/data as well, and is that very file or a copy nobody has changed: so nothing is lost. */
static bool is_kept_in_data(const char *path, const char *data)
{
    struct stat one, other;
    if (lstat(path, &one) != 0 || lstat(data, &other) != 0 || !S_ISREG(one.st_mode) || !S_ISREG(other.st_mode))
        return false;
    return (one.st_dev == other.st_dev && one.st_ino == other.st_ino) ||
           (one.st_size == other.st_size && one.st_mtim.tv_sec == other.st_mtim.tv_sec &&
            one.st_mtim.tv_nsec == other.st_mtim.tv_nsec);
}

/* A folder of members shows one run, not a mixture: what an earlier run put there is taken away. */
static void remove_stale(const struct final *final, const char *tag)
{
    const struct engine *engine = final->engine;
    cleanup(memory_free) char *results = path_join(engine->pipeline->output, tag);
    cleanup(memory_free) char *data = memory_format("%s/data/%s", engine->folder.working, tag);
    DIR *folder = opendir(results);
    for (const struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        if (text_equal(entry->d_name, ".") || text_equal(entry->d_name, ".."))
            continue;
        cleanup(memory_free) char *path = path_join(results, entry->d_name);
        cleanup(memory_free) char *kept = path_join(data, entry->d_name);
        if (is_a_result(final, path))
            continue;
        if (!is_kept_in_data(path, kept) || unlink(path) != 0)
            log_warning("'%s' is not a result of this run, but lies among them", path);
    }
    if (folder != NULL)
        closedir(folder);
}

static void final_work(void *context)
{
    struct final *final = context;
    qsort(final->files.items, final->files.count, sizeof *final->files.items, compare_names);
    for (size_t i = 0; i < final->stale.count; i++)
        remove_stale(final, final->stale.items[i]);
    for (size_t i = 0; i < final->files.count; i++) {
        const struct staging_output *file = &final->files.items[i];
        if (is_kept_in_data(file->name, file->published))
            continue; /* of an earlier run, and cached since */
        cleanup(memory_free) char *folder = path_folder(file->name);
        bool placed = folder_make(folder, 0777, &final->error) &&
                      staging_place_output(file->published, file->name, file->suffix, &final->error);
        if (!placed)
            return;
    }
}

static void final_done(void *context)
{
    struct final *final = context;
    struct engine *engine = final->engine;
    void (*done)(struct engine *) = final->done;
    if (final->error.message != NULL) {
        error_clear(&engine->error);
        error_move(&engine->error, &final->error);
        error_wrap(&engine->error, "the results cannot be put into '%s'", engine->pipeline->output);
    }
    arena_free(final->arena);
    list_clear(&final->files);
    list_clear(&final->stale);
    memory_free(final);
    done(engine);
}

/* `all`: also of stages that are still to come. */
static void list_results(struct final *final, bool all)
{
    const struct engine *engine = final->engine;
    for (uint32_t i = 0; i < engine->pipeline->stages.count; i++) {
        const struct stage *stage = &engine->pipeline->stages.items[i];
        if (!engine->plan->stages[i].selected || (engine->stages[i].tasks_left > 0 && !all) ||
            stage->outputs.count == 0 || apart_is_stage(engine, i))
            continue;
        for (uint32_t j = 0; stage->members > 0 && j < stage->outputs.count; j++) {
            symbol tag = engine->pipeline->files.items[stage->outputs.at + j].tag;
            if (!keep_passes(engine, tag))
                list_add(&final->stale, pipeline_text(engine->pipeline, tag));
        }
        for (uint32_t member = 0; member < (stage->members > 0 ? stage->members : 1); member++)
            final_add(final, stage, stage->members > 0 ? member : NONE);
    }
}

void results_append(struct engine *engine, struct text *pairs, struct text *folders)
{
    struct final final = {.engine = engine, .arena = arena_new()};
    if (engine->pipeline->output != NULL)
        list_results(&final, true);
    for (size_t i = 0; i < final.files.count; i++)
        text_format(pairs, "%s\n%s\n", final.files.items[i].published, final.files.items[i].name);
    for (size_t i = 0; i < final.stale.count; i++)
        text_format(folders, "%s\n", final.stale.items[i]);
    list_clear(&final.files);
    list_clear(&final.stale);
    arena_free(final.arena);
}

void results_place(struct engine *engine, void (*done)(struct engine *engine))
{
    struct final *final = memory_allocate(sizeof *final);
    *final = (struct final){.engine = engine, .arena = arena_new(), .done = done};
    if (engine->pipeline->output != NULL)
        list_results(final, false);
    if (final->files.count == 0) {
        final_done(final);
        return;
    }
    pool_run(engine_pool(engine), final_work, final_done, final);
}
