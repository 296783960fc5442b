/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The containers of a run that no engine follows.
 *
 * How it works: every runtime of the run that can `find` is opened and asked. All that run are told to stop at the same
 * time; then each in turn is inspected, recorded and released. A service goes on with what it was asked last when
 * nobody listens any more: right after the engine's end it is asked again, until it must have done that.
 */
#include "command/runs/left_containers.h"

#include <string.h>

#include "base/clock.h"
#include "command/runs/left_over.h"
#include "command/runs/run_plugins.h"
#include "run/closing.h"
#include "run/journal/journal.h"

enum { LAST_REQUEST_MS = 3000, ASK_AGAIN_MS = 200 };

struct left_container {
    struct descpipe_container container;
    struct descpipe_stop stop;
    uint32_t task; /* or TASK_NONE: of an attempt that the journal does not know as the last one */
    char *token, *native;
};

struct sweep {
    const struct run_view *view;
    struct run_plugins plugins;
    struct closing *closing; /* made when first needed */
    const char *by;
    struct plugin_instance *runtime;
    LIST(struct left_container) containers;
    size_t open; /* calls, and the wait before the next question */
    struct text *ended;
    size_t ended_count;
    struct error *error;
    bool failed;
};

static void containers_clear(struct sweep *sweep)
{
    for (size_t i = 0; i < sweep->containers.count; i++) {
        memory_free(sweep->containers.items[i].token);
        memory_free(sweep->containers.items[i].native);
    }
    list_clear(&sweep->containers);
}

static void sweep_clear(struct sweep *sweep)
{
    containers_clear(sweep);
    closing_close(sweep->closing);
    run_plugins_clear(&sweep->plugins);
}

static void sweep_clear_at(struct sweep *place)
{
    sweep_clear(place);
}

static bool goes_on(void *context)
{
    return ((struct sweep *)context)->open > 0;
}

static void wait_for_all(struct sweep *sweep)
{
    if (sweep->open > 0)
        loop_run(sweep->plugins.installation.loop, goes_on, sweep);
}

/* The first failure is the one that is told. */
static void note_failure(struct sweep *sweep, const char *operation, const struct call_result *result)
{
    if (!sweep->failed)
        call_error(sweep->runtime, operation, result, sweep->error);
    sweep->failed = true;
}

/* A token is RUN-JOB. */
static uint32_t task_of(const struct sweep *sweep, const char *token)
{
    const char *number = strrchr(token, '-');
    uint64_t job = 0;
    if (number == NULL || !text_to_unsigned(number + 1, &job) || job == 0)
        return TASK_NONE;
    for (uint32_t i = 0; i < sweep->view->tasks.count; i++)
        if (sweep->view->tasks.items[i].job == job)
            return i;
    return TASK_NONE;
}

static void found(void *context, const struct call_result *result)
{
    struct sweep *sweep = context;
    sweep->open--;
    if (!result->ok)
        note_failure(sweep, "find", result);
    for (size_t i = 0; result->ok && i < result->found_count; i++) {
        const struct descpipe_found *one = result->found[i];
        struct left_container container = {.token = memory_copy_text(one->token),
                                           .native = memory_copy_text(one->native_id)};
        container.task = task_of(sweep, container.token);
        list_add(&sweep->containers, container);
    }
    for (size_t i = 0; i < sweep->containers.count; i++) { /* the list does not move any more */
        struct left_container *one = &sweep->containers.items[i];
        one->container =
            (struct descpipe_container){.size = sizeof one->container, .token = one->token, .native_id = one->native};
        one->stop = (struct descpipe_stop){
            .size = sizeof one->stop, .container = &one->container, .grace_ms = LEFT_OVER_GRACE_MS};
    }
}

static void stopped(void *context, const struct call_result *result)
{
    struct sweep *sweep = context;
    sweep->open--;
    if (!result->ok)
        note_failure(sweep, "stop", result);
}

static bool record(struct sweep *sweep, const struct left_container *container, const struct descpipe_ending *ending)
{
    if (container->task == TASK_NONE)
        return true; /* the journal has its end, or never heard of it */
    const struct run_view *view = sweep->view;
    const struct task_view *task = &view->tasks.items[container->task];
    if (task_state_is_end(task->state))
        return true;
    if (sweep->closing == NULL)
        sweep->closing = closing_open(view->folder, DESCPIPE_VERSION, sweep->by, sweep->error);
    const struct closing_attempt attempt = {.job = task->job,
                                            .stage = run_view_text(view, task->stage),
                                            .member = task->member != 0 ? run_view_text(view, task->member) : NULL,
                                            .attempt = task->attempt,
                                            .started_at_ms = task->started_at_ms};
    return sweep->closing != NULL && closing_cancelled(sweep->closing, &attempt, ending, sweep->error);
}

struct question {
    struct sweep *sweep;
    struct left_container *container;
};

static void released(void *context, const struct call_result *result)
{
    const struct question *question = context;
    struct sweep *sweep = question->sweep;
    sweep->open--;
    if (!result->ok) {
        note_failure(sweep, "release", result);
        return;
    }
    text_append(sweep->ended, sweep->ended->length > 0 ? ", " : "");
    if (question->container->task != TASK_NONE)
        run_view_append_task(sweep->view, question->container->task, sweep->ended);
    else
        text_append_printable(sweep->ended, question->container->token, 64);
}

static void inspected(void *context, const struct call_result *result)
{
    struct question *question = context;
    struct sweep *sweep = question->sweep;
    sweep->open--;
    bool gone = !result->ok && result->failure == DESCPIPE_FAILED_NOT_FOUND;
    if (!result->ok && !gone) {
        note_failure(sweep, "inspect", result);
    } else if (result->ok && result->ending == NULL) {
        sweep->failed = true; /* it lives still, and why it was not stopped has been said */
    } else if (!record(sweep, question->container, result->ending)) {
        sweep->failed = true; /* the last witness must not go unrecorded */
    } else {
        sweep->open++;
        runtime_release(sweep->runtime, &question->container->container,
                        (struct call_options){.done = released, .context = question});
    }
}

static void ask(void *context)
{
    struct sweep *sweep = context;
    runtime_find(sweep->runtime, sweep->view->run, (struct call_options){.done = found, .context = sweep});
}

/* A job was announced whose start nobody has seen, moments ago. */
static bool something_may_come(const struct sweep *sweep)
{
    int64_t age_ms = clock_wall_ms() - sweep->view->last_at_ms;
    if (age_ms < 0 || age_ms > LAST_REQUEST_MS)
        return false;
    for (uint32_t i = 0; i < sweep->view->tasks.count; i++) {
        const struct task_view *task = &sweep->view->tasks.items[i];
        bool announced = task->job != 0 && task->started_at_ms == 0 && !task_state_is_end(task->state);
        for (size_t c = 0; announced && c < sweep->containers.count; c++)
            announced = sweep->containers.items[c].task != i;
        if (announced)
            return true;
    }
    return false;
}

static void find_containers(struct sweep *sweep)
{
    sweep->open++;
    ask(sweep);
    wait_for_all(sweep);
    while (!sweep->failed && something_may_come(sweep)) {
        containers_clear(sweep);
        sweep->open++;
        loop_timer(sweep->plugins.installation.loop, ASK_AGAIN_MS, ask, sweep);
        wait_for_all(sweep);
    }
}

static void end_containers(struct sweep *sweep)
{
    find_containers(sweep);
    sweep->open += sweep->containers.count;
    for (size_t i = 0; i < sweep->containers.count; i++)
        runtime_stop(sweep->runtime, &sweep->containers.items[i].stop,
                     (struct call_options){
                         .deadline_ms = LEFT_OVER_GRACE_MS + CALL_DEADLINE_MS, .done = stopped, .context = sweep});
    wait_for_all(sweep);
    for (size_t i = 0; i < sweep->containers.count; i++) {
        struct question question = {.sweep = sweep, .container = &sweep->containers.items[i]};
        sweep->open++;
        runtime_inspect(sweep->runtime, &question.container->container,
                        (struct call_options){.done = inspected, .context = &question});
        wait_for_all(sweep);
    }
    containers_clear(sweep);
}

static void open_runtime(struct sweep *sweep, const char *name, bool first)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    const struct descpipe_plugin *descriptor =
        plugin_descriptor(sweep->plugins.installation.host, "runtime", name, &error);
    if (descriptor != NULL && ((const struct descpipe_runtime *)descriptor->operations)->find == NULL)
        return;
    if (descriptor != NULL)
        sweep->runtime = run_plugins_open_one(&sweep->plugins, "runtime", name, first, &error);
    if (sweep->runtime == NULL && !sweep->failed) {
        sweep->failed = true;
        error_set(sweep->error, ERROR_PLUGIN, "%s",
                  error.message != NULL ? error.message : "the runtime of the run cannot be opened");
    }
}

static bool takes_pods(const struct descpipe_scheduler *scheduler)
{
    for (const uint32_t *form = scheduler->forms; form != NULL && *form != 0; form++)
        if (*form == DESCPIPE_FORM_POD)
            return true;
    return false;
}

/* The runtimes of this machine have nothing of a run all of whose schedulers make pods of its stages. */
static bool is_all_in_pods(const struct sweep *sweep)
{
    size_t index = 0, count = 0;
    for (const char *name; (name = run_plugins_next(&sweep->plugins, "scheduler", &index)) != NULL; count++) {
        const struct descpipe_plugin *descriptor =
            plugin_descriptor(sweep->plugins.installation.host, "scheduler", name, NULL);
        if (descriptor == NULL || !takes_pods(descriptor->operations))
            return false;
    }
    return count > 0;
}

bool left_containers_end(const struct invocation *invocation, const struct run_view *view, const char *by,
                         struct text *ended, struct error *error)
{
    cleanup(sweep_clear) struct sweep sweep = {.view = view, .by = by, .ended = ended, .error = error};
    if (!run_plugins_open(&sweep.plugins, invocation, view->folder, error))
        return false;
    if (sweep.plugins.run == NULL || view->run == NULL || is_all_in_pods(&sweep))
        return true;
    size_t index = 0;
    bool first = true;
    for (const char *name; (name = run_plugins_next(&sweep.plugins, "runtime", &index)) != NULL; first = false) {
        open_runtime(&sweep, name, first);
        if (sweep.runtime == NULL)
            continue;
        end_containers(&sweep);
        plugin_close(steal(&sweep.runtime));
    }
    return !sweep.failed;
}
