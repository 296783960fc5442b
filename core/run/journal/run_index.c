/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Finding runs again: the index of runs of this user, and how what a person types becomes a run folder.
 *
 * An entry is a file named by the run's id that holds three lines: run folder, pipeline file, where it was started.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/list.h"
#include "base/path.h"
#include "run/journal/journal.h"
#include "run/journal/run_folder.h"

#define ENTRY_LIMIT (16 * 1024)
#define NEIGHBOURS_LIMIT 1000 /* folders below the current one that are looked into */

void run_index_entry_clear(struct run_index_entry *entry)
{
    memory_free(entry->id);
    memory_free(entry->folder);
    memory_free(entry->pipeline);
    memory_free(entry->started_in);
    *entry = (struct run_index_entry){.id = NULL};
}

char *run_index_folder(void)
{
    const char *state = secure_getenv("XDG_STATE_HOME");
    if (state != NULL && state[0] == '/')
        return path_join(state, "descpipe/runs");
    const char *home = secure_getenv("HOME");
    return home != NULL && home[0] == '/' ? path_join(home, ".local/state/descpipe/runs") : NULL;
}

static int newest_first(const void *left, const void *right)
{
    return strcmp(*(char *const *)right, *(char *const *)left);
}

/* The run ids in a folder, newest first. */
static struct words list_ids(const char *folder)
{
    struct words ids = {.items = NULL};
    DIR *directory = opendir(folder);
    if (directory == NULL)
        return ids;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        if (run_id_is_valid(entry->d_name))
            words_add(&ids, entry->d_name);
    closedir(directory);
    if (ids.count > 1)
        qsort(ids.items, ids.count, sizeof *ids.items, newest_first);
    return ids;
}

bool run_index_add(const char *index, const struct run_index_entry *entry, struct error *error)
{
    if (strpbrk(entry->folder, "\n") != NULL || strpbrk(entry->pipeline, "\n") != NULL ||
        strpbrk(entry->started_in, "\n") != NULL)
        return error_set(error, ERROR_SYSTEM, "run %s is not in the index of runs: a path of it has a newline",
                         entry->id);
    if (!folder_make(index, 0700, error))
        return false;
    cleanup(memory_free) char *path = path_join(index, entry->id);
    cleanup(text_clear) struct text text = TEXT_INIT;
    text_format(&text, "%s\n%s\n%s\n", entry->folder, entry->pipeline, entry->started_in);
    if (!file_write(path, text.bytes, text.length, 0600, error))
        return false;
    cleanup(words_clear) struct words ids = list_ids(index);
    for (size_t i = RUN_INDEX_LIMIT; i < ids.count; i++) {
        cleanup(memory_free) char *old = path_join(index, ids.items[i]);
        unlink(old);
    }
    return true;
}

static bool is_run_folder(const char *folder)
{
    cleanup(memory_free) char *journal = path_join(folder, JOURNAL_FILE);
    return file_exists(journal);
}

static bool take_line(char **place, char **line)
{
    char *end = strchr(*place, '\n');
    if (end == NULL)
        return false;
    *line = memory_copy_bytes(*place, (size_t)(end - *place));
    *place = end + 1;
    return true;
}

static bool read_entry(const char *index, const char *id, struct run_index_entry *entry)
{
    cleanup(memory_free) char *path = path_join(index, id);
    cleanup(text_clear) struct text text = TEXT_INIT;
    if (!file_read(path, ENTRY_LIMIT, &text, NULL) || text.length == 0)
        return false;
    char *place = text.bytes;
    *entry = (struct run_index_entry){.id = memory_copy_text(id)};
    if (take_line(&place, &entry->folder) && take_line(&place, &entry->pipeline) &&
        take_line(&place, &entry->started_in) && is_run_folder(entry->folder))
        return true;
    run_index_entry_clear(entry);
    return false;
}

size_t run_index_read(const char *index, struct run_index_entry **entries)
{
    cleanup(words_clear) struct words ids = list_ids(index);
    LIST(struct run_index_entry) found = {.items = NULL};
    for (size_t i = 0; i < ids.count; i++) {
        struct run_index_entry entry;
        if (read_entry(index, ids.items[i], &entry))
            list_add(&found, entry);
    }
    *entries = found.items;
    return found.count;
}

char *run_index_latest(const char *index, const char *pipeline, const char *started_in, size_t looks)
{
    cleanup(words_clear) struct words ids = list_ids(index);
    char *folder = NULL;
    for (size_t i = 0; i < ids.count && i < looks && folder == NULL; i++) {
        struct run_index_entry entry;
        if (!read_entry(index, ids.items[i], &entry))
            continue;
        if (text_equal(entry.pipeline, pipeline) && text_equal(entry.started_in, started_in))
            folder = steal(&entry.folder);
        run_index_entry_clear(&entry);
    }
    return folder;
}

struct search {
    struct run_index_entry *entries; /* newest first */
    size_t count;
};

static void search_clear(struct search *search)
{
    for (size_t i = 0; i < search->count; i++)
        run_index_entry_clear(&search->entries[i]);
    memory_free(search->entries);
}

static void search_clear_at(struct search *search)
{
    search_clear(search);
}

static void add_runs_of(struct search *search, const char *working, const char *here)
{
    cleanup(memory_free) char *runs = path_join(working, ".descpipe/runs");
    cleanup(words_clear) struct words ids = list_ids(runs);
    for (size_t i = 0; i < ids.count; i++) {
        cleanup(memory_free) char *folder = path_join(runs, ids.items[i]);
        bool known = !is_run_folder(folder);
        for (size_t j = 0; j < search->count && !known; j++)
            known = text_equal(search->entries[j].id, ids.items[i]);
        if (known)
            continue;
        search->entries = memory_resize(search->entries, (search->count + 1) * sizeof *search->entries);
        search->entries[search->count++] = (struct run_index_entry){
            .id = memory_copy_text(ids.items[i]), .folder = steal(&folder), .started_in = memory_copy_text(here)};
    }
}

static int newest_entry_first(const void *left, const void *right)
{
    const struct run_index_entry *one = left, *other = right;
    return strcmp(other->id, one->id);
}

/* The index may be lost, and is another user's or machine's for a copied run: look also where runs usually are. */
static void search_fill(struct search *search, const char *here)
{
    cleanup(memory_free) char *index = run_index_folder();
    if (index != NULL)
        search->count = run_index_read(index, &search->entries);
    add_runs_of(search, here, here);
    DIR *directory = opendir(here);
    unsigned looked = 0;
    for (struct dirent *entry;
         directory != NULL && looked < NEIGHBOURS_LIMIT && (entry = readdir(directory)) != NULL;) {
        if (entry->d_name[0] == '.' || (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN))
            continue;
        looked++;
        cleanup(memory_free) char *folder = path_join(here, entry->d_name);
        add_runs_of(search, folder, here);
    }
    if (directory != NULL)
        closedir(directory);
    if (search->count > 1)
        qsort(search->entries, search->count, sizeof *search->entries, newest_entry_first);
}

static char *current_folder(struct error *error)
{
    char *here = getcwd(NULL, 0);
    if (here == NULL)
        error_system(error, "cannot tell the current folder");
    return here;
}

/* `what` is a folder: a run's own, or a working folder, whose latest run is meant. */
static bool find_in_folder(const char *what, char **folder, struct error *error)
{
    char *real = path_real(what, error);
    if (real == NULL)
        return false;
    if (is_run_folder(real)) {
        *folder = real;
        return true;
    }
    cleanup(search_clear) struct search search = {.count = 0};
    add_runs_of(&search, real, "");
    memory_free(real);
    if (search.count == 0 && access(what, R_OK | X_OK) != 0)
        return error_system(error, "cannot look into the folder '%s'", what);
    if (search.count == 0)
        return error_set(error, ERROR_INPUT, "'%s' is neither a run folder nor a working folder with runs", what);
    *folder = steal(&search.entries[0].folder);
    return true;
}

static bool find_by_pipeline(const struct search *search, const char *what, char **folder, struct error *error)
{
    cleanup(memory_free) char *real = path_real(what, error);
    if (real == NULL)
        return false;
    for (size_t i = 0; i < search->count; i++)
        if (text_equal(search->entries[i].pipeline, real)) {
            *folder = memory_copy_text(search->entries[i].folder);
            return true;
        }
    error_set(error, ERROR_INPUT, "no run of the pipeline '%s' is known", what);
    return error_hint(error, "name its run folder, or its working folder");
}

static bool find_by_id(const struct search *search, const char *what, char **folder, struct error *error)
{
    const struct run_index_entry *found = NULL;
    for (size_t i = 0; i < search->count; i++) {
        if (!text_starts_with(search->entries[i].id, what))
            continue;
        if (found != NULL)
            return error_set(error, ERROR_INPUT, "'%s' is the beginning of several runs, %s and %s among them", what,
                             found->id, search->entries[i].id);
        found = &search->entries[i];
    }
    if (found == NULL) {
        error_set(error, ERROR_INPUT, "there is no run '%s'", what);
        return error_hint(error, "name a run by its id, its folder, its working folder or its pipeline file");
    }
    *folder = memory_copy_text(found->folder);
    return true;
}

bool run_find(const char *what, char **folder, struct error *error)
{
    struct stat status;
    if (what != NULL && stat(what, &status) == 0 && S_ISDIR(status.st_mode))
        return find_in_folder(what, folder, error);
    cleanup(memory_free) char *here = current_folder(error);
    if (here == NULL)
        return false;
    cleanup(search_clear) struct search search = {.count = 0};
    search_fill(&search, here);
    if (what != NULL && what[0] != '\0')
        return stat(what, &status) == 0 && S_ISREG(status.st_mode) ? find_by_pipeline(&search, what, folder, error)
                                                                   : find_by_id(&search, what, folder, error);
    for (size_t i = 0; i < search.count; i++)
        if (text_equal(search.entries[i].started_in, here)) {
            *folder = steal(&search.entries[i].folder);
            return true;
        }
    error_set(error, ERROR_INPUT, "no run was started from this folder");
    return error_hint(error, "name a run by its id, its folder, its working folder or its pipeline file");
}
