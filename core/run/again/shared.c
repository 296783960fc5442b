/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Results of a group: looked for when nobody here has made them, given when they are made here.
 *
 * How it works: what is taken becomes a result of this working folder, with outputs in WORKING/.descpipe/shared/KEY,
 * and its task is looked at again; so all the rest goes as with a result of an earlier run. Copies are made by helper
 * threads. A run that has succeeded waits for what it still gives; one that was stopped does not.
 */
#include <string.h>

#include "base/log.h"
#include "base/path.h"
#include "cache/shared.h"
#include "run/walk.h"

#define TAKING_LIMIT 64

struct shared {
    char *folder;
    bool *asked; /* by task */
    unsigned taking, giving;
    struct task_heap waiting; /* for a turn at being looked for */
    bool stuck;               /* nothing can be given, and that was said */
};

struct taking {
    struct engine *engine;
    uint32_t task;
    struct arena *arena;
    char key[DIGEST_TEXT];
    char *name, *to; /* below WORKING/.descpipe; absolute */
    bool found;
    struct cache_result result;
    struct text why;
};

struct giving {
    struct engine *engine;
    struct arena *arena;
    struct cache_result result;
    const char *from;
    struct error error;
};

void shared_begin(struct engine *engine)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    const char *site = config_layers_value(engine->layers, "shared-cache", NULL, NULL);
    const char *folder = engine->pipeline->shared_cache != NULL ? engine->pipeline->shared_cache : site;
    if (folder == NULL || engine->cached == NULL)
        return;
    if (folder[0] != '/')
        error_set(&error, ERROR_INPUT, "the shared cache '%s' is not used: it must be an absolute path", folder);
    if (error.message != NULL || !shared_cache_check(folder, &error)) {
        log_warning("%s%s%s", error.message, error.hint != NULL ? "; " : "", error.hint != NULL ? error.hint : "");
        return;
    }
    struct shared *shared = memory_allocate(sizeof *shared);
    *shared = (struct shared){.folder = memory_copy_text(folder),
                              .asked = memory_allocate((size_t)engine->plan->tasks_count + 1)};
    engine->shared = shared;
}

bool shared_is_taking(const struct engine *engine)
{
    return engine->shared != NULL && engine->shared->taking > 0;
}

bool shared_is_giving(const struct engine *engine)
{
    return engine->shared != NULL && engine->shared->giving > 0 && engine->stop == STOP_NOT;
}

static void take_work(void *context)
{
    struct taking *taking = context;
    taking->found = shared_cache_take(taking->engine->shared->folder, taking->key, taking->to, taking->arena,
                                      &taking->result, &taking->why);
}

static void taken(void *context)
{
    struct taking *taking = context;
    struct engine *engine = taking->engine;
    engine->shared->taking--;
    if (taking->found) {
        taking->result.folder = taking->result.outputs_count > 0 ? taking->name : NULL;
        cached_know(engine, &taking->result);
    } else if (taking->why.length > 0) {
        log_warning("a result of the shared cache is not used: %s", text_bytes(&taking->why));
    }
    if (engine->tasks[taking->task].state == TASK_READY && engine->stop == STOP_NOT)
        task_heap_push(&engine->ready, walk_item(engine, taking->task));
    if (engine->shared->waiting.count > 0)
        task_heap_push(&engine->ready, task_heap_pop(&engine->shared->waiting));
    text_clear(&taking->why);
    arena_free(taking->arena);
    memory_free(taking->name);
    memory_free(taking->to);
    memory_free(taking);
}

bool shared_take(struct engine *engine, uint32_t task, const char *key)
{
    struct shared *shared = engine->shared;
    if (shared == NULL || shared->asked[task])
        return false;
    if (shared->taking >= TAKING_LIMIT) {
        task_heap_push(&shared->waiting, walk_item(engine, task));
        return true;
    }
    shared->asked[task] = true;
    shared->taking++;
    struct taking *taking = memory_allocate(sizeof *taking);
    *taking = (struct taking){.engine = engine, .task = task, .arena = arena_new()};
    memcpy(taking->key, key, DIGEST_TEXT);
    taking->name = memory_format(SHARED_RESULTS "/%s", key);
    taking->to = path_join(engine->folder.descpipe, taking->name);
    pool_run(engine_pool(engine), take_work, taken, taking);
    return true;
}

static void give_work(void *context)
{
    struct giving *giving = context;
    shared_cache_give(giving->engine->shared->folder, &giving->result, giving->from, &giving->error);
}

static void given(void *context)
{
    struct giving *giving = context;
    struct shared *shared = giving->engine->shared;
    shared->giving--;
    if (giving->error.message != NULL && !shared->stuck) {
        log_warning("%s; what this run makes is not shared", giving->error.message);
        shared->stuck = true;
    }
    error_clear(&giving->error);
    arena_free(giving->arena); /* which it lies in */
}

void shared_give(struct engine *engine, const struct cache_result *result, const char *from)
{
    if (engine->shared == NULL || engine->shared->stuck || from == NULL)
        return;
    struct arena *arena = arena_new();
    struct giving *giving = arena_allocate(arena, sizeof *giving);
    struct cache_output *outputs = arena_allocate(arena, (result->outputs_count + 1) * sizeof *outputs);
    for (size_t i = 0; i < result->outputs_count; i++) {
        outputs[i] = result->outputs[i];
        outputs[i].name = arena_copy_text(arena, result->outputs[i].name);
    }
    *giving =
        (struct giving){.engine = engine, .arena = arena, .result = *result, .from = arena_copy_text(arena, from)};
    giving->result.run = arena_copy_text(arena, result->run);
    giving->result.stage = arena_copy_text(arena, result->stage);
    giving->result.member = arena_copy_text(arena, result->member);
    giving->result.folder = NULL;
    giving->result.outputs = outputs;
    engine->shared->giving++;
    pool_run(engine_pool(engine), give_work, given, giving);
}
