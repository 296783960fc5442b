/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Removes intermediate files while a run goes on, and has them made again where that proves to be needed.
 *
 * How it works: when a task is done, the outputs that it took are candidates. They are looked at between two rounds,
 * and only while nothing is being made again: then "every consumer has succeeded" means what it says. A candidate that
 * is due goes into a batch for a helper thread, after its record is on the disk.
 */
#include "run/files/keep.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "pipeline/consumers.h"
#include "run/journal/record_members.h"
#include "run/walk.h"

#define OUTPUTS_LIMIT 32   /* of a stage; further ones stay */
#define PAUSE_MS 200       /* between two batches, each of which waits for the disk once */
#define CONSUMERS_LIMIT 64 /* stages that are asked member by member; with more the last of all has to be done */

enum passing {
    STAYS = 0,       /* it is a result, or a stage outside this run takes it */
    PASSES,          /* it is made by a stage of this run, for others of it only */
    PASSES_BY_MEMBER /* and each of their members takes the one of its own */
};

struct kept {             /* of a task */
    uint32_t gone, going; /* bits by output */
    bool wanted;          /* it is made again */
    bool cached;          /* it was found up to date without its files */
};
struct candidate {
    uint32_t task, output;
};
struct waiting {
    uint32_t task, for_task;
};

struct keep {
    struct consumers *consumers;
    uint8_t *passes;       /* by tag: enum passing */
    uint32_t *stages_left; /* by tag: stages that take it and are not done */
    bool *stage_is_done;   /* by stage: counted in stages_left */
    uint32_t tags;
    struct kept *tasks;
    LIST(struct candidate) candidates;
    LIST(struct waiting) waiting;
    uint32_t wanted; /* tasks that are made again */
    uint32_t away;   /* tasks of which something is gone or going */
    bool removing;
    int64_t looked_ms;
};

struct batch {
    struct engine *engine;
    struct words files; /* with a '/' at their end: folders */
    LIST(struct candidate) outputs;
    char *failure;
};

static const struct file_tag *file_of(const struct engine *engine, const struct stage *stage, uint32_t output)
{
    return &engine->pipeline->files.items[stage->outputs.at + output];
}

static uint32_t tasks_of(const struct stage *stage)
{
    return stage->members > 0 ? stage->members : 1;
}

static bool each_takes_its_own(const struct engine *engine, const struct stage *consumer, const struct stage *producer)
{
    bool each = stage_members_match(consumer, producer);
    for (uint32_t i = 0; each && i < consumer->members; i++)
        each = stage_member_match(engine->pipeline, consumer, i, producer) != NONE;
    return each;
}

static enum passing passing_of(const struct engine *engine, symbol tag)
{
    const struct pipeline *pipeline = engine->pipeline;
    uint32_t count, producer = pipeline_producer(pipeline, tag);
    const uint32_t *stages = consumers_of(engine->keep->consumers, tag, &count);
    bool passes = count > 0 && producer != NONE && engine->plan->stages[producer].selected;
    bool by_member = passes && count <= CONSUMERS_LIMIT;
    for (uint32_t i = 0; passes && i < count; i++) {
        passes = engine->plan->stages[stages[i]].selected;
        by_member = by_member &&
                    each_takes_its_own(engine, &pipeline->stages.items[stages[i]], &pipeline->stages.items[producer]);
    }
    return !passes ? STAYS : by_member ? PASSES_BY_MEMBER : PASSES;
}

void keep_begin(struct engine *engine)
{
    const struct pipeline *pipeline = engine->pipeline;
    if (pipeline->keep != KEEP_FINAL)
        return;
    if (engine->request->detach) {
        log_warning("'keep: final' is for runs that descpipe follows: of one that is handed over all files stay");
        return;
    }
    struct keep *keep = engine->keep = memory_allocate(sizeof *keep);
    keep->consumers = consumers_find(pipeline);
    keep->tags = pipeline->producers_count;
    keep->passes = memory_allocate((size_t)keep->tags + 1);
    keep->stages_left = memory_allocate(((size_t)keep->tags + 1) * sizeof *keep->stages_left);
    keep->stage_is_done = memory_allocate(pipeline->stages.count + 1);
    keep->tasks = memory_allocate(((size_t)engine->plan->tasks_count + 1) * sizeof *keep->tasks);
    for (symbol tag = 0; tag < keep->tags; tag++) {
        consumers_of(keep->consumers, tag, &keep->stages_left[tag]);
        keep->passes[tag] = (uint8_t)passing_of(engine, tag);
    }
}

void keep_end(struct engine *engine)
{
    struct keep *keep = steal(&engine->keep);
    if (keep == NULL)
        return;
    consumers_free(keep->consumers);
    memory_free(keep->passes);
    memory_free(keep->stages_left);
    memory_free(keep->stage_is_done);
    memory_free(keep->tasks);
    list_clear(&keep->candidates);
    list_clear(&keep->waiting);
    memory_free(keep);
}

bool keep_passes(const struct engine *engine, symbol tag)
{
    return engine->keep != NULL && tag < engine->keep->tags && engine->keep->passes[tag];
}

uint32_t keep_may_be_gone(const struct engine *engine, uint32_t task)
{
    uint32_t number, member, outputs = 0;
    if (engine->keep == NULL || engine->keep->tasks[task].wanted)
        return 0;
    const struct stage *stage = walk_stage_of(engine, task, &number, &member);
    for (uint32_t i = 0; i < stage->outputs.count && i < OUTPUTS_LIMIT; i++)
        outputs |= (uint32_t)keep_passes(engine, file_of(engine, stage, i)->tag) << i;
    return outputs;
}

static void set_gone(struct keep *keep, uint32_t task, uint32_t gone, uint32_t going)
{
    struct kept *kept = &keep->tasks[task];
    bool before = (kept->gone | kept->going) != 0, after = (gone | going) != 0;
    keep->away += after && !before;
    keep->away -= before && !after;
    kept->gone = gone;
    kept->going = going;
}

/* Who takes them is judged by what they were. */
static void tell_digests(struct engine *engine, uint32_t task, uint32_t outputs, const struct cache_result *result)
{
    uint32_t number, member;
    const struct stage *stage = walk_stage_of(engine, task, &number, &member);
    cleanup(arena_free) struct arena *arena = arena_new();
    const struct task_files files = files_of(engine, arena);
    for (uint32_t i = 0; i < stage->outputs.count && i < OUTPUTS_LIMIT; i++) {
        const struct file_tag *file = file_of(engine, stage, i);
        const char *name = task_files_name(&files, file);
        for (size_t j = 0; (outputs >> i & 1) != 0 && j < result->outputs_count; j++)
            if (text_equal(result->outputs[j].name, name))
                cached_is_gone(engine, task_files_data_path(&files, stage, member, file), result->outputs[j].sha256);
    }
}

void keep_are_gone(struct engine *engine, uint32_t task, uint32_t outputs, const struct cache_result *result)
{
    struct keep *keep = engine->keep;
    if (outputs == 0)
        return;
    set_gone(keep, task, keep->tasks[task].gone | outputs, keep->tasks[task].going);
    keep->tasks[task].cached = true;
    tell_digests(engine, task, outputs, result);
}

/* The tasks of a stage whose output one task takes: the first, and how many. */
static uint32_t producers(const struct engine *engine, const struct stage *stage, uint32_t member, uint32_t producer,
                          uint32_t *first)
{
    const struct stage *from = &engine->pipeline->stages.items[producer];
    uint32_t match = member != NONE ? stage_member_match(engine->pipeline, stage, member, from) : NONE;
    *first = engine->plan->stages[producer].first_task + (match != NONE ? match : 0);
    return match != NONE ? 1 : tasks_of(from);
}

static uint32_t output_of(const struct engine *engine, uint32_t producer, symbol tag)
{
    const struct stage *from = &engine->pipeline->stages.items[producer];
    uint32_t output = 0;
    while (output < from->outputs.count && file_of(engine, from, output)->tag != tag)
        output++;
    return output;
}

/* Making again. */

static void want(struct engine *engine, uint32_t task)
{
    struct keep *keep = engine->keep;
    struct kept *kept = &keep->tasks[task];
    if (kept->cached)
        engine->cached_tasks--;
    else {
        engine->succeeded--;
        engine->verdicts[VERDICT_OK]--;
    }
    set_gone(keep, task, 0, 0);
    kept->cached = false;
    kept->wanted = true;
    keep->wanted++;
    engine->left++;
    engine->tasks[task].attempt_slot = NONE;
    walk_ready(engine, task);
}

/* True: its consumer waits for it. */
static bool waits_for(struct engine *engine, uint32_t task, uint32_t output)
{
    const struct kept *kept = &engine->keep->tasks[task];
    if (kept->wanted || (output < OUTPUTS_LIMIT && (kept->going >> output & 1) != 0))
        return true;
    if (output >= OUTPUTS_LIMIT || (kept->gone >> output & 1) == 0)
        return false;
    want(engine, task);
    return true;
}

bool keep_has_inputs(struct engine *engine, uint32_t task)
{
    struct keep *keep = engine->keep;
    if (keep == NULL || (keep->away == 0 && keep->wanted == 0))
        return true;
    uint32_t number, member, waits = NONE;
    const struct stage *stage = walk_stage_of(engine, task, &number, &member);
    for (uint32_t i = 0; i < stage->inputs.count; i++) {
        symbol tag = engine->pipeline->files.items[stage->inputs.at + i].tag;
        uint32_t first, producer = pipeline_producer(engine->pipeline, tag);
        if (!keep_passes(engine, tag))
            continue;
        uint32_t output = output_of(engine, producer, tag), count = producers(engine, stage, member, producer, &first);
        for (uint32_t j = 0; j < count; j++)
            if (waits_for(engine, first + j, output))
                waits = first + j;
    }
    if (waits == NONE)
        return true;
    const struct waiting waiting = {.task = task, .for_task = waits};
    list_add(&keep->waiting, waiting);
    return false;
}

uint32_t keep_take_waiting(struct engine *engine, uint32_t task)
{
    struct keep *keep = engine->keep;
    for (size_t i = 0; keep != NULL && i < keep->waiting.count; i++) {
        struct waiting waiting = keep->waiting.items[i];
        if (waiting.for_task != task)
            continue;
        keep->waiting.items[i] = keep->waiting.items[--keep->waiting.count];
        if (engine->tasks[waiting.task].state == TASK_READY)
            return waiting.task;
        i--;
    }
    return NONE;
}

/* They look again; what else they need may not be there yet. */
static void wake(struct engine *engine, uint32_t task)
{
    for (uint32_t waiting; (waiting = keep_take_waiting(engine, task)) != NONE;)
        task_heap_push(&engine->ready, walk_item(engine, waiting));
}

bool keep_was_wanted(struct engine *engine, uint32_t task)
{
    struct keep *keep = engine->keep;
    if (keep == NULL || !keep->tasks[task].wanted)
        return false;
    keep->tasks[task].wanted = false;
    keep->wanted--;
    return true;
}

/* Removing. */

static void add_candidates(struct engine *engine, uint32_t first, uint32_t count, uint32_t output)
{
    for (uint32_t i = 0; i < count && output < OUTPUTS_LIMIT; i++) {
        const struct candidate candidate = {.task = first + i, .output = output};
        list_add(&engine->keep->candidates, candidate);
    }
}

/* What it took may have had its last consumer in it. */
static void look_at_inputs(struct engine *engine, const struct stage *stage, uint32_t member, bool stage_is_done)
{
    struct keep *keep = engine->keep;
    for (uint32_t i = 0; i < stage->inputs.count; i++) {
        symbol tag = engine->pipeline->files.items[stage->inputs.at + i].tag;
        uint32_t first, producer = pipeline_producer(engine->pipeline, tag);
        if (!keep_passes(engine, tag))
            continue;
        const struct stage *from = &engine->pipeline->stages.items[producer];
        keep->stages_left[tag] -= stage_is_done;
        if (keep->stages_left[tag] == 0)
            add_candidates(engine, engine->plan->stages[producer].first_task, tasks_of(from),
                           output_of(engine, producer, tag));
        else if (keep->passes[tag] == PASSES_BY_MEMBER && producers(engine, stage, member, producer, &first) == 1)
            add_candidates(engine, first, 1, output_of(engine, producer, tag));
    }
}

void keep_done(struct engine *engine, uint32_t task)
{
    struct keep *keep = engine->keep;
    uint32_t number, member;
    if (keep == NULL)
        return;
    const struct stage *stage = walk_stage_of(engine, task, &number, &member);
    bool is_done = engine->stages[number].tasks_left == 0 && !keep->stage_is_done[number];
    keep->stage_is_done[number] |= is_done;
    look_at_inputs(engine, stage, member, is_done);
    wake(engine, task);
    /* Made again for some of those who take it, it may have files that nobody else needs. */
    for (uint32_t i = 0; i < stage->outputs.count; i++)
        if (keep_passes(engine, file_of(engine, stage, i)->tag))
            add_candidates(engine, task, 1, i);
}

static bool member_is_done(const struct engine *engine, uint32_t consumer, const struct stage *from, uint32_t member)
{
    const struct stage *stage = &engine->pipeline->stages.items[consumer];
    uint32_t own = stage_member_match(engine->pipeline, from, member, stage);
    return own != NONE && engine->tasks[engine->plan->stages[consumer].first_task + own].state == TASK_SUCCEEDED;
}

static bool is_due(const struct engine *engine, const struct candidate *candidate)
{
    const struct keep *keep = engine->keep;
    const struct kept *kept = &keep->tasks[candidate->task];
    uint32_t number, member, count;
    const struct stage *stage = walk_stage_of(engine, candidate->task, &number, &member);
    symbol tag = file_of(engine, stage, candidate->output)->tag;
    if (engine->tasks[candidate->task].state != TASK_SUCCEEDED ||
        ((kept->gone | kept->going) >> candidate->output & 1) != 0)
        return false;
    if (keep->stages_left[tag] == 0)
        return true;
    const uint32_t *stages = consumers_of(keep->consumers, tag, &count);
    bool due = keep->passes[tag] == PASSES_BY_MEMBER;
    for (uint32_t i = 0; due && i < count; i++)
        due = member_is_done(engine, stages[i], stage, member);
    return due;
}

/* WORKING/STAGE/output, when it is our link into a run. */
static bool leads_into_a_run(const char *link)
{
    char target[4096];
    ssize_t length = readlink(link, target, sizeof target - 1);
    if (length <= 0)
        return false;
    target[length] = '\0';
    return strstr(target, ".descpipe/runs/") != NULL;
}

/* WORKING/STAGE[/MEMBER]/, appended. */
static void append_folder(const struct engine *engine, uint32_t task, struct text *folder)
{
    uint32_t number, member;
    const struct stage *stage = walk_stage_of(engine, task, &number, &member);
    text_format(folder, "%s/%s/", engine->folder.working, pipeline_text(engine->pipeline, stage->name));
    if (member == NONE)
        return;
    stage_member_name(engine->pipeline, stage, member, folder);
    text_append_character(folder, '/');
}

struct removal { /* one output that goes */
    uint32_t task, member;
    const struct stage *stage;
    symbol tag;
    const char *path, *name;
    const char *end; /* "/" for a folder, else "" */
};

/* Where one who took it has it: by its name; with all members of a stage in a folder as in WORKING/data. */
static void add_input(struct engine *engine, struct batch *batch, const struct removal *removal, uint32_t task)
{
    uint32_t number, member;
    const struct stage *consumer = walk_stage_of(engine, task, &number, &member);
    uint32_t own = removal->member != NONE && member != NONE
                       ? stage_member_match(engine->pipeline, consumer, member, removal->stage)
                       : NONE;
    if (own != NONE && own != removal->member)
        return;
    bool among_all = removal->member != NONE && own == NONE;
    size_t data = strlen(engine->folder.working) + strlen("/data/");
    cleanup(text_clear) struct text folder = TEXT_INIT;
    append_folder(engine, task, &folder);
    words_format(&batch->files, "%sinput/%s%s", text_bytes(&folder), among_all ? removal->path + data : removal->name,
                 removal->end);
}

static void add_inputs(struct engine *engine, struct batch *batch, const struct removal *removal)
{
    uint32_t count;
    const struct keep *keep = engine->keep;
    const uint32_t *stages = consumers_of(keep->consumers, removal->tag, &count);
    for (uint32_t i = 0; i < count; i++) {
        const struct stage *consumer = &engine->pipeline->stages.items[stages[i]];
        uint32_t first = engine->plan->stages[stages[i]].first_task;
        uint32_t own = keep->passes[removal->tag] == PASSES_BY_MEMBER
                           ? stage_member_match(engine->pipeline, removal->stage, removal->member, consumer)
                           : NONE;
        if (own != NONE)
            add_input(engine, batch, removal, first + own);
        for (uint32_t j = 0; own == NONE && j < tasks_of(consumer); j++)
            add_input(engine, batch, removal, first + j);
    }
}

static void record(struct engine *engine, const struct removal *removal)
{
    struct text *text = journal_begin(engine->journal, "removed");
    record_task(engine, text, removal->task);
    member_text(text, "name", removal->name);
    member_text(text, "path", removal->path);
    journal_end(engine->journal);
}

static void add_to_batch(struct engine *engine, struct batch *batch, const struct candidate *candidate)
{
    uint32_t number;
    struct removal removal = {.task = candidate->task};
    removal.stage = walk_stage_of(engine, candidate->task, &number, &removal.member);
    const struct file_tag *file = file_of(engine, removal.stage, candidate->output);
    cleanup(arena_free) struct arena *arena = arena_new();
    const struct task_files files = files_of(engine, arena);
    removal.tag = file->tag;
    removal.end = task_file_is_folder(pipeline_text(engine->pipeline, file->suffix)) ? "/" : "";
    removal.path = task_files_data_path(&files, removal.stage, removal.member, file);
    removal.name = task_files_name(&files, file);
    cleanup(text_clear) struct text link = TEXT_INIT;
    append_folder(engine, candidate->task, &link);
    text_append(&link, "output");
    words_format(&batch->files, "%s%s", removal.path, removal.end);
    if (leads_into_a_run(text_bytes(&link)))
        words_format(&batch->files, "%s/%s%s", text_bytes(&link), removal.name, removal.end);
    add_inputs(engine, batch, &removal);
    const struct kept *kept = &engine->keep->tasks[candidate->task];
    set_gone(engine->keep, candidate->task, kept->gone, kept->going | UINT32_C(1) << candidate->output);
    list_add(&batch->outputs, *candidate);
    record(engine, &removal);
}

/* On a helper thread. What is not there is as good as removed. */
static void remove_work(void *context)
{
    struct batch *batch = context;
    for (size_t i = 0; i < batch->files.count; i++) {
        char *path = batch->files.items[i];
        size_t length = strlen(path);
        bool is_folder = path[length - 1] == '/';
        cleanup(error_clear) struct error error = ERROR_INIT;
        if (is_folder)
            path[length - 1] = '\0';
        bool removed =
            is_folder ? folder_remove(path, &error) : unlink(path) == 0 || errno == ENOENT || errno == ENOTDIR;
        if (!removed && error.message == NULL)
            error_system(&error, "cannot remove '%s'", path);
        if (!removed && batch->failure == NULL)
            batch->failure = memory_copy_text(error.message);
    }
}

static void batch_free(struct batch *batch)
{
    words_clear(&batch->files);
    list_clear(&batch->outputs);
    memory_free(batch->failure);
    memory_free(batch);
}

static void removed(void *context)
{
    struct batch *batch = context;
    struct engine *engine = batch->engine;
    struct keep *keep = engine->keep;
    keep->removing = false;
    if (batch->failure != NULL)
        log_warning("'keep: final': %s", batch->failure);
    for (size_t i = 0; i < batch->outputs.count; i++) {
        const struct candidate *output = &batch->outputs.items[i];
        const struct kept *kept = &keep->tasks[output->task];
        uint32_t bit = UINT32_C(1) << output->output;
        set_gone(keep, output->task, kept->gone | bit, kept->going & ~bit);
        wake(engine, output->task);
    }
    batch_free(batch);
}

static struct batch *next_batch(struct engine *engine)
{
    struct keep *keep = engine->keep;
    struct batch *batch = memory_allocate(sizeof *batch);
    batch->engine = engine;
    for (size_t i = 0; i < keep->candidates.count; i++)
        if (is_due(engine, &keep->candidates.items[i]))
            add_to_batch(engine, batch, &keep->candidates.items[i]);
    keep->candidates.count = 0;
    keep->looked_ms = clock_monotonic_ms();
    return batch;
}

/* What a run after this one has to know is not on the disk: nothing goes. */
static void take_back(struct engine *engine, const struct batch *batch)
{
    struct keep *keep = engine->keep;
    for (size_t i = 0; i < batch->outputs.count; i++) {
        struct candidate output = batch->outputs.items[i];
        list_add(&keep->candidates, output);
        set_gone(keep, output.task, keep->tasks[output.task].gone, 0);
    }
}

bool keep_remove(struct engine *engine)
{
    struct keep *keep = engine->keep;
    if (keep == NULL || keep->removing)
        return keep != NULL;
    bool early = engine->left > 0 && clock_monotonic_ms() - keep->looked_ms < PAUSE_MS;
    if (keep->candidates.count == 0 || early || keep->wanted > 0 || engine->journal_stuck)
        return false;
    struct batch *batch = next_batch(engine);
    keep->removing = batch->outputs.count > 0;
    if (keep->removing && !engine_flush(engine, true)) {
        take_back(engine, batch);
        keep->removing = false;
    }
    if (keep->removing) {
        cached_flush(engine);
        pool_run(engine_pool(engine), remove_work, removed, batch);
    } else {
        batch_free(batch);
    }
    return keep->removing;
}

/* Going on with a run. */

static void find_gone(struct engine *engine, uint32_t task)
{
    uint32_t number, member, outputs = keep_may_be_gone(engine, task), gone = 0;
    const struct stage *stage = walk_stage_of(engine, task, &number, &member);
    cleanup(arena_free) struct arena *arena = arena_new();
    const struct task_files files = files_of(engine, arena);
    for (uint32_t i = 0; i < stage->outputs.count && i < OUTPUTS_LIMIT; i++)
        if ((outputs >> i & 1) != 0 &&
            !file_exists(task_files_data_path(&files, stage, member, file_of(engine, stage, i))))
            gone |= UINT32_C(1) << i;
    if (gone == 0)
        return;
    set_gone(engine->keep, task, gone, 0);
    struct cache_result result;
    if (cached_latest(engine, task, arena, &result) && text_equal(result.run, engine->folder.id))
        tell_digests(engine, task, gone, &result);
}

void keep_resume(struct engine *engine)
{
    if (engine->keep == NULL)
        return;
    for (uint32_t i = 0; i < engine->plan->tasks_count; i++)
        if (engine->tasks[i].state == TASK_SUCCEEDED)
            find_gone(engine, i);
    for (uint32_t i = 0; i < engine->plan->tasks_count; i++)
        if (engine->tasks[i].state == TASK_SUCCEEDED)
            keep_done(engine, i);
}
