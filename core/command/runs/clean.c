/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `descpipe clean`: what earlier runs left in a working folder, shown and, with --yes, removed.
 *
 * How it works: the runs of the working folder from the newest to the oldest; the newest ones, those that go on, those
 * that may be resumed and those that WORKING/STAGE/output leads to (their results are the present ones) stay whole. Of
 * the others go attempts and logs, not the journal and what was made from it: `why`, `verify` and `status` still read
 * those. What WORKING/data has is a link of its own and stays, so a cached result stays one. Only the holder of the
 * working folder's lease removes anything.
 */
#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/path.h"
#include "base/table.h"
#include "command/command.h"
#include "command/runs/chosen_run.h"
#include "report/run_summary.h"
#include "run/journal/lease.h"
#include "run/journal/run_folder.h"

enum { KEEP_DEFAULT = 1 };

struct clean_values {
    bool json, yes, unfinished;
    uint64_t keep;
};

static const struct argument_option options[] = {
    {.name = "keep",
     .kind = ARGUMENT_NUMBER,
     .offset = offsetof(struct clean_values, keep),
     .value = "N",
     .help = "leave the newest N runs alone (default: 1)"},
    {.name = "unfinished",
     .kind = ARGUMENT_FLAG,
     .offset = offsetof(struct clean_values, unfinished),
     .help = "runs that were stopped as well: they cannot be resumed after that"},
    {.name = "yes",
     .letter = 'y',
     .kind = ARGUMENT_FLAG,
     .offset = offsetof(struct clean_values, yes),
     .help = "remove it; without this it is only shown"},
    {.name = "json",
     .kind = ARGUMENT_FLAG,
     .offset = offsetof(struct clean_values, json),
     .help = "{working, removed, freed, runs: [{run, state, bytes}]}"},
    {.name = NULL},
};

static const struct argument_positional positionals[] = {
    {.name = "RUN",
     .optional = true,
     .completion = COMPLETE_FILE,
     .help =
         "a run, a working folder or a pipeline file, whose working folder is meant; default: that of the latest run "
         "started from the current folder"},
    {.name = NULL},
};

struct old_run {
    char *id, *folder, *state;
    uint64_t bytes;
};
struct old_runs {
    LIST(struct old_run) items;
};

static void old_runs_clear(struct old_runs *runs)
{
    for (size_t i = 0; i < runs->items.count; i++) {
        memory_free(runs->items.items[i].id);
        memory_free(runs->items.items[i].folder);
        memory_free(runs->items.items[i].state);
    }
    list_clear(&runs->items);
}
static inline void old_runs_clear_at(struct old_runs *runs)
{
    old_runs_clear(runs);
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

static void keep_those_that_may_go(struct old_runs *runs, const char *working, const struct clean_values *values)
{
    cleanup(table_free) struct table *used = runs_in_use(working);
    size_t kept = values->keep > 0 ? values->keep : KEEP_DEFAULT, count = 0;
    for (size_t i = 0; i < runs->items.count; i++) {
        struct old_run run = runs->items.items[i];
        bool goes = i >= kept && table_get(used, run.id) == NULL && may_go(&run, values->unfinished);
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

static bool remove_all(const struct old_runs *runs, const char *descpipe, struct error *error)
{
    cleanup(memory_free) char *subject = memory_format("the working folder of '%s'", descpipe);
    const struct lease_request request = {.folder = descpipe, .subject = subject, .run = "clean"};
    struct lease *lease = lease_take(&request, 0, error);
    bool removed = lease != NULL;
    for (size_t i = 0; removed && i < runs->items.count; i++)
        for (size_t j = 0; removed && j < sizeof parts / sizeof *parts; j++) {
            cleanup(memory_free) char *path = path_join(runs->items.items[i].folder, parts[j]);
            removed = folder_remove(path, error);
        }
    lease_release(lease);
    return removed;
}

static void print(const struct old_runs *runs, const char *working, const struct clean_values *values, struct text *out)
{
    uint64_t all = 0;
    if (values->json) {
        text_append(out, "{\"working\":");
        text_append_json(out, working);
        text_append(out, values->yes ? ",\"removed\":true,\"runs\":[" : ",\"removed\":false,\"runs\":[");
    }
    for (size_t i = 0; i < runs->items.count; i++) {
        const struct old_run *run = &runs->items.items[i];
        all += run->bytes;
        if (values->json) {
            text_format(out, "%s{\"run\":\"%s\",\"state\":\"%s\",\"bytes\":%llu}", i > 0 ? "," : "", run->id,
                        run->state, (unsigned long long)run->bytes);
            continue;
        }
        text_format(out, "%s  %-10s ", run->id, run->state);
        bytes_append(out, run->bytes);
        text_append_character(out, '\n');
    }
    if (values->json) {
        text_format(out, "],\"freed\":%llu}\n", (unsigned long long)all);
        return;
    }
    text_append_count(out, runs->items.count, "run");
    text_append(out, values->yes ? ": freed " : " would be cleaned: ");
    bytes_append(out, all);
    text_append(out, " in ");
    text_append_printable(out, working, 1000);
    text_append(out, !values->yes && runs->items.count > 0 ? "; --yes does it\n" : "\n");
}

static int run_clean(struct invocation *invocation)
{
    const struct clean_values *values = invocation->values;
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(memory_free) char *folder = NULL;
    if (!run_find(command_word(invocation, 0), &folder, &error))
        return command_refuse(invocation, NULL, &error);
    cleanup(memory_free) char *real = path_real(folder, &error);
    if (real == NULL)
        return command_refuse(invocation, NULL, &error);
    cleanup(memory_free) char *all = path_folder(real);
    cleanup(memory_free) char *descpipe = path_folder(all);
    cleanup(memory_free) char *working = path_folder(descpipe);
    cleanup(old_runs_clear) struct old_runs runs = {.items = {.items = NULL}};
    if (!list_runs(all, &runs, &error))
        return command_refuse(invocation, NULL, &error);
    keep_those_that_may_go(&runs, working, values);
    if (values->yes && runs.items.count > 0 && !remove_all(&runs, descpipe, &error))
        return command_refuse(invocation, NULL, &error);
    print(&runs, working, values, &invocation->output.text);
    return 0;
}

const struct command command_clean = {
    .name = "clean",
    .summary = "free what earlier runs left",
    .description =
        "Shows what the attempts and logs of earlier runs take, and removes them with --yes. Journals stay, so do\n"
        "WORKING/data and all results; runs that go on or may be resumed are left alone.",
    .examples = "  descpipe clean\n  descpipe clean pipeline.yaml --keep 3 --yes",
    .options = options,
    .positionals = positionals,
    .values_size = sizeof(struct clean_values),
    .run = run_clean,
};
