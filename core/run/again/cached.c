/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tasks whose results are there already: found before they would be submitted, remembered after they succeeded.
 *
 *     cached_look → its files are read (helper thread, those nobody has read before) → key → nothing known: run it
 *                 → known: its outputs are looked at (or put back, helper thread) → cached; else run it
 *
 * How it works: a look is a few calls of stat, so it is taken on the loop, for SLICE_MS at most in one round. Whatever
 * reads or places bytes goes to a helper thread; the task comes back to the ready ones after that and is looked at
 * again, with all known. What a task was found to be decided by is journalled when it is going to run, for `why`; its
 * files are looked at once more when it has succeeded, and what it made of files that changed meanwhile is not
 * remembered.
 */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/members.h"
#include "base/path.h"
#include "base/table.h"
#include "cache/file_digest.h"
#include "run/again/look.h"
#include "run/elsewhere/graph.h"
#include "run/walk.h"

#define SLICE_MS 50
#define EXAMINED_LIMIT 64 /* tasks whose outputs are looked at on helper threads: each has an arena of its own */
#define LOOKS_LIMIT 100   /* of a task whose files change again and again */

/* Tasks of one stage, and often those of many, are decided by nearly the same: what a few of them were decided by
 * stands in the journal as a whole, and of the others what differs. */
enum { LIKES = 4 };
struct like {
    struct arena *arena; /* NULL: free */
    struct identity identity;
    uint64_t sequence; /* of its record */
};

struct cached {
    struct like likes[LIKES];
    unsigned next_like; /* the one to be given up next */
    struct cache_store *store;
    struct digest *digest;
    struct arena *spare;     /* for the next look, or NULL */
    struct identity **tasks; /* of what is going to run: identity_keep_files; NULL: not looked at, or over */
    uint8_t *looks;
    struct table *readings;   /* by path: files that a helper thread reads */
    struct task_heap waiting; /* for a turn at being examined */
    unsigned examined;
    struct table *told; /* digests whose text is in the journal */
    struct table *keys; /* of a run that is gone on with: task by name → what its key was; made when first needed */
    struct arena *keys_texts;
    int64_t slice_until_ms;
    bool stuck; /* it cannot be written, and that was said */
};

struct reading { /* of one file, for however many tasks that want it */
    struct engine *engine;
    char *path;
    struct task_heap waiting;
    bool failed;
};

/* Why nothing that is known of the task counts, or NULL. */
static const char *always_runs(const struct engine *engine, uint32_t task)
{
    uint32_t number = plan_task_stage(engine->plan, task);
    if (engine->request->no_cache)
        return "--no-cache was said";
    if (apart_is_stage(engine, number))
        return "what it made is not seen from here";
    return identity_always_runs(&engine->pipeline->stages.items[number]);
}

/* What says what an image is without anybody being asked: nothing, a name alone, a file, or the lock beside the
 * pipeline. */
static bool images_tell_by_files(const struct engine *engine)
{
    const uint32_t plain = DESCPIPE_SOURCE_ROOTFS | DESCPIPE_SOURCE_NONE;
    for (size_t i = 0; i < engine->plan->images_count; i++) {
        const struct plan_image *image = &engine->plan->images[i];
        if (!image->locked && (image->image.source & plain) == 0 && !identity_image_is_file(image))
            return false;
    }
    return true;
}

static bool may_be_up_to_date(const struct engine *engine)
{
    for (size_t i = 0; i < engine->plan->backends_count; i++)
        if (engine->plan->backends[i].runtime_reason != NULL) /* `auto` asked what works here */
            return false;
    return engine->pipeline->cache != CACHE_FULL && !engine->request->no_cache && engine->resume == NULL &&
           !engine->request->detach && images_tell_by_files(engine);
}

void cached_begin(struct engine *engine, int64_t began_ms)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    if (engine->pipeline->cache == CACHE_OFF)
        return;
    cleanup(cache_store_free) struct cache_store *store = cache_store_open(engine->folder.descpipe, true, &error);
    if (store == NULL) {
        log_warning("%s; this run does not know what earlier ones did", error.message);
        return;
    }
    struct cached *cached = memory_allocate(sizeof *cached);
    *cached =
        (struct cached){.store = steal(&store), .digest = digest_new(), .readings = table_new(), .told = table_new()};
    cached->tasks = memory_allocate(((size_t)engine->plan->tasks_count + 1) * sizeof *cached->tasks);
    cached->looks = memory_allocate((size_t)engine->plan->tasks_count + 1);
    engine->cached = cached;
    shared_begin(engine);
    if (may_be_up_to_date(engine))
        engine->up_to_date = up_to_date_new(began_ms, engine->folder.working);
}

void cached_end(struct engine *engine)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    struct up_to_date *known = engine->up_to_date;
    struct up_to_date_count count = {.tasks = engine->succeeded + engine->cached_tasks};
    if (known == NULL || engine->skipped > 0 || count.tasks == 0)
        return;
    for (size_t i = 0; i < engine->pipeline->inputs.count; i++)
        if (engine->fetched != NULL && engine->fetched[i] != NULL) /* from a URL */
            up_to_date_give_up(known);
    for (size_t i = 0; i < engine->pipeline->stages.count; i++)
        count.stages += engine->plan->stages[i].selected;
    if (!up_to_date_write(known, engine->request, engine->witness, &count, engine->folder.path, &error))
        log_debug("%s", error.message); /* the next run plans, and comes to the same */
}

/* What decided a task, and what it made. */
static void know_identity(struct up_to_date *known, const struct identity *identity)
{
    for (size_t i = 0; i < identity->count && !up_to_date_is_given_up(known); i++) {
        const struct identity_field *field = &identity->fields[i];
        const char *program = text_starts_with(field->name, "program ") ? field->name + strlen("program ") : NULL;
        if (field->path == NULL)
            continue;
        if (field->is_folder)
            up_to_date_give_up(known); /* its time does not tell what lies deeper */
        else if (program != NULL && strchr(program, '/') == NULL)
            up_to_date_program(known, program, field->path);
        if (!field->is_folder)
            up_to_date_file(known, field->path, &field->stamp);
    }
}

static void know_output(struct engine *engine, const struct staging_output *output, const struct cache_output *made)
{
    bool is_folder = task_file_is_folder(output->suffix);
    up_to_date_made(engine->up_to_date, output->published, made, is_folder);
    if (engine->pipeline->output == NULL)
        return;
    size_t data = strlen(engine->folder.working) + strlen("/data/");
    cleanup(memory_free) char *result = path_join(engine->pipeline->output, output->published + data);
    up_to_date_made(engine->up_to_date, result, made, is_folder);
}

void cached_flush(struct engine *engine)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    if (engine->cached == NULL || engine->lease_lost)
        return;
    bool flushed = cache_store_flush(engine->cached->store, &error);
    if (!flushed && !engine->cached->stuck)
        log_warning("%s; what this run does is not remembered for the next one", error.message);
    engine->cached->stuck = !flushed;
}

void cached_slice(struct engine *engine)
{
    if (engine->cached != NULL)
        engine->cached->slice_until_ms = clock_monotonic_ms() + SLICE_MS;
}

static void come_again(void *context)
{
    (void)context; /* the round that this wakes goes on with what is ready */
}

bool cached_is_busy(const struct engine *engine)
{
    return engine->cached != NULL &&
           (engine->cached->examined > 0 || table_count(engine->cached->readings) > 0 || shared_is_taking(engine));
}

bool cached_slice_is_over(struct engine *engine)
{
    if (engine->cached == NULL || clock_monotonic_ms() < engine->cached->slice_until_ms)
        return false;
    loop_post(engine->loop, come_again, engine);
    return true;
}

static void work(void *context)
{
    struct look *look = context;
    look->good = look_examine(look);
}

static void read_work(void *context)
{
    struct reading *reading = context;
    char sha256[DIGEST_TEXT];
    reading->failed = !file_digest(reading->engine->cached->store, reading->path, false, sha256, NULL);
}

/* From here on it is the loop again: what was found. */

static void take_result(struct look *look)
{
    struct engine *engine = look->engine;
    record_cached(engine, look->task, &look->result);
    if (engine->up_to_date != NULL && !up_to_date_is_given_up(engine->up_to_date)) {
        look_list_outputs(look); /* once more: putting back has shortened it */
        know_identity(engine->up_to_date, &look->identity);
        for (size_t i = 0; i < look->out.outputs_count; i++)
            know_output(engine, &look->out.outputs[i], look_find_output(&look->result, look->out.outputs[i].name));
    }
    keep_are_gone(look->engine, look->task, look->gone, &look->result);
    walk_cached(look->engine, look->task);
}

static void look_clear(struct look *look)
{
    struct cached *cached = look->engine->cached;
    text_clear(&look->reason);
    if (look->arena == NULL)
        return;
    if (cached->spare != NULL) {
        arena_free(look->arena);
        return;
    }
    arena_reset(look->arena);
    cached->spare = look->arena;
}

/* The text behind a digest, once in a journal. */
static void tell_text(struct engine *engine, const struct identity_field *field)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    if (field->value == NULL || table_get(engine->cached->told, field->value) != NULL ||
        !identity_field_text(field, &text))
        return;
    table_put(engine->cached->told, field->value, engine);
    record_text(engine, field->value, text_bytes(&text));
}

static const struct like *find_like(const struct cached *cached, const struct identity *identity)
{
    const struct like *best = NULL;
    size_t least = identity->count / 2;
    for (size_t i = 0; i < LIKES && (best == NULL || least > 0); i++) {
        const struct like *like = &cached->likes[i];
        size_t difference = like->arena != NULL ? identity_difference(identity, &like->identity) : SIZE_MAX;
        if (difference > least)
            continue;
        least = difference;
        best = like;
    }
    return best;
}

static void keep_like(struct cached *cached, const struct identity *identity, uint64_t sequence)
{
    struct like *like = &cached->likes[cached->next_like];
    cached->next_like = (cached->next_like + 1) % LIKES;
    if (like->arena == NULL)
        like->arena = arena_new();
    arena_reset(like->arena);
    identity_copy(&like->identity, identity, like->arena);
    like->sequence = sequence;
}

static void tell_key(const struct look *look, const char *refused)
{
    struct cached *cached = look->engine->cached;
    const struct like *like = find_like(cached, &look->identity);
    const struct record_key key = {.identity = &look->identity,
                                   .refused = refused,
                                   .like = like != NULL ? &like->identity : NULL,
                                   .like_sequence = like != NULL ? like->sequence : 0};
    uint64_t sequence = record_key(look->engine, look->task, &key);
    if (like == NULL)
        keep_like(cached, &look->identity, sequence);
}

/* What decides its results, until it has run. */
static void keep_identity(struct look *look)
{
    look->engine->cached->tasks[look->task] = identity_keep_files(&look->identity);
}

/* It is going to run. */
static enum cached_answer run_it(struct look *look, const char *refused)
{
    struct engine *engine = look->engine;
    if (!keep_has_inputs(engine, look->task))
        return CACHED_LATER; /* and it is looked at again: they may not be what they were */
    for (size_t i = 0; i < look->identity.count; i++)
        tell_text(engine, &look->identity.fields[i]);
    tell_key(look, refused);
    keep_identity(look);
    return CACHED_RUN;
}

static void wake(struct engine *engine, struct task_heap *waiting, size_t most)
{
    for (; waiting->count > 0 && most > 0; most--)
        task_heap_push(&engine->ready, task_heap_pop(waiting));
}

static void worked(void *context)
{
    struct look *look = context;
    struct engine *engine = look->engine;
    struct cached *cached = engine->cached;
    cached->examined--;
    wake(engine, &cached->waiting, cached->examined == 0 ? SIZE_MAX : 1);
    bool wanted = engine->tasks[look->task].state == TASK_READY && engine->stop == STOP_NOT;
    if (wanted && look->good)
        take_result(look);
    else if (wanted && run_it(look, text_bytes(&look->reason)) == CACHED_RUN)
        task_heap_push(&engine->ready, walk_item(engine, look->task));
    look_clear(look);
    memory_free(look);
}

static enum cached_answer begin_work(struct look *look)
{
    struct cached *cached = look->engine->cached;
    if (cached->examined >= EXAMINED_LIMIT) {
        task_heap_push(&cached->waiting, walk_item(look->engine, look->task));
        return CACHED_LATER;
    }
    struct look *examined = memory_allocate(sizeof *examined);
    *examined = *look;
    look->arena = NULL;
    cached->examined++;
    pool_run(engine_pool(look->engine), work, worked, examined);
    return CACHED_LATER;
}

static void read_ended(void *context)
{
    struct reading *reading = context;
    struct engine *engine = reading->engine;
    for (size_t i = 0; reading->failed && i < reading->waiting.count; i++)
        engine->cached->looks[(uint32_t)reading->waiting.items[i]] =
            LOOKS_LIMIT; /* bringing it in says what is wrong */
    wake(engine, &reading->waiting, SIZE_MAX);
    table_remove(engine->cached->readings, reading->path);
    memory_free(reading->waiting.items);
    memory_free(reading->path);
    memory_free(reading);
}

static struct reading *begin_reading(struct engine *engine, const char *path)
{
    struct reading *reading = table_get(engine->cached->readings, path);
    if (reading != NULL)
        return reading;
    reading = memory_allocate(sizeof *reading);
    *reading = (struct reading){.engine = engine, .path = memory_copy_text(path)};
    table_put(engine->cached->readings, path, reading);
    pool_run(engine_pool(engine), read_work, read_ended, reading);
    return reading;
}

/* Comes back when the last of its files was read: helper threads take them in this order. */
static enum cached_answer read_files(struct look *look)
{
    struct engine *engine = look->engine;
    struct reading *last = NULL;
    engine->cached->looks[look->task]++;
    for (size_t i = 0; i < look->identity.count; i++)
        if (look->identity.fields[i].value == NULL)
            last = begin_reading(engine, look->identity.fields[i].path);
    task_heap_push(&last->waiting, walk_item(engine, look->task));
    return CACHED_LATER;
}

static enum cached_answer look_at(struct look *look)
{
    struct engine *engine = look->engine;
    struct cached *cached = engine->cached;
    const struct task_files files = files_of(engine, look->arena);
    if (!identity_find(&look->identity, engine->plan, look->task, &files, cached->store, NULL))
        return CACHED_RUN; /* preparing its files says why */
    if (look->identity.unknown != NULL)
        return read_files(look);
    identity_make_key(&look->identity, cached->digest);
    const char *refused = always_runs(engine, look->task);
    if (refused != NULL)
        return run_it(look, refused);
    if (!cache_store_result(cached->store, look->identity.key, look->arena, &look->result))
        return shared_take(engine, look->task, look->identity.key) ? CACHED_LATER : run_it(look, NULL);
    look_list_outputs(look);
    look->may_be_gone = keep_may_be_gone(engine, look->task);
    if (!look_glance(look))
        return begin_work(look);
    take_result(look);
    return CACHED_DONE;
}

enum cached_answer cached_look(struct engine *engine, uint32_t task)
{
    struct cached *cached = engine->cached;
    if (cached == NULL || cached->tasks[task] != NULL || cached->looks[task] >= LOOKS_LIMIT ||
        !identity_knows_image(engine->plan, plan_task_stage(engine->plan, task)))
        return CACHED_RUN;
    struct look look = {.engine = engine, .task = task};
    look.arena = cached->spare != NULL ? steal(&cached->spare) : arena_new();
    enum cached_answer answer = look_at(&look);
    look_clear(&look);
    return answer;
}

/* Tasks that wait for others when the run is handed over: of what those will make nothing is known. */

#define NOT_MADE_YET "(made by this run)"
#define NOT_READ "(not read)" /* nobody asked for it before */

void cached_tell_handed_over(struct engine *engine, uint32_t task)
{
    struct cached *cached = engine->cached;
    if (cached == NULL || !identity_knows_image(engine->plan, plan_task_stage(engine->plan, task)))
        return;
    struct look look = {.engine = engine, .task = task};
    look.arena = cached->spare != NULL ? steal(&cached->spare) : arena_new();
    const struct task_files files = files_of(engine, look.arena);
    if (identity_find(&look.identity, engine->plan, task, &files, cached->store, NULL)) {
        for (size_t i = 0; i < look.identity.count; i++) {
            struct identity_field *field = &look.identity.fields[i];
            bool later = text_starts_with(field->name, "input ") && graph_is_made_later(engine, task, field->path);
            field->value = later ? NOT_MADE_YET : field->value == NULL ? NOT_READ : field->value;
            tell_text(engine, field);
        }
        identity_make_key(&look.identity, cached->digest);
        tell_key(&look, "it waited for others when the run was handed over");
    }
    look_clear(&look);
}

/* Attempts of engines before this one. */

static void read_keys(struct engine *engine)
{
    struct cached *cached = engine->cached;
    cleanup(journal_reader_close) struct journal_reader *reader = journal_reader_open(engine->folder.path, NULL);
    cleanup(arena_free) struct arena *passing = arena_new();
    struct journal_record record;
    struct members members;
    cached->keys = table_new();
    cached->keys_texts = arena_new();
    for (; reader != NULL && journal_reader_next(reader, &record); arena_reset(passing)) {
        if (strcmp(record.kind, "key") != 0 || !members_find(&members, passing, record.line, record.length))
            continue;
        const char *stage = members_text(&members, "stage"), *member = members_text(&members, "member");
        const char *key = members_text(&members, "key");
        if (stage == NULL || key == NULL || !digest_is_text(key))
            continue;
        cleanup(memory_free) char *name = memory_format("%s/%s", stage, member != NULL ? member : "");
        table_put(cached->keys, name, arena_copy(cached->keys_texts, key, DIGEST_TEXT - 1));
    }
}

static const char *key_before(struct engine *engine, uint32_t task)
{
    uint32_t number, member;
    const struct stage *stage = walk_stage_of(engine, task, &number, &member);
    cleanup(text_clear) struct text name = TEXT_INIT;
    if (engine->cached->keys == NULL)
        read_keys(engine);
    text_format(&name, "%s/", pipeline_text(engine->pipeline, stage->name));
    if (member != NONE)
        stage_member_name(engine->pipeline, stage, member, &name);
    return table_get(engine->cached->keys, text_bytes(&name));
}

/* What decides it is what it was when it began: then its results may be remembered. */
void cached_adopt(struct engine *engine, uint32_t task)
{
    struct cached *cached = engine->cached;
    if (cached == NULL || cached->tasks[task] != NULL ||
        !identity_knows_image(engine->plan, plan_task_stage(engine->plan, task)))
        return;
    const char *before = key_before(engine, task);
    struct look look = {.engine = engine, .task = task, .arena = arena_new()};
    const struct task_files files = files_of(engine, look.arena);
    bool known = before != NULL && identity_find(&look.identity, engine->plan, task, &files, cached->store, NULL) &&
                 look.identity.unknown == NULL;
    if (known)
        identity_make_key(&look.identity, cached->digest);
    if (known && text_equal(look.identity.key, before))
        keep_identity(&look);
    look_clear(&look);
}

/* Remembering. */

bool cached_digest_outputs(struct attempt *attempt, struct error *error)
{
    if (attempt->engine->cached == NULL)
        return true;
    for (size_t i = 0; i < attempt->out.outputs_count; i++) {
        struct staging_output *output = &attempt->out.outputs[i];
        cleanup(memory_free) char *path = path_join(attempt->out.attempt, output->name);
        if (!file_digest_look(path, &output->bytes, &output->modified_ns, error) ||
            !file_digest(attempt->engine->cached->store, path, true, output->sha256, error))
            return false;
    }
    return true;
}

static void forget(struct engine *engine, uint32_t task)
{
    memory_free(steal(&engine->cached->tasks[task]));
}

static void keep_result(struct attempt *attempt, const struct identity *kept)
{
    struct engine *engine = attempt->engine;
    cleanup(memory_free) struct cache_output *outputs =
        memory_allocate((attempt->out.outputs_count + 1) * sizeof *outputs);
    for (size_t i = 0; i < attempt->out.outputs_count; i++) {
        const struct staging_output *output = &attempt->out.outputs[i];
        outputs[i] =
            (struct cache_output){.name = output->name, .bytes = output->bytes, .modified_ns = output->modified_ns};
        memcpy(outputs[i].sha256, output->sha256, DIGEST_TEXT);
        if (engine->up_to_date != NULL)
            know_output(engine, output, &outputs[i]);
    }
    if (engine->up_to_date != NULL)
        know_identity(engine->up_to_date, kept);
    struct cache_result result = {
        .run = engine->folder.id,
        .stage = attempt->stage_name,
        .member = attempt->member_name,
        .attempt = attempt->number,
        .folder = attempt->out.outputs_count > 0 ? attempt->attempt_folder + strlen(engine->folder.descpipe) + 1 : NULL,
        .outputs = outputs,
        .outputs_count = attempt->out.outputs_count};
    memcpy(result.key, kept->key, DIGEST_TEXT);
    cache_store_keep_result(engine->cached->store, &result);
    shared_give(engine, &result, attempt->out.attempt);
}

void cached_know(struct engine *engine, const struct cache_result *result)
{
    cache_store_keep_result(engine->cached->store, result);
}

void cached_keep(struct attempt *attempt)
{
    struct engine *engine = attempt->engine;
    const struct identity *kept = engine->cached != NULL ? engine->cached->tasks[attempt->task] : NULL;
    if (engine->up_to_date != NULL && (kept == NULL || always_runs(engine, attempt->task) != NULL))
        up_to_date_give_up(engine->up_to_date);
    if (kept == NULL)
        return;
    if (!identity_still_holds(kept)) {
        log_warning("a file that '%s' read was changed while it ran: its results are not remembered", attempt->name);
        if (engine->up_to_date != NULL)
            up_to_date_give_up(engine->up_to_date);
    } else {
        keep_result(attempt, kept);
    }
    forget(engine, attempt->task);
}

/* What is gone. */

void cached_is_gone(struct engine *engine, const char *path, const char *sha256)
{
    if (engine->cached != NULL)
        cache_store_keep_gone(engine->cached->store, path, sha256);
}

bool cached_latest(struct engine *engine, uint32_t task, struct arena *arena, struct cache_result *result)
{
    uint32_t number, member;
    const struct stage *stage = walk_stage_of(engine, task, &number, &member);
    cleanup(text_clear) struct text name = TEXT_INIT;
    if (engine->cached == NULL)
        return false;
    if (member != NONE)
        stage_member_name(engine->pipeline, stage, member, &name);
    return cache_store_latest(engine->cached->store, pipeline_text(engine->pipeline, stage->name),
                              member != NONE ? text_bytes(&name) : NULL, NULL, arena, result);
}
