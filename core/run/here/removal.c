/* SPDX-License-Identifier: BSD-3-Clause */
/* Finds the commands that remove what killed stages left, and runs one. */
#include "run/here/removal.h"

#include <jansson.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/list.h"
#include "base/path.h"
#include "io/process.h"
#include "run/journal/journal.h"

#define WORDS_LIMIT 1024 /* of one command */

struct removal {
    uint64_t job;
    struct words words;
};

struct removals {
    struct removal *items;
    size_t count, capacity;
    bool trusted; /* nobody but us can have written them */
};

void removals_free(struct removals *removals)
{
    if (removals == NULL)
        return;
    for (size_t i = 0; i < removals->count; i++)
        words_clear(&removals->items[i].words);
    list_clear(removals);
    memory_free(removals);
}

static void take_started(struct removals *removals, const json_t *record)
{
    const json_t *words = json_object_get(record, "removal");
    struct removal removal = {.job = (uint64_t)json_integer_value(json_object_get(record, "job"))};
    if (json_array_size(words) == 0 || json_array_size(words) > WORDS_LIMIT)
        return;
    for (size_t i = 0; i < json_array_size(words); i++) {
        const char *word = json_string_value(json_array_get(words, i));
        words_add(&removal.words, word != NULL ? word : "");
    }
    list_add(removals, removal);
}

/* What stands in a file becomes a command of ours only when nobody else can have put it there: an administrator may end
 * the runs of others, and must not run what they write. */
static bool is_ours(const char *folder)
{
    cleanup(memory_free) char *path = path_join(folder, JOURNAL_FILE);
    struct stat status, above;
    return stat(path, &status) == 0 && stat(folder, &above) == 0 && status.st_uid == geteuid() &&
           above.st_uid == geteuid() && (status.st_mode & (S_IWGRP | S_IWOTH)) == 0 &&
           (above.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/* A verdict comes after the removal, so whoever has one needs none. */
static void take_verdict(struct removals *removals, const json_t *record)
{
    uint64_t job = (uint64_t)json_integer_value(json_object_get(record, "job"));
    for (size_t i = 0; i < removals->count; i++)
        if (removals->items[i].job == job) {
            words_clear(&removals->items[i].words);
            removals->items[i] = removals->items[--removals->count];
            return;
        }
}

struct removals *removals_read(const char *folder, struct error *error)
{
    cleanup(journal_reader_close) struct journal_reader *reader = journal_reader_open(folder, error);
    if (reader == NULL)
        return NULL;
    struct removals *removals = memory_allocate(sizeof *removals);
    removals->trusted = is_ours(folder);
    struct journal_record record;
    while (journal_reader_next(reader, &record)) {
        bool verdict = strcmp(record.kind, "verdict") == 0 && removals->count > 0;
        if (!verdict && strcmp(record.kind, "started") != 0)
            continue;
        json_t *json = json_loadb(record.line, record.length, 0, NULL); /* NULL has no members */
        if (verdict)
            take_verdict(removals, json);
        else
            take_started(removals, json);
        json_decref(json);
    }
    return removals;
}

size_t removals_count(const struct removals *removals)
{
    return removals->count;
}

uint64_t removals_job(const struct removals *removals, size_t index)
{
    return removals->items[index].job;
}

struct run {
    bool going;
    bool good;
    struct text *said; /* its last line */
    struct error *error;
    const char *name;
};

static void said(void *context, int stream, const char *line, size_t length)
{
    struct run *run = context;
    (void)stream;
    if (length == 0)
        return;
    text_reset(run->said);
    text_append_printable(run->said, line, 500);
}

static void ended(void *context, const struct tool_end *end)
{
    struct run *run = context;
    run->going = false;
    run->good = end->started && end->exit_code == 0;
    if (!run->good)
        error_set(run->error, ERROR_SYSTEM, "'%s': %s", run->name,
                  !end->started           ? end->message
                  : end->timed_out        ? "it did not end in time"
                  : run->said->length > 0 ? text_bytes(run->said)
                                          : "it failed without a word");
}

static bool goes_on(void *context)
{
    return ((struct run *)context)->going;
}

static bool run_one(const char *const *argv, struct error *error)
{
    cleanup(text_clear) struct text line = TEXT_INIT;
    struct run run = {.going = true, .said = &line, .error = error, .name = argv[0]};
    struct loop *loop = loop_new(error);
    if (loop == NULL)
        return false;
    const struct tool_request request = {.argv = argv,
                                         .environment = (const char *const *)environ,
                                         .directory = "/",
                                         .timeout_ms = REMOVAL_TIMEOUT_MS,
                                         .line = said,
                                         .ended = ended,
                                         .context = &run};
    tool_start(loop, &request);
    loop_run(loop, goes_on, &run);
    loop_free(loop);
    return run.good;
}

bool removals_run(const struct removals *removals, struct error *error)
{
    bool done = true;
    for (size_t i = 0; i < removals->count; i++) {
        const char *const *argv = words_list(&removals->items[i].words);
        if (!removals->trusted)
            return error_set(error, ERROR_SYSTEM,
                             "'%s' could not be told to remove what the run left, because the run is somebody else's",
                             argv[0]);
        done = run_one(argv, done ? error : NULL) && done; /* the first failure is the one that is told */
    }
    return done;
}
