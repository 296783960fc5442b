/* SPDX-License-Identifier: BSD-3-Clause */
/* `descpipe cancel`: asks a run to stop, by a file in its folder, from any machine that sees it. */
#include <poll.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "command/command.h"
#include "command/runs/chosen_run.h"
#include "command/runs/left_containers.h"
#include "command/runs/left_jobs.h"
#include "command/runs/left_over.h"
#include "run/closing.h"
#include "run/here/removal.h"
#include "run/journal/machine.h"
#include "run/journal/run_folder.h"

enum { HEARD_MS = 5000, LOOK_MS = 20 };

static const struct argument_positional positionals[] = {
    {.name = "RUN", .completion = COMPLETE_FILE, .help = "as for 'descpipe status'"},
    {.name = NULL},
};

static char *who_asks(void)
{
    struct machine machine;
    machine_read(&machine);
    const struct passwd *user = getpwuid(getuid());
    return memory_format("%s@%s", user != NULL ? user->pw_name : "somebody", machine.host);
}

static bool end_processes(const struct run_view *view, const char *name, struct text *ended, struct error *error)
{
    cleanup(text_clear) struct text kept = TEXT_INIT;
    cleanup(text_clear) struct text gone = TEXT_INIT;
    left_over_end(view, &gone, &kept);
    if (gone.length > 0 && ended->length > 0)
        text_append(ended, ", ");
    text_append(ended, text_bytes(&gone));
    if (kept.length == 0)
        return true;
    error_set(error, ERROR_SYSTEM, "what run %s left running could not be ended: %s", name, text_bytes(&kept));
    return error_hint(error, "its owner can end it; what a container engine or a batch system holds ends there, by the "
                             "name that 'descpipe status --json' gives as \"native\"");
}

static uint32_t task_of(const struct run_view *view, uint64_t job)
{
    for (uint32_t i = 0; i < view->tasks.count; i++)
        if (view->tasks.items[i].job == job)
            return i;
    return TASK_NONE;
}

static bool record_removed(struct closing **closing, const struct run_view *view, uint32_t number, const char *who,
                           struct error *error)
{
    const struct task_view *task = &view->tasks.items[number];
    const struct closing_attempt attempt = {.job = task->job,
                                            .stage = run_view_text(view, task->stage),
                                            .member = task->member != 0 ? run_view_text(view, task->member) : NULL,
                                            .attempt = task->attempt,
                                            .started_at_ms = task->started_at_ms};
    if (*closing == NULL)
        *closing = closing_open(view->folder, DESCPIPE_VERSION, who, error);
    return *closing != NULL && closing_cancelled(*closing, &attempt, NULL, error);
}

/* What a service kept for stages whose processes are gone has been removed: the journal learns it, for nobody else
 * could tell a later run that nothing of this one goes on. */
static bool record_all_removed(const struct removals *removals, const struct run_view *view, const char *who,
                               struct text *ended, struct error *error)
{
    cleanup(closing_close) struct closing *closing = NULL;
    for (size_t i = 0; i < removals_count(removals); i++) {
        uint32_t task = task_of(view, removals_job(removals, i));
        if (task == TASK_NONE || task_state_is_end(view->tasks.items[task].state))
            continue;
        if (!record_removed(&closing, view, task, who, error))
            return false;
        if (ended->length == 0 ||
            strstr(text_bytes(ended), run_view_text(view, view->tasks.items[task].stage)) == NULL) {
            text_append(ended, ended->length > 0 ? ", " : "");
            run_view_append_task(view, task, ended);
        }
    }
    return true;
}

static bool remove_rest(const struct run_view *view, const char *who, struct text *ended, struct error *error)
{
    cleanup(removals_free) struct removals *removals = removals_read(view->folder, error);
    if (removals == NULL)
        return false;
    if (!removals_run(removals, error))
        return error_hint(error, "its owner can type the same again, or end it by the means of the runtime");
    return record_all_removed(removals, view, who, ended, error);
}

static void say_ended(const char *name, const struct text *ended)
{
    if (ended->length > 0)
        log_notice("run %s was stopped already; what it had left running was ended: %s", name, text_bytes(ended));
}

/* What it left running on its machine is out of reach; its scheduler is not. */
static bool end_left_elsewhere(const struct invocation *invocation, struct run_view *view, const char *name,
                               struct error *error)
{
    cleanup(text_clear) struct text ended = TEXT_INIT;
    cleanup(memory_free) char *who = who_asks();
    bool nothing = view->counts[TASK_RUNNING] == 0;
    if (!left_jobs_take_back(invocation, view, who, &ended, error))
        return false;
    say_ended(name, &ended);
    run_view_read(view, 0, NULL, NULL);
    run_view_look_alive(view);
    if (ended.length > 0 && view->counts[TASK_RUNNING] == 0)
        return true;
    if (nothing)
        return error_set(error, ERROR_INPUT, "run %s is stopped already, and nothing of it is running", name);
    error_set(error, ERROR_INPUT, "run %s is stopped; what it left running on '%s' cannot be ended from here", name,
              view->host != NULL ? view->host : "another machine");
    return error_hint(error, "type the same on that machine");
}

/* Of a run that no engine follows any more: there is nobody to ask. */
static bool end_left_over(const struct invocation *invocation, struct run_view *view, const char *name,
                          struct error *error)
{
    if (view->host == NULL || run_view_is_here(view)) /* NULL: it was killed before it said so */
        folder_remove_temporaries(view->folder);
    if (!run_view_is_here(view))
        return end_left_elsewhere(invocation, view, name, error);
    cleanup(text_clear) struct text ended = TEXT_INIT;
    cleanup(memory_free) char *who = who_asks();
    cleanup(error_clear) struct error later = ERROR_INIT; /* the first is the one that is told */
    bool done = left_containers_end(invocation, view, who, &ended, error);
    run_view_read(view, 0, NULL, NULL);
    done = left_jobs_take_back(invocation, view, who, &ended, done ? error : &later) && done;
    error_clear(&later);
    run_view_read(view, 0, NULL, NULL);
    run_view_look_alive(view);
    bool nothing = view->counts[TASK_RUNNING] == 0 && ended.length == 0;
    bool all = nothing || end_processes(view, name, &ended, done ? error : &later);
    error_clear(&later);
    all = remove_rest(view, who, &ended, done && all ? error : &later) && all;
    if (done && all && nothing && ended.length == 0)
        return error_set(error, ERROR_INPUT, "run %s is stopped already, and nothing of it is running", name);
    say_ended(name, &ended);
    return done && all;
}

static bool ask(const struct run_view *view, const char *who, struct error *error)
{
    cleanup(memory_free) char *line = memory_format("%s\n", who);
    cleanup(memory_free) char *path = path_join(view->folder, RUN_CANCEL_FILE);
    return file_write(path, line, strlen(line), 0644, error);
}

/* An engine looks for the file once a second. One that was leaving when it was asked may have gone without a look: then
 * nobody else ends what it left. False: nothing was heard of it for so long. */
static bool wait_until_heard(struct run_view *view)
{
    int64_t until_ms = clock_monotonic_ms() + HEARD_MS;
    while (clock_monotonic_ms() < until_ms) {
        run_view_follow(view, NULL, NULL);
        if (view->abandoned || view->cancel_requested || view->end_state != NULL)
            return true;
        poll(NULL, 0, LOOK_MS);
    }
    return false;
}

/* Of a run that an engine follows. */
static bool end_going(const struct invocation *invocation, struct run_view *view, const char *name, struct error *error)
{
    cleanup(memory_free) char *who = who_asks();
    if (!ask(view, who, error))
        return false;
    bool heard = wait_until_heard(view);
    if (view->abandoned)
        return end_left_over(invocation, view, name, error);
    if (view->end_state != NULL && !view->cancel_requested)
        log_notice("run %s ended before it was heard: %s", name, view->end_state);
    else
        log_notice("run %s was asked to stop%s; 'descpipe status %s' shows how far it is", name,
                   heard ? "" : ", and has not answered yet", name);
    return true;
}

/* Of a run that its scheduler has. The file keeps what has not begun from beginning, wherever this is typed. */
static bool end_detached(const struct invocation *invocation, struct run_view *view, const char *name,
                         struct error *error)
{
    cleanup(memory_free) char *who = who_asks();
    if (!ask(view, who, error))
        return false;
    if (!left_jobs_end(invocation, view, error)) {
        error_wrap(error, "run %s begins nothing new, but what runs of it goes on", name);
        if (error->hint == NULL)
            error_hint(error, "type the same on a machine where its scheduler's commands work");
        return false;
    }
    run_view_read(view, 0, NULL, NULL);
    run_view_look_alive(view);
    if (view->end_state == NULL && !left_jobs_settle(view, who, error))
        return false;
    log_notice("run %s is cancelled, and its scheduler has none of its jobs any more", name);
    return true;
}

static int run_cancel(struct invocation *invocation)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(run_view_free) struct run_view *view = chosen_run(invocation, RUN_VIEW_EVIDENCE, &error);
    if (view == NULL)
        return command_fail(&error);
    const char *name = chosen_run_name(view);
    if (view->end_state != NULL) {
        error_set(&error, ERROR_INPUT, "run %s has ended already: %s", name, view->end_state);
        return command_fail(&error);
    }
    if (view->detached)
        return end_detached(invocation, view, name, &error) ? 0 : command_fail(&error);
    if (view->abandoned)
        return end_left_over(invocation, view, name, &error) ? 0 : command_fail(&error);
    return end_going(invocation, view, name, &error) ? 0 : command_fail(&error);
}

const struct command command_cancel = {
    .name = "cancel",
    .summary = "ask a run to stop",
    .description =
        "What runs is ended, nothing new is started. Returns as soon as the run has heard of it, within a second as a "
        "rule; of a\nrun that no descpipe follows any more it ends what goes on itself, processes, containers and the "
        "jobs that its\nscheduler has, and waits for that.",
    .examples = "  descpipe cancel 20261121-06",
    .positionals = positionals,
    .run = run_cancel,
};
