/* SPDX-License-Identifier: BSD-3-Clause */
/* One function per operation: opens a call, enters the plugin, and says which answers it may and must give. */
#include "plugin/call.h"

/* Opens `call`. A plugin of another kind, or one without the operation, ends it as UNSUPPORTED. Members need no size
 * check here: abi_judge has seen to all of the first version. */
#define OPEN_CALL(table, instance, member, may_answer, must_answer)                                                    \
    static const struct operation operation = {#member, (may_answer), (must_answer)};                                  \
    struct plugin_call *call = call_open((instance), &operation, &options);                                            \
    if (!(table) || !(table)->member)                                                                                  \
    return call_unsupported(call)

struct plugin_call *runtime_probe(struct plugin_instance *runtime, struct call_options options)
{
    const struct descpipe_runtime *table = plugin_runtime(runtime);
    OPEN_CALL(table, runtime, probe, ANSWER_FACT, 0);
    table->probe(runtime->self, call_handle(call));
    return call_leave(call);
}

struct plugin_call *runtime_identify(struct plugin_instance *runtime, const struct descpipe_image *image,
                                     struct call_options options)
{
    const struct descpipe_runtime *table = plugin_runtime(runtime);
    OPEN_CALL(table, runtime, identify, ANSWER_IDENTITY, ANSWER_IDENTITY);
    table->identify(runtime->self, call_handle(call), image);
    return call_leave(call);
}

struct plugin_call *runtime_prepare(struct plugin_instance *runtime, const struct descpipe_prepare *prepare,
                                    struct call_options options)
{
    const struct descpipe_runtime *table = plugin_runtime(runtime);
    OPEN_CALL(table, runtime, prepare, ANSWER_IDENTITY, ANSWER_IDENTITY);
    table->prepare(runtime->self, call_handle(call), prepare);
    return call_leave(call);
}

struct plugin_call *runtime_launch(struct plugin_instance *runtime, const struct descpipe_stage *stage,
                                   struct call_options options)
{
    const struct descpipe_runtime *table = plugin_runtime(runtime);
    OPEN_CALL(table, runtime, launch, ANSWER_FORM, ANSWER_FORM);
    table->launch(runtime->self, call_handle(call), stage);
    return call_leave(call);
}

struct plugin_call *runtime_start(struct plugin_instance *runtime, const struct descpipe_stage *stage,
                                  struct call_options options)
{
    const struct descpipe_runtime *table = plugin_runtime(runtime);
    OPEN_CALL(table, runtime, start, ANSWER_NATIVE_ID, ANSWER_NATIVE_ID);
    table->start(runtime->self, call_handle(call), stage);
    return call_leave(call);
}

struct plugin_call *runtime_observe(struct plugin_instance *runtime, const struct descpipe_container *container,
                                    struct call_options options)
{
    const struct descpipe_runtime *table = plugin_runtime(runtime);
    OPEN_CALL(table, runtime, observe, ANSWER_ENDING, ANSWER_ENDING);
    table->observe(runtime->self, call_handle(call), container);
    return call_leave(call);
}

struct plugin_call *runtime_logs(struct plugin_instance *runtime, const struct descpipe_logs *logs,
                                 struct call_options options)
{
    const struct descpipe_runtime *table = plugin_runtime(runtime);
    OPEN_CALL(table, runtime, logs, 0, 0);
    table->logs(runtime->self, call_handle(call), logs);
    return call_leave(call);
}

struct plugin_call *runtime_inspect(struct plugin_instance *runtime, const struct descpipe_container *container,
                                    struct call_options options)
{
    const struct descpipe_runtime *table = plugin_runtime(runtime);
    OPEN_CALL(table, runtime, inspect, ANSWER_ENDING, 0);
    table->inspect(runtime->self, call_handle(call), container);
    return call_leave(call);
}

struct plugin_call *runtime_stop(struct plugin_instance *runtime, const struct descpipe_stop *stop,
                                 struct call_options options)
{
    const struct descpipe_runtime *table = plugin_runtime(runtime);
    OPEN_CALL(table, runtime, stop, 0, 0);
    table->stop(runtime->self, call_handle(call), stop);
    return call_leave(call);
}

struct plugin_call *runtime_find(struct plugin_instance *runtime, const char *run, struct call_options options)
{
    const struct descpipe_runtime *table = plugin_runtime(runtime);
    OPEN_CALL(table, runtime, find, ANSWER_FOUND, 0);
    table->find(runtime->self, call_handle(call), run);
    return call_leave(call);
}

struct plugin_call *runtime_release(struct plugin_instance *runtime, const struct descpipe_container *container,
                                    struct call_options options)
{
    const struct descpipe_runtime *table = plugin_runtime(runtime);
    OPEN_CALL(table, runtime, release, 0, 0);
    table->release(runtime->self, call_handle(call), container);
    return call_leave(call);
}

struct plugin_call *runtime_shell(struct plugin_instance *runtime, const struct descpipe_stage *stage,
                                  struct call_options options)
{
    const struct descpipe_runtime *table = plugin_runtime(runtime);
    OPEN_CALL(table, runtime, shell, ANSWER_NATIVE_ID, ANSWER_NATIVE_ID);
    table->shell(runtime->self, call_handle(call), stage);
    return call_leave(call);
}

struct plugin_call *runtime_exec(struct plugin_instance *runtime, const struct descpipe_exec *exec,
                                 struct call_options options)
{
    const struct descpipe_runtime *table = plugin_runtime(runtime);
    OPEN_CALL(table, runtime, exec, ANSWER_ENDING, ANSWER_ENDING);
    table->exec(runtime->self, call_handle(call), exec);
    return call_leave(call);
}

struct plugin_call *runtime_commit(struct plugin_instance *runtime, const struct descpipe_commit *commit,
                                   struct call_options options)
{
    const struct descpipe_runtime *table = plugin_runtime(runtime);
    OPEN_CALL(table, runtime, commit, ANSWER_IDENTITY, 0);
    table->commit(runtime->self, call_handle(call), commit);
    return call_leave(call);
}

struct plugin_call *runtime_changes(struct plugin_instance *runtime, const struct descpipe_container *container,
                                    struct call_options options)
{
    const struct descpipe_runtime *table = plugin_runtime(runtime);
    OPEN_CALL(table, runtime, changes, ANSWER_TEXT, 0);
    table->changes(runtime->self, call_handle(call), container);
    return call_leave(call);
}

struct plugin_call *runtime_copy_out(struct plugin_instance *runtime, const struct descpipe_copy *copy,
                                     struct call_options options)
{
    const struct descpipe_runtime *table = plugin_runtime(runtime);
    OPEN_CALL(table, runtime, copy_out, 0, 0);
    table->copy_out(runtime->self, call_handle(call), copy);
    return call_leave(call);
}

struct plugin_call *runtime_build(struct plugin_instance *runtime, const struct descpipe_build *build,
                                  struct call_options options)
{
    const struct descpipe_runtime *table = plugin_runtime(runtime);
    OPEN_CALL(table, runtime, build, ANSWER_IDENTITY, ANSWER_IDENTITY);
    table->build(runtime->self, call_handle(call), build);
    return call_leave(call);
}

struct plugin_call *runtime_push(struct plugin_instance *runtime, const struct descpipe_push *push,
                                 struct call_options options)
{
    const struct descpipe_runtime *table = plugin_runtime(runtime);
    OPEN_CALL(table, runtime, push, ANSWER_IDENTITY, ANSWER_IDENTITY);
    table->push(runtime->self, call_handle(call), push);
    return call_leave(call);
}

struct plugin_call *runtime_prune(struct plugin_instance *runtime, const struct descpipe_prune *prune,
                                  struct call_options options)
{
    const struct descpipe_runtime *table = plugin_runtime(runtime);
    OPEN_CALL(table, runtime, prune, ANSWER_TEXT | ANSWER_FACT, 0);
    table->prune(runtime->self, call_handle(call), prune);
    return call_leave(call);
}

bool registry_accepts(struct plugin_instance *registry, const char *reference)
{
    const struct descpipe_registry *table = plugin_registry(registry);
    return table && table->accepts(registry->self, reference) != 0;
}

struct plugin_call *registry_normalize(struct plugin_instance *registry, const char *name, struct call_options options)
{
    const struct descpipe_registry *table = plugin_registry(registry);
    OPEN_CALL(table, registry, normalize, ANSWER_REFERENCE, ANSWER_REFERENCE);
    table->normalize(registry->self, call_handle(call), name);
    return call_leave(call);
}

struct plugin_call *registry_resolve(struct plugin_instance *registry, const struct descpipe_lookup *lookup,
                                     struct call_options options)
{
    const struct descpipe_registry *table = plugin_registry(registry);
    OPEN_CALL(table, registry, resolve, ANSWER_IDENTITY, ANSWER_IDENTITY);
    table->resolve(registry->self, call_handle(call), lookup);
    return call_leave(call);
}

struct plugin_call *registry_credentials(struct plugin_instance *registry, const struct descpipe_lookup *lookup,
                                         struct call_options options)
{
    const struct descpipe_registry *table = plugin_registry(registry);
    OPEN_CALL(table, registry, credentials, ANSWER_CREDENTIAL, 0);
    table->credentials(registry->self, call_handle(call), lookup);
    return call_leave(call);
}

struct plugin_call *registry_probe(struct plugin_instance *registry, struct call_options options)
{
    const struct descpipe_registry *table = plugin_registry(registry);
    OPEN_CALL(table, registry, probe, ANSWER_FACT, 0);
    table->probe(registry->self, call_handle(call));
    return call_leave(call);
}

struct plugin_call *registry_ensure_repository(struct plugin_instance *registry, const struct descpipe_lookup *lookup,
                                               struct call_options options)
{
    const struct descpipe_registry *table = plugin_registry(registry);
    OPEN_CALL(table, registry, ensure_repository, 0, 0);
    table->ensure_repository(registry->self, call_handle(call), lookup);
    return call_leave(call);
}

struct plugin_call *registry_list_tags(struct plugin_instance *registry, const struct descpipe_lookup *lookup,
                                       struct call_options options)
{
    const struct descpipe_registry *table = plugin_registry(registry);
    OPEN_CALL(table, registry, list_tags, ANSWER_TEXT, 0);
    table->list_tags(registry->self, call_handle(call), lookup);
    return call_leave(call);
}

struct plugin_call *registry_login(struct plugin_instance *registry, const struct descpipe_login *login,
                                   struct call_options options)
{
    const struct descpipe_registry *table = plugin_registry(registry);
    OPEN_CALL(table, registry, login, ANSWER_TEXT, 0);
    table->login(registry->self, call_handle(call), login);
    return call_leave(call);
}

struct plugin_call *registry_logout(struct plugin_instance *registry, const char *host, struct call_options options)
{
    const struct descpipe_registry *table = plugin_registry(registry);
    OPEN_CALL(table, registry, logout, ANSWER_TEXT, 0);
    table->logout(registry->self, call_handle(call), host);
    return call_leave(call);
}

struct plugin_call *scheduler_probe(struct plugin_instance *scheduler, struct call_options options)
{
    const struct descpipe_scheduler *table = plugin_scheduler(scheduler);
    OPEN_CALL(table, scheduler, probe, ANSWER_FACT, 0);
    table->probe(scheduler->self, call_handle(call));
    return call_leave(call);
}

struct plugin_call *scheduler_submit(struct plugin_instance *scheduler, const struct descpipe_submission *submission,
                                     struct call_options options)
{
    const struct descpipe_scheduler *table = plugin_scheduler(scheduler);
    OPEN_CALL(table, scheduler, submit, ANSWER_NATIVE_ID, 0);
    table->submit(scheduler->self, call_handle(call), submission);
    return call_leave(call);
}

struct plugin_call *scheduler_observe(struct plugin_instance *scheduler, struct call_options options)
{
    const struct descpipe_scheduler *table = plugin_scheduler(scheduler);
    OPEN_CALL(table, scheduler, observe, 0, 0);
    table->observe(scheduler->self, call_handle(call), call_sink(call));
    return call_leave(call);
}

struct plugin_call *scheduler_find(struct plugin_instance *scheduler, const char *run, struct call_options options)
{
    const struct descpipe_scheduler *table = plugin_scheduler(scheduler);
    OPEN_CALL(table, scheduler, find, ANSWER_FOUND, 0);
    table->find(scheduler->self, call_handle(call), run);
    return call_leave(call);
}

struct plugin_call *scheduler_cancel(struct plugin_instance *scheduler, const uint64_t *jobs, uint64_t count,
                                     struct call_options options)
{
    const struct descpipe_scheduler *table = plugin_scheduler(scheduler);
    OPEN_CALL(table, scheduler, cancel, 0, 0);
    table->cancel(scheduler->self, call_handle(call), jobs, count);
    return call_leave(call);
}

struct plugin_call *scheduler_release(struct plugin_instance *scheduler, const char *token, struct call_options options)
{
    const struct descpipe_scheduler *table = plugin_scheduler(scheduler);
    OPEN_CALL(table, scheduler, release, 0, 0);
    table->release(scheduler->self, call_handle(call), token);
    return call_leave(call);
}

struct plugin_call *scheduler_paths(struct plugin_instance *scheduler, const char *path, struct call_options options)
{
    const struct descpipe_scheduler *table = plugin_scheduler(scheduler);
    OPEN_CALL(table, scheduler, paths, ANSWER_TEXT, ANSWER_TEXT);
    table->paths(scheduler->self, call_handle(call), path);
    return call_leave(call);
}

struct plugin_call *scheduler_render(struct plugin_instance *scheduler, const struct descpipe_submission *submission,
                                     struct call_options options)
{
    const struct descpipe_scheduler *table = plugin_scheduler(scheduler);
    OPEN_CALL(table, scheduler, render, ANSWER_TEXT, ANSWER_TEXT);
    table->render(scheduler->self, call_handle(call), submission);
    return call_leave(call);
}

struct plugin_call *scheduler_queue_estimate(struct plugin_instance *scheduler, const struct descpipe_job *job,
                                             struct call_options options)
{
    const struct descpipe_scheduler *table = plugin_scheduler(scheduler);
    OPEN_CALL(table, scheduler, queue_estimate, ANSWER_MOMENT, ANSWER_MOMENT);
    table->queue_estimate(scheduler->self, call_handle(call), job);
    return call_leave(call);
}

struct plugin_call *scheduler_shell(struct plugin_instance *scheduler, const struct descpipe_job *job,
                                    struct call_options options)
{
    const struct descpipe_scheduler *table = plugin_scheduler(scheduler);
    OPEN_CALL(table, scheduler, shell, ANSWER_ENDING, 0);
    table->shell(scheduler->self, call_handle(call), job);
    return call_leave(call);
}

struct plugin_call *scheduler_logs(struct plugin_instance *scheduler, uint64_t job, int output_descriptor, bool follow,
                                   struct call_options options)
{
    const struct descpipe_scheduler *table = plugin_scheduler(scheduler);
    OPEN_CALL(table, scheduler, logs, 0, 0);
    table->logs(scheduler->self, call_handle(call), job, output_descriptor, follow);
    return call_leave(call);
}

static enum error_kind error_kind_of(const struct plugin_instance *instance, const struct call_result *result)
{
    if (result->plugin_fault)
        return ERROR_PLUGIN;
    switch (result->failure) {
    case DESCPIPE_FAILED_CANCELLED:
        return ERROR_INTERRUPTED;
    case DESCPIPE_FAILED_CANNOT_ASK:
    case DESCPIPE_FAILED_NEEDS_LOGIN:
    case DESCPIPE_FAILED_LATER:
        return ERROR_NETWORK;
    case DESCPIPE_FAILED_REFUSED:
    case DESCPIPE_FAILED_NOT_FOUND:
        return plugin_registry(instance) ? ERROR_NETWORK : ERROR_PLUGIN;
    default:
        return ERROR_PLUGIN;
    }
}

bool call_error(const struct plugin_instance *instance, const char *operation, const struct call_result *result,
                struct error *error)
{
    error_set(error, error_kind_of(instance, result), "%s: %s: %s", instance->identity, operation,
              result->message ? result->message : "failed");
    if (result->hint)
        error_hint(error, "%s", result->hint);
    return false;
}
