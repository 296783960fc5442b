/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Finds and removes what earlier runs left.
 *
 * How it works: the runs of the working folder from the newest to the oldest; the newest ones, those that go on, those
 * that may be resumed and those that WORKING/STAGE/output leads to (their results are the present ones) stay whole. Of
 * the others go attempts and logs, not the journal and what was made from it: `why`, `verify` and `status` still read
 * those. What WORKING/data has is a link of its own and stays, so a cached result stays one.
 */
#include "command/runs/old_runs.h"

#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/path.h"
#include "base/table.h"
#include "report/run_summary.h"
#include "run/journal/run_folder.h"

void old_runs_clear(struct old_runs *runs)
{
    for (size_t i = 0; i < runs->items.count; i++) {
        memory_free(runs->items.items[i].id);
        memory_free(runs->items.items[i].folder);
        memory_free(runs->items.items[i].state);
    }
    list_clear(&runs->items);
}
static int newest_first(const void *left, const void *right)
{
    return strcmp(((const struct old_run *)right)->id, ((const struct old_run *)left)->id);
}

static bool list_runs(const char *folder, struct old_runs *runs, struct error *error)
{
    DIR *entries = opendir(folder);
    if (entries == NULL)
        return error_system(error, "cannot read '%s'", folder);
    for (const struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        if (!run_id_is_valid(entry->d_name))
            continue;
        const struct old_run run = {.id = memory_copy_text(entry->d_name), .folder = path_join(folder, entry->d_name)};
        list_add(&runs->items, run);
    }
    closedir(entries);
    if (runs->items.count > 1)
        qsort(runs->items.items, runs->items.count, sizeof *runs->items.items, newest_first);
    return true;
}

/* A file that another name leads to as well frees nothing. */
static void measure_entry(const char *path, const struct stat *status, struct words *folders, uint64_t *bytes)
{
    if (S_ISDIR(status->st_mode))
        words_add(folders, path);
    else if (status->st_nlink == 1)
        *bytes += (uint64_t)status->st_blocks * 512;
}

static void measure(const char *path, uint64_t *bytes)
{
    cleanup(words_clear) struct words folders = {.items = NULL};
    words_add(&folders, path);
    for (size_t i = 0; i < folders.count; i++) {
        DIR *entries = opendir(folders.items[i]);
        for (const struct dirent *entry; entries != NULL && (entry = readdir(entries)) != NULL;) {
            struct stat status;
            if (text_equal(entry->d_name, ".") || text_equal(entry->d_name, ".."))
                continue;
            cleanup(memory_free) char *whole = path_join(folders.items[i], entry->d_name);
            if (lstat(whole, &status) == 0)
                measure_entry(whole, &status, &folders, bytes);
        }
        if (entries != NULL)
            closedir(entries);
    }
}

static const char *const parts[] = {"attempts", "logs", "submissions"};

static uint64_t run_bytes(const char *folder)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        cleanup(memory_free) char *path = path_join(folder, parts[i]);
        measure(path, &bytes);
    }
    return bytes;
}

/* The run that a link WORKING/STAGE/output leads into is in use. */
static void note_link(const char *folder, struct table *used)
{
    static const char before[] = ".descpipe/runs/";
    char target[PATH_MAX + 1];
    cleanup(memory_free) char *link = path_join(folder, "output");
    ssize_t length = readlink(link, target, sizeof target - 1);
    if (length < 0)
        return;
    target[length] = '\0';
    const char *id = strstr(target, before);
    if (id == NULL)
        return;
    id += sizeof before - 1;
    cleanup(memory_free) char *run = memory_copy_bytes(id, strcspn(id, "/"));
    table_put(used, run, used);
}

/* Of stages, and one step below of their members. */
static struct table *runs_in_use(const char *working)
{
    struct table *used = table_new();
    cleanup(words_clear) struct words folders = {.items = NULL};
    words_add(&folders, working);
    for (size_t i = 0, stages_end = 0; i < folders.count; i++) {
        DIR *entries = i == 0 || i < stages_end ? opendir(folders.items[i]) : NULL;
        note_link(folders.items[i], used);
        for (const struct dirent *entry; entries != NULL && (entry = readdir(entries)) != NULL;) {
            bool other = entry->d_name[0] == '.' || text_equal(entry->d_name, "data") ||
                         (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN);
            cleanup(memory_free) char *path = path_join(folders.items[i], entry->d_name);
            if (!other)
                words_add(&folders, path);
        }
        if (entries != NULL)
            closedir(entries);
        if (i == 0)
            stages_end = folders.count;
    }
    return used;
}

/* False: it stays. */
static bool may_go(struct old_run *run, bool unfinished)
{
    struct run_summary summary;
    cleanup(error_clear) struct error error = ERROR_INIT;
    if (!run_summary_read(run->folder, &summary, &error))
        return false;
    run->state = memory_copy_text(summary.state);
    run_summary_clear(&summary);
    bool going = text_equal(run->state, "running");
    bool stopped = text_equal(run->state, "stopped");
    return !going && (!stopped || unfinished);
}

/* The others are taken out of the list. */
static void keep_those_that_may_go(struct old_runs *runs, const char *working, const struct old_runs_request *request)
{
    cleanup(table_free) struct table *used = runs_in_use(working);
    size_t count = 0;
    for (size_t i = 0; i < runs->items.count; i++) {
        struct old_run run = runs->items.items[i];
        bool goes = i >= request->keep && table_get(used, run.id) == NULL && may_go(&run, request->unfinished);
        run.bytes = goes ? run_bytes(run.folder) : 0;
        bool has_any = false;
        for (size_t j = 0; goes && j < sizeof parts / sizeof *parts; j++) {
            cleanup(memory_free) char *path = path_join(run.folder, parts[j]);
            has_any = has_any || file_exists(path);
        }
        if (has_any) {
            runs->items.items[count++] = run;
            continue;
        }
        memory_free(run.id);
        memory_free(run.folder);
        memory_free(run.state);
    }
    runs->items.count = count;
}

bool old_runs_find(const struct old_runs_request *request, struct old_runs *runs, struct error *error)
{
    cleanup(memory_free) char *all = path_join(request->descpipe, "runs");
    cleanup(memory_free) char *working = path_folder(request->descpipe);
    if (!list_runs(all, runs, error))
        return false;
    keep_those_that_may_go(runs, working, request);
    return true;
}

bool old_runs_remove(const struct old_runs *runs, struct error *error)
{
    for (size_t i = 0; i < runs->items.count; i++)
        for (size_t j = 0; j < sizeof parts / sizeof *parts; j++) {
            cleanup(memory_free) char *path = path_join(runs->items.items[i].folder, parts[j]);
            if (!folder_remove(path, error))
                return false;
        }
    return true;
}
