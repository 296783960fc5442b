/* SPDX-License-Identifier: BSD-3-Clause */
/* Compares a run folder, and the files it speaks of, with its journal. */
#include "report/verify.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/members.h"
#include "base/path.h"
#include "cache/file_digest.h"
#include "report/decided.h"
#include "report/run_records.h"
#include "run/journal/journal.h"
#include "run/journal/run_folder.h"

struct checking {
    const struct run_view *view;
    struct verified *verified;
    char *working;         /* with a slash behind it */
    struct table *known;   /* path → digest, for files that many tasks read */
    struct table *removed; /* paths of outputs that the run itself removed */
    struct arena *arena;   /* of those digests */
    struct error *error;
};

/* The digest of what is there now, or NULL. */
static const char *digest_now(struct checking *checking, const char *path)
{
    char sha256[DIGEST_TEXT];
    const char *known = table_get(checking->known, path);
    if (known != NULL)
        return known;
    if (!file_digest(NULL, path, false, sha256, NULL))
        return NULL;
    known = arena_copy(checking->arena, sha256, DIGEST_TEXT - 1);
    table_put(checking->known, path, (void *)(uintptr_t)known);
    return known;
}

static bool differs(struct checking *checking, const char *what, const char *path, const char *recorded,
                    const char *found)
{
    if (found == NULL)
        return error_set(checking->error, ERROR_DIFFERS, "%s '%s' cannot be read any more; its sha256 was %s", what,
                         path, recorded);
    return error_set(checking->error, ERROR_DIFFERS, "%s '%s' is not what it was: its sha256 is %s, and was %s", what,
                     path, found, recorded);
}

/* In the folder of the attempt that made it; which of the numbered folders, its stage's number says. */
static bool attempt_has(struct checking *checking, const struct task_view *task, const char *name, const char *recorded)
{
    const struct run_view *view = checking->view;
    cleanup(text_clear) struct text attempt = TEXT_INIT;
    const char *member = task->member != 0 ? run_view_text(view, task->member) : NULL;
    run_attempt_name(&attempt, run_view_text(view, task->stage), member, task->attempt);
    for (size_t i = 0; i <= view->stages.count / RUN_STAGES_PER_FOLDER; i++) {
        cleanup(memory_free) char *path =
            memory_format("%s/attempts/%03zu/%s/%s", view->folder, i, text_bytes(&attempt), name);
        char sha256[DIGEST_TEXT];
        if (file_exists(path) && file_digest(NULL, path, false, sha256, NULL) && text_equal(sha256, recorded))
            return true;
    }
    return false;
}

static bool check_output(struct checking *checking, const struct task_view *task, const struct members *file)
{
    const char *path = members_text(file, "path"), *name = members_text(file, "name");
    const char *recorded = members_text(file, "sha256");
    if (path == NULL || recorded == NULL)
        return true; /* nobody has taken its digest */
    const char *found = digest_now(checking, path);
    if (found == NULL && table_get(checking->removed, path) != NULL)
        return true; /* `keep: final` */
    bool same = text_equal(found, recorded) ||
                (name != NULL && path_is_component(name) && attempt_has(checking, task, name, recorded));
    checking->verified->outputs += same;
    return same || differs(checking, "the output", path, recorded, found);
}

static uint32_t task_of_job(const struct run_view *view, uint64_t job)
{
    uint32_t task = run_view_task_of_job(view, job);
    return task != TASK_NONE && view->tasks.items[task].state == TASK_SUCCEEDED ? task : TASK_NONE;
}

static bool check_plugin(struct checking *checking, const struct members *plugin)
{
    const char *path = members_text(plugin, "path"), *recorded = members_text(plugin, "sha256");
    if (path == NULL || recorded == NULL)
        return true;
    const char *found = digest_now(checking, path);
    checking->verified->plugins += text_equal(found, recorded);
    return text_equal(found, recorded) || differs(checking, "the plugin", path, recorded, found);
}

static bool check_files_of(struct checking *checking, const struct journal_record *record,
                           const struct members *members)
{
    struct members file;
    int64_t job = members_number(members, "job");
    uint32_t task =
        strcmp(record->kind, "publish") == 0 && job > 0 ? task_of_job(checking->view, (uint64_t)job) : TASK_NONE;
    for (struct elements all = members_elements(members, "files"); task != TASK_NONE && elements_next(&all, &file);)
        if (!check_output(checking, &checking->view->tasks.items[task], &file))
            return false;
    return true;
}

static bool note_removed(struct checking *checking, const struct journal_record *record, const struct members *members)
{
    const char *path = members_text(members, "path");
    struct members file;
    if (strcmp(record->kind, "removed") == 0 && path != NULL && table_get(checking->removed, path) == NULL) {
        table_put(checking->removed, path, checking);
        checking->verified->removed++;
    }
    if (strcmp(record->kind, "publish") != 0)
        return true;
    for (struct elements all = members_elements(members, "files"); elements_next(&all, &file);) { /* made again */
        path = members_text(&file, "path");
        if (path != NULL && table_get(checking->removed, path) != NULL) {
            table_remove(checking->removed, path);
            checking->verified->removed--;
        }
    }
    return true;
}

static bool check_plugins_of(struct checking *checking, const struct journal_record *record,
                             const struct members *members)
{
    struct members plugin;
    if (strcmp(record->kind, "run") != 0)
        return true;
    for (struct elements all = members_elements(members, "plugins"); elements_next(&all, &plugin);)
        if (!check_plugin(checking, &plugin))
            return false;
    return true;
}

static bool each_record(struct checking *checking,
                        bool (*check)(struct checking *, const struct journal_record *, const struct members *))
{
    cleanup(journal_reader_close) struct journal_reader *reader =
        journal_reader_open(checking->view->folder, checking->error);
    cleanup(arena_free) struct arena *passing = arena_new();
    struct journal_record record;
    struct members members;
    if (reader == NULL)
        return false;
    for (; journal_reader_next(reader, &record); arena_reset(passing))
        if (members_find(&members, passing, record.line, record.length) && !check(checking, &record, &members))
            return false;
    return true;
}

/* What came from other stages has been looked at as their output. */
static bool check_fields(struct checking *checking, const struct decided_fields *fields)
{
    for (size_t i = 0; i < fields->count; i++) {
        const struct decided_field *field = &fields->items[i];
        if (field->path == NULL || text_starts_with(field->path, checking->working))
            continue;
        const char *found = digest_now(checking, field->path);
        if (!text_equal(found, field->value)) {
            cleanup(memory_free) char *what = memory_format("the %s from", field->name);
            return differs(checking, what, field->path, field->value, found);
        }
        checking->verified->inputs++;
    }
    return true;
}

static bool check_inputs(struct checking *checking)
{
    const struct run_view *view = checking->view;
    cleanup(decided_free) struct decided *decided = decided_read(view->folder, checking->error);
    if (decided == NULL)
        return false;
    for (uint32_t i = 0; i < view->tasks.count; i++) {
        const struct task_view *task = &view->tasks.items[i];
        cleanup(arena_free) struct arena *arena = arena_new();
        struct decided_fields fields;
        struct decided_task decides;
        const char *member = task->member != 0 ? run_view_text(view, task->member) : NULL;
        checking->verified->cached += task->state == TASK_CACHED;
        if (task->state == TASK_SUCCEEDED &&
            decided_task(decided, run_view_text(view, task->stage), member, arena, &decides) &&
            decided_fields(decided, &decides, arena, &fields) && !check_fields(checking, &fields))
            return false;
    }
    return true;
}

/* As much as there is of it. */
static size_t read_up_to(int file, char *bytes, size_t length)
{
    size_t done = 0;
    while (done < length) {
        ssize_t got = read(file, bytes + done, length - done);
        if (got == 0 || (got < 0 && errno != EINTR))
            break;
        done += got > 0 ? (size_t)got : 0;
    }
    return done;
}

/* Where the file is another than what its pieces make; 0: it is the same. */
static size_t differing_line(int file, struct records_writing *writing)
{
    cleanup(text_clear) struct text wanted = TEXT_INIT, found = TEXT_INIT;
    size_t line = 1;
    char more;
    for (; provenance_next(writing, &wanted); text_reset(&wanted)) {
        text_reserve(&found, wanted.length);
        size_t got = read_up_to(file, found.bytes, wanted.length);
        for (size_t at = 0; at < wanted.length; at++) {
            if (at == got || found.bytes[at] != wanted.bytes[at])
                return line;
            line += wanted.bytes[at] == '\n';
        }
    }
    return read_up_to(file, &more, 1) == 0 ? 0 : line;
}

/* Only where this program would write the same: another version may say it in other words. */
static bool check_provenance(struct checking *checking, const char *version)
{
    cleanup(memory_free) char *path = path_join(checking->view->folder, PROVENANCE_FILE);
    if (!text_equal(version, checking->view->version) || !file_exists(path))
        return true;
    cleanup(run_records_clear) struct run_records records = {.view = NULL};
    if (!run_records_read(&records, checking->view->folder, false, checking->error))
        return false;
    cleanup(descriptor_close) int file = file_open(path, NULL, checking->error);
    if (file < 0)
        return false;
    struct records_writing writing = {.records = &records, .version = version};
    size_t line = differing_line(file, &writing);
    return line == 0 ||
           error_set(checking->error, ERROR_DIFFERS, "'%s', line %zu is not what the journal says", path, line);
}

bool verify_run(const struct run_view *view, const char *version, struct verified *verified, struct error *error)
{
    *verified = (struct verified){.records = 0};
    if (!journal_verify(view->folder, &verified->records, error))
        return false;
    cleanup(memory_free) char *runs = path_folder(view->folder);
    cleanup(memory_free) char *descpipe = path_folder(runs);
    cleanup(memory_free) char *working = path_folder(descpipe);
    struct checking checking = {.view = view,
                                .verified = verified,
                                .working = memory_format("%s/", working),
                                .known = table_new(),
                                .removed = table_new(),
                                .arena = arena_new(),
                                .error = error};
    bool same = check_provenance(&checking, version) && each_record(&checking, note_removed) &&
                each_record(&checking, check_files_of) && check_inputs(&checking) &&
                each_record(&checking, check_plugins_of);
    memory_free(checking.working);
    table_free(checking.known);
    table_free(checking.removed);
    arena_free(checking.arena);
    return same;
}
