/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a run would do, task by task, without doing it.
 *
 * How it works: in the order of the graph each task's key is made as the engine makes it, reading files that nobody has
 * read yet, and asked for among what the working folder remembers. A task whose input is made by one that is going to
 * run cannot be known: what that makes may be what it made before. With `keep: final` a task whose outputs were removed
 * runs only when another needs them, which is known when all have been looked at: then all are looked at twice.
 */
#include "command/plan_why.h"

#include <string.h>

#include "base/file.h"
#include "base/path.h"
#include "base/table.h"
#include "cache/file_digest.h"
#include "command/planning.h"
#include "pipeline/consumers.h"
#include "report/why.h"

struct looking {
    const struct plan *plan;
    struct cache_store *store;
    struct digest *digest;
    char *descpipe;       /* WORKING/.descpipe */
    struct table *before; /* run → struct decided of it */
    bool *runs;           /* by task */
    bool *gone;           /* by task: up to date, but what it made for others is not there */
    struct consumers *consumers;
    bool again; /* the second time: a task that is gone and that runs is needed */
    uint32_t cached, running;
};

enum { RUNS_OPEN = 64 }; /* each has its journal open */

static void forget_before(struct looking *looking)
{
    const char *run;
    void *decided;
    for (size_t i = 0; table_next(looking->before, &i, &run, &decided);)
        decided_free(decided);
    table_free(looking->before);
    looking->before = table_new();
}

static void looking_clear(struct looking *looking)
{
    if (looking->before != NULL)
        forget_before(looking);
    table_free(looking->before);
    cache_store_free(looking->store);
    digest_free(looking->digest);
    memory_free(looking->descpipe);
    memory_free(looking->runs);
    memory_free(looking->gone);
    consumers_free(looking->consumers);
}
static inline void looking_clear_at(struct looking *looking)
{
    looking_clear(looking);
}

static uint32_t members_of(const struct pipeline *pipeline, uint32_t number)
{
    uint32_t members = pipeline->stages.items[number].members;
    return members > 0 ? members : 1;
}

/* How many tasks make one input of a task, from `first` on. */
static uint32_t tasks_before(const struct looking *looking, const struct stage *stage, uint32_t member, uint32_t input,
                             uint32_t *first)
{
    const struct pipeline *pipeline = looking->plan->pipeline;
    symbol tag = pipeline->files.items[stage->inputs.at + input].tag;
    uint32_t number = pipeline_producer(pipeline, tag), match = UINT32_MAX;
    if (number == UINT32_MAX || pipeline_input(pipeline, tag) != NULL)
        return 0;
    const struct stage *producer = &pipeline->stages.items[number];
    if (producer->members > 0 && member != TASK_FILES_NO_MEMBER)
        match = stage_member_match(pipeline, stage, member, producer);
    *first = looking->plan->stages[number].first_task + (match != UINT32_MAX ? match : 0);
    return match != UINT32_MAX ? 1 : members_of(pipeline, number);
}

/* A stage that is going to run and makes what this task takes, or NULL. */
static const struct stage *runs_before(const struct looking *looking, const struct stage *stage, uint32_t member)
{
    const struct pipeline *pipeline = looking->plan->pipeline;
    for (uint32_t i = 0; i < stage->inputs.count; i++) {
        uint32_t first, count = tasks_before(looking, stage, member, i, &first);
        for (uint32_t j = 0; j < count; j++)
            if (looking->runs[first + j])
                return &pipeline->stages.items[plan_task_stage(looking->plan, first + j)];
    }
    return NULL;
}

/* Said by the pipeline, or by an input that no machine has yet; else NULL. */
static const char *always_runs(const struct looking *looking, const struct stage *stage)
{
    const struct pipeline *pipeline = looking->plan->pipeline;
    if (pipeline->cache == CACHE_OFF)
        return "the pipeline says that it always runs";
    if (identity_always_runs(stage) != NULL)
        return identity_always_runs(stage);
    for (uint32_t i = 0; i < stage->inputs.count; i++) {
        const struct run_input *given = pipeline_input(pipeline, pipeline->files.items[stage->inputs.at + i].tag);
        if (given != NULL && given->url != 0)
            return "an input comes from a URL, and is known when it has been fetched";
    }
    return NULL;
}

static bool read_files(struct looking *looking, struct identity *identity, struct error *error)
{
    for (size_t i = 0; i < identity->count; i++) {
        struct identity_field *field = &identity->fields[i];
        char sha256[DIGEST_TEXT];
        if (field->value != NULL)
            continue;
        if (!file_digest(looking->store, field->path, false, sha256, error))
            return false;
        field->value = arena_copy(identity->arena, sha256, DIGEST_TEXT - 1);
    }
    return true;
}

/* As keep.c has it: it is made by a stage of this run, for others of it only. */
static bool may_be_gone(const struct looking *looking, symbol tag)
{
    uint32_t count = 0;
    const uint32_t *stages = consumers_of(looking->consumers, tag, &count);
    if (looking->plan->pipeline->keep != KEEP_FINAL || count == 0)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!looking->plan->stages[stages[i]].selected)
            return false;
    return true;
}

static bool outputs_are_there(struct looking *looking, uint32_t task, const struct cache_result *result,
                              const struct task_files *files, const struct stage *stage, uint32_t member)
{
    for (uint32_t i = 0; i < stage->outputs.count; i++) {
        const struct file_tag *file = &looking->plan->pipeline->files.items[stage->outputs.at + i];
        const char *name = task_files_name(files, file);
        size_t at = 0;
        while (at < result->outputs_count && strcmp(result->outputs[at].name, name) != 0)
            at++;
        if (at == result->outputs_count)
            return false;
        cleanup(memory_free) char *made =
            memory_format("%s/%s/%s", looking->descpipe, result->folder != NULL ? result->folder : "", name);
        const char *const places[] = {task_files_data_path(files, stage, member, file), made};
        bool there = !file_exists(places[0]) && may_be_gone(looking, file->tag);
        if (there) {
            looking->gone[task] = true;
            cache_store_keep_gone(looking->store, places[0], result->outputs[at].sha256);
        }
        for (size_t j = 0; j < 2 && !there; j++) {
            uint64_t bytes;
            int64_t modified_ns;
            there = file_digest_look(places[j], &bytes, &modified_ns, NULL) && bytes == result->outputs[at].bytes &&
                    modified_ns == result->outputs[at].modified_ns;
        }
        if (!there)
            return false;
    }
    return true;
}

static struct decided *decided_before(struct looking *looking, const char *run)
{
    struct decided *decided = table_get(looking->before, run);
    if (decided != NULL || !path_is_component(run))
        return decided;
    if (table_count(looking->before) == RUNS_OPEN)
        forget_before(looking);
    cleanup(memory_free) char *folder = memory_format("%s/runs/%s", looking->descpipe, run);
    decided = decided_read(folder, NULL);
    if (decided != NULL)
        table_put(looking->before, run, decided);
    return decided;
}

static void compare(struct looking *looking, const struct identity *identity, const struct cache_result *before,
                    struct why *why)
{
    struct decided_fields then, now;
    struct decided *decided = decided_before(looking, before->run);
    struct decided_task task;
    why->run = before->run;
    why->attempt = before->attempt;
    why->answer = WHY_BEFORE_LOST;
    if (decided == NULL || !decided_task(decided, before->stage, before->member, why->arena, &task) ||
        !decided_fields(decided, &task, why->arena, &then))
        return;
    decided_texts(decided, why->arena, &then);
    decided_of_identity(identity, &now);
    why_compare(why, &then, &now);
    why->answer = WHY_CHANGED;
}

static bool look(struct looking *looking, uint32_t task, struct why *why, struct error *error)
{
    const struct plan *plan = looking->plan;
    uint32_t number = plan_task_stage(plan, task);
    const struct stage *stage = &plan->pipeline->stages.items[number];
    uint32_t member = stage->members > 0 ? plan_task_member(plan, task) : TASK_FILES_NO_MEMBER;
    const struct task_files files = {
        .pipeline = plan->pipeline, .working = plan->pipeline->working, .arena = why->arena};
    const struct stage *producer = runs_before(looking, stage, member);
    why->answer = WHY_WAITS;
    if (producer != NULL) {
        why->reason = pipeline_text(plan->pipeline, producer->name);
        return true;
    }
    why->answer = WHY_REFUSED;
    why->reason = always_runs(looking, stage);
    if (why->reason != NULL)
        return true;
    struct identity identity;
    struct cache_result before;
    why->answer = WHY_FIRST;
    if (!identity_find(&identity, plan, task, &files, looking->store, error) || !read_files(looking, &identity, error))
        return false;
    identity_make_key(&identity, looking->digest);
    bool known = cache_store_result(looking->store, identity.key, why->arena, &before);
    if (looking->again && looking->gone[task] && looking->runs[task]) {
        why->answer = WHY_REFUSED;
        why->reason = "what it made was removed ('keep: final'), and another stage may need it";
        return true;
    }
    if (known && outputs_are_there(looking, task, &before, &files, stage, member)) {
        why->answer = WHY_CACHED;
        why->run = before.run;
        why->attempt = before.attempt;
        return true;
    }
    if (known) {
        why->answer = WHY_REFUSED;
        why->reason = "what it made is not there any more as it was";
        return true;
    }
    const char *name = pipeline_text(plan->pipeline, stage->name);
    cleanup(text_clear) struct text member_name = TEXT_INIT;
    if (member != TASK_FILES_NO_MEMBER)
        stage_member_name(plan->pipeline, stage, member, &member_name);
    if (cache_store_latest(looking->store, name, member_name.length > 0 ? text_bytes(&member_name) : NULL, NULL,
                           why->arena, &before))
        compare(looking, &identity, &before, why);
    return true;
}

static void print_task(const struct plan *plan, uint32_t task, const struct why *why, bool json, struct text *out)
{
    uint32_t number = plan_task_stage(plan, task);
    const struct stage *stage = &plan->pipeline->stages.items[number];
    cleanup(text_clear) struct text member = TEXT_INIT, name = TEXT_INIT;
    if (stage->members > 0)
        stage_member_name(plan->pipeline, stage, plan_task_member(plan, task), &member);
    if (json) {
        text_append(out, "{\"stage\":");
        text_append_json(out, pipeline_text(plan->pipeline, stage->name));
        text_append(out, ",\"member\":");
        if (member.length > 0)
            text_append_json(out, text_bytes(&member));
        else
            text_append(out, "null");
        why_append_json(why, out);
        text_append(out, "}");
        return;
    }
    if (why->answer == WHY_CACHED)
        return; /* they are counted */
    text_append_printable(&name, pipeline_text(plan->pipeline, stage->name), 200);
    if (member.length > 0) {
        text_append_character(&name, '/');
        text_append_printable(&name, text_bytes(&member), 200);
    }
    why_print(why, text_bytes(&name), true, out);
}

/* What runs needs what was removed, and so on upwards. */
static void want_again(struct looking *looking, uint32_t task)
{
    const struct pipeline *pipeline = looking->plan->pipeline;
    const struct stage *stage = &pipeline->stages.items[plan_task_stage(looking->plan, task)];
    uint32_t member = stage->members > 0 ? plan_task_member(looking->plan, task) : TASK_FILES_NO_MEMBER;
    for (uint32_t i = 0; i < stage->inputs.count; i++) {
        uint32_t first, count = tasks_before(looking, stage, member, i, &first);
        for (uint32_t j = 0; j < count; j++)
            looking->runs[first + j] = looking->runs[first + j] || looking->gone[first + j];
    }
}

static bool look_at_first(struct looking *looking, struct error *error)
{
    const struct pipeline *pipeline = looking->plan->pipeline;
    for (size_t i = 0; i < pipeline->stages.count; i++) {
        uint32_t number = pipeline->order[i], first = looking->plan->stages[number].first_task;
        for (uint32_t j = 0; looking->plan->stages[number].selected && j < members_of(pipeline, number); j++) {
            cleanup(arena_free) struct arena *arena = arena_new();
            struct why why = {.arena = arena};
            if (!look(looking, first + j, &why, error))
                return false;
            looking->runs[first + j] = why.answer != WHY_CACHED;
        }
    }
    for (size_t i = pipeline->stages.count; i > 0; i--) {
        uint32_t number = pipeline->order[i - 1], first = looking->plan->stages[number].first_task;
        for (uint32_t j = 0; looking->plan->stages[number].selected && j < members_of(pipeline, number); j++)
            if (looking->runs[first + j])
                want_again(looking, first + j);
    }
    looking->again = true;
    return true;
}

static bool look_at_all(struct looking *looking, bool json, struct output *output, struct error *error)
{
    const struct pipeline *pipeline = looking->plan->pipeline;
    bool first = true;
    for (size_t i = 0; i < pipeline->stages.count; i++) {
        uint32_t number = pipeline->order[i];
        if (!looking->plan->stages[number].selected)
            continue;
        for (uint32_t j = 0; j < members_of(pipeline, number); j++) {
            cleanup(arena_free) struct arena *arena = arena_new();
            struct why why = {.arena = arena};
            uint32_t task = looking->plan->stages[number].first_task + j;
            if (!look(looking, task, &why, error))
                return false;
            looking->runs[task] = why.answer != WHY_CACHED;
            looking->running += why.answer != WHY_CACHED;
            looking->cached += why.answer == WHY_CACHED;
            text_append(&output->text, json && !first ? ",\n" : "");
            first = false;
            print_task(looking->plan, task, &why, json, &output->text);
            output_ease(output);
        }
    }
    return true;
}

int command_print_plan_why(struct invocation *invocation, const struct pipeline_options *options, bool json)
{
    cleanup(planning_clear) struct planning planning = {0};
    if (!planning_build(&planning, invocation, options, command_word(invocation, 0), PLAN_WHOLE))
        return command_refuse(invocation, &planning.problems, &planning.error);
    command_print_problems(&planning.problems, invocation->globals.quiet);
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(looking_clear) struct looking looking = {
        .plan = planning.plan, .before = table_new(), .digest = digest_new()};
    looking.descpipe = path_join(planning.pipeline->working, ".descpipe");
    looking.runs = memory_allocate((size_t)planning.plan->tasks_count + 1);
    looking.gone = memory_allocate((size_t)planning.plan->tasks_count + 1);
    looking.consumers = consumers_find(planning.pipeline);
    looking.store = cache_store_open(looking.descpipe, false, &error);
    struct text *out = &invocation->output.text;
    text_append(out, json ? "{\"tasks\":[\n" : "");
    if (looking.store == NULL || (planning.pipeline->keep == KEEP_FINAL && !look_at_first(&looking, &error)) ||
        !look_at_all(&looking, json, &invocation->output, &error))
        return command_fail(&error);
    if (json)
        text_format(out, "\n],\"will_run\":%u,\"cached\":%u}\n", looking.running, looking.cached);
    else if (looking.running == 0)
        text_format(out, "nothing would run: all of %u task%s cached\n", looking.cached,
                    looking.cached == 1 ? " is" : "s are");
    else
        text_format(out, "%u would run, %u cached\n", looking.running, looking.cached);
    return 0;
}
