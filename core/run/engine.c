/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The engine process: sets up, runs the loop round by round, ends.
 *
 * How it works: problems and errors before the run has a folder go to standard error, as a command would print them.
 * From then on the journal speaks. At the end of each round ready tasks are submitted and the journal's buffer is
 * handed to the kernel; the disk gets it SYNC_MS later, because what these records announce dies with this machine
 * anyway.
 */
#include "run/engine.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "base/witness.h"
#include "run/files/folders.h"
#include "run/here/left_running.h"
#include "run/message.h"
#include "run/walk.h"

#define SYNC_MS 200
#define BEAT_MS 1000
#define STRAY_MS 20
#define STRAY_LOOKS 250 /* five seconds: something that breeds faster than it can be ended must not hold the run */

bool engine_flush(struct engine *engine, bool sync)
{
    if (engine->lease_lost)
        return false;
    cleanup(error_clear) struct error error = ERROR_INIT;
    bool flushed = journal_flush(engine->journal, sync, &error);
    if (!flushed && reserve_give(engine)) {
        error_clear(&error);
        flushed = journal_flush(engine->journal, sync, &error);
        reserve_take(engine); /* not before the journal: it says that there is no room */
    }
    if (!flushed && !engine->journal_stuck)
        log_warning("%s; nothing new is started until that works again", error.message);
    engine->journal_stuck = !flushed;
    return flushed;
}

struct pool *engine_pool(struct engine *engine)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    if (engine->pool == NULL)
        engine->pool = pool_new(engine->loop, 2, &error);
    if (engine->pool == NULL) {
        log_error(&error);
        _exit(error_exit_status(ERROR_SYSTEM)); /* as without memory: the journal makes that safe */
    }
    return engine->pool;
}

static void tell_front(struct engine *engine, enum run_news news, int status, const char *text)
{
    struct run_message message = {.kind = (uint32_t)news, .status = status};
    snprintf(message.text, sizeof message.text, "%s", text);
    send(engine->socket, &message, sizeof message, MSG_NOSIGNAL);
}

static void sync_now(void *context)
{
    struct engine *engine = context;
    engine->sync_timer = NULL;
    engine_flush(engine, true);
}

static void beat(void *context)
{
    struct engine *engine = context;
    engine->heartbeat = loop_timer(engine->loop, BEAT_MS, beat, engine);
    stop_check_file(engine);
    memory_watch_look(&engine->memory);
    if (engine->journal_stuck)
        engine_flush(engine, true);
    if (!engine->has_reserve)
        reserve_take(engine);
    if (engine->running == 0)
        stray_end(engine, 0);
    if (++engine->beats % (LEASE_TOUCH_MS / BEAT_MS) != 0)
        return;
    lease_touch(engine->working_lease);
    if (!lease_touch(engine->lease) && !engine->lease_lost) {
        engine->lease_lost = true; /* from here on the journal is somebody else's */
        stop_leave(engine, "lease lost");
        error_set(&engine->error, ERROR_SYSTEM, "the lease of run %s was taken by somebody else", engine->folder.id);
    }
}

/* A stage that somebody else cancelled is no success either. */
static bool not_all_done(const struct engine *engine)
{
    return engine->failed > 0 || engine->cancelled > 0;
}

static void end_of_run(struct engine *engine);

static void end_of_run_again(void *context)
{
    end_of_run(context);
}

/* Strays may have started others, which come to the keeper only when those have ended: looked for until none is left.
 */
static void end_of_run(struct engine *engine)
{
    bool strays = stray_end(engine, 0) > 0 && ++engine->stray_looks < STRAY_LOOKS;
    if (strays || engine->sources_asked > 0) { /* git has a deadline of its own */
        loop_timer(engine->loop, STRAY_MS, end_of_run_again, engine);
        return;
    }
    if (remote_is_releasing(engine) ||
        remote_waits_for_usage(engine)) { /* what schedulers elsewhere keep goes before their plugins close */
        loop_timer(engine->loop, STRAY_MS, end_of_run_again, engine);
        return;
    }
    const char *state = engine->error.message != NULL ? "failed"
                        : engine->stop == STOP_CANCEL ? "cancelled"
                        : not_all_done(engine)        ? "failed"
                                                      : "succeeded";
    record_end(engine, state);
    engine->walking = false;
    engine->finished = true;
    loop_stop(engine->loop);
}

void engine_finish_when_done(struct engine *engine)
{
    if (engine->detach != NULL)
        return; /* which has an end of its own */
    uint32_t elsewhere = engine->leaves_remote ? remote_in_progress(engine) : 0;
    if (engine->walking && elsewhere > 0 && engine->running == elsewhere) {
        stop_leave(engine, "interrupt");
        return;
    }
    if (!engine->walking || engine->finished || engine->running > 0)
        return;
    if (engine->stop == STOP_FAILED || engine->stop == STOP_CANCEL)
        walk_settle_rest(engine);
    if (engine->left > 0 || keep_remove(engine) || shared_is_giving(engine))
        return;
    engine->walking = false; /* once */
    if (engine->stop == STOP_NOT && !not_all_done(engine))
        results_place(engine, end_of_run);
    else
        end_of_run(engine);
}

/* Between two rounds of the loop. */
static bool next_round(void *context)
{
    struct engine *engine = context;
    if (engine->journal == NULL)
        return !engine->finished;
    if (engine->walking && engine->stop == STOP_NOT && engine->has_reserve)
        submit_ready(engine);
    if (engine->walking)
        keep_remove(engine);
    pilot_leave_when_idle(engine);
    engine_finish_when_done(engine);
    if (journal_unflushed(engine->journal) > 0 && !engine->journal_stuck)
        engine_flush(engine, false);
    cached_flush(engine);
    if (journal_unsynced(engine->journal) && engine->sync_timer == NULL)
        engine->sync_timer = loop_timer(engine->loop, SYNC_MS, sync_now, engine);
    return !engine->finished;
}

/* To whoever wants them as JSON. Nobody may read there any more: that is no failure of the run. */
static void tell_problems(const struct engine *engine, const struct problems *problems)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    for (size_t i = 0; i < problems->count; i++) {
        problem_append_json(&problems->items[i], &text);
        text_append_character(&text, '\n');
    }
    if (engine->problem_pipe >= 0 && text.length > 0)
        descriptor_write(engine->problem_pipe, text.bytes, text.length, NULL);
}

static void tell_error(const struct engine *engine)
{
    cleanup(problems_clear) struct problems problems = {0};
    problem_from_error(&problems, &engine->error);
    tell_problems(engine, &problems);
    log_error(&engine->error);
}

/* Prints what was found; false when there is an error among it. */
static bool report_problems(struct engine *engine)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    problems_sort(&engine->problems);
    tell_problems(engine, &engine->problems);
    problems_print(&engine->problems, &text);
    if (text.length > 0)
        descriptor_write(STDERR_FILENO, text.bytes, text.length, NULL);
    bool errors = engine->problems.errors > 0;
    problems_clear(&engine->problems);
    if (errors && engine->error.kind == ERROR_NONE)
        engine->error.kind = ERROR_INPUT; /* without a message: all has been said */
    return !errors;
}

static bool read_pipeline(struct engine *engine)
{
    const struct run_request *request = engine->request;
    engine->witness = witness_new();
    witness_listen(engine->witness);
    engine->policy = policy_read(request->policy_folder, &engine->problems);
    if (engine->policy == NULL)
        return report_problems(engine);
    engine->catalogue = plugin_catalogue_new(&request->plugins, engine->policy, &engine->error);
    if (engine->catalogue == NULL)
        return false;
    engine->layers = config_layers_read(&request->config, &engine->problems);
    if (engine->layers == NULL)
        return report_problems(engine);
    struct pipeline_changes changes = request->changes;
    pipeline_take_folders(engine->layers, &changes);
    const struct plan_request names = {
        .catalogue = engine->catalogue, .layers = engine->layers, .problems = &engine->problems};
    engine->pipeline = plan_read_pipeline(request->pipeline, &changes, &names);
    return engine->pipeline != NULL || report_problems(engine);
}

static void plan_built(void *context, struct plan *plan, const struct error *error)
{
    struct engine *engine = context;
    engine->plan = plan;
    engine->plan_done = true;
    if (plan == NULL && error != NULL && error->message != NULL) {
        error_set(&engine->error, error->kind, "%s", error->message);
        if (error->hint != NULL)
            error_hint(&engine->error, "%s", error->hint);
        if (error->file != NULL)
            error_place(&engine->error, error->file, error->line, error->column);
    }
    loop_stop(engine->loop);
}

static bool plan_open(void *context)
{
    struct engine *engine = context;
    return !engine->plan_done && !engine->finished;
}

static void credential_for_plugin(void *context, const struct descpipe_image *image, uint32_t purpose,
                                  void (*got)(void *plugin, const struct descpipe_credential *credential,
                                              const char *message),
                                  void *plugin)
{
    const struct engine *engine = context;
    registries_credential(engine->registries, image, purpose, got, plugin);
}

static void try_plan(struct engine *engine)
{
    registries_free(steal(&engine->registries)); /* of a try before */
    engine->registries = registries_new(engine->host, engine->catalogue, engine->layers);
    const struct plan_request request = {.host = engine->host,
                                         .registries = engine->registries,
                                         .catalogue = engine->catalogue,
                                         .pipeline = engine->pipeline,
                                         .layers = engine->layers,
                                         .choices = engine->request->choices,
                                         .problems = &engine->problems};
    plan_build(&request, plan_built, engine);
    if (!engine->plan_done)
        loop_run(engine->loop, plan_open, engine);
}

/* A plugin may want a secret that a command prints, and cannot wait for it: asked for, the plan is tried once more.
 * Each round has one more secret, so there is an end. */
static bool build_plan(struct engine *engine)
{
    try_plan(engine);
    while (engine->plan == NULL && engine->secret_wanted != NULL && !engine->finished) {
        problems_clear(&engine->problems);
        error_clear(&engine->error);
        secret_command_fetch_wanted(engine);
        engine->plan_done = false;
        if (!engine->finished)
            try_plan(engine);
    }
    witness_listen(NULL);
    bool good = report_problems(engine);
    return good && engine->plan != NULL && !engine->finished;
}

/* Schedulers that hand stages to another system get scripts or pods, which need to see our files. */
static bool check_schedulers(struct engine *engine)
{
    for (size_t i = 0; i < engine->plan->backends_count; i++) {
        const struct plan_backend *backend = &engine->plan->backends[i];
        uint32_t can = plugin_scheduler(backend->scheduler)->capabilities;
        bool by_jobs = plugin_scheduler_is_apart(backend->scheduler);
        if ((can & (DESCPIPE_SCHEDULER_HOST_STARTS | DESCPIPE_SCHEDULER_SHARED_FILES)) || by_jobs)
            continue;
        error_set(&engine->error, ERROR_PLUGIN,
                  "scheduler '%s' runs stages where our files are not seen, which this version of descpipe cannot do",
                  backend->scheduler_name);
        return error_hint(&engine->error, "use a scheduler of this machine: sequential or local");
    }
    return true;
}

static bool write_plan(struct engine *engine)
{
    cleanup(memory_free) char *path = path_join(engine->folder.path, "plan.json");
    cleanup(descriptor_close) int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (file < 0)
        return error_system(&engine->error, "cannot make '%s'", path);
    return plan_write_json(engine->plan, file, &engine->error) &&
           (fsync(file) == 0 || error_system(&engine->error, "cannot sync '%s'", path));
}

/* For `resume`: the same words from the same folder lead to the same plan. */
static bool write_request(struct engine *engine)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    cleanup(memory_free) char *here = path_real(".", &engine->error);
    if (here == NULL)
        return false;
    text_append(&text, "{\"folder\":");
    text_append_json(&text, here);
    text_append(&text, ",\"arguments\":[");
    for (size_t i = 0; engine->request->arguments[i] != NULL; i++) {
        text_append(&text, i > 0 ? "," : "");
        text_append_json(&text, engine->request->arguments[i]);
    }
    text_append(&text, "]}\n");
    cleanup(memory_free) char *path = path_join(engine->folder.path, RUN_REQUEST_FILE);
    return file_write(path, text_bytes(&text), text.length, 0600, &engine->error);
}

bool engine_take_working_lease(struct engine *engine)
{
    cleanup(memory_free) char *descpipe = path_join(engine->pipeline->working, ".descpipe");
    cleanup(memory_free) char *subject = memory_format("the working folder '%s'", engine->pipeline->working);
    const struct lease_request request = {.folder = descpipe,
                                          .subject = subject,
                                          .run = engine->folder.id,
                                          .force = engine->request->take_over,
                                          .gone = engine->request->gone};
    engine->working_lease = lease_take(&request, 0, &engine->error);
    return engine->working_lease != NULL;
}

static void add_to_index(struct engine *engine)
{
    cleanup(memory_free) char *index = engine->request->no_index ? NULL : run_index_folder();
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(memory_free) char *pipeline = path_real(engine->request->pipeline, &error);
    cleanup(memory_free) char *here = path_real(".", &error);
    if (index == NULL || pipeline == NULL || here == NULL)
        return;
    struct run_index_entry entry = {engine->folder.id, engine->folder.path, pipeline, here};
    if (!run_index_add(index, &entry, &error))
        log_warning("the index of runs is not updated: %s", error.message);
}

static bool make_folder(struct engine *engine)
{
    if (!run_folder_prepare(engine->pipeline->working, &engine->error) ||
        !run_folder_make(engine->pipeline->working, engine->pipeline->group_readable, &engine->folder, &engine->error))
        return false;
    if (!engine_take_working_lease(engine) ||
        !left_running_none(engine->folder.descpipe, engine->folder.id, &engine->error)) {
        rmdir(engine->folder.path); /* nothing is in it yet */
        return false;
    }
    const struct lease_request request = {
        .folder = engine->folder.path, .subject = "the run", .run = engine->folder.id};
    engine->lease = lease_take(&request, 0, &engine->error);
    if (engine->lease == NULL || !write_plan(engine) || (engine->request->arguments != NULL && !write_request(engine)))
        return false;
    engine->journal =
        journal_open(engine->folder.path, lease_epoch(engine->lease), engine->request->version, &engine->error);
    return engine->journal != NULL;
}

static void prepare_backends(struct engine *engine)
{
    const struct plan *plan = engine->plan;
    engine->backends = memory_allocate((plan->backends_count + 1) * sizeof *engine->backends);
    for (uint32_t i = 0; i < plan->backends_count; i++) {
        uint32_t can = plugin_runtime(plan->backends[i].runtime)->capabilities;
        uint32_t scheduler_can = plugin_scheduler(plan->backends[i].scheduler)->capabilities;
        engine->backends[i] = (struct walk_backend){.engine = engine,
                                                    .number = i,
                                                    .elsewhere = !(scheduler_can & DESCPIPE_SCHEDULER_HOST_STARTS),
                                                    .repeats = (scheduler_can & DESCPIPE_SCHEDULER_RETRIES) != 0,
                                                    .isolated = (can & DESCPIPE_RUNTIME_ISOLATES_PATHS) != 0,
                                                    .read_only = (can & DESCPIPE_RUNTIME_READ_ONLY) != 0};
    }
    engine->images = memory_allocate((plan->images_count + 1) * sizeof *engine->images);
    for (uint32_t i = 0; i < plan->images_count; i++)
        engine->images[i] = (struct walk_image){.engine = engine, .number = i};
}

static bool prepare(struct engine *engine)
{
    if (!read_pipeline(engine) || !report_problems(engine))
        return false;
    engine->loop = loop_new(&engine->error);
    engine->host = engine->loop != NULL ? plugin_host_new(engine->loop, engine->catalogue, &engine->error) : NULL;
    if (engine->host == NULL)
        return false;
    engine->socket_watch = loop_watch(engine->loop, engine->socket, LOOP_READABLE, stop_message, engine);
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        loop_signal(engine->loop, signals[i], stop_signal, engine);
    const struct plugin_callbacks callbacks = {.context = engine,
                                               .stage_start = attempt_start,
                                               .stage_stop = attempt_stop,
                                               .credential = credential_for_plugin,
                                               .secret = secret_for_plugin,
                                               .changed = submit_changed,
                                               .blind = submit_blind};
    plugin_host_set_callbacks(engine->host, &callbacks);
    if (!build_plan(engine) || !on_exit_prepare(engine) || !check_schedulers(engine) ||
        !folders_check(engine->pipeline, &engine->error))
        return false;
    engine->folder.working = memory_copy_text(engine->pipeline->working); /* for the paths below */
    bool selection = files_check_selection(engine, &engine->error);
    memory_free(steal(&engine->folder.working));
    if (!selection)
        return false;
    return engine->request->resume != NULL ? resume_open(engine) : make_folder(engine);
}

static void inputs_are_there(struct engine *engine)
{
    if (engine->error.message != NULL)
        stop_after_failure(engine);
    if (engine->stop != STOP_NOT)
        return;
    whole_begin(engine);
    bool pilot = engine->whole == NULL && pilot_is_wanted(engine);
    if (engine->resume != NULL && !pilot)
        resume_walk(engine);
    pilot_watch_time(engine);
    if (pilot || (engine->request->detach && engine->resume == NULL && engine->whole == NULL))
        detach_start(engine, pilot);
    else
        walk_start(engine);
}

static void walk(struct engine *engine)
{
    prepare_backends(engine);
    walk_begin(engine);
    keep_begin(engine);
    keeper_table_set_folder(engine->table, engine->folder.path);
    record_keeper(engine);
    if (engine->resume == NULL || !resume_is_named(engine))
        record_run(engine);
    engine_flush(engine, true);
    add_to_index(engine);
    tell_front(engine, RUN_FOLDER, 0, engine->folder.path);
    reserve_take(engine);
    engine->walking = true;
    submit_observe(engine);
    scratch_sweep(engine);
    fetch_begin(engine, inputs_are_there);
    memory_watch_begin(&engine->memory, "");
    engine->heartbeat = loop_timer(engine->loop, BEAT_MS, beat, engine);
    loop_run(engine->loop, next_round, engine);
    fetch_end(engine);
    remote_end(engine);
    keep_end(engine);
    secret_commands_stop(engine);
    if (!engine_flush(engine, true) && engine->error.message == NULL)
        error_set(&engine->error, ERROR_SYSTEM, "the end of run %s could not be written to its journal",
                  engine->folder.id);
}

static int exit_status(const struct engine *engine)
{
    if (engine->cancels > 1)
        return 130;
    if (engine->error.kind != ERROR_NONE)
        return error_exit_status(engine->error.kind);
    return not_all_done(engine) ? error_exit_status(ERROR_STAGE) : 0;
}

/* Nothing of it is due any more; plugins may still take a while to close. */
static void stop_beating(struct engine *engine)
{
    loop_timer_stop(steal(&engine->heartbeat));
    loop_timer_stop(steal(&engine->sync_timer));
}

/* Its journal is complete; the working folder is still the run's. */
static void tell_end(struct engine *engine, int status)
{
    const struct run_ended ended = {.folder = engine->folder.path,
                                    .version = engine->request->version,
                                    .pipeline = engine->pipeline,
                                    .own = engine->resume == NULL,
                                    .succeeded = status == 0};
    if (engine->request->ended != NULL)
        engine->request->ended(&ended);
    on_exit_run(engine);
}

int engine_run(const struct run_request *request, struct keeper_table *table, int socket, int problems)
{
    struct engine *engine = memory_allocate(sizeof *engine);
    *engine = (struct engine){
        .request = request, .table = table, .socket = socket, .problem_pipe = problems, .logs_folder = -1};
    setpgid(0, 0); /* Ctrl-C is for the front */
    int64_t began_ms = clock_wall_ms();
    if (prepare(engine)) {
        cached_begin(engine, began_ms);
        walk(engine);
    }
    int status = exit_status(engine);
    if (engine->error.message != NULL)
        tell_error(engine);
    bool over = engine->finished && engine->journal != NULL && !engine->lease_lost && engine->detach == NULL &&
                engine->stop != STOP_LEAVE;
    if (over) {
        reserve_end(engine);
        tell_end(engine, status);
    }
    stop_beating(engine);
    /* Whoever waits for the front's end may start the next run at once. */
    if (!engine->lease_lost && engine->journal != NULL) {
        journal_close(steal(&engine->journal));
        reserve_end(engine);
    }
    if (engine->finished && status == 0 && engine->stop == STOP_NOT && !engine->lease_lost && engine->detach == NULL)
        cached_end(engine);
    lease_release(steal(&engine->lease));
    lease_release(steal(&engine->working_lease));
    tell_front(engine, RUN_END, status, "");
    if (engine->stop == STOP_LEAVE || engine->detach != NULL)
        return status; /* what runs belongs to the keeper: no plugin gets a chance to end it */
    plugin_host_silence(engine->host); /* a call that is cut off has nothing more to say to this run */
    plan_free(engine->plan);
    registries_free(engine->registries);
    plugin_host_free(engine->host);
    return status; /* the process ends here, and its memory with it */
}
