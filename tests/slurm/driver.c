/* SPDX-License-Identifier: BSD-3-Clause */
/* A plugin host with the scheduler slurm in it; driver.h says what for. */
#include "driver.h"

#include <inttypes.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/problem.h"
#include "config/settings.h"

extern char **environ;

static void replace(char **place, const char *text)
{
    if (text != NULL) {
        memory_free(*place);
        *place = memory_copy_text(text);
    }
}

static void keep_change(void *context, const struct descpipe_change *change)
{
    struct driver *driver = context;
    ck_assert_uint_lt(change->job, DRIVER_JOBS);
    struct told *told = &driver->told[change->job];
    replace(&told->native_id, change->native_id);
    told->attempt = change->attempt;
    if (change->state == DESCPIPE_JOB_QUEUED) {
        told->queued = true;
        told->running = false;
        replace(&told->waiting, change->reason);
    } else if (change->state == DESCPIPE_JOB_RUNNING) {
        told->running = true;
        told->runnings++;
        replace(&told->host, change->host);
    } else {
        ck_assert_uint_eq(change->state, DESCPIPE_JOB_ENDED);
        ck_assert_ptr_nonnull(change->ending);
        told->ended = true;
        told->ends++;
        told->flags = change->ending->flags;
        told->exit_code = change->ending->exit_code;
        told->signal = change->ending->signal;
        told->peak_memory = change->ending->peak_memory;
        told->started_at_ms = change->ending->started_at_ms;
        told->finished_at_ms = change->ending->finished_at_ms;
        replace(&told->host, change->ending->host);
        replace(&told->witness, change->ending->witness);
        replace(&told->reason, change->ending->reason != NULL ? change->ending->reason : "");
    }
}

static void keep_blind(void *context, const char *message)
{
    struct driver *driver = context;
    if (message != NULL) {
        driver->blinds++;
        replace(&driver->blind, message);
    } else {
        driver->sights++;
    }
}

static void set_option(struct driver *driver, const char *key, const char *value, struct problems *problems)
{
    struct place place = {.file = "test"};
    settings_set_text(driver->settings, key, value, place, LAYER_COMMAND, problems);
}

static void observe_done(void *context, const struct call_result *result)
{
    struct driver *driver = context;
    ck_assert_msg(result->ok, "%s", result->message);
    driver->observe_ended = true;
}

void driver_open(struct driver *driver, const char *folder, const char *const *options)
{
    static const char *const folders[] = {BUILD_FOLDER "/plugins-built", NULL};
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(problems_clear) struct problems problems = {0};
    struct plugin_search search = {.plugin_dirs = folders, .system_folder = "/nowhere"};
    *driver = (struct driver){.folder = memory_copy_text(folder)};
    driver->policy = policy_new();
    driver->catalogue = plugin_catalogue_new(&search, driver->policy, &error);
    driver->loop = loop_new(&error);
    ck_assert_msg(driver->catalogue != NULL && driver->loop != NULL, "%s", error.message);
    driver->host = plugin_host_new(driver->loop, driver->catalogue, &error);
    ck_assert_msg(driver->host != NULL, "%s", error.message);
    struct plugin_callbacks callbacks = {.context = driver, .changed = keep_change, .blind = keep_blind};
    plugin_host_set_callbacks(driver->host, &callbacks);
    const struct descpipe_plugin *descriptor = plugin_descriptor(driver->host, "scheduler", "slurm", &error);
    ck_assert_msg(descriptor != NULL, "%s", error.message);
    driver->settings = settings_new(descriptor->options, "scheduler/slurm");
    for (size_t i = 0; options != NULL && options[i] != NULL; i += 2) {
        set_option(driver, options[i], options[i + 1], &problems);
    }
    settings_finish(driver->settings, (struct place){.file = "test"}, "/", &problems);
    cleanup(text_clear) struct text printed = TEXT_INIT;
    problems_print(&problems, &printed);
    ck_assert_str_eq(text_bytes(&printed), "");
    driver->instance = plugin_open(driver->host, "scheduler", "slurm", driver->settings, &error);
    ck_assert_msg(driver->instance != NULL, "%s", error.message);
    driver->observing = scheduler_observe(
        driver->instance, (struct call_options){.deadline_ms = INT64_MAX, .done = observe_done, .context = driver});
}

void driver_close(struct driver *driver)
{
    plugin_close(driver->instance);
    plugin_host_free(driver->host);
    settings_free(driver->settings);
    plugin_catalogue_free(driver->catalogue);
    policy_free(driver->policy);
    loop_free(driver->loop);
    for (size_t i = 0; i < DRIVER_JOBS; i++) {
        struct told *told = &driver->told[i];
        memory_free(told->native_id);
        memory_free(told->waiting);
        memory_free(told->host);
        memory_free(told->witness);
        memory_free(told->reason);
    }
    memory_free(driver->blind);
    memory_free(driver->folder);
}

struct patience {
    struct driver *driver;
    bool (*true_when)(struct driver *driver, const void *context);
    const void *context;
    bool over;
};

static bool not_yet(void *context)
{
    struct patience *patience = context;
    return !patience->over && !patience->true_when(patience->driver, patience->context);
}

static void patience_over(void *context)
{
    ((struct patience *)context)->over = true;
}

void driver_until(struct driver *driver, bool (*true_when)(struct driver *driver, const void *context),
                  const void *context)
{
    struct patience patience = {.driver = driver, .true_when = true_when, .context = context};
    struct loop_timer *timer = loop_timer(driver->loop, DRIVER_PATIENCE_S * 1000, patience_over, &patience);
    loop_run(driver->loop, not_yet, &patience);
    ck_assert_msg(!patience.over, "nothing after %d s; blind: %s", DRIVER_PATIENCE_S,
                  driver->blind != NULL ? driver->blind : "no");
    loop_timer_stop(timer);
}

static bool never(struct driver *driver, const void *context)
{
    (void)driver, (void)context;
    return false;
}

void driver_for(struct driver *driver, int64_t ms)
{
    struct patience patience = {.driver = driver, .true_when = never};
    loop_timer(driver->loop, ms, patience_over, &patience);
    loop_run(driver->loop, not_yet, &patience);
}

static bool has_ended(struct driver *driver, const void *context)
{
    return driver->told[*(const uint64_t *)context].ended;
}

static bool is_running(struct driver *driver, const void *context)
{
    return driver->told[*(const uint64_t *)context].running;
}

const struct told *driver_until_ended(struct driver *driver, uint64_t job)
{
    driver_until(driver, has_ended, &job);
    return &driver->told[job];
}

const struct told *driver_until_running(struct driver *driver, uint64_t job)
{
    driver_until(driver, is_running, &job);
    return &driver->told[job];
}

static void call_done(void *context, const struct call_result *result)
{
    struct answer *answer = context;
    cleanup(text_clear) struct text facts = TEXT_INIT;
    cleanup(text_clear) struct text found = TEXT_INIT;
    ck_assert_msg(!answer->done, "a call ended twice");
    ck_assert_msg(!result->plugin_fault, "a fault of the plugin: %s", result->message);
    answer->done = true;
    answer->ok = result->ok;
    answer->failure = result->failure;
    answer->message = memory_copy_text(result->message);
    answer->hint = memory_copy_text(result->hint);
    answer->moment_ms = result->moment_ms;
    for (size_t i = 0; i < result->facts_count; i++) {
        text_format(&facts, "%s=%s\n", result->facts[i].name, result->facts[i].value);
    }
    for (size_t i = 0; i < result->found_count; i++) {
        const struct descpipe_found *one = result->found[i];
        text_format(&found, "%s %" PRId64 " %s %s\n", one->token, one->index, one->native_id,
                    one->running ? "running" : "ended");
    }
    answer->found_count = result->found_count;
    answer->facts = text_take(&facts);
    answer->found = text_take(&found);
}

void answer_clear(struct answer *answer)
{
    memory_free(answer->message);
    memory_free(answer->hint);
    memory_free(answer->facts);
    memory_free(answer->found);
    *answer = (struct answer){0};
}

static bool answer_done(struct driver *driver, const void *context)
{
    (void)driver;
    return ((const struct answer *)context)->done;
}

static struct call_options options_for(struct answer *answer)
{
    *answer = (struct answer){0};
    return (struct call_options){.deadline_ms = INT64_MAX, .done = call_done, .context = answer};
}

static char *write_script(const struct driver *driver, const char *token, uint64_t job, const char *text)
{
    char *path = memory_format("%s/%s/%" PRIu64 ".sh", driver->folder, token, job);
    FILE *file = fopen(path, "we");
    ck_assert_msg(file != NULL, "cannot write %s", path);
    fputs(text, file);
    ck_assert_int_eq(fclose(file), 0);
    return path;
}

struct prepared {
    struct arena *arena;
    struct descpipe_submission submission;
};

static const struct descpipe_job *prepare_job(struct prepared *prepared, const struct driver *driver, const char *token,
                                              uint64_t number, uint32_t position, const struct test_job *job)
{
    struct arena *arena = prepared->arena;
    struct descpipe_resources *resources = arena_allocate(arena, sizeof(*resources));
    *resources = (struct descpipe_resources){.size = sizeof(*resources),
                                             .nodes = job->nodes > 0 ? job->nodes : 1,
                                             .ranks_per_node = job->ranks > 0 ? job->ranks : 1,
                                             .cpus_per_rank = job->cpus > 0 ? job->cpus : 1,
                                             .gpus_per_node = job->gpus,
                                             .memory_per_node = job->memory,
                                             .time_limit_ms = (uint64_t)job->minutes * 60000};
    struct descpipe_job *made = arena_allocate(arena, sizeof(*made));
    cleanup(memory_free) char *script = write_script(driver, token, number, job->script != NULL ? job->script : ":\n");
    cleanup(memory_free) char *output = memory_format("%s/%s/%" PRIu64 ".out", driver->folder, token, number);
    cleanup(memory_free) char *error = memory_format("%s/%s/%" PRIu64 ".err", driver->folder, token, number);
    const struct descpipe_edge **after = arena_allocate(arena, 3 * sizeof(*after));
    size_t edges = 0;
    for (unsigned condition = 0; condition < 2; condition++) {
        uint64_t other = condition == DESCPIPE_AFTER_OK ? job->after_ok : job->after_end;
        if (other != 0) {
            struct descpipe_edge *edge = arena_allocate(arena, sizeof(*edge));
            *edge = (struct descpipe_edge){.size = sizeof(*edge), .condition = condition, .job = other};
            after[edges++] = edge;
        }
    }
    after[edges] = NULL;
    *made = (struct descpipe_job){.size = sizeof(*made),
                                  .members_limit = job->members_limit,
                                  .job = number,
                                  .order = position,
                                  .attempt = 1,
                                  .stage = "stage",
                                  .group = job->group != NULL ? job->group : "stage",
                                  .resources = resources,
                                  .script = arena_copy(arena, script, strlen(script)),
                                  .output_path = arena_copy(arena, output, strlen(output)),
                                  .error_path = arena_copy(arena, error, strlen(error)),
                                  .after = after,
                                  .native_id = job->native_id};
    return made;
}

static void prepare(struct prepared *prepared, const struct driver *driver, const char *token, uint64_t first,
                    const struct test_job *jobs, uint32_t count, uint32_t flags)
{
    cleanup(memory_free) char *folder = memory_format("%s/%s", driver->folder, token);
    mkdir(folder, 0700);
    prepared->arena = arena_new();
    const struct descpipe_job **made = arena_allocate(prepared->arena, (count + 1) * sizeof(*made));
    for (uint32_t i = 0; i < count; i++) {
        made[i] = prepare_job(prepared, driver, token, first + i, i, &jobs[i]);
    }
    cleanup(memory_free) char *run = memory_copy_text(token);
    *strrchr(run, '-') = '\0';
    prepared->submission = (struct descpipe_submission){.size = sizeof(prepared->submission),
                                                        .count = count,
                                                        .token = token,
                                                        .run = arena_copy(prepared->arena, run, strlen(run)),
                                                        .folder = arena_copy(prepared->arena, folder, strlen(folder)),
                                                        .jobs = made,
                                                        .flags = flags};
}

void driver_submit(struct driver *driver, const char *token, uint64_t first, const struct test_job *jobs,
                   uint32_t count, uint32_t flags, struct answer *answer)
{
    struct prepared prepared;
    prepare(&prepared, driver, token, first, jobs, count, flags);
    scheduler_submit(driver->instance, &prepared.submission, options_for(answer));
    driver_until(driver, answer_done, answer);
    arena_free(prepared.arena);
}

struct wish {
    struct plugin_call *call;
    struct answer *answer;
};

static void make_wish(void *context)
{
    struct wish *wish = context;
    if (!wish->answer->done) {
        call_cancel(wish->call);
    }
}

void driver_submit_cancelled(struct driver *driver, const char *token, uint64_t first, const struct test_job *jobs,
                             uint32_t count, int64_t cancel_ms, struct answer *answer)
{
    struct prepared prepared;
    prepare(&prepared, driver, token, first, jobs, count, 0);
    struct wish wish = {.answer = answer};
    wish.call = scheduler_submit(driver->instance, &prepared.submission, options_for(answer));
    if (wish.call != NULL) {
        loop_timer(driver->loop, cancel_ms, make_wish, &wish);
    }
    driver_until(driver, answer_done, answer);
    driver_for(driver, cancel_ms + 10); /* the timer is over */
    arena_free(prepared.arena);
}

void driver_find(struct driver *driver, const char *run, struct answer *answer)
{
    scheduler_find(driver->instance, run, options_for(answer));
    driver_until(driver, answer_done, answer);
}

void driver_probe(struct driver *driver, struct answer *answer)
{
    scheduler_probe(driver->instance, options_for(answer));
    driver_until(driver, answer_done, answer);
}

void driver_estimate(struct driver *driver, const struct test_job *job, struct answer *answer)
{
    struct prepared prepared;
    prepare(&prepared, driver, "estimate-1", 1, job, 1, 0);
    scheduler_queue_estimate(driver->instance, prepared.submission.jobs[0], options_for(answer));
    driver_until(driver, answer_done, answer);
    arena_free(prepared.arena);
}

void driver_cancel(struct driver *driver, uint64_t first, uint64_t count, struct answer *answer)
{
    uint64_t jobs[DRIVER_JOBS];
    for (uint64_t i = 0; i < count; i++) {
        jobs[i] = first + i;
    }
    scheduler_cancel(driver->instance, jobs, count, options_for(answer));
    driver_until(driver, answer_done, answer);
}

void driver_release(struct driver *driver, const char *token, struct answer *answer)
{
    scheduler_release(driver->instance, token, options_for(answer));
    driver_until(driver, answer_done, answer);
}

char *driver_read(const struct driver *driver, const char *name)
{
    cleanup(memory_free) char *path = memory_format("%s/%s", driver->folder, name);
    struct text text = TEXT_INIT;
    char block[4096];
    size_t got;
    FILE *file = fopen(path, "re");
    ck_assert_msg(file != NULL, "cannot read %s", path);
    while ((got = fread(block, 1, sizeof(block), file)) > 0) {
        text_append_bytes(&text, block, got);
    }
    fclose(file);
    text_append(&text, "");
    return text_take(&text);
}

int run_beside(const char *const *argv)
{
    pid_t child;
    int status = 0;
    union {
        const char *const *given;
        char *const *wanted;
    } words = {.given = argv};
    ck_assert_int_eq(posix_spawnp(&child, argv[0], NULL, NULL, words.wanted, environ), 0);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
