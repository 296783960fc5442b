/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The jobs of a run that nobody follows: cancelled at their scheduler, and brought into the journal.
 *
 * How it works: `find` names the jobs by submission and position. Those that are not over are adopted, so that `cancel`
 * knows them; then it is asked again, less and less often, until none is left.
 */
#include "command/runs/left_jobs.h"

#include <string.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/path.h"
#include "command/runs/run_plugins.h"
#include "run/closing.h"
#include "run/journal/lease.h"

enum { FIRST_LOOK_MS = 500, LONGEST_LOOK_MS = 10000 };

struct left_job {
    char *token, *native;
    int64_t index;
};

struct hunt {
    const struct run_view *view;
    struct run_plugins plugins;
    struct plugin_instance *scheduler;
    LIST(struct left_job) jobs; /* that are not over */
    struct arena *arena;
    size_t open; /* calls and timers */
    struct error *error;
    bool failed;
};

static void forget_jobs(struct hunt *hunt)
{
    for (size_t i = 0; i < hunt->jobs.count; i++) {
        memory_free(hunt->jobs.items[i].token);
        memory_free(hunt->jobs.items[i].native);
    }
    hunt->jobs.count = 0;
}

static void hunt_clear(struct hunt *hunt)
{
    forget_jobs(hunt);
    list_clear(&hunt->jobs);
    plugin_close(hunt->scheduler);
    run_plugins_clear(&hunt->plugins);
    arena_free(hunt->arena);
}

static void hunt_clear_at(struct hunt *place)
{
    hunt_clear(place);
}

static bool goes_on(void *context)
{
    return ((struct hunt *)context)->open > 0;
}

static void wait_for_all(struct hunt *hunt)
{
    if (hunt->open > 0)
        loop_run(hunt->plugins.installation.loop, goes_on, hunt);
}

static void note_failure(struct hunt *hunt, const char *operation, const struct call_result *result)
{
    if (!hunt->failed)
        call_error(hunt->scheduler, operation, result, hunt->error);
    hunt->failed = true;
}

static void found(void *context, const struct call_result *result)
{
    struct hunt *hunt = context;
    hunt->open--;
    if (!result->ok)
        note_failure(hunt, "find", result);
    for (size_t i = 0; result->ok && i < result->found_count; i++) {
        const struct descpipe_found *one = result->found[i];
        const struct left_job job = {.index = one->index};
        if (!one->running || one->index < 0)
            continue;
        list_add(&hunt->jobs, job);
        hunt->jobs.items[hunt->jobs.count - 1].token = memory_copy_text(one->token);
        hunt->jobs.items[hunt->jobs.count - 1].native = memory_copy_text(one->native_id);
    }
}

static bool find(struct hunt *hunt)
{
    forget_jobs(hunt);
    hunt->open++;
    scheduler_find(hunt->scheduler, hunt->view->run, (struct call_options){.done = found, .context = hunt});
    wait_for_all(hunt);
    return !hunt->failed;
}

static void adopted(void *context, const struct call_result *result)
{
    struct hunt *hunt = context;
    hunt->open--;
    if (!result->ok)
        note_failure(hunt, "submit", result);
}

/* Each alone, under a number of ours. */
static void adopt(struct hunt *hunt, size_t number)
{
    const struct left_job *found_job = &hunt->jobs.items[number];
    struct descpipe_resources *resources = arena_allocate(hunt->arena, sizeof *resources);
    struct descpipe_job *job = arena_allocate(hunt->arena, sizeof *job);
    struct descpipe_submission *submission = arena_allocate(hunt->arena, sizeof *submission);
    const struct descpipe_job **jobs = arena_allocate(hunt->arena, sizeof *jobs);
    *resources = (struct descpipe_resources){.size = sizeof *resources, .nodes = 1, .ranks_per_node = 1};
    *job = (struct descpipe_job){.size = sizeof *job,
                                 .job = number + 1,
                                 .order = number,
                                 .attempt = 1,
                                 .stage = "",
                                 .group = "",
                                 .resources = resources,
                                 .native_id = found_job->native};
    jobs[0] = job;
    *submission = (struct descpipe_submission){.size = sizeof *submission,
                                               .count = 1,
                                               .token = found_job->token,
                                               .run = hunt->view->run,
                                               .folder = hunt->view->folder,
                                               .jobs = jobs,
                                               .flags = DESCPIPE_SUBMISSION_ADOPT};
    hunt->open++;
    scheduler_submit(hunt->scheduler, submission, (struct call_options){.done = adopted, .context = hunt});
}

static void cancelled(void *context, const struct call_result *result)
{
    struct hunt *hunt = context;
    hunt->open--;
    if (!result->ok)
        note_failure(hunt, "cancel", result);
}

static bool cancel_all(struct hunt *hunt)
{
    uint64_t *numbers = arena_allocate(hunt->arena, (hunt->jobs.count + 1) * sizeof *numbers);
    for (size_t i = 0; i < hunt->jobs.count; i++) {
        numbers[i] = i + 1;
        adopt(hunt, i);
    }
    wait_for_all(hunt);
    if (hunt->failed)
        return false;
    hunt->open++;
    scheduler_cancel(hunt->scheduler, numbers, hunt->jobs.count,
                     (struct call_options){.deadline_ms = LEFT_JOBS_WAIT_MS, .done = cancelled, .context = hunt});
    wait_for_all(hunt);
    return !hunt->failed;
}

static void time_passed(void *context)
{
    ((struct hunt *)context)->open--;
}

static bool wait_until_gone(struct hunt *hunt)
{
    int64_t until_ms = clock_monotonic_ms() + LEFT_JOBS_WAIT_MS;
    for (int64_t wait_ms = FIRST_LOOK_MS;; wait_ms *= 2) {
        hunt->open++;
        loop_timer(hunt->plugins.installation.loop, wait_ms < LONGEST_LOOK_MS ? wait_ms : LONGEST_LOOK_MS, time_passed,
                   hunt);
        wait_for_all(hunt);
        if (!find(hunt))
            return false;
        if (hunt->jobs.count == 0)
            return true;
        if (clock_monotonic_ms() >= until_ms)
            break;
    }
    error_set(hunt->error, ERROR_SYSTEM, "%zu job%s of run %s still go%s on although cancelled, the first is %s",
              hunt->jobs.count, hunt->jobs.count == 1 ? "" : "s", hunt->view->run, hunt->jobs.count == 1 ? "es" : "",
              hunt->jobs.items[0].native);
    return error_hint(hunt->error, "type the same again later");
}

static bool look(struct hunt *hunt, const char *name)
{
    hunt->scheduler = run_plugins_open_one(&hunt->plugins, "scheduler", name, true, hunt->error);
    return hunt->scheduler != NULL && find(hunt);
}

static bool begin(struct hunt *hunt, const struct invocation *invocation)
{
    size_t index = 0;
    if (!run_plugins_open(&hunt->plugins, invocation, hunt->view->folder, hunt->error))
        return false;
    const char *name = run_plugins_next(&hunt->plugins, "scheduler", &index);
    if (name == NULL || hunt->view->run == NULL)
        return error_set(hunt->error, ERROR_INPUT, "the journal in '%s' does not say whose its jobs are",
                         hunt->view->folder);
    return look(hunt, name);
}

bool left_jobs_end(const struct invocation *invocation, const struct run_view *view, struct error *error)
{
    cleanup(hunt_clear) struct hunt hunt = {.view = view, .error = error, .arena = arena_new()};
    return begin(&hunt, invocation) && (hunt.jobs.count == 0 || (cancel_all(&hunt) && wait_until_gone(&hunt)));
}

bool left_jobs_count(const struct invocation *invocation, const struct run_view *view, size_t *count,
                     struct error *error)
{
    cleanup(hunt_clear) struct hunt hunt = {.view = view, .error = error, .arena = arena_new()};
    if (!begin(&hunt, invocation))
        return false;
    *count = hunt.jobs.count;
    return true;
}

bool left_jobs_none(const struct invocation *invocation, const struct run_view *view, struct error *error)
{
    size_t count = 0;
    if (!left_jobs_count(invocation, view, &count, error))
        return false;
    if (count == 0)
        return true;
    error_set(error, ERROR_INPUT, "run %s goes on by itself: its scheduler has %zu job%s of it", view->run, count,
              count == 1 ? "" : "s");
    return error_hint(error, "'descpipe status %s' shows how far it is; it can be resumed when they are over",
                      view->run);
}

/* Settling. */

static bool settle_task(struct closing *closing, const struct run_view *view, uint32_t number, const char *by,
                        struct error *error)
{
    const struct task_view *task = &view->tasks.items[number];
    cleanup(memory_free) char *why = by != NULL ? memory_format("by %s", by) : NULL;
    const struct closing_attempt attempt = {.job = task->job,
                                            .stage = run_view_text(view, task->stage),
                                            .member = task->member != 0 ? run_view_text(view, task->member) : NULL,
                                            .attempt = task->attempt,
                                            .started_at_ms = task->started_at_ms,
                                            .why = why};
    bool by_itself =
        task->state == TASK_SUCCEEDED || task->state == TASK_FAILED || (task->state == TASK_SKIPPED && by == NULL);
    if (!by_itself && by != NULL && task->started_at_ms == 0)
        return closing_never_began(closing, &attempt, "cancelled", "before it began", error);
    if (!by_itself && by != NULL)
        return closing_cancelled(closing, &attempt, NULL, error);
    if (task->state == TASK_SKIPPED)
        return closing_never_began(closing, &attempt, "skipped", run_view_reason(view, task), error);
    return closing_ended(closing, &attempt,
                         &(struct closing_end){.verdict = run_view_text(view, task->verdict),
                                               .reason = run_view_text(view, task->reason),
                                               .exit_code = task->exit_code,
                                               .evidence = task->evidence,
                                               .finished_at_ms = task->finished_at_ms},
                         error);
}

/* True with no scheduler when the run's does not go on without an engine, or when there never was one. */
static bool begin_outliving(struct hunt *hunt, const struct invocation *invocation)
{
    size_t index = 0;
    if (!run_plugins_open(&hunt->plugins, invocation, hunt->view->folder, hunt->error))
        return false;
    const char *name = run_plugins_next(&hunt->plugins, "scheduler", &index);
    if (name == NULL || hunt->view->run == NULL)
        return true;
    const struct descpipe_plugin *descriptor =
        plugin_descriptor(hunt->plugins.installation.host, "scheduler", name, hunt->error);
    if (descriptor == NULL)
        return false;
    const struct descpipe_scheduler *operations = descriptor->operations;
    return (operations->capabilities & DESCPIPE_SCHEDULER_OUTLIVES) == 0 || look(hunt, name);
}

/* By the name of the job, or one that begins with it: a Workflow's pods. */
static bool is_of(const struct hunt *hunt, const char *native)
{
    for (size_t i = 0; i < hunt->jobs.count; i++) {
        const char *name = hunt->jobs.items[i].native;
        size_t length = name != NULL ? strlen(name) : 0;
        if (length > 0 && strncmp(native, name, length) == 0 && (native[length] == '\0' || native[length] == '-'))
            return true;
    }
    return false;
}

static void note_held(const struct hunt *hunt, bool *held)
{
    const struct run_view *view = hunt->view;
    for (uint32_t i = 0; i < view->tasks.count; i++) {
        const struct task_view *task = &view->tasks.items[i];
        held[i] =
            !task_state_is_end(task->state) && task->native != 0 && is_of(hunt, run_view_text(view, task->native));
    }
}

bool left_jobs_take_back(const struct invocation *invocation, const struct run_view *view, const char *by,
                         struct text *ended, struct error *error)
{
    cleanup(hunt_clear) struct hunt hunt = {.view = view, .error = error, .arena = arena_new()};
    if (!begin_outliving(&hunt, invocation))
        return false;
    if (hunt.jobs.count == 0)
        return true;
    bool *held = arena_allocate(hunt.arena, (view->tasks.count + 1) * sizeof *held);
    note_held(&hunt, held);
    if (!cancel_all(&hunt) || !wait_until_gone(&hunt))
        return false;
    cleanup(closing_close) struct closing *closing = closing_open(view->folder, DESCPIPE_VERSION, by, error);
    bool done = closing != NULL;
    for (uint32_t i = 0; done && i < view->tasks.count; i++) {
        if (!held[i])
            continue;
        done = settle_task(closing, view, i, by, error);
        text_append(ended, ended->length > 0 ? ", " : "");
        run_view_append_task(view, i, ended);
    }
    return done;
}

/* The working folder's, which the run had as well. */
static void give_back_working(const struct run_view *view)
{
    cleanup(memory_free) char *runs = path_folder(view->folder);
    cleanup(memory_free) char *descpipe = path_folder(runs);
    enum lease_state state;
    struct lease_holder holder;
    if (!lease_look(descpipe, &state, &holder, NULL) || state != LEASE_RUN || !text_equal(holder.run, view->run))
        return;
    const struct lease_request request = {.folder = descpipe, .subject = "the working folder", .run = view->run};
    lease_release(lease_take(&request, 0, NULL));
}

bool left_jobs_settle(struct run_view *view, const char *by, struct error *error)
{
    run_view_jobs_are_over(view);
    cleanup(closing_close) struct closing *closing = closing_open(view->folder, DESCPIPE_VERSION, by, error);
    bool done = closing != NULL;
    for (uint32_t i = 0; done && i < view->tasks.count; i++)
        if (!view->tasks.items[i].judged)
            done = settle_task(closing, view, i, by, error);
    const char *state = by != NULL ? "cancelled" : run_view_bad(view) > 0 ? "failed" : view->end_state;
    if (!done || !closing_ends(closing, state != NULL ? state : "failed", error))
        return false;
    closing_close(steal(&closing));
    give_back_working(view);
    run_view_read(view, 0, NULL, NULL);
    return true;
}
