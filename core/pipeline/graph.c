/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who waits for whom.
 *
 * How it works: a tag is a symbol, so an array by symbol says who makes it. Edges are a sorted slice per stage. The
 * order is Kahn's with a first-in-first-out queue, started in the order of pipeline.stages: the original's order. All
 * of it is loops over arrays: a chain of a million stages needs no stack.
 */
#include <string.h>

#include "pipeline/reader.h"

enum { CYCLE_NAMES_LIMIT = 2000 };

static struct place file_place(const struct pipeline *pipeline, const struct file_tag *file, char *path)
{
    (void)pipeline;
    return (struct place){.file = path, .line = file->line, .column = file->column};
}

static void report_second_producer(struct pipeline_reader *reader, const struct stage *first,
                                   const struct stage *second, const struct file_tag *file)
{
    const struct pipeline *pipeline = reader->pipeline;
    cleanup(memory_free) char *path = stage_metadata_file(pipeline, second, (enum metadata_source)second->outputs_from);
    problem_add(reader->problems, PROBLEM_ERROR, file_place(pipeline, file, path),
                "give one of the two outputs another tag", "the tag '%s' is an output of two stages: '%s' and '%s'",
                pipeline_text(pipeline, file->tag), pipeline_text(pipeline, first->name),
                pipeline_text(pipeline, second->name));
}

void graph_find_producers(struct pipeline_reader *reader)
{
    struct pipeline *pipeline = reader->pipeline;
    symbol highest = 0;
    for (size_t i = 0; i < pipeline->stages.count; i++) {
        const struct stage *stage = &pipeline->stages.items[i];
        for (uint32_t j = 0; j < stage->outputs.count; j++) {
            symbol tag = pipeline->files.items[stage->outputs.at + j].tag;
            highest = tag > highest ? tag : highest;
        }
    }
    pipeline->producers_count = highest + 1;
    pipeline->producers = memory_allocate((size_t)pipeline->producers_count * sizeof *pipeline->producers);
    for (uint32_t i = 0; i < pipeline->stages.count; i++) {
        const struct stage *stage = &pipeline->stages.items[i];
        for (uint32_t j = 0; j < stage->outputs.count; j++) {
            const struct file_tag *file = &pipeline->files.items[stage->outputs.at + j];
            uint32_t *producer = &pipeline->producers[file->tag];
            if (*producer == 0)
                *producer = i + 1;
            else
                report_second_producer(reader, &pipeline->stages.items[*producer - 1], stage, file);
        }
    }
}

static int compare_numbers(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return a < b ? -1 : a > b;
}

/* Appends what stage `number` waits for: data first, then depends-on; sorted, each once, never itself. */
static void add_edges(struct pipeline *pipeline, uint32_t number)
{
    struct stage *stage = &pipeline->stages.items[number];
    size_t at = pipeline->edges.count;
    for (uint32_t i = 0; i < stage->inputs.count; i++) {
        symbol tag = pipeline->files.items[stage->inputs.at + i].tag;
        uint32_t producer = pipeline_producer(pipeline, tag);
        if (producer != UINT32_MAX && producer != number && pipeline_input(pipeline, tag) == NULL)
            list_add(&pipeline->edges, producer);
    }
    for (uint32_t i = 0; i < stage->depends_on.count; i++) {
        symbol name = pipeline->symbols_array.items[stage->depends_on.at + i];
        uint32_t other = name < pipeline->stage_numbers.count ? pipeline->stage_numbers.items[name] : 0;
        if (other != 0 && other - 1 != number)
            list_add(&pipeline->edges, other - 1);
    }
    size_t count = pipeline->edges.count - at;
    stage->after = (struct slice){.at = (uint32_t)at};
    if (count == 0)
        return;
    uint32_t *edges = &pipeline->edges.items[at];
    if (count == 2 && edges[0] > edges[1]) { /* the usual case, without a call */
        uint32_t first = edges[0];
        edges[0] = edges[1];
        edges[1] = first;
    } else if (count > 2) {
        qsort(edges, count, sizeof *edges, compare_numbers);
    }
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || edges[kept - 1] != edges[i])
            edges[kept++] = edges[i];
    pipeline->edges.count = at + kept;
    stage->after.count = (uint32_t)kept;
}

struct successors { /* stages that wait for stage i: list[first[i] .. first[i + 1]) */
    uint32_t *first, *list;
};

static struct successors find_successors(const struct pipeline *pipeline)
{
    size_t count = pipeline->stages.count;
    struct successors result = {.first = memory_allocate((count + 2) * sizeof(uint32_t)),
                                .list = memory_allocate((pipeline->edges.count + 1) * sizeof(uint32_t))};
    for (size_t i = 0; i < pipeline->edges.count; i++)
        result.first[pipeline->edges.items[i] + 2]++;
    for (size_t i = 2; i < count + 2; i++)
        result.first[i] += result.first[i - 1];
    for (uint32_t i = 0; i < count; i++) {
        const struct slice *after = &pipeline->stages.items[i].after;
        for (uint32_t j = 0; j < after->count; j++)
            result.list[result.first[pipeline->edges.items[after->at + j] + 1]++] = i;
    }
    return result;
}

/* Fills pipeline->order; returns how many found their place. `left` says for each stage how many it still waits for. */
static size_t sort_stages(struct pipeline *pipeline, uint32_t *left)
{
    size_t count = pipeline->stages.count, filled = 0;
    struct successors successors = find_successors(pipeline);
    pipeline->order = memory_allocate((count + 1) * sizeof *pipeline->order);
    for (uint32_t i = 0; i < count; i++) {
        left[i] = pipeline->stages.items[i].after.count;
        if (left[i] == 0)
            pipeline->order[filled++] = i;
    }
    for (size_t taken = 0; taken < filled; taken++) {
        uint32_t stage = pipeline->order[taken];
        for (uint32_t i = successors.first[stage]; i < successors.first[stage + 1]; i++)
            if (--left[successors.list[i]] == 0)
                pipeline->order[filled++] = successors.list[i];
    }
    memory_free(successors.first);
    memory_free(successors.list);
    return filled;
}

static uint32_t first_unsorted(const struct pipeline *pipeline, const uint32_t *left, uint32_t stage)
{
    const struct slice *after = &pipeline->stages.items[stage].after;
    for (uint32_t i = 0; i < after->count; i++)
        if (left[pipeline->edges.items[after->at + i]] > 0)
            return pipeline->edges.items[after->at + i];
    return stage;
}

/* The circle that `stage` is part of, in the order of the data: first → second means second waits for first. */
static void report_cycle(struct pipeline_reader *reader, const uint32_t *left, uint32_t stage)
{
    const struct pipeline *pipeline = reader->pipeline;
    LIST(uint32_t) circle = {0};
    uint32_t lowest = stage, each = stage;
    do {
        lowest = each < lowest ? each : lowest;
        each = first_unsorted(pipeline, left, each);
    } while (each != stage);
    each = lowest;
    do {
        list_add(&circle, each);
        each = first_unsorted(pipeline, left, each);
    } while (each != lowest);
    cleanup(text_clear) struct text names = TEXT_INIT;
    text_append(&names, pipeline_text(pipeline, pipeline->stages.items[lowest].name));
    size_t shown = 0;
    for (size_t i = circle.count; i-- > 0 && shown < CYCLE_NAMES_LIMIT; shown++)
        text_format(&names, " → %s", pipeline_text(pipeline, pipeline->stages.items[circle.items[i]].name));
    if (shown < circle.count)
        text_format(&names, " → … (%zu more)", circle.count - shown);
    const struct stage *first = &pipeline->stages.items[lowest];
    problem_add(reader->problems, PROBLEM_ERROR, reader_place(reader, first->line, first->column),
                "each waits for the one before it, by a tag it takes or by depends-on",
                "stages wait for each other in a circle: %s", text_bytes(&names));
    list_clear(&circle);
}

/* Every unsorted stage waits for an unsorted one: following the first of them ends in a circle, each circle found once.
 */
static void report_cycles(struct pipeline_reader *reader, const uint32_t *left)
{
    const struct pipeline *pipeline = reader->pipeline;
    size_t count = pipeline->stages.count;
    cleanup(memory_free) uint32_t *walk_of = memory_allocate((count + 1) * sizeof *walk_of);
    for (uint32_t start = 0; start < count; start++) {
        if (left[start] == 0 || walk_of[start] != 0)
            continue;
        uint32_t each = start;
        while (walk_of[each] == 0) {
            walk_of[each] = start + 1;
            each = first_unsorted(pipeline, left, each);
        }
        if (walk_of[each] == start + 1)
            report_cycle(reader, left, each);
    }
}

bool graph_build(struct pipeline_reader *reader)
{
    struct pipeline *pipeline = reader->pipeline;
    for (uint32_t i = 0; i < pipeline->stages.count; i++)
        add_edges(pipeline, i);
    cleanup(memory_free) uint32_t *left = memory_allocate((pipeline->stages.count + 1) * sizeof *left);
    if (sort_stages(pipeline, left) == pipeline->stages.count)
        return true;
    report_cycles(reader, left);
    return false;
}
