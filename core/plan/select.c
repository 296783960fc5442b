/* SPDX-License-Identifier: BSD-3-Clause */
/* Which stages of a pipeline a run is about: --only, --from, --until. */
#include "plan/select.h"

#include <string.h>

/* The nearest stage name, found without a list of all names. */
static const char *nearest_stage(const struct pipeline *pipeline, const char *word)
{
    const char *best = NULL;
    size_t best_distance = strlen(word) / 3 + 1;
    for (size_t i = 0; i < pipeline->stages.count; i++) {
        const char *name = pipeline_text(pipeline, pipeline->stages.items[i].name);
        size_t distance = text_distance(word, name, best_distance);
        if (distance < best_distance || (distance == best_distance && !best)) {
            best = name;
            best_distance = distance;
        }
    }
    return best;
}

static bool mark_named(const struct pipeline *pipeline, const char *option, const char *const *names, bool *marked,
                       struct problems *problems)
{
    bool known = true;
    for (; names && *names; names++) {
        uint32_t number = 0;
        if (pipeline_stage(pipeline, *names, &number)) {
            marked[number] = true;
            continue;
        }
        const char *nearest = nearest_stage(pipeline, *names);
        cleanup(memory_free) char *hint =
            nearest ? memory_format("did you mean '%s'?", nearest) : memory_format("see 'pipeline: stages:'");
        problem_add(problems, PROBLEM_ERROR, (struct place){.file = pipeline->file}, hint,
                    "%s: the pipeline has no stage '%s'", option, *names);
        known = false;
    }
    return known;
}

/* Stages come after everything they wait for in `order`, so one pass in that order reaches all that follows. */
static void spread_forward(const struct pipeline *pipeline, bool *marked)
{
    for (size_t i = 0; i < pipeline->stages.count; i++) {
        uint32_t number = pipeline->order[i];
        struct slice after = pipeline->stages.items[number].after;
        for (uint32_t e = 0; e < after.count && !marked[number]; e++)
            marked[number] = marked[pipeline->edges.items[after.at + e]];
    }
}

static void spread_backward(const struct pipeline *pipeline, bool *marked)
{
    for (size_t i = pipeline->stages.count; i-- > 0;) {
        uint32_t number = pipeline->order[i];
        struct slice after = pipeline->stages.items[number].after;
        for (uint32_t e = 0; marked[number] && e < after.count; e++)
            marked[pipeline->edges.items[after.at + e]] = true;
    }
}

bool plan_select(const struct pipeline *pipeline, const struct plan_choices *choices, bool *selected,
                 struct problems *problems)
{
    size_t count = pipeline->stages.count;
    bool any_only = choices->only && *choices->only, any_from = choices->from && *choices->from;
    bool any_until = choices->until && *choices->until, fine = true;
    if (!any_only && !any_from && !any_until) {
        memset(selected, 1, count * sizeof(bool));
        return true;
    }
    cleanup(memory_free) bool *from = memory_allocate(count * sizeof(bool) + 1);
    cleanup(memory_free) bool *until = memory_allocate(count * sizeof(bool) + 1);
    memset(selected, 0, count * sizeof(bool));
    fine = mark_named(pipeline, "--only", choices->only, selected, problems) && fine;
    fine = mark_named(pipeline, "--from", choices->from, from, problems) && fine;
    fine = mark_named(pipeline, "--until", choices->until, until, problems) && fine;
    spread_forward(pipeline, from);
    spread_backward(pipeline, until);
    for (size_t i = 0; i < count; i++) {
        if ((any_from || any_until) && (!any_from || from[i]) && (!any_until || until[i]))
            selected[i] = true;
    }
    return fine;
}
