/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What became of the stages of a run that its engine left or lost.
 *
 * How it works: the journal has been read; then come the lines of keeper.log about jobs that the journal has no end of;
 * what is still said to run is looked for among the processes, by session and start time, when they are in sight from
 * here.
 */
#include <jansson.h>
#include <string.h>

#include "base/file.h"
#include "base/path.h"
#include "io/process.h"
#include "report/run_reader.h"
#include "run/journal/machine.h"
#include "run/keeper.h"

#define KEEPER_LOG_LIMIT ((uint64_t)16 * 1024 * 1024)
#define NOT_JUDGED "no descpipe was there to judge it and take its results"
#define NOT_SEEN "nobody saw how it ended"

bool run_view_is_here(const struct run_view *view)
{
    struct machine machine;
    machine_read(&machine);
    return text_equal(view->host, machine.host) && machine.boot[0] != '\0' && text_equal(view->boot, machine.boot) &&
           (view->pids == NULL || text_equal(view->pids, machine.pids));
}

static void task_ended(struct run_reader *reader, uint32_t task, const char *reason)
{
    reader->view.tasks.items[task].reason = symbol_intern(reader->view.symbols, reason, strlen(reason));
    run_reader_set_state(reader, task, TASK_ENDED);
}

static void apply_outcome(struct run_reader *reader, const json_t *line)
{
    json_int_t job = json_integer_value(json_object_get(line, "job"));
    uint32_t task = job > 0 ? number_index_get(&reader->jobs, (uint64_t)job) : TASK_NONE;
    if (task == TASK_NONE)
        return;
    struct task_view *item = &reader->view.tasks.items[task];
    if (item->job != (uint64_t)job || item->state >= TASK_ENDED || item->state == TASK_PLANNED)
        return;
    const json_t *exit_code = json_object_get(line, "exit");
    item->exit_code = json_is_integer(exit_code) ? (int32_t)json_integer_value(exit_code) : -1;
    item->signal = (int32_t)json_integer_value(json_object_get(line, "signal"));
    item->finished_at_ms = json_integer_value(json_object_get(line, "at"));
    task_ended(reader, task, NOT_JUDGED);
}

static void read_keeper_log(struct run_reader *reader)
{
    cleanup(memory_free) char *path = path_join(reader->view.folder, KEEPER_LOG);
    cleanup(text_clear) struct text text = TEXT_INIT;
    if (!file_exists(path) || !file_read(path, KEEPER_LOG_LIMIT, &text, NULL))
        return;
    const char *end;
    for (const char *line = text_bytes(&text); (end = strchr(line, '\n')) != NULL; line = end + 1) {
        json_t *json = json_loadb(line, (size_t)(end - line), 0, NULL);
        apply_outcome(reader, json); /* NULL has no members */
        json_decref(json);
    }
}

void run_reader_outcomes(struct run_reader *reader)
{
    struct run_view *view = &reader->view;
    read_keeper_log(reader);
    bool here = run_view_is_here(view);
    for (uint32_t i = 0; i < view->tasks.count; i++) {
        const struct task_view *task = &view->tasks.items[i];
        if (task->state != TASK_RUNNING)
            continue;
        if (task->finished_at_ms != 0)
            task_ended(reader, i, NOT_JUDGED); /* the engine saw the end and went before the verdict */
        else if (here && task->session > 0 && process_start_time(task->session) != task->session_start)
            task_ended(reader, i, NOT_SEEN);
    }
}
