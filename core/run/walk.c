/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Walking the plan: which tasks are ready, and what the end of one means for the rest.
 *
 * How it works: a stage counts the stages it waits for, and its own tasks that have not succeeded. When the second
 * count reaches zero the first one of each dependent goes down by one. A stage whose members take each their own
 * member's data of every stage before it goes by members instead: there each task counts the tasks it waits for, so
 * that one slow member holds up nobody else. Nothing recurses: a chain may be as long as it likes.
 */
#include "run/walk.h"

#include <string.h>

#include "base/log.h"

const struct stage *walk_stage_of(const struct engine *engine, uint32_t task, uint32_t *number, uint32_t *member)
{
    *number = plan_task_stage(engine->plan, task);
    const struct stage *stage = &engine->pipeline->stages.items[*number];
    *member = stage->members > 0 ? plan_task_member(engine->plan, task) : NONE;
    return stage;
}

const char *const *walk_copy_words(struct arena *arena, const char *const *words)
{
    size_t count = 0;
    while (words != NULL && words[count] != NULL)
        count++;
    if (count == 0)
        return NULL;
    const char **copy = arena_allocate(arena, (count + 1) * sizeof *copy);
    for (size_t i = 0; i < count; i++)
        copy[i] = arena_copy_text(arena, words[i]);
    return copy;
}

static uint32_t stage_tasks(const struct engine *engine, uint32_t number)
{
    uint32_t members = engine->pipeline->stages.items[number].members;
    return members > 0 ? members : 1;
}

uint64_t walk_item(const struct engine *engine, uint32_t task)
{
    uint32_t number = plan_task_stage(engine->plan, task);
    uint64_t order = engine->stages[number].first_order + (task - engine->plan->stages[number].first_task);
    return order << 32 | task;
}

static void index_dependents(struct engine *engine)
{
    const struct pipeline *pipeline = engine->pipeline;
    size_t stages = pipeline->stages.count;
    engine->dependents_at = memory_allocate((stages + 2) * sizeof(uint32_t));
    engine->dependents = memory_allocate((pipeline->edges.count + 1) * sizeof(uint32_t));
    uint32_t *at = engine->dependents_at + 1; /* shifted by one, so that filling leaves the starts in place */
    for (size_t i = 0; i < stages; i++) {
        struct slice after = pipeline->stages.items[i].after;
        for (uint32_t j = 0; j < after.count; j++)
            at[pipeline->edges.items[after.at + j] + 1]++;
    }
    for (size_t i = 1; i <= stages; i++)
        at[i] += at[i - 1];
    for (size_t i = 0; i < stages; i++) {
        struct slice after = pipeline->stages.items[i].after;
        for (uint32_t j = 0; j < after.count; j++)
            engine->dependents[at[pipeline->edges.items[after.at + j]]++] = (uint32_t)i;
    }
    /* at[s] is now where s ends, which is where s + 1 starts: dependents_at[s] is where s starts. */
}

static void prepare_limits(struct engine *engine)
{
    const struct pipeline *pipeline = engine->pipeline;
    engine->limits = memory_allocate((pipeline->limits.count + 1) * sizeof *engine->limits);
    for (size_t i = 0; i < pipeline->limits.count; i++)
        engine->limits[i] = (struct walk_limit){.name = pipeline_text(pipeline, pipeline->limits.items[i].name),
                                                .free = pipeline->limits.items[i].count};
    for (size_t i = 0; i < pipeline->stages.count; i++) {
        const struct stage_extras *extras = pipeline->stages.items[i].extras;
        engine->stages[i].limit = NONE;
        for (size_t j = 0; extras != NULL && extras->limit != 0 && j < pipeline->limits.count; j++)
            if (pipeline->limits.items[j].name == extras->limit)
                engine->stages[i].limit = (uint32_t)j;
    }
}

static bool takes_data(const struct pipeline *pipeline, const struct stage *stage, uint32_t producer)
{
    for (uint32_t i = 0; i < stage->inputs.count; i++) {
        symbol tag = pipeline->files.items[stage->inputs.at + i].tag;
        if (pipeline_producer(pipeline, tag) == producer && pipeline_input(pipeline, tag) == NULL)
            return true;
    }
    return false;
}

/* Order without data is about the whole stage, as its author wrote it. */
static bool goes_by_members(const struct engine *engine, const struct stage *stage)
{
    const struct pipeline *pipeline = engine->pipeline;
    if (stage->members == 0)
        return false;
    for (uint32_t i = 0; i < stage->after.count; i++) {
        uint32_t producer = pipeline->edges.items[stage->after.at + i];
        if (engine->plan->stages[producer].selected &&
            (!stage_members_match(stage, &pipeline->stages.items[producer]) || !takes_data(pipeline, stage, producer)))
            return false;
    }
    return true;
}

static void prepare_stages(struct engine *engine)
{
    const struct pipeline *pipeline = engine->pipeline;
    engine->stages = memory_allocate((pipeline->stages.count + 1) * sizeof *engine->stages);
    uint32_t order = 0;
    for (size_t i = 0; i < pipeline->stages.count; i++) {
        uint32_t number = pipeline->order[i];
        engine->stages[number].first_order = order;
        order += stage_tasks(engine, number);
    }
    for (uint32_t i = 0; i < pipeline->stages.count; i++) {
        struct slice after = pipeline->stages.items[i].after;
        engine->stages[i].tasks_left = stage_tasks(engine, i);
        if (!engine->plan->stages[i].selected)
            continue;
        engine->left += stage_tasks(engine, i);
        for (uint32_t j = 0; j < after.count; j++)
            engine->stages[i].waiting += engine->plan->stages[pipeline->edges.items[after.at + j]].selected;
        engine->stages[i].by_members =
            engine->stages[i].waiting > 0 && goes_by_members(engine, &pipeline->stages.items[i]);
        uint32_t first = engine->plan->stages[i].first_task;
        for (uint32_t j = 0; engine->stages[i].by_members && j < stage_tasks(engine, i); j++)
            engine->tasks[first + j].waiting = engine->stages[i].waiting;
    }
}

/* The task of a stage that goes by members which takes what this task of a stage before it makes, or NONE. */
static uint32_t own_member(const struct engine *engine, uint32_t producer_task, uint32_t consumer)
{
    uint32_t number, member;
    const struct stage *producer = walk_stage_of(engine, producer_task, &number, &member);
    uint32_t match = stage_member_match(engine->pipeline, producer, member, &engine->pipeline->stages.items[consumer]);
    return match == NONE ? NONE : engine->plan->stages[consumer].first_task + match;
}

static void stage_ready(struct engine *engine, uint32_t number)
{
    uint32_t first = engine->plan->stages[number].first_task;
    for (uint32_t i = 0; i < stage_tasks(engine, number); i++)
        if (engine->tasks[first + i].state == TASK_PLANNED) /* of a resumed run some are further */
            walk_ready(engine, first + i);
}

void walk_begin(struct engine *engine)
{
    engine->tasks = memory_allocate(((size_t)engine->plan->tasks_count + 1) * sizeof *engine->tasks);
    prepare_stages(engine);
    prepare_limits(engine);
    index_dependents(engine);
}

void walk_start(struct engine *engine)
{
    for (uint32_t i = 0; i < engine->pipeline->stages.count; i++)
        if (engine->plan->stages[i].selected && engine->stages[i].waiting == 0)
            stage_ready(engine, i);
}

void walk_ready(struct engine *engine, uint32_t task)
{
    if (engine->tasks[task].state == TASK_PLANNED)
        engine->tasks[task].attempt_slot = NONE;
    engine->tasks[task].state = TASK_READY;
    task_heap_push(&engine->ready, walk_item(engine, task));
}

void walk_release_limit(struct engine *engine, uint32_t task)
{
    if (!engine->tasks[task].holds_limit)
        return;
    engine->tasks[task].holds_limit = false;
    struct walk_limit *limit = &engine->limits[engine->stages[plan_task_stage(engine->plan, task)].limit];
    limit->free++;
    if (limit->waiting.count > 0)
        task_heap_push(&engine->ready, task_heap_pop(&limit->waiting));
}

void walk_done_before(struct engine *engine, uint32_t task)
{
    engine->tasks[task].attempt_slot = NONE;
    engine->tasks[task].state = TASK_SUCCEEDED;
    engine->succeeded++;
    engine->left--;
    engine->verdicts[VERDICT_OK]++;
}

static void task_is_done(struct engine *engine, uint32_t task)
{
    engine->tasks[task].state = TASK_SUCCEEDED;
    engine->left--;
    if (!keep_was_wanted(engine, task))
        walk_open_dependents(engine, task);
    keep_done(engine, task);
}

void walk_open_dependents(struct engine *engine, uint32_t task)
{
    uint32_t number = plan_task_stage(engine->plan, task);
    bool whole = --engine->stages[number].tasks_left == 0;
    for (uint32_t i = engine->dependents_at[number]; i < engine->dependents_at[number + 1]; i++) {
        uint32_t dependent = engine->dependents[i];
        if (!engine->plan->stages[dependent].selected)
            continue;
        if (engine->stages[dependent].by_members) {
            uint32_t own = own_member(engine, task, dependent);
            if (own != NONE && engine->tasks[own].state == TASK_PLANNED && --engine->tasks[own].waiting == 0)
                walk_ready(engine, own);
        } else if (whole && --engine->stages[dependent].waiting == 0) {
            stage_ready(engine, dependent);
        }
    }
}

void walk_succeeded(struct engine *engine, uint32_t task)
{
    engine->succeeded++;
    task_is_done(engine, task);
}

void walk_cached(struct engine *engine, uint32_t task)
{
    engine->cached_tasks++;
    task_is_done(engine, task);
}

void walk_settle(struct engine *engine, uint32_t task, enum task_state state, const char *reason)
{
    if (engine->tasks[task].state >= TASK_SUCCEEDED)
        return;
    engine->tasks[task].state = (uint8_t)state;
    engine->left--;
    if (state == TASK_CANCELLED)
        engine->cancelled++;
    else
        engine->skipped++;
    record_state(engine, task, state, reason);
}

/* "because 'STAGE/MEMBER' failed": the one where it began, not the one between. */
static void append_because(const struct engine *engine, uint32_t task, struct text *text)
{
    uint32_t number, member;
    const struct stage *stage = walk_stage_of(engine, task, &number, &member);
    text_format(text, "because '%s", pipeline_text(engine->pipeline, stage->name));
    if (member != NONE) {
        text_append_character(text, '/');
        stage_member_name(engine->pipeline, stage, member, text);
    }
    text_append(text, engine->tasks[task].state == TASK_CANCELLED ? "' was cancelled" : "' failed");
}

static void skip_task(struct engine *engine, uint32_t task, const char *reason)
{
    if (whole_has(engine, task)) {
        attempt_take_back(engine->attempts.items[engine->tasks[task].attempt_slot], reason);
        list_add(&engine->stack, task);
        return;
    }
    if (engine->tasks[task].state != TASK_PLANNED)
        return;
    walk_settle(engine, task, TASK_SKIPPED, reason);
    list_add(&engine->stack, task);
}

/* Those for which it was to be made again. */
static void skip_waiting(struct engine *engine, uint32_t task, const char *reason)
{
    keep_was_wanted(engine, task);
    for (uint32_t waiting; (waiting = keep_take_waiting(engine, task)) != NONE;) {
        walk_settle(engine, waiting, TASK_SKIPPED, reason);
        list_add(&engine->stack, waiting);
    }
}

/* Everything after a task that will not succeed. A stage that waits for whole stages is met once: its first task tells.
 */
static void skip_dependents(struct engine *engine, uint32_t failed)
{
    cleanup(text_clear) struct text reason = TEXT_INIT;
    append_because(engine, failed, &reason);
    engine->stack.count = 0;
    list_add(&engine->stack, failed);
    while (engine->stack.count > 0) {
        uint32_t task = engine->stack.items[--engine->stack.count];
        uint32_t number = plan_task_stage(engine->plan, task);
        skip_waiting(engine, task, text_bytes(&reason));
        for (uint32_t i = engine->dependents_at[number]; i < engine->dependents_at[number + 1]; i++) {
            uint32_t dependent = engine->dependents[i], first = engine->plan->stages[dependent].first_task;
            if (!engine->plan->stages[dependent].selected)
                continue;
            if (engine->stages[dependent].by_members) {
                uint32_t own = own_member(engine, task, dependent);
                if (own != NONE)
                    skip_task(engine, own, text_bytes(&reason));
                continue;
            }
            if (engine->tasks[first].state != TASK_PLANNED && engine->whole == NULL)
                continue;
            for (uint32_t j = 0; j < stage_tasks(engine, dependent); j++)
                skip_task(engine, first + j, text_bytes(&reason));
        }
    }
}

/* Of the stages before it what it needs and has not got: how much, and one that it will never get, or NONE. */
static uint32_t count_lacking(const struct engine *engine, uint32_t task, uint32_t *failed)
{
    uint32_t number, member, lacking = 0;
    const struct stage *stage = walk_stage_of(engine, task, &number, &member);
    *failed = NONE;
    for (uint32_t i = 0; i < stage->after.count; i++) {
        uint32_t producer = engine->pipeline->edges.items[stage->after.at + i];
        uint32_t first = engine->plan->stages[producer].first_task, end = first + stage_tasks(engine, producer);
        if (!engine->plan->stages[producer].selected)
            continue;
        if (engine->stages[number].by_members) {
            uint32_t own =
                stage_member_match(engine->pipeline, stage, member, &engine->pipeline->stages.items[producer]);
            first += own == NONE ? 0 : own;
            end = own == NONE ? first : first + 1;
        }
        for (uint32_t needed = first; needed < end; needed++) {
            lacking += engine->tasks[needed].state != TASK_SUCCEEDED;
            *failed = engine->tasks[needed].state > TASK_SUCCEEDED ? needed : *failed;
        }
    }
    return lacking;
}

void walk_ready_again(struct engine *engine, uint32_t task)
{
    const struct walk_stage *stage = &engine->stages[plan_task_stage(engine->plan, task)];
    uint32_t failed = NONE;
    uint32_t lacking = stage->waiting > 0 ? count_lacking(engine, task, &failed) : 0;
    if (lacking == 0) {
        walk_ready(engine, task);
        return;
    }
    engine->tasks[task].state = TASK_PLANNED;
    engine->tasks[task].waiting = lacking;
    if (failed != NONE)
        skip_dependents(engine, failed);
}

void walk_failed(struct engine *engine, uint32_t task, enum verdict verdict)
{
    bool cancelled = verdict == VERDICT_CANCELLED;
    engine->tasks[task].state = cancelled ? TASK_CANCELLED : TASK_FAILED;
    engine->left--;
    if (cancelled)
        engine->cancelled++;
    else
        engine->failed++;
    if (engine->detach != NULL)
        return; /* all of it is taken back */
    skip_dependents(engine, task);
    if (!cancelled && !engine->request->keep_going)
        stop_after_failure(engine);
}

void walk_settle_rest(struct engine *engine)
{
    enum task_state state = engine->stop == STOP_CANCEL ? TASK_CANCELLED : TASK_SKIPPED;
    for (uint32_t i = 0; i < engine->plan->tasks_count; i++)
        if (engine->tasks[i].state <= TASK_READY && engine->plan->stages[plan_task_stage(engine->plan, i)].selected)
            walk_settle(engine, i, state, engine->stop == STOP_FAILED ? "because another stage failed" : NULL);
    engine->ready.count = 0;
    for (size_t i = 0; i < engine->pipeline->limits.count; i++)
        engine->limits[i].waiting.count = 0;
    for (size_t i = 0; i < engine->plan->images_count; i++)
        engine->images[i].waiting.count = 0;
    for (size_t i = 0; i < engine->plan->backends_count; i++)
        engine->backends[i].waiting.count = 0;
}
