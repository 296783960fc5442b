/* SPDX-License-Identifier: BSD-3-Clause */
/* The engine's records in the journal, put together by hand: there are several per task. */
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "run/journal/evidence.h"
#include "run/journal/machine.h"
#include "run/journal/record_members.h"
#include "run/walk.h"

void record_task(struct engine *engine, struct text *text, uint32_t task)
{
    uint32_t number, member;
    const struct stage *stage = walk_stage_of(engine, task, &number, &member);
    member_text(text, "stage", pipeline_text(engine->pipeline, stage->name));
    if (member == NONE)
        return;
    cleanup(text_clear) struct text name = TEXT_INIT;
    stage_member_name(engine->pipeline, stage, member, &name);
    member_text(text, "member", text_bytes(&name));
}

static void append_plugin(struct text *text, const struct plugin_instance *instance, bool *first)
{
    if (instance == NULL)
        return;
    const struct descpipe_plugin *plugin = plugin_instance_descriptor(instance);
    text_append(text, *first ? "{\"kind\":" : ",{\"kind\":");
    *first = false;
    text_append_json(text, plugin->kind);
    member_text(text, "name", plugin->name);
    member_text(text, "version", plugin->version);
    member_text(text, "path", plugin_instance_path(instance));
    member_text(text, "sha256", plugin_instance_sha256(instance));
    text_append(text, "}");
}

static void append_plugins(struct engine *engine, struct text *text)
{
    bool first = true;
    text_append(text, ",\"plugins\":[");
    for (size_t i = 0; i < engine->plan->backends_count; i++) {
        append_plugin(text, engine->plan->backends[i].scheduler, &first);
        append_plugin(text, engine->plan->backends[i].runtime, &first);
        append_plugin(text, engine->plan->backends[i].registry, &first);
    }
    text_append(text, "]");
}

void record_run(struct engine *engine)
{
    struct machine machine;
    machine_read(&machine);
    const struct plan_backend *backend = &engine->plan->backends[0];
    struct text *text = journal_begin(engine->journal, "run");
    member_text(text, "run", engine->folder.id);
    member_text(text, "pipeline", engine->pipeline->file);
    member_text(text, "name", pipeline_text(engine->pipeline, engine->pipeline->name));
    const struct passwd *user = getpwuid(getuid());
    if (user != NULL)
        member_text(text, "user", user->pw_name);
    else
        member_unsigned(text, "user", getuid());
    member_text(text, "host", machine.host);
    const char *site = config_layers_value(engine->layers, "site", NULL, NULL);
    if (site != NULL)
        member_text(text, "site", site);
    member_text(text, "working", engine->pipeline->working);
    member_text(text, "output", engine->pipeline->output);
    cleanup(text_clear) struct text where = TEXT_INIT;
    if (apart_describe_results(engine, &where))
        member_text(text, "results", text_bytes(&where));
    member_text(text, "backend", backend->name);
    text_append(text, ",\"options\":{\"scheduler\":");
    settings_print_json(backend->scheduler_settings, text);
    text_append(text, ",\"runtime\":");
    settings_print_json(backend->runtime_settings, text);
    text_append(text, "}");
    append_plugins(engine, text);
    member_unsigned(text, "tasks", engine->left);
    text_append(text, engine->request->keep_going ? ",\"keep_going\":true" : ",\"keep_going\":false");
    journal_end(engine->journal);
}

void record_image(struct engine *engine, uint32_t image)
{
    const struct plan_image *planned = &engine->plan->images[image];
    struct text *text = journal_begin(engine->journal, "image");
    member_text(text, "image", planned->reference);
    member_text(text, "reference", planned->image.reference != NULL ? planned->image.reference : planned->reference);
    if (planned->locked)
        text_append(text, ",\"locked\":true");
    if (planned->config_digest != NULL)
        member_text(text, "config_digest", planned->config_digest);
    if (planned->manifest_digest != NULL)
        member_text(text, "manifest_digest", planned->manifest_digest);
    if (planned->handle != NULL)
        member_text(text, "handle", planned->handle);
    if (engine->images[image].failure != NULL)
        member_text(text, "failure", engine->images[image].failure);
    journal_end(engine->journal);
}

void record_used(struct engine *engine, uint64_t job, const struct descpipe_ending *ending)
{
    struct text *text = journal_begin(engine->journal, "used");
    member_unsigned(text, "job", job);
    if (ending->cpu_ms > 0)
        member_unsigned(text, "cpu_ms", ending->cpu_ms);
    if (ending->peak_memory > 0)
        member_unsigned(text, "peak_memory", ending->peak_memory);
    if (ending->witness != NULL)
        member_text(text, "witness", ending->witness);
    journal_end(engine->journal);
}

struct text *record_intent_begin(struct engine *engine, uint64_t serial, uint32_t first)
{
    struct text *text = journal_begin(engine->journal, "intent");
    member_unsigned(text, "submission", serial);
    if (first > 0)
        member_unsigned(text, "first", first);
    text_append(text, ",\"jobs\":[");
    return text;
}

void record_intent_job(struct engine *engine, struct text *text, uint32_t task, bool first)
{
    uint64_t attempt = engine->tasks[task].attempts;
    text_append(text, first ? "{\"job\":" : ",{\"job\":");
    text_append_unsigned(text, walk_job(engine, task, attempt));
    record_task(engine, text, task);
    member_unsigned(text, "attempt", attempt);
    text_append_character(text, '}');
}

void record_intent_attempt(const struct attempt *attempt, struct text *text, bool first)
{
    record_intent_job(attempt->engine, text, attempt->task, first);
    if (attempt->outcome_path == NULL)
        return;     /* its scheduler alone says how it ended */
    text->length--; /* the brace */
    member_text(text, "outcome", attempt->outcome_path + strlen(attempt->engine->folder.path) + 1);
    text_append_character(text, '}');
}

void record_intent_end(struct engine *engine, struct text *text)
{
    text_append_character(text, ']');
    journal_end(engine->journal);
}

void record_queued(struct engine *engine, uint64_t job, const char *reason)
{
    struct text *text = journal_begin(engine->journal, "queued");
    member_unsigned(text, "job", job);
    if (reason != NULL)
        member_text(text, "reason", reason);
    journal_end(engine->journal);
}

void record_submitted(struct engine *engine, uint64_t serial, uint64_t job, const char *native)
{
    struct text *text = journal_begin(engine->journal, "submitted");
    member_unsigned(text, "submission", serial);
    member_unsigned(text, "job", job);
    if (native != NULL)
        member_text(text, "native", native);
    journal_end(engine->journal);
}

void record_keeper(struct engine *engine)
{
    pid_t keeper = atomic_load(&engine->table->keeper);
    struct text *text = journal_begin(engine->journal, "keeper");
    member_signed(text, "pid", keeper);
    member_unsigned(text, "start", process_start_time(keeper));
    journal_end(engine->journal);
}

void record_adopted(struct attempt *attempt)
{
    struct text *text = journal_begin(attempt->engine->journal, "adopted");
    member_unsigned(text, "job", attempt->job);
    journal_end(attempt->engine->journal);
}

void record_started(struct attempt *attempt, const char *native, const char *host)
{
    struct text *text = journal_begin(attempt->engine->journal, "started");
    member_unsigned(text, "job", attempt->job);
    if (attempt->session > 0) {
        member_signed(text, "pid", attempt->session);
        member_unsigned(text, "session_start",
                        attempt->adopted ? attempt->session_start : process_started(attempt->process));
    }
    if (attempt->resumed)
        member_signed(text, "started_at", attempt->started_ms);
    if (native != NULL)
        member_text(text, "native", native);
    if (host != NULL)
        member_text(text, "host", host);
    if (attempt->removal != NULL) {
        text_append(text, ",\"removal\":[");
        for (size_t i = 0; attempt->removal[i] != NULL; i++) {
            text_append(text, i > 0 ? "," : "");
            text_append_json(text, attempt->removal[i]);
        }
        text_append_character(text, ']');
    }
    journal_end(attempt->engine->journal);
}

/* Of what ran here from its start to its end, the time that passed counts, not what the clock was set to. */
static int64_t finished_at(const struct attempt *attempt)
{
    if (attempt->finished_ms != 0)
        return attempt->finished_ms;
    if (attempt->resumed || attempt->remote != NULL)
        return clock_wall_ms();
    return attempt->started_ms + (clock_monotonic_ms() - attempt->started_monotonic_ms);
}

void record_ended(struct attempt *attempt)
{
    struct text *text = journal_begin(attempt->engine->journal, "ended");
    member_unsigned(text, "job", attempt->job);
    evidence_append(text, attempt->endings, attempt->endings_count);
    member_signed(text, "started_at", attempt->started_ms);
    member_signed(text, "finished_at", finished_at(attempt));
    journal_end(attempt->engine->journal);
}

void record_verdict(struct engine *engine, uint32_t task, uint64_t attempt, const struct outcome *outcome,
                    const struct record_retry *retry)
{
    struct text *text = journal_begin(engine->journal, "verdict");
    member_unsigned(text, "job", walk_job(engine, task, attempt));
    record_task(engine, text, task);
    member_unsigned(text, "attempt", attempt);
    text_append(text, ",\"verdict\":\"");
    text_append(text, verdict_name(outcome->verdict));
    text_append_character(text, '"');
    member_text(text, "reason", text_bytes(&outcome->reason));
    member_unsigned(text, "cpu_ms", outcome->cpu_ms);
    member_unsigned(text, "peak_memory", outcome->peak_memory);
    text_append(text, outcome->checkpoint ? ",\"checkpoint\":true" : "");
    if (retry != NULL && retry->at_ms != 0) {
        text_append(text, ",\"retry\":{\"at\":");
        text_append_signed(text, retry->at_ms);
        member_text(text, "reason", retry->reason);
        if (retry->memory != 0)
            member_unsigned(text, "memory", retry->memory);
        if (retry->time_limit_ms != 0)
            member_signed(text, "time_limit_ms", retry->time_limit_ms);
        text_append_character(text, '}');
    }
    journal_end(engine->journal);
}

void record_publish(struct attempt *attempt)
{
    struct text *text = journal_begin(attempt->engine->journal, "publish");
    member_unsigned(text, "job", attempt->job);
    text_append(text, ",\"files\":[");
    for (size_t i = 0; i < attempt->out.outputs_count; i++) {
        const struct staging_output *output = &attempt->out.outputs[i];
        text_append(text, i > 0 ? ",{\"tag\":" : "{\"tag\":");
        text_append_json(text, output->tag);
        member_text(text, "path", output->published);
        member_text(text, "name", output->name);
        member_unsigned(text, "bytes", output->bytes);
        if (output->sha256[0] != '\0')
            member_text(text, "sha256", output->sha256);
        text_append_character(text, '}');
    }
    text_append_character(text, ']');
    journal_end(attempt->engine->journal);
}

void record_published(struct attempt *attempt)
{
    struct text *text = journal_begin(attempt->engine->journal, "published");
    member_unsigned(text, "job", attempt->job);
    journal_end(attempt->engine->journal);
}

void record_state(struct engine *engine, uint32_t task, enum task_state state, const char *reason)
{
    struct text *text = journal_begin(engine->journal, "state");
    record_task(engine, text, task);
    text_append(text, state == TASK_CANCELLED ? ",\"state\":\"cancelled\"" : ",\"state\":\"skipped\"");
    if (reason != NULL)
        member_text(text, "reason", reason);
    journal_end(engine->journal);
}

void record_cached(struct engine *engine, uint32_t task, const struct cache_result *result)
{
    struct text *text = journal_begin(engine->journal, "state");
    record_task(engine, text, task);
    text_append(text, ",\"state\":\"cached\",\"reason\":\"made by run ");
    text_append(text, result->run);
    bool shared = result->folder != NULL && text_starts_with(result->folder, SHARED_RESULTS "/");
    text_append(text, shared ? ", from the shared cache\"" : "\"");
    member_text(text, "key", result->key);
    member_text(text, "made_by", result->run);
    member_unsigned(text, "made_in", result->attempt);
    journal_end(engine->journal);
}

static void append_field(struct text *text, const struct identity_field *field, bool first)
{
    text_append(text, first ? "{\"name\":" : ",{\"name\":");
    text_append_json(text, field->name);
    member_text(text, "value", field->value);
    if (field->path != NULL)
        member_text(text, "path", field->path);
    text_append_character(text, '}');
}

/* Both are sorted by name. */
static void append_difference(struct text *text, const struct identity *identity, const struct identity *like)
{
    cleanup(text_clear) struct text without = TEXT_INIT;
    bool first = true;
    for (size_t i = 0, j = 0; i < identity->count || j < like->count;) {
        const struct identity_field *field = i < identity->count ? &identity->fields[i] : NULL;
        const struct identity_field *other = j < like->count ? &like->fields[j] : NULL;
        int order = field == NULL ? 1 : other == NULL ? -1 : strcmp(field->name, other->name);
        i += order <= 0;
        j += order >= 0;
        if (order > 0) {
            text_append(&without, without.length > 0 ? "," : ",\"without\":[");
            text_append_json(&without, other->name);
        } else if (order < 0 || !identity_field_equal(field, other)) {
            append_field(text, field, first);
            first = false;
        }
    }
    text_append_character(text, ']');
    if (without.length == 0)
        return;
    text_append_bytes(text, without.bytes, without.length);
    text_append_character(text, ']');
}

uint64_t record_key(struct engine *engine, uint32_t task, const struct record_key *key)
{
    const struct identity *identity = key->identity;
    struct text *text = journal_begin(engine->journal, "key");
    record_task(engine, text, task);
    member_text(text, "key", identity->key);
    if (key->refused != NULL)
        member_text(text, "refused", key->refused);
    if (key->like != NULL)
        member_unsigned(text, "like", key->like_sequence);
    text_append(text, ",\"fields\":[");
    if (key->like != NULL) {
        append_difference(text, identity, key->like);
    } else {
        for (size_t i = 0; i < identity->count; i++)
            append_field(text, &identity->fields[i], i == 0);
        text_append_character(text, ']');
    }
    journal_end(engine->journal);
    return journal_sequence(engine->journal);
}

void record_text(struct engine *engine, const char *sha256, const char *content)
{
    struct text *text = journal_begin(engine->journal, "text");
    member_text(text, "sha256", sha256);
    member_text(text, "content", content);
    journal_end(engine->journal);
}

void record_request(struct engine *engine, const char *what, const char *by)
{
    struct text *text = journal_begin(engine->journal, "request");
    text_append(text, ",\"");
    text_append(text, what);
    text_append(text, "\":true");
    member_text(text, "by", by);
    journal_end(engine->journal);
}

void record_detached(struct engine *engine, const char *scheduler, uint64_t serial, bool pilot)
{
    struct text *text = journal_begin(engine->journal, "detached");
    member_text(text, "scheduler", scheduler);
    member_unsigned(text, "submission", serial);
    text_append(text, pilot ? ",\"pilot\":true" : "");
    journal_end(engine->journal);
}

void record_end(struct engine *engine, const char *state)
{
    struct text *text = journal_begin(engine->journal, "end");
    member_text(text, "state", state);
    text_append(text, ",\"verdicts\":{");
    bool first = true;
    for (enum verdict i = VERDICT_OK; i < VERDICTS; i++) {
        if (engine->verdicts[i] == 0)
            continue;
        text_append(text, first ? "\"" : ",\"");
        first = false;
        text_append(text, verdict_name(i));
        text_append(text, "\":");
        text_append_unsigned(text, engine->verdicts[i]);
    }
    text_append_character(text, '}');
    member_unsigned(text, "succeeded", engine->succeeded);
    member_unsigned(text, "failed", engine->failed);
    member_unsigned(text, "cancelled", engine->cancelled);
    member_unsigned(text, "skipped", engine->skipped);
    member_unsigned(text, "cached", engine->cached_tasks);
    journal_end(engine->journal);
}
