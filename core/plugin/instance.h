/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Plugins as the rest of the core sees them: opened by kind and name, asked by calls.
 *
 * A call is started by one function per operation and ends with one `done`, which may come before the starting
 * function returns. The host enforces the deadline (the plugin is told to cancel; if it does not finish within
 * CALL_GRACE_MS after that, the call ends as UNKNOWN and what the plugin says later is dropped and logged), exactly one
 * end per call, and the kinds of answer an operation may give. What a result points to lives until `done` returns.
 *
 * No plugin is entered while another call into it is on the stack: what a plugin says (ends, progress, changes) and what
 * the core wishes (cancel) is handed over between two turns of the loop, except that a call which the plugin finishes
 * inside its operation ends with `done` as soon as the operation has returned.
 */
#ifndef DESCPIPE_PLUGIN_INSTANCE_H
#define DESCPIPE_PLUGIN_INSTANCE_H

#include <descpipe/plugin.h>

#include "base/digest.h"
#include "base/error.h"
#include "config/settings.h"
#include "io/http.h"
#include "io/loop.h"
#include "io/pool.h"
#include "plugin/catalogue.h"

#define CALL_GRACE_MS 5000
#define CALL_DEADLINE_MS 60000 /* when nothing else is said */
#define CLOSE_LIMIT_MS 10000
#define ANSWER_LIMIT_BYTES (64u << 20) /* of one call, all together */
#define CALLS_LIMIT (1u << 20) /* open at a time */

/* What the host services need from the rest of the core; set by whoever has it (the engine), NULL otherwise. */
struct plugin_callbacks {
    void *context;
    /* stage service, see descpipe/host.h */
    bool (*stage_start)(void *context, uint64_t job, const struct descpipe_placement *placement,
                        void (*ended)(void *scheduler, uint64_t job), void *scheduler);
    void (*stage_stop)(void *context, uint64_t job, uint64_t grace_ms);
    /* credential service */
    void (*credential)(void *context, const struct descpipe_image *image, uint32_t purpose,
                       void (*got)(void *plugin, const struct descpipe_credential *credential, const char *message),
                       void *plugin);
    /* config service: what `{secret: NAME}` stands for; owned by whoever answers, lives as long as the host. NULL with a
     * message when it cannot be had. */
    const struct descpipe_secret *(*secret)(void *context, const char *name, struct error *error);
    /* observe service */
    void (*changed)(void *context, const struct descpipe_change *change);
    void (*blind)(void *context, const char *message);
};

/* One per process: the loop, curl, the helper threads and every opened plugin. */
struct plugin_host;
struct plugin_host *plugin_host_new(struct loop *loop, struct plugin_catalogue *catalogue, struct error *error);
/* Cancels open calls, closes instances, waits for what plugins still have open (at most CLOSE_LIMIT_MS, running the loop:
 * not legal inside one of its callbacks). */
void plugin_host_free(struct plugin_host *host);
/* Takes settings that a closed plugin may still be reading; they end with the host. NULL is fine. */
void plugin_host_keep(struct plugin_host *host, struct settings *settings);
DEFINE_CLEANUP(struct plugin_host *, plugin_host_free);
void plugin_host_set_callbacks(struct plugin_host *host, const struct plugin_callbacks *callbacks);
/* Before it is freed by somebody who is done: what calls still end with while plugins close is told to nobody, and no callback
 * is called any more. Contexts of open calls stay their owner's. NULL is fine. */
void plugin_host_silence(struct plugin_host *host);

/* Finds, trusts, loads, checks and opens. `settings` (NULL: all defaults) belongs to the caller and outlives the host, because a
 * closed plugin may still be finishing what it had open. */
struct plugin_instance;
struct plugin_instance *plugin_open(struct plugin_host *host, const char *kind, const char *name,
                                    const struct settings *settings, struct error *error);
/* NULL is fine. Cancels its calls first: each `done` has come when this returns. Tools, exchanges and work that the plugin has
 * still open end on the loop; the plugin's own close follows them. Not legal inside stage_start, stage_stop, credential. */
void plugin_close(struct plugin_instance *instance);
DEFINE_CLEANUP(struct plugin_instance *, plugin_close);

/* The loaded descriptor without opening it, for option tables (`config` checks settings against them). */
const struct descpipe_plugin *plugin_descriptor(struct plugin_host *host, const char *kind, const char *name, struct error *error);

const struct descpipe_plugin *plugin_instance_descriptor(const struct plugin_instance *instance);
const char *plugin_instance_path(const struct plugin_instance *instance);
const char *plugin_instance_sha256(const struct plugin_instance *instance);
const struct descpipe_runtime *plugin_runtime(const struct plugin_instance *instance);     /* NULL when of another kind */
const struct descpipe_registry *plugin_registry(const struct plugin_instance *instance);
const struct descpipe_scheduler *plugin_scheduler(const struct plugin_instance *instance);
uint32_t plugin_runtime_forms(const struct plugin_instance *instance);                     /* DESCPIPE_FORM_ bits as configured */
bool plugin_scheduler_jobs_bring(const struct plugin_instance *instance); /* its jobs look after their files themselves */
bool plugin_scheduler_is_apart(const struct plugin_instance *instance);   /* … which this machine does not see */
/* False with an error that says which option is missing. */
bool plugin_scheduler_accepts(const struct plugin_instance *instance, uint32_t form, struct error *error);
uint64_t plugin_scheduler_room(const struct plugin_instance *instance);                    /* UINT64_MAX: no limit */
const struct descpipe_pilot *plugin_scheduler_pilot(const struct plugin_instance *instance); /* NULL: none */

struct call_fact { const char *name, *value; };
struct call_native_id { uint64_t job; const char *id; };

struct call_result {
    bool ok;
    bool plugin_fault;           /* not ok because the plugin broke the rules; `failure` is UNKNOWN then */
    uint32_t failure;            /* DESCPIPE_FAILED_ when not ok */
    const char *message;         /* not ok: one line */
    const char *hint;            /* or NULL */
    const struct descpipe_image_identity *identity; /* or NULL */
    const struct descpipe_form *form;
    const struct descpipe_ending *ending;
    const struct descpipe_credential *credential;
    const char *reference;
    int64_t moment_ms;
    const struct call_fact *facts;
    size_t facts_count;
    const struct call_native_id *native_ids;
    size_t native_ids_count;
    const struct descpipe_found *const *found;
    size_t found_count;
    const char *const *texts;
    size_t texts_count;
};

struct call_options {
    int64_t deadline_ms; /* from now; 0: 60 s; INT64_MAX: none */
    void (*done)(void *context, const struct call_result *result);
    void (*progress)(void *context, uint64_t done, uint64_t total, const char *text); /* may be NULL */
    void *context;
};

/* A call in progress; valid until its `done` has returned. The functions below return NULL when it ended at once. */
struct plugin_call;
void call_cancel(struct plugin_call *call); /* a wish; `done` still comes */
/* Turns a failed result into an error: kind by failure (NETWORK, PLUGIN ...), "kind/name: operation: message". */
bool call_error(const struct plugin_instance *instance, const char *operation, const struct call_result *result, struct error *error);

/* The inputs must live until `done`. An operation the plugin lacks (NULL) ends with UNSUPPORTED. */
struct plugin_call *runtime_probe(struct plugin_instance *runtime, struct call_options options);
struct plugin_call *runtime_identify(struct plugin_instance *runtime, const struct descpipe_image *image, struct call_options options);
struct plugin_call *runtime_prepare(struct plugin_instance *runtime, const struct descpipe_prepare *prepare, struct call_options options);
struct plugin_call *runtime_launch(struct plugin_instance *runtime, const struct descpipe_stage *stage, struct call_options options);
struct plugin_call *runtime_start(struct plugin_instance *runtime, const struct descpipe_stage *stage, struct call_options options);
struct plugin_call *runtime_observe(struct plugin_instance *runtime, const struct descpipe_container *container, struct call_options options);
struct plugin_call *runtime_logs(struct plugin_instance *runtime, const struct descpipe_logs *logs, struct call_options options);
struct plugin_call *runtime_inspect(struct plugin_instance *runtime, const struct descpipe_container *container, struct call_options options);
struct plugin_call *runtime_stop(struct plugin_instance *runtime, const struct descpipe_stop *stop, struct call_options options);
struct plugin_call *runtime_find(struct plugin_instance *runtime, const char *run, struct call_options options);
struct plugin_call *runtime_release(struct plugin_instance *runtime, const struct descpipe_container *container, struct call_options options);
struct plugin_call *runtime_shell(struct plugin_instance *runtime, const struct descpipe_stage *stage, struct call_options options);
struct plugin_call *runtime_exec(struct plugin_instance *runtime, const struct descpipe_exec *exec, struct call_options options);
struct plugin_call *runtime_commit(struct plugin_instance *runtime, const struct descpipe_commit *commit, struct call_options options);
struct plugin_call *runtime_changes(struct plugin_instance *runtime, const struct descpipe_container *container, struct call_options options);
struct plugin_call *runtime_copy_out(struct plugin_instance *runtime, const struct descpipe_copy *copy, struct call_options options);
struct plugin_call *runtime_build(struct plugin_instance *runtime, const struct descpipe_build *build, struct call_options options);
struct plugin_call *runtime_push(struct plugin_instance *runtime, const struct descpipe_push *push, struct call_options options);
struct plugin_call *runtime_prune(struct plugin_instance *runtime, const struct descpipe_prune *prune, struct call_options options);
bool registry_accepts(struct plugin_instance *registry, const char *reference);
struct plugin_call *registry_normalize(struct plugin_instance *registry, const char *name, struct call_options options);
struct plugin_call *registry_resolve(struct plugin_instance *registry, const struct descpipe_lookup *lookup, struct call_options options);
struct plugin_call *registry_credentials(struct plugin_instance *registry, const struct descpipe_lookup *lookup, struct call_options options);
struct plugin_call *registry_probe(struct plugin_instance *registry, struct call_options options);
struct plugin_call *registry_ensure_repository(struct plugin_instance *registry, const struct descpipe_lookup *lookup, struct call_options options);
struct plugin_call *registry_list_tags(struct plugin_instance *registry, const struct descpipe_lookup *lookup, struct call_options options);
struct plugin_call *registry_login(struct plugin_instance *registry, const struct descpipe_login *login, struct call_options options);
struct plugin_call *registry_logout(struct plugin_instance *registry, const char *host, struct call_options options);
struct plugin_call *scheduler_probe(struct plugin_instance *scheduler, struct call_options options);
struct plugin_call *scheduler_submit(struct plugin_instance *scheduler, const struct descpipe_submission *submission, struct call_options options);
struct plugin_call *scheduler_observe(struct plugin_instance *scheduler, struct call_options options); /* changes go to callbacks.changed */
struct plugin_call *scheduler_find(struct plugin_instance *scheduler, const char *run, struct call_options options);
struct plugin_call *scheduler_cancel(struct plugin_instance *scheduler, const uint64_t *jobs, uint64_t count, struct call_options options);
struct plugin_call *scheduler_release(struct plugin_instance *scheduler, const char *token, struct call_options options);
struct plugin_call *scheduler_paths(struct plugin_instance *scheduler, const char *path, struct call_options options);
struct plugin_call *scheduler_logs(struct plugin_instance *scheduler, uint64_t job, int output_descriptor, bool follow, struct call_options options);
struct plugin_call *scheduler_render(struct plugin_instance *scheduler, const struct descpipe_submission *submission,
                                     struct call_options options);
struct plugin_call *scheduler_queue_estimate(struct plugin_instance *scheduler, const struct descpipe_job *job, struct call_options options);
struct plugin_call *scheduler_shell(struct plugin_instance *scheduler, const struct descpipe_job *job, struct call_options options);

#endif
