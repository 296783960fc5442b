/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Going on with a run whose engine has gone: what is done stays done, what still runs is followed, the rest runs.
 *
 * How it works: the plan is built from the pipeline as it is now, and must be the one that the run began with, for a
 * job's number stands for its task. The journal says how far each task had come, keepers and runtimes say what became
 * of those in between. Each of these goes through its scheduler again, so that it takes its room, but nothing is
 * announced and nothing started: attempt_start leads to resume_attempt. All that can be a reason to refuse is looked at
 * before the journal gets a writer.
 */
#include <dirent.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "run/here/left_running.h"
#include "run/journal/evidence.h"
#include "run/journal/history.h"
#include "run/journal/keeper_log.h"
#include "run/journal/machine.h"
#include "run/walk.h"

#define KEEPER_PATIENCE_MS 15000 /* it only has to write one line */
#define KEEPER_LOOK_MS 10
#define PLAN_LIMIT (UINT64_C(1) << 32)     /* bytes of plan.json */
#define CHILDREN_LIMIT (UINT64_C(1) << 23) /* bytes: of a million of them */
#define NAMES_SHOWN 5

struct resume {
    struct history *history;
    struct keeper_log log;
    struct machine machine; /* this one */
};

/* The plan. */

/* A line of plan.json without what separates it from the next. */
static size_t line_length(const char *line)
{
    size_t length = strcspn(line, "\n");
    return length > 0 && line[length - 1] == ',' ? length - 1 : length;
}

static const char *next_line(const char *line)
{
    line += strcspn(line, "\n");
    return *line != '\0' ? line + 1 : line;
}

/* What may differ: how much a stage asks for; and a digest that was not known yet. */
static const char *differing_member(const json_t *before, const json_t *now)
{
    static const char *const members[] = {"name",   "backend", "image", "digest",  "form",    "command",
                                          "inputs", "outputs", "after", "members", "selected"};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        const json_t *one = json_object_get(before, members[i]), *other = json_object_get(now, members[i]);
        bool unknown = strcmp(members[i], "digest") == 0 && (json_is_null(one) || json_is_null(other));
        if (!unknown && one != other && !json_equal(one, other))
            return members[i];
    }
    return NULL;
}

static bool differs(struct error *error, const char *stage, const char *member)
{
    if (member != NULL)
        error_set(error, ERROR_INPUT, "the pipeline is not as this run began with it: '%s' of stage '%s' differs",
                  member, stage != NULL ? stage : "?");
    else
        error_set(error, ERROR_INPUT, "the pipeline is not as this run began with it: it has other stages");
    return error_hint(error, "put it back as it was; or start a new run with 'descpipe run'");
}

static bool compare_lines(const char *before, const char *now, struct error *error)
{
    size_t length = line_length(before);
    if (length == line_length(now) && memcmp(before, now, length) == 0)
        return true;
    json_t *one = json_loadb(before, length, 0, NULL), *other = json_loadb(now, line_length(now), 0, NULL);
    const char *stage = json_string_value(json_object_get(one, "name"));
    const char *member = differing_member(one, other);
    bool same = one != NULL && other != NULL && member == NULL;
    if (!same)
        differs(error, stage, one != NULL && other != NULL && !text_equal(member, "name") ? member : NULL);
    json_decref(one);
    json_decref(other);
    return same;
}

/* Stage by stage: each has a line of its own. The first line is about the backend, the last ends the document. */
static bool compare_plans(const char *before, const char *now, struct error *error)
{
    for (before = next_line(before), now = next_line(now); *before == '{' && *now == '{';
         before = next_line(before), now = next_line(now))
        if (!compare_lines(before, now, error))
            return false;
    return (*before != '{' && *now != '{') || differs(error, NULL, NULL);
}

static bool plan_is_the_same(struct engine *engine)
{
    cleanup(memory_free) char *path = path_join(engine->folder.path, "plan.json");
    cleanup(text_clear) struct text before = TEXT_INIT;
    cleanup(descriptor_close) int file = memfd_create("plan", MFD_CLOEXEC);
    if (file < 0)
        return error_system(&engine->error, "cannot make a file in memory");
    if (!file_read(path, PLAN_LIMIT, &before, &engine->error) || !plan_write_json(engine->plan, file, &engine->error))
        return false;
    size_t length = (size_t)lseek(file, 0, SEEK_CUR) + 1;
    char *now = ftruncate(file, (off_t)length) == 0 ? mmap(NULL, length, PROT_READ, MAP_PRIVATE, file, 0) : MAP_FAILED;
    if (now == MAP_FAILED)
        return error_system(&engine->error, "cannot compare the plan");
    bool same = compare_plans(text_bytes(&before), now, &engine->error); /* the file ends with a NUL */
    munmap(now, length);
    return same;
}

/* Keepers. */

static bool is_here(const struct resume *resume, const struct history_writer *writer)
{
    return text_equal(writer->machine.host, resume->machine.host) && resume->machine.boot[0] != '\0' &&
           text_equal(writer->machine.boot, resume->machine.boot) &&
           text_equal(writer->machine.pids, resume->machine.pids);
}

static bool keeper_lives(const struct history_writer *writer)
{
    return writer->keeper > 0 && process_lives(writer->keeper, writer->keeper_start);
}

/* One that lives says what it has as soon as its engine has gone. */
static bool hear_keepers(struct engine *engine)
{
    struct resume *resume = engine->resume;
    int64_t deadline_ms = clock_monotonic_ms() + KEEPER_PATIENCE_MS;
    for (size_t i = 0; i < resume->history->writers.count; i++) {
        const struct history_writer *writer = &resume->history->writers.items[i];
        while (is_here(resume, writer) && keeper_lives(writer) && !keeper_log_knows(&resume->log, writer->keeper)) {
            if (clock_monotonic_ms() > deadline_ms) {
                error_set(&engine->error, ERROR_SYSTEM, "the keeper of run %s (process %d) does not say what it has",
                          engine->folder.id, (int)writer->keeper);
                return error_hint(&engine->error, "is there room on the disk of '%s'?", engine->folder.path);
            }
            poll(NULL, 0, KEEPER_LOOK_MS);
            keeper_log_read(&resume->log);
        }
    }
    keeper_log_read(&resume->log);
    return true;
}

static bool is_a_stage(const struct resume *resume, pid_t keeper, pid_t pid)
{
    for (size_t i = 0; i < resume->log.children.count; i++)
        if (resume->log.children.items[i].keeper == keeper && resume->log.children.items[i].pid == pid)
            return true;
    return false;
}

/* A tool has a session of its own; what a stage left behind has its stage's. */
static bool has_tools(const struct resume *resume, pid_t keeper)
{
    char path[64];
    cleanup(text_clear) struct text children = TEXT_INIT;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)keeper, (int)keeper);
    if (!file_read(path, CHILDREN_LIMIT, &children, NULL) || children.length == 0)
        return false;
    for (char *place = children.bytes, *end; *place != '\0'; place = end + (*end == ' ')) {
        pid_t pid = (pid_t)strtol(place, &end, 10);
        if (end == place)
            break;
        if (getsid(pid) == pid && !is_a_stage(resume, keeper, pid))
            return true;
    }
    return false;
}

bool resume_tools_live(const struct engine *engine)
{
    const struct resume *resume = engine->resume;
    for (size_t i = 0; i < resume->history->writers.count; i++) {
        const struct history_writer *writer = &resume->history->writers.items[i];
        if (is_here(resume, writer) && keeper_lives(writer) && has_tools(resume, writer->keeper))
            return true;
    }
    return false;
}

/* Tasks. */

static const struct walk_backend *backend_of(const struct engine *engine, uint32_t task)
{
    return &engine->backends[engine->plan->stages[plan_task_stage(engine->plan, task)].backend];
}

static bool is_managed(const struct engine *engine, uint32_t task)
{
    const struct plan_stage *stage = &engine->plan->stages[plan_task_stage(engine->plan, task)];
    return engine->plan->backends[stage->backend].form == DESCPIPE_FORM_MANAGED;
}

static bool is_elsewhere(const struct engine *engine, uint32_t task)
{
    const struct plan_stage *stage = &engine->plan->stages[plan_task_stage(engine->plan, task)];
    uint32_t can = plugin_scheduler(engine->plan->backends[stage->backend].scheduler)->capabilities;
    return (can & DESCPIPE_SCHEDULER_HOST_STARTS) == 0;
}

static const struct history_writer *writer_of(const struct resume *resume, const struct history_task *past)
{
    return past->writer < resume->history->writers.count ? &resume->history->writers.items[past->writer] : NULL;
}

static bool is_between(const struct history_task *past)
{
    return past->step == HISTORY_INTENDED || past->step == HISTORY_STARTED || past->step == HISTORY_ENDED;
}

/* On another machine it may go on where nobody here can see it. */
static bool is_out_of_sight(const struct engine *engine, uint32_t task)
{
    const struct resume *resume = engine->resume;
    const struct history_task *past = &resume->history->tasks[task];
    const struct history_writer *writer = writer_of(resume, past);
    return (past->step == HISTORY_INTENDED || past->step == HISTORY_STARTED) && writer != NULL &&
           !is_elsewhere(engine, task) && !text_equal(writer->machine.host, resume->machine.host) &&
           keeper_log_end(&resume->log, past->job) == NULL;
}

static bool all_in_sight(struct engine *engine)
{
    cleanup(text_clear) struct text names = TEXT_INIT;
    const char *host = NULL;
    size_t count = 0;
    for (uint32_t i = 0; i < engine->plan->tasks_count; i++) {
        if (!is_out_of_sight(engine, i))
            continue;
        uint32_t number, member;
        const struct stage *stage = walk_stage_of(engine, i, &number, &member);
        if (count++ < NAMES_SHOWN) {
            text_append(&names, count > 1 ? ", " : "");
            text_append_printable(&names, pipeline_text(engine->pipeline, stage->name), 200);
        }
        host = writer_of(engine->resume, &engine->resume->history->tasks[i])->machine.host;
    }
    if (count > NAMES_SHOWN)
        text_format(&names, " and %zu more", count - NAMES_SHOWN);
    if (count == 0 || engine->request->take_over)
        return true;
    error_set(&engine->error, ERROR_SYSTEM, "run %s began stages on '%s', which may still run there: %s",
              engine->folder.id, host, text_bytes(&names));
    return error_hint(&engine->error,
                      "type the same on '%s'; or, when that machine is down, add --take-over to run "
                      "them again",
                      host);
}

/* Of one meant to be started on this machine, and perhaps begun: the keeper knows. */
static bool was_begun(const struct engine *engine, const struct history_task *past, uint32_t task)
{
    const struct resume *resume = engine->resume;
    const struct history_writer *writer = writer_of(resume, past);
    return past->step != HISTORY_INTENDED || is_managed(engine, task) || is_elsewhere(engine, task) ||
           keeper_log_child(&resume->log, past->job) != NULL || keeper_log_end(&resume->log, past->job) != NULL ||
           writer == NULL || !is_here(resume, writer); /* a machine that went down may have begun it */
}

static bool was_removed(const struct engine *engine, const char *path)
{
    return engine->keep != NULL && table_get(engine->resume->history->removed, path) != NULL && !file_exists(path);
}

/* False: names the file that is not there, or not as it was published. */
static bool outputs_are_there(const struct engine *engine, const struct history_task *past, struct text *missing)
{
    json_t *files = past->files != NULL ? json_loads(past->files, 0, NULL) : NULL;
    size_t index;
    json_t *file;
    bool there = true;
    json_array_foreach(files, index, file)
    {
        const char *path = json_string_value(json_object_get(file, "path"));
        json_int_t bytes = json_integer_value(json_object_get(file, "bytes"));
        struct stat status;
        if (path == NULL || was_removed(engine, path) ||
            (lstat(path, &status) == 0 && (!S_ISREG(status.st_mode) || status.st_size == bytes)))
            continue;
        text_append_printable(missing, path, 400);
        there = false;
        break;
    }
    json_decref(files);
    return there;
}

static bool is_done(const struct engine *engine, const struct history_task *past)
{
    cleanup(text_clear) struct text missing = TEXT_INIT;
    if (past->step != HISTORY_OK || outputs_are_there(engine, past, &missing))
        return past->step == HISTORY_OK;
    log_warning("'%s' is not as it was published; the stage that makes it runs again", text_bytes(&missing));
    return false;
}

static void take_limit(struct engine *engine, uint32_t task)
{
    uint32_t limit = engine->stages[plan_task_stage(engine->plan, task)].limit;
    if (limit == NONE || engine->limits[limit].free == 0)
        return;
    engine->limits[limit].free--;
    engine->tasks[task].holds_limit = true;
}

static void restore_task(struct engine *engine, uint32_t number)
{
    const struct history_task *past = &engine->resume->history->tasks[number];
    struct task *task = &engine->tasks[number];
    task->attempts = past->job > 0 ? (uint16_t)walk_job_attempt(engine, past->job) : 0;
    task->out_of_memory = past->out_of_memory;
    task->timed_out = past->timed_out;
    task->links = past->links;
    task->checkpoint = past->checkpoint;
    if (is_done(engine, past)) {
        walk_done_before(engine, number);
    } else if (past->step == HISTORY_RETRY) {
        task->attempt_slot = NONE;
        int64_t delay_ms = past->retry_at_ms - clock_wall_ms(); /* a clock that went back makes nobody wait for ever */
        attempt_retry_later(engine, number, delay_ms < 0 ? 0 : delay_ms < 60000 ? delay_ms : 60000);
    } else if (is_between(past) && was_begun(engine, past, number)) {
        task->attempt_slot = NONE;
        task->state = TASK_SUBMITTED;
        task->resumed = true;
        take_limit(engine, number);
    } else if (is_between(past)) {
        task->attempts--;
    } else if (past->attempt > task->attempts && past->attempt < ATTEMPTS_LIMIT) {
        task->attempts = (uint16_t)past->attempt; /* the next has a number, and with it files, of its own */
    }
}

static void submit_backend(struct engine *engine, uint32_t backend)
{
    uint32_t tasks[SUBMIT_BATCH], count = 0;
    for (uint32_t i = 0; i < engine->plan->tasks_count; i++) {
        if (!engine->tasks[i].resumed || backend_of(engine, i)->number != backend)
            continue;
        tasks[count++] = i;
        if (count < SUBMIT_BATCH)
            continue;
        submit_resumed(engine, backend, tasks, count);
        count = 0;
    }
    if (count > 0)
        submit_resumed(engine, backend, tasks, count);
}

static bool is_selected(const struct engine *engine, uint32_t task)
{
    return engine->plan->stages[plan_task_stage(engine->plan, task)].selected;
}

void resume_walk(struct engine *engine)
{
    uint32_t tasks = engine->plan->tasks_count;
    for (uint32_t i = 0; i < tasks; i++)
        if (is_selected(engine, i))
            restore_task(engine, i);
    for (uint32_t i = 0; i < tasks; i++)
        if (engine->tasks[i].state == TASK_SUCCEEDED)
            walk_open_dependents(engine, i);
    keep_resume(engine);
    for (uint32_t i = 0; i < engine->plan->backends_count; i++)
        if (engine->backends[i].elsewhere)
            remote_resume(engine, i);
        else
            submit_backend(engine, i);
}

/* Attempts. */

static void take_removal(struct attempt *attempt, const char *removal)
{
    json_t *words = json_loads(removal, 0, NULL);
    size_t count = json_array_size(words);
    const char **argv = arena_allocate(attempt->arena, (count + 1) * sizeof *argv);
    bool good = count > 0;
    for (size_t i = 0; i < count && good; i++) {
        const char *word = json_string_value(json_array_get(words, i));
        good = word != NULL;
        argv[i] = good ? arena_copy_text(attempt->arena, word) : NULL;
    }
    if (good)
        attempt->removal = argv;
    attempt->removal_environment = (const char *const *)environ;
    json_decref(words);
}

static void take_process(struct attempt *attempt, const struct history_task *past)
{
    const struct resume *resume = attempt->engine->resume;
    const struct history_writer *writer = writer_of(resume, past);
    const struct keeper_child *child = keeper_log_child(&resume->log, past->job);
    if (writer == NULL || !is_here(resume, writer))
        return;
    attempt->session = past->session != 0 ? past->session : child != NULL ? child->pid : 0;
    attempt->session_start = past->session != 0 ? past->session_start : child != NULL ? child->start_time : 0;
    attempt->keeper = writer->keeper;
    attempt->keeper_start = writer->keeper_start;
    if (past->removal != NULL)
        take_removal(attempt, past->removal);
}

static void attempt_lost(struct attempt *attempt)
{
    const struct descpipe_ending lost = {.size = sizeof lost,
                                         .flags = DESCPIPE_ENDED_LOST,
                                         .witness = "descpipe",
                                         .reason = "its run lost its engine, and nobody saw how it ended"};
    attempt_add_ending(attempt, &lost);
    if (attempt->removal != NULL)
        command_remove_rest(attempt);
    else
        attempt_ended_soon(attempt);
}

const struct history_task *resume_past(const struct engine *engine, uint32_t task)
{
    return &engine->resume->history->tasks[task];
}

bool resume_take_past(struct attempt *attempt)
{
    struct engine *engine = attempt->engine;
    const struct history_task *past = resume_past(engine, attempt->task);
    attempt->resumed = true;
    attempt->has_logs = true;
    attempt->seen_running = past->step == HISTORY_STARTED;
    if (past->started_at_ms != 0)
        attempt->started_ms = past->started_at_ms;
    files_adopt(attempt);
    cached_adopt(engine, attempt->task);
    if (attempt->folder != NULL)
        folder_remove_temporaries(attempt->folder);
    record_adopted(attempt);
    if (past->step != HISTORY_ENDED)
        return false;
    if (past->evidence != NULL)
        attempt->endings_count = evidence_read(past->evidence, attempt->arena, attempt->endings, ENDINGS_LIMIT);
    attempt->finished_ms = past->finished_at_ms;
    attempt->ended_recorded = true;
    if (is_managed(engine, attempt->task))
        managed_forget(attempt, past->native);
    else
        attempt_ended_soon(attempt);
    return true;
}

void resume_attempt(struct attempt *attempt)
{
    struct engine *engine = attempt->engine;
    const struct history_task *past = resume_past(engine, attempt->task);
    if (resume_take_past(attempt))
        return;
    if (is_managed(engine, attempt->task)) {
        managed_adopt(attempt);
        return;
    }
    take_process(attempt, past);
    if (!adopt_process(attempt, &engine->resume->log))
        attempt_lost(attempt);
    else if (past->step == HISTORY_INTENDED && attempt->adopted)
        record_started(attempt, NULL, NULL);
}

/* The run. */

static bool name_folder(struct engine *engine)
{
    const char *path = engine->request->resume, *id = path_name(path);
    cleanup(memory_free) char *runs = path_join(engine->pipeline->working, ".descpipe/runs");
    cleanup(memory_free) char *expected = path_join(runs, id);
    cleanup(memory_free) char *real = path_real(expected, NULL), *given = path_real(path, &engine->error);
    if (given == NULL)
        return false;
    if (!run_id_is_valid(id) || !text_equal(real, given)) {
        error_set(&engine->error, ERROR_INPUT, "'%s' is no run of the working folder '%s'", path,
                  engine->pipeline->working);
        return error_hint(&engine->error, "a working folder that was moved has to be moved back; or start a new run");
    }
    memcpy(engine->folder.id, id, RUN_ID_LENGTH + 1);
    engine->folder.path = memory_copy_text(expected);
    engine->folder.working = memory_copy_text(engine->pipeline->working);
    engine->folder.descpipe = path_join(engine->pipeline->working, ".descpipe");
    return true;
}

static bool is_the_newest(struct engine *engine)
{
    cleanup(memory_free) char *newest = left_running_newest(engine->folder.descpipe, engine->folder.id);
    if (newest == NULL || strcmp(path_name(newest), engine->folder.id) < 0)
        return true;
    error_set(&engine->error, ERROR_INPUT,
              "run %s began in this working folder after run %s, whose files it has changed", path_name(newest),
              engine->folder.id);
    return error_hint(&engine->error, "resume the newer one, or start a new run");
}

static bool take_run_lease(struct engine *engine)
{
    cleanup(memory_free) char *subject = memory_format("run %s", engine->folder.id);
    const struct lease_request request = {.folder = engine->folder.path,
                                          .subject = subject,
                                          .run = engine->folder.id,
                                          .epoch = engine->resume->history->epoch + 1,
                                          .force = engine->request->take_over,
                                          .gone = engine->request->gone};
    engine->lease = lease_take(&request, 0, &engine->error);
    return engine->lease != NULL;
}

/* What was being put in place when an engine was killed. */
static void tidy_data(const struct engine *engine)
{
    cleanup(memory_free) char *data = path_join(engine->folder.working, "data");
    folder_remove_temporaries(data);
    DIR *entries = opendir(data);
    for (const struct dirent *entry; entries != NULL && (entry = readdir(entries)) != NULL;) {
        cleanup(memory_free) char *members = path_join(data, entry->d_name);
        if (entry->d_name[0] != '.')
            folder_remove_temporaries(members);
    }
    if (entries != NULL)
        closedir(entries);
}

bool resume_is_named(const struct engine *engine)
{
    return engine->resume->history->pipeline != NULL;
}

bool resume_open(struct engine *engine)
{
    if (!name_folder(engine) || !is_the_newest(engine) || !engine_take_working_lease(engine) ||
        !left_running_none(engine->folder.descpipe, engine->folder.id, &engine->error) || !plan_is_the_same(engine))
        return false;
    struct resume *resume = memory_allocate(sizeof *resume);
    engine->resume = resume;
    machine_read(&resume->machine);
    resume->history = history_read(engine->folder.path, engine->plan->tasks_count, &engine->error);
    if (resume->history == NULL || !take_run_lease(engine))
        return false;
    keeper_log_open(&resume->log, engine->folder.path);
    keeper_log_read(&resume->log);
    if (!hear_keepers(engine) || !all_in_sight(engine))
        return false;
    cleanup(memory_free) char *cancel = path_join(engine->folder.path, RUN_CANCEL_FILE);
    unlink(cancel); /* it was for the engine before */
    tidy_data(engine);
    engine->serial = resume->history->serial;
    engine->journal =
        journal_open(engine->folder.path, lease_epoch(engine->lease), engine->request->version, &engine->error);
    return engine->journal != NULL;
}
