/* SPDX-License-Identifier: BSD-3-Clause */
/* The host of the scheduler tests; fake_host.h says what it does. */
#include "fake_host.h"

#include <check.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* The one host of a test program: services that get no host find it here. */
static struct fake_host *current;

static void write_log(const struct descpipe_host *host, uint32_t level, const char *message)
{
    (void)host, (void)level, (void)message;
}

static const struct fake_option *find_option(const char *key)
{
    for (const struct fake_option *option = current->options; option->key != NULL; option++) {
        if (strcmp(option->key, key) == 0) {
            return option;
        }
    }
    return NULL;
}

static int32_t option_given(const struct descpipe_settings *settings, const char *key)
{
    (void)settings;
    return find_option(key) != NULL;
}

static int64_t option_integer(const struct descpipe_settings *settings, const char *key)
{
    (void)settings;
    const struct fake_option *option = find_option(key);
    return option != NULL ? option->number : 0;
}

static const char *const *option_list(const struct descpipe_settings *settings, const char *key)
{
    (void)settings;
    const struct fake_option *option = find_option(key);
    return option != NULL ? option->list : NULL;
}

static void call_succeed(struct descpipe_call *call)
{
    ck_assert_msg(!call->finished, "a call was finished twice");
    call->finished = call->ok = true;
}

static void call_fail(struct descpipe_call *call, uint32_t failure, const char *message, const char *hint)
{
    ck_assert_msg(!call->finished, "a call was finished twice");
    call->finished = true;
    call->failure = failure;
    snprintf(call->message, sizeof(call->message), "%s", message);
    snprintf(call->hint, sizeof(call->hint), "%s", hint != NULL ? hint : "");
}

static int32_t call_cancelled(const struct descpipe_call *call)
{
    (void)call;
    return 0;
}

static void call_on_cancel(struct descpipe_call *call, void (*wish)(void *context), void *context)
{
    call->wish = wish;
    call->wish_context = context;
}

static void call_progress(struct descpipe_call *call, uint64_t done, uint64_t total, const char *text)
{
    (void)call, (void)done, (void)total, (void)text;
}

static void answer_fact(struct descpipe_call *call, const char *name, const char *value)
{
    size_t length = strlen(call->facts);
    snprintf(call->facts + length, sizeof(call->facts) - length, "%s=%s\n", name, value);
}

static int32_t stage_start(const struct descpipe_host *table, uint64_t number,
                           const struct descpipe_placement *placement, void (*ended)(void *context, uint64_t job),
                           void *context)
{
    struct fake_host *host = current;
    ck_assert_ptr_eq(table, &host->table);
    ck_assert_uint_lt(number, FAKE_JOBS);
    ck_assert_uint_eq(placement->size, sizeof(*placement));
    if (host->stopping) {
        return 0;
    }
    host->depth++;
    host->deepest = host->depth > host->deepest ? host->depth : host->deepest;
    struct fake_job *job = &host->jobs[number];
    job->starts++;
    job->running = true;
    job->ended = ended;
    job->context = context;
    job->gpus[0] = '\0';
    for (const char *const *gpu = placement->gpus; gpu != NULL && *gpu != NULL; gpu++) {
        size_t length = strlen(job->gpus);
        snprintf(job->gpus + length, sizeof(job->gpus) - length, "%s%s", length > 0 ? "," : "", *gpu);
    }
    if (host->started_count < sizeof(host->started) / sizeof(*host->started)) {
        host->started[host->started_count] = number;
    }
    host->started_count++;
    host->running_count++;
    host->most_running = host->running_count > host->most_running ? host->running_count : host->most_running;
    if (host->on_start != NULL) {
        host->on_start(host, number);
    }
    host->depth--;
    return 1;
}

static void stage_stop(const struct descpipe_host *table, uint64_t number, uint64_t grace_ms)
{
    (void)table;
    ck_assert_uint_eq(grace_ms, (uint64_t)option_integer(NULL, "grace"));
    ck_assert(current->jobs[number].running);
    current->jobs[number].stops++;
}

static void observe_changed(struct descpipe_sink *sink, const struct descpipe_change *change)
{
    struct fake_host *host = current;
    ck_assert_ptr_eq(sink, (struct descpipe_sink *)(void *)host);
    ck_assert_uint_eq(change->size, sizeof(*change));
    if (host->change_count == host->change_capacity) {
        host->change_capacity = host->change_capacity == 0 ? 64 : host->change_capacity * 2;
        host->changes = memory_resize(host->changes, host->change_capacity * sizeof(*host->changes));
    }
    struct fake_change *kept = &host->changes[host->change_count++];
    *kept = (struct fake_change){.job = change->job, .attempt = change->attempt, .state = change->state};
    kept->flags = change->ending != NULL ? change->ending->flags : 0;
    snprintf(kept->reason, sizeof(kept->reason), "%s", change->reason);
    if (change->state == DESCPIPE_JOB_ENDED) {
        ck_assert(!host->jobs[change->job].running);
        host->jobs[change->job].cancelled++;
    }
}

static void observe_blind(struct descpipe_sink *sink, const char *message)
{
    (void)sink, (void)message;
}

static const struct descpipe_log_service log_service = {.size = sizeof(log_service), .write = write_log};
static const struct descpipe_config_service config_service = {
    .size = sizeof(config_service), .given = option_given, .integer = option_integer, .list = option_list};
static const struct descpipe_call_service call_service = {.size = sizeof(call_service),
                                                          .succeed = call_succeed,
                                                          .fail = call_fail,
                                                          .cancelled = call_cancelled,
                                                          .on_cancel = call_on_cancel,
                                                          .progress = call_progress};
static const struct descpipe_answer_service answer_service = {.size = sizeof(answer_service), .fact = answer_fact};
static const struct descpipe_stage_service stage_service = {
    .size = sizeof(stage_service), .start = stage_start, .stop = stage_stop};
static const struct descpipe_observe_service observe_service = {
    .size = sizeof(observe_service), .changed = observe_changed, .blind = observe_blind};

bool fake_host_try_open(struct fake_host **out, const char *name, const struct fake_option *options)
{
    cleanup(memory_free) char *path = memory_format("%s/plugins-built/scheduler-%s.so", BUILD_FOLDER, name);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    ck_assert_msg(library != NULL, "%s", dlerror());
    const struct descpipe_plugin *(*entry)(void);
    void *symbol = dlsym(library, DESCPIPE_ENTRY_SYMBOL);
    ck_assert_ptr_nonnull(symbol);
    memcpy(&entry, &symbol, sizeof(entry)); /* POSIX says this works; ISO C has no cast for it */
    struct fake_host *host = memory_allocate(sizeof(*host));
    host->jobs = memory_allocate(FAKE_JOBS * sizeof(*host->jobs));
    for (size_t i = 0; options != NULL && options[i].key != NULL; i++) {
        host->options[i] = options[i];
    }
    host->table = (struct descpipe_host){.size = sizeof(host->table),
                                         .abi_major = DESCPIPE_ABI_MAJOR,
                                         .abi_minor = DESCPIPE_ABI_MINOR,
                                         .log = &log_service,
                                         .config = &config_service,
                                         .call = &call_service,
                                         .answer = &answer_service,
                                         .stage = &stage_service,
                                         .observe = &observe_service};
    const struct descpipe_plugin *plugin = entry();
    ck_assert_str_eq(plugin->kind, "scheduler");
    ck_assert_str_eq(plugin->name, name);
    host->scheduler = plugin->operations;
    current = host;
    *out = host;
    if (host->scheduler->open(&host->table, &host->self, host->open_message, sizeof(host->open_message)) != 0) {
        return false;
    }
    host->scheduler->observe(host->self, &host->observing, (struct descpipe_sink *)(void *)host);
    ck_assert(!host->observing.finished);
    return true;
}

struct fake_host *fake_host_open(const char *name, const struct fake_option *options)
{
    struct fake_host *host = NULL;
    ck_assert_msg(fake_host_try_open(&host, name, options), "%s", host->open_message);
    return host;
}

void fake_host_close(struct fake_host *host)
{
    if (host->self != NULL) {
        host->observing.wish(host->observing.wish_context);
        ck_assert(host->observing.finished && host->observing.ok);
        host->scheduler->close(host->self);
    }
    memory_free(host->jobs);
    memory_free(host->changes);
    memory_free(host);
    current = NULL;
}

void fake_host_end(struct fake_host *host, uint64_t number)
{
    struct fake_job *job = &host->jobs[number];
    ck_assert_msg(job->running, "job %llu does not run", (unsigned long long)number);
    job->running = false;
    job->ends++;
    host->running_count--;
    job->ended(job->context, number);
}

bool fake_host_submit(struct fake_host *host, const struct descpipe_job *const *jobs, uint32_t count,
                      struct descpipe_call *call)
{
    struct descpipe_submission submission = {
        .size = sizeof(submission), .count = count, .token = "run-1", .run = "run", .jobs = jobs};
    *call = (struct descpipe_call){0};
    host->scheduler->submit(host->self, call, &submission);
    ck_assert_msg(call->finished, "submit must finish at once");
    return call->ok;
}
