/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads a journal into a history. */
#include "run/journal/history.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "run/journal/journal.h"

void history_free(struct history *history)
{
    if (history == NULL)
        return;
    memory_free(history->tasks);
    list_clear(&history->writers);
    table_free(history->removed);
    arena_free(history->texts);
    memory_free(history);
}

static uint64_t number(const json_t *object, const char *name)
{
    json_int_t value = json_integer_value(json_object_get(object, name));
    return value > 0 ? (uint64_t)value : 0;
}

static const char *word(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static const char *keep(struct history *history, const char *text)
{
    return arena_copy_text(history->texts, text);
}

static const char *keep_json(struct history *history, const json_t *value)
{
    char *written = value != NULL ? json_dumps(value, JSON_COMPACT) : NULL;
    const char *kept = keep(history, written);
    free(written);
    return kept;
}

/* The task of a job whose attempt is not older than what is known; NULL for any other. */
static struct history_task *task_of(struct history *history, const json_t *record)
{
    uint64_t job = number(record, "job");
    if (job == 0)
        return NULL;
    struct history_task *task = &history->tasks[(job - 1) % history->tasks_count];
    return job >= task->job ? task : NULL;
}

/* What is said of a job that nobody announced: it came to nothing before that, as when its image cannot be had. */
static struct history_task *begin(struct history *history, struct history_task *task, uint64_t job)
{
    if (task->job == job && task->step < HISTORY_OK)
        return task;
    *task = (struct history_task){.job = job,
                                  .out_of_memory = task->out_of_memory,
                                  .timed_out = task->timed_out,
                                  .links = task->links,
                                  .checkpoint = task->checkpoint,
                                  .step = HISTORY_INTENDED,
                                  .writer = (uint32_t)(history->writers.count - (history->writers.count > 0))};
    return task;
}

static void take_writer(struct history *history, const json_t *record)
{
    struct history_writer writer = {.epoch = number(record, "epoch")};
    const char *host = word(record, "host"), *boot = word(record, "boot"), *pids = word(record, "pids");
    snprintf(writer.machine.host, sizeof writer.machine.host, "%s", host != NULL ? host : "");
    snprintf(writer.machine.boot, sizeof writer.machine.boot, "%s", boot != NULL ? boot : "");
    snprintf(writer.machine.pids, sizeof writer.machine.pids, "%s", pids != NULL ? pids : "");
    list_add(&history->writers, writer);
    history->ended = false;
}

static void take_keeper(struct history *history, const json_t *record)
{
    if (history->writers.count == 0)
        return;
    struct history_writer *writer = &history->writers.items[history->writers.count - 1];
    uint64_t pid = number(record, "pid");
    writer->keeper = pid <= INT32_MAX ? (pid_t)pid : 0;
    writer->keeper_start = number(record, "start");
}

static void take_run(struct history *history, const json_t *record)
{
    history->pipeline = keep(history, word(record, "pipeline"));
    history->working = keep(history, word(record, "working"));
}

static void take_intent(struct history *history, const json_t *record)
{
    uint64_t serial = number(record, "submission"), first = number(record, "first");
    size_t index;
    json_t *one;
    if (serial > history->serial)
        history->serial = serial;
    json_array_foreach(json_object_get(record, "jobs"), index, one)
    {
        struct history_task *task = task_of(history, one);
        if (task == NULL || first + index >= history->tasks_count)
            continue;
        *task = (struct history_task){.job = number(one, "job"),
                                      .serial = serial,
                                      .position = (uint32_t)(first + index),
                                      .out_of_memory = task->out_of_memory,
                                      .timed_out = task->timed_out,
                                      .links = task->links,
                                      .checkpoint = task->checkpoint,
                                      .step = HISTORY_INTENDED,
                                      .outcome = keep(history, word(one, "outcome")),
                                      .writer = (uint32_t)(history->writers.count - (history->writers.count > 0))};
    }
}

static void take_submitted(struct history *history, const json_t *record)
{
    struct history_task *task = task_of(history, record);
    if (task != NULL && task->job == number(record, "job") && word(record, "native") != NULL)
        task->native = keep(history, word(record, "native"));
}

static void take_started(struct history *history, const json_t *record)
{
    struct history_task *task = task_of(history, record);
    if (task == NULL)
        return;
    task = begin(history, task, number(record, "job"));
    if (task->step > HISTORY_STARTED)
        return;
    task->step = HISTORY_STARTED;
    uint64_t session = number(record, "pid"), started = number(record, "started_at");
    task->session = session <= INT32_MAX ? (pid_t)session : 0;
    task->session_start = number(record, "session_start");
    task->removal = keep_json(history, json_object_get(record, "removal"));
    task->started_at_ms = (int64_t)(started != 0 ? started : number(record, "at"));
    if (word(record, "native") != NULL)
        task->native = keep(history, word(record, "native"));
}

static void take_ended(struct history *history, const json_t *record)
{
    struct history_task *task = task_of(history, record);
    if (task == NULL)
        return;
    task = begin(history, task, number(record, "job"));
    task->step = HISTORY_ENDED;
    task->evidence = keep_json(history, json_object_get(record, "evidence"));
    task->started_at_ms = (int64_t)number(record, "started_at");
    task->finished_at_ms = (int64_t)number(record, "finished_at");
}

static void take_publish(struct history *history, const json_t *record)
{
    struct history_task *task = task_of(history, record);
    const json_t *files = json_object_get(record, "files"), *file;
    size_t index;
    if (task == NULL || task->job != number(record, "job"))
        return;
    task->files = keep_json(history, files);
    json_array_foreach(files, index, file)
    {
        if (word(file, "path") != NULL)
            table_remove(history->removed, word(file, "path"));
    }
}

static void take_removed(struct history *history, const json_t *record)
{
    if (word(record, "path") != NULL)
        table_put(history->removed, word(record, "path"), history);
}

static void take_verdict(struct history *history, const json_t *record)
{
    struct history_task *task = task_of(history, record);
    const char *verdict = word(record, "verdict");
    if (task == NULL || verdict == NULL)
        return;
    task = begin(history, task, number(record, "job"));
    const json_t *retry = json_object_get(record, "retry");
    task->step = strcmp(verdict, "OK") == 0 ? HISTORY_OK : retry != NULL ? HISTORY_RETRY : HISTORY_OVER;
    uint64_t attempt = number(record, "attempt");
    task->attempt = attempt <= UINT32_MAX ? (uint32_t)attempt : 0;
    task->retry_at_ms = (int64_t)number(retry, "at");
    if (retry != NULL && strcmp(verdict, "OOM") == 0)
        task->out_of_memory++;
    bool checkpoint = json_is_true(json_object_get(record, "checkpoint"));
    if (retry != NULL && strcmp(verdict, "TIMEOUT") == 0 && !checkpoint)
        task->timed_out++;
    if (checkpoint && attempt > 0 && attempt <= UINT16_MAX) {
        task->checkpoint = (uint16_t)attempt;
        if (task->links < UINT8_MAX)
            task->links++;
    }
}

static void take_end(struct history *history, const json_t *record)
{
    (void)record;
    history->ended = true;
}

static const struct {
    const char *kind;
    void (*take)(struct history *history, const json_t *record);
} kinds[] = {
    {"started", take_started}, {"ended", take_ended},         {"verdict", take_verdict},
    {"intent", take_intent},   {"submitted", take_submitted}, {"publish", take_publish},
    {"writer", take_writer},   {"keeper", take_keeper},       {"run", take_run},
    {"end", take_end},         {"removed", take_removed},
};

static void take(struct history *history, const struct journal_record *record)
{
    if (record->epoch > history->epoch)
        history->epoch = record->epoch;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(kinds[i].kind, record->kind) != 0)
            continue;
        json_t *json = json_loadb(record->line, record->length, 0, NULL);
        kinds[i].take(history, json); /* NULL has no members */
        json_decref(json);
        return;
    }
}

struct history *history_read(const char *run_folder, uint32_t tasks_count, struct error *error)
{
    cleanup(journal_reader_close) struct journal_reader *reader = journal_reader_open(run_folder, error);
    if (reader == NULL)
        return NULL;
    cleanup(history_free) struct history *history = memory_allocate(sizeof *history);
    history->tasks_count = tasks_count > 0 ? tasks_count : 1;
    history->tasks = memory_allocate(history->tasks_count * sizeof *history->tasks);
    history->texts = arena_new();
    history->removed = table_new();
    struct journal_record record;
    while (journal_reader_next(reader, &record))
        take(history, &record);
    return steal(&history);
}
