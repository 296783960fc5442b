/* SPDX-License-Identifier: BSD-3-Clause */
/* The index from a tag to the stages that take it. */
#include "pipeline/consumers.h"

struct consumers {
    uint32_t tags;    /* symbols below this one may be tags that a stage makes */
    uint32_t *at;     /* by tag: where its stages start; [tags] is their end */
    uint32_t *stages; /* stage numbers */
};

/* False: no stage makes it, or another file is given for it. */
static bool is_made(const struct pipeline *pipeline, symbol tag)
{
    return tag < pipeline->producers_count && pipeline->producers[tag] != 0 && pipeline_input(pipeline, tag) == NULL;
}

static symbol input_tag(const struct pipeline *pipeline, const struct stage *stage, uint32_t input)
{
    return pipeline->files.items[stage->inputs.at + input].tag;
}

struct consumers *consumers_find(const struct pipeline *pipeline)
{
    struct consumers *consumers = memory_allocate(sizeof *consumers);
    size_t stages = pipeline->stages.count, total = 0;
    consumers->tags = pipeline->producers_count;
    consumers->at = memory_allocate(((size_t)consumers->tags + 2) * sizeof *consumers->at);
    uint32_t *at = consumers->at + 1; /* shifted by one, so that filling leaves the starts in place */
    for (size_t i = 0; i < stages; i++) {
        const struct stage *stage = &pipeline->stages.items[i];
        for (uint32_t j = 0; j < stage->inputs.count; j++)
            if (is_made(pipeline, input_tag(pipeline, stage, j))) {
                at[input_tag(pipeline, stage, j) + 1]++;
                total++;
            }
    }
    for (uint32_t i = 1; i <= consumers->tags; i++)
        at[i] += at[i - 1];
    consumers->stages = memory_allocate((total + 1) * sizeof *consumers->stages);
    for (size_t i = 0; i < stages; i++) {
        const struct stage *stage = &pipeline->stages.items[i];
        for (uint32_t j = 0; j < stage->inputs.count; j++)
            if (is_made(pipeline, input_tag(pipeline, stage, j)))
                consumers->stages[at[input_tag(pipeline, stage, j)]++] = (uint32_t)i;
    }
    return consumers;
}

void consumers_free(struct consumers *consumers)
{
    if (consumers == NULL)
        return;
    memory_free(consumers->at);
    memory_free(consumers->stages);
    memory_free(consumers);
}

const uint32_t *consumers_of(const struct consumers *consumers, symbol tag, uint32_t *count)
{
    *count = tag < consumers->tags ? consumers->at[tag + 1] - consumers->at[tag] : 0;
    return *count > 0 ? consumers->stages + consumers->at[tag] : NULL;
}
