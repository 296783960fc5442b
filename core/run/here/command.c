/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Attempts whose stage is a process of ours (COMMAND): launched through the runtime's argv, in a session of its own.
 *
 * How it works: which job a pid is goes into the table shared with the keeper before the spawn (job) and after it
 * (pid). The end is journalled while the process is still a zombie, so that it is known either from the journal or to
 * the keeper.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/log.h"
#include "run/here/removal.h"
#include "run/walk.h"

#define EXIT_NOT_FOUND 127
#define EXIT_SIGNALLED 128 /* a shell adds the number of the signal that ended its command */
#define LINGER_LOOK_MS 50
#define ROOM_BYTES (64 * 1024) /* less than this is none */

/* A stage that failed while the disk has no room: most programs only say that they failed. */
void command_look_at_disk(struct attempt *attempt)
{
    struct statvfs disk;
    const char *working = attempt->engine->folder.working;
    if (statvfs(working, &disk) != 0 || disk.f_bavail * disk.f_frsize >= ROOM_BYTES)
        return;
    cleanup(memory_free) char *reason = memory_format("'%s' has no room left", working);
    const struct descpipe_ending ending = {
        .size = sizeof ending, .flags = DESCPIPE_ENDED_DISK, .witness = "statvfs", .reason = reason};
    attempt_add_ending(attempt, &ending);
}

/* A stage that SIGKILL ended, or whose shell says that of a command of its own, and nobody of us sent it. */
static void look_at_memory(struct attempt *attempt, const struct process_end *end)
{
    struct memory_watch *watch = &attempt->engine->memory;
    bool killed = end->exit_code < 0 ? end->signal == SIGKILL : end->exit_code == EXIT_SIGNALLED + SIGKILL;
    if (!killed || attempt->stopped != 0 || !memory_watch_killed_since(watch, attempt->started_ms))
        return;
    attempt_add_ending(attempt, &(struct descpipe_ending){.size = sizeof(struct descpipe_ending),
                                                          .flags = DESCPIPE_ENDED_OUT_OF_MEMORY,
                                                          .witness = watch->witness,
                                                          .reason = watch->reason});
}

static void process_ended(void *context, const struct process_end *end)
{
    struct attempt *attempt = context;
    bool exited = end->exit_code >= 0;
    const struct descpipe_ending ending = {.size = sizeof ending,
                                           .flags = exited ? DESCPIPE_ENDED_EXITED : DESCPIPE_ENDED_SIGNALLED,
                                           .exit_code = exited ? end->exit_code : 0,
                                           .signal = end->signal,
                                           .witness = "wait"};
    attempt->endings[attempt->endings_count++] = ending; /* all its texts are constants */
    if (!exited || end->exit_code != 0)
        command_look_at_disk(attempt);
    look_at_memory(attempt, end);
    if (attempt->stopped != 0)
        attempt->endings[attempt->endings_count++] =
            (struct descpipe_ending){.size = sizeof ending, .flags = attempt->stopped, .witness = "descpipe"};
    else
        chain_take_end(attempt);
    /* What it left in its group ends with it; while it is a zombie the group's number is still its own. But in its
     * grace the process may be a launcher that the signal ended first, while the stage still puts its things in order.
     */
    if (attempt->kill == NULL)
        process_signal(attempt->process, SIGKILL);
    record_ended(attempt);
    attempt->ended_recorded = true;
    engine_flush(attempt->engine, false);
}

static void removed(void *context, const struct tool_end *end)
{
    struct attempt *attempt = context;
    if (!end->started || end->exit_code != 0)
        log_warning("%s: '%s' could not remove what it left, which may still run: %s", attempt->name,
                    attempt->removal[0],
                    !end->started    ? end->message
                    : end->timed_out ? "it did not end in time"
                                     : "it failed");
    attempt_ended(attempt);
}

/* What a service keeps for it, and would keep without it. */
void command_remove_rest(struct attempt *attempt)
{
    const struct tool_request request = {.argv = attempt->removal,
                                         .environment = attempt->removal_environment,
                                         .directory = "/",
                                         .timeout_ms = REMOVAL_TIMEOUT_MS,
                                         .ended = removed,
                                         .context = attempt};
    tool_start(attempt->engine->loop, &request);
}

static void finish(struct attempt *attempt)
{
    const struct descpipe_ending *ending = &attempt->endings[0];
    attempt->endings[0].finished_at_ms = clock_wall_ms();
    stray_end(attempt->engine, attempt->session);
    loop_timer_stop(steal(&attempt->limit));
    if (attempt->removal != NULL && (attempt->stopped != 0 || (ending->flags & DESCPIPE_ENDED_SIGNALLED) != 0))
        command_remove_rest(attempt);
    else
        attempt_ended(attempt);
}

/* The grace of the rest of its session: until none is left, or until kill_now has been there. */
static void linger(void *context)
{
    struct attempt *attempt = context;
    attempt->lingering = NULL;
    if (attempt->kill != NULL && process_signal_session(attempt->session, 0) > 0)
        attempt->lingering = loop_timer(attempt->engine->loop, LINGER_LOOK_MS, linger, attempt);
    else
        finish(attempt);
}

static void process_reaped(void *context, const struct process_end *end)
{
    struct attempt *attempt = context;
    attempt->process = NULL;
    if (attempt->removal == NULL) { /* else its work was done by a service, and this is what the client used */
        attempt->endings[0].cpu_ms = end->cpu_ms > 0 ? (uint64_t)end->cpu_ms : 0;
        attempt->endings[0].peak_memory = end->peak_memory;
    }
    attempt->endings[0].started_at_ms = attempt->started_ms;
    if (attempt->kill != NULL)
        linger(attempt);
    else
        finish(attempt);
}

static void time_is_up(void *context)
{
    struct attempt *attempt = context;
    attempt->limit = NULL;
    int64_t grace = attempt->engine->request->grace_ms;
    attempt_end_by_us(attempt, DESCPIPE_ENDED_TIMED_OUT, grace > 0 ? grace : DEFAULT_GRACE_MS);
}

void command_time_limit(struct attempt *attempt)
{
    if (attempt->time_limit_ms <= 0)
        return;
    int64_t used_ms = attempt->resumed ? clock_wall_ms() - attempt->started_ms : 0;
    int64_t left_ms = used_ms > 0 ? attempt->time_limit_ms - used_ms : attempt->time_limit_ms;
    chain_warn_in(attempt, left_ms);
    attempt->limit = loop_timer(attempt->engine->loop, left_ms > 0 ? left_ms : 0, time_is_up, attempt);
}

bool command_lives(const struct attempt *attempt)
{
    return attempt->process != NULL || attempt->lingering != NULL || attempt->adopted;
}

void command_stop(struct attempt *attempt, int signal)
{
    if (attempt->adopted) {
        adopt_signal(attempt, signal);
        return;
    }
    if (attempt->process != NULL)
        process_signal(attempt->process, signal);
    if (signal == SIGKILL)
        process_signal_session(attempt->session, signal); /* groups it made within its session */
}

/* Whose words a failure to start is told in: the first of argv, or what a shell that only sets something becomes
 * (sh -c SCRIPT NAME LAUNCHER...). */
static const char *launcher_of(const char *const *argv)
{
    size_t words = 0;
    while (words < 5 && argv[words] != NULL)
        words++;
    bool by_shell = words == 5 && text_equal(argv[0], "/bin/sh") && text_equal(argv[1], "-c");
    return argv[by_shell ? 4 : 0];
}

static void execute(struct attempt *attempt, const struct descpipe_form *form)
{
    struct engine *engine = attempt->engine;
    cleanup(error_clear) struct error error = ERROR_INIT;
    const char *const *environment =
        late_environment(attempt, attempt->launched, form->late_prefix, form->environment, &error);
    if (environment == NULL || !attempt_open_logs(attempt, &error)) {
        attempt_not_started(attempt, 0, error.message);
        return;
    }
    const char *launcher = launcher_of(form->argv);
    attempt->argv0 = arena_copy_text(attempt->arena, launcher);
    if (form->removal != NULL) {
        attempt->removal = walk_copy_words(attempt->arena, form->removal);
        attempt->removal_environment = walk_copy_words(attempt->arena, form->environment);
    }
    attempt->keeper_slot = keeper_slot_take(engine->table, attempt->job);
    const struct process_request request = {.argv = form->argv,
                                            .environment = environment,
                                            .directory = form->directory,
                                            .input = -1,
                                            .output = attempt->output,
                                            .error = attempt->error,
                                            .new_session = true,
                                            .known_as = keeper_slot_pid(engine->table, attempt->keeper_slot),
                                            .ended = process_ended,
                                            .reaped = process_reaped,
                                            .context = attempt};
    attempt->process = process_start(engine->loop, &request, &error);
    attempt_close_logs(attempt);
    if (attempt->process == NULL) {
        /* As a launcher would say it, so that the same mistake has the same verdict with every runtime. */
        attempt_not_started_with(attempt, EXIT_NOT_FOUND, error.message);
        return;
    }
    attempt->session = process_pid(attempt->process);
    record_started(attempt, NULL, NULL);
    command_time_limit(attempt);
}

static void launched(void *context, const struct call_result *result)
{
    struct attempt *attempt = context;
    attempt->call = NULL;
    if (!result->ok)
        attempt_not_started(attempt, attempt->stopped, result->message);
    else if (attempt->stopped != 0)
        attempt_not_started(attempt, attempt->stopped, "before it started");
    else
        execute(attempt, result->form);
}

const struct descpipe_stage *command_stage(struct attempt *attempt)
{
    struct engine *engine = attempt->engine;
    char *token = arena_allocate(attempt->arena, 48);
    snprintf(token, 48, "%s-%llu", engine->folder.id, (unsigned long long)attempt->job);
    attempt->token = token;
    const struct plan_launch launch = {.arena = attempt->arena,
                                       .task = attempt->task,
                                       .attempt = attempt->number,
                                       .run = engine->folder.id,
                                       .token = token,
                                       .input = attempt->input,
                                       .output = attempt->attempt_folder,
                                       .config = attempt->config,
                                       .scratch = attempt->scratch,
                                       .host_directory = attempt->attempt_folder,
                                       .gpus = attempt->gpus,
                                       .memory = attempt->memory};
    return plan_launch_stage(engine->plan, &launch);
}

void command_start(struct attempt *attempt)
{
    struct engine *engine = attempt->engine;
    attempt->launched = command_stage(attempt);
    uint32_t backend = engine->plan->stages[attempt->stage].backend;
    attempt->call = runtime_launch(engine->plan->backends[backend].runtime, attempt->launched,
                                   (struct call_options){.done = launched, .context = attempt});
}
