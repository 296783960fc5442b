/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Looks for what an earlier run left running.
 *
 * How it works: the journal of a run that ended in order has its record `end` near its end, so that most runs cost one
 * read of a few kilobytes. Of any other the whole journal is read: what `started` and has no `ended` is looked for
 * among the processes; a container that a service may keep without its client is left as long as nobody saw that
 * client's own end, or removed it. Only what is found is then looked up by its job in the journal's `intent` records,
 * for its name.
 */
#include "run/here/left_running.h"

#include <dirent.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/list.h"
#include "base/path.h"
#include "base/text.h"
#include "io/process.h"
#include "run/journal/journal.h"
#include "run/journal/keeper_log.h"
#include "run/journal/machine.h"
#include "run/journal/run_folder.h"

#define TAIL_BYTES 16384 /* the record `end` is one line, and nothing but a few like it may follow */
#define NAMES_SHOWN 10

struct left {
    json_int_t job, session, session_start;
    char *native;  /* of a container, or NULL */
    bool has_rest; /* a service may keep a container for it when its processes are gone */
    char *name;    /* "STAGE" or "STAGE/MEMBER", once it is known */
};
struct lefts {
    struct left *items;
    size_t count, capacity;
    struct keeper_log keeper; /* how those ended whose engine was gone */
    bool here;                /* what the last writer started lives in this boot of this machine */
};

static void left_clear(struct left *left)
{
    memory_free(left->native);
    memory_free(left->name);
}

static void lefts_clear_at(struct lefts *lefts)
{
    for (size_t i = 0; i < lefts->count; i++)
        left_clear(&lefts->items[i]);
    list_clear(lefts);
    keeper_log_clear(&lefts->keeper);
}

char *left_running_newest(const char *descpipe, const char *own)
{
    cleanup(memory_free) char *runs = path_join(descpipe, "runs");
    char newest[RUN_ID_LENGTH + 1] = "";
    DIR *entries = opendir(runs);
    for (struct dirent *entry; entries != NULL && (entry = readdir(entries)) != NULL;)
        if (run_id_is_valid(entry->d_name) && strcmp(entry->d_name, own) != 0 && strcmp(entry->d_name, newest) > 0)
            memcpy(newest, entry->d_name, sizeof newest);
    if (entries != NULL)
        closedir(entries);
    return newest[0] != '\0' ? path_join(runs, newest) : NULL;
}

static bool has_ended(const char *folder)
{
    struct stat status;
    cleanup(memory_free) char *path = path_join(folder, JOURNAL_FILE);
    cleanup(descriptor_close) int journal = file_open(path, &status, NULL);
    if (journal < 0)
        return true; /* it never began */
    char tail[TAIL_BYTES + 1];
    off_t at = status.st_size > TAIL_BYTES ? status.st_size - TAIL_BYTES : 0;
    ssize_t got = pread(journal, tail, TAIL_BYTES, at);
    tail[got > 0 ? got : 0] = '\0';
    const char *last = NULL;
    for (const char *found = tail; (found = strstr(found, "\"kind\":\"")) != NULL; found++)
        last = found;
    return last != NULL && text_starts_with(last, "\"kind\":\"end\"");
}

static void writer_came(struct lefts *lefts, const json_t *record)
{
    struct machine machine;
    machine_read(&machine);
    const char *pids = json_string_value(json_object_get(record, "pids"));
    lefts->here = text_equal(json_string_value(json_object_get(record, "host")), machine.host) &&
                  text_equal(json_string_value(json_object_get(record, "boot")), machine.boot) &&
                  (pids == NULL || text_equal(pids, machine.pids));
}

static void job_started(struct lefts *lefts, const json_t *record)
{
    const char *native = json_string_value(json_object_get(record, "native"));
    const struct left left = {.job = json_integer_value(json_object_get(record, "job")),
                              .session = json_integer_value(json_object_get(record, "pid")),
                              .session_start = json_integer_value(json_object_get(record, "session_start")),
                              .native = native != NULL ? memory_copy_text(native) : NULL,
                              .has_rest = json_array_size(json_object_get(record, "removal")) > 0};
    bool elsewhere = json_object_get(record, "host") != NULL; /* a scheduler's, whose files are its own */
    if (lefts->here && !elsewhere && (left.session > 0 || left.native != NULL))
        list_add(lefts, left);
    else
        memory_free(left.native);
}

static void job_ended(struct lefts *lefts, const json_t *record)
{
    json_int_t job = json_integer_value(json_object_get(record, "job"));
    for (size_t i = 0; i < lefts->count; i++)
        if (lefts->items[i].job == job) {
            left_clear(&lefts->items[i]);
            lefts->items[i] = lefts->items[--lefts->count];
            return;
        }
}

static void job_named(struct lefts *lefts, const json_t *intent)
{
    size_t index;
    json_t *entry;
    json_array_foreach(json_object_get(intent, "jobs"), index, entry)
    {
        const char *stage = json_string_value(json_object_get(entry, "stage"));
        const char *member = json_string_value(json_object_get(entry, "member"));
        for (size_t i = 0; stage != NULL && i < lefts->count; i++)
            if (lefts->items[i].name == NULL &&
                lefts->items[i].job == json_integer_value(json_object_get(entry, "job")))
                lefts->items[i].name =
                    memory_format("%s%s%s", stage, member != NULL ? "/" : "", member != NULL ? member : "");
    }
}

struct kind {
    const char *name;
    void (*apply)(struct lefts *lefts, const json_t *record);
};
static const struct kind of_processes[] = {
    {"writer", writer_came}, {"started", job_started}, {"ended", job_ended}, {NULL, NULL}};
static const struct kind of_names[] = {{"intent", job_named}, {NULL, NULL}};

static bool read_journal(struct lefts *lefts, const char *folder, const struct kind *kinds, struct error *error)
{
    cleanup(journal_reader_close) struct journal_reader *reader = journal_reader_open(folder, error);
    if (reader == NULL)
        return false;
    struct journal_record record;
    while (journal_reader_next(reader, &record)) {
        const struct kind *kind = kinds;
        while (kind->name != NULL && strcmp(kind->name, record.kind) != 0)
            kind++;
        if (kind->name == NULL)
            continue;
        json_t *json = json_loadb(record.line, record.length, 0, NULL);
        kind->apply(lefts, json); /* NULL has no members */
        json_decref(json);
    }
    return true;
}

static bool process_goes_on(const struct left *left)
{
    uint64_t start = process_start_time((pid_t)left->session);
    if (start != 0)
        return start == (uint64_t)left->session_start;
    return process_signal_session((pid_t)left->session, 0) > 0; /* others of its session hold the number */
}

/* A client that ended by itself saw its container end, and removed it. */
static bool client_saw_the_end(const struct lefts *lefts, const struct left *left)
{
    const struct keeper_end *end = keeper_log_end(&lefts->keeper, (uint64_t)left->job);
    return end != NULL && end->exit_code >= 0;
}

static bool may_go_on(const struct lefts *lefts, const struct left *left)
{
    return left->native != NULL || process_goes_on(left) || (left->has_rest && !client_saw_the_end(lefts, left));
}

static void keep_what_goes_on(struct lefts *lefts)
{
    for (size_t i = lefts->count; i-- > 0;)
        if (!may_go_on(lefts, &lefts->items[i])) {
            left_clear(&lefts->items[i]);
            lefts->items[i] = lefts->items[--lefts->count];
        }
}

static void append_left(const struct left *left, struct text *out)
{
    text_append_printable(out, left->name != NULL ? left->name : "a stage", 200);
    if (left->has_rest && !process_goes_on(left)) {
        text_append(out, " (its container may go on)");
        return;
    }
    if (left->native == NULL) {
        text_format(out, " (process %lld)", (long long)left->session);
        return;
    }
    text_append(out, " (container ");
    text_append_printable(out, left->native, 12);
    text_append(out, ")");
}

static bool refuse(const struct lefts *lefts, const char *descpipe, const char *folder, struct error *error)
{
    cleanup(text_clear) struct text names = TEXT_INIT;
    for (size_t i = 0; i < lefts->count && i < NAMES_SHOWN; i++) {
        text_append(&names, i > 0 ? ", " : "");
        append_left(&lefts->items[i], &names);
    }
    if (lefts->count > NAMES_SHOWN)
        text_format(&names, " and %zu more", lefts->count - NAMES_SHOWN);
    const char *run = path_name(folder);
    size_t working = strlen(descpipe) - strlen("/.descpipe");
    error_set(error, ERROR_SYSTEM, "the working folder '%.*s' is in use by what run %s left running: %s", (int)working,
              descpipe, run, text_bytes(&names));
    return error_hint(error, "'descpipe resume %s' goes on with it, 'descpipe cancel %s' ends it", run, run);
}

bool left_running_none(const char *descpipe, const char *own, struct error *error)
{
    cleanup(memory_free) char *folder = left_running_newest(descpipe, own);
    if (folder == NULL || has_ended(folder))
        return true;
    cleanup(lefts_clear) struct lefts lefts = {0};
    if (!read_journal(&lefts, folder, of_processes, error))
        return false;
    keeper_log_open(&lefts.keeper, folder);
    keeper_log_read(&lefts.keeper);
    keep_what_goes_on(&lefts);
    if (lefts.count == 0)
        return true;
    return read_journal(&lefts, folder, of_names, error) && refuse(&lefts, descpipe, folder, error);
}
