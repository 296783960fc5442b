/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a pipeline names beside itself: backends, plugins, and options of theirs. Looked at as a whole before anything
 * is opened, and also when the file has errors of its own, so that all that is wrong is told at once.
 */
#include "plan/names.h"

static bool is_here(const struct plan_builder *builder, const char *kind, const char *name)
{
    cleanup(error_clear) struct error told = ERROR_INIT; /* by plan_check_words */
    return plugin_catalogue_find(builder->catalogue, kind, name, &told) != NULL;
}

/* True when an earlier word meant the same backend. */
static bool met_before(const struct plan_builder *builder, size_t number)
{
    for (size_t i = 0; i < number; i++) {
        if (builder->words.items[i].backend == builder->words.items[number].backend &&
            text_equal(builder->words.items[i].scheduler, builder->words.items[number].scheduler) &&
            text_equal(builder->words.items[i].runtime, builder->words.items[number].runtime))
            return true;
    }
    return false;
}

static void check_plugin(struct plan_builder *builder, const struct backend_words *words, const char *kind,
                         const char *name)
{
    if (!text_equal(name, "auto") && is_here(builder, kind, name))
        settings_free(plan_choose_settings(builder, words, kind, name));
}

/* Problems go to `found`, what keeps a plugin from being loaded too. */
static void find_option_problems(struct plan_builder *builder, struct problems *found)
{
    struct problems *problems = builder->problems;
    struct error error = builder->error;
    enum plan_extent extent = builder->choices.extent;
    builder->problems = found;
    for (size_t i = 0; i < builder->words.count; i++) {
        const struct backend_words *words = &builder->words.items[i];
        if (met_before(builder, i))
            continue;
        builder->error = ERROR_INIT;
        if (extent == PLAN_WHOLE || extent == PLAN_COMBINATION)
            check_plugin(builder, words, "scheduler", words->scheduler);
        if (extent != PLAN_NAMES)
            check_plugin(builder, words, "runtime", words->runtime);
        if (builder->error.kind != ERROR_NONE)
            problem_from_error(found, &builder->error);
        error_clear(&builder->error);
    }
    builder->problems = problems;
    builder->error = error;
}

static void add_problems(struct problems *problems, const struct problems *found)
{
    for (size_t i = 0; i < found->count; i++) {
        const struct problem *problem = &found->items[i];
        struct place place = {.file = problem->file, .line = problem->line, .column = problem->column};
        problem_add(problems, problem->level, place, problem->hint, "%s", problem->message);
    }
}

bool plan_check_options(struct plan_builder *builder)
{
    cleanup(problems_clear) struct problems found = {0};
    find_option_problems(builder, &found);
    if (found.errors > 0)
        add_problems(builder->problems, &found);
    return found.errors == 0;
}

/* One for the pipeline, one for each distinct word of a stage; a word that means nothing is a problem. */
static void choose_all_words(struct plan_builder *builder)
{
    const struct pipeline *pipeline = builder->pipeline;
    LIST(symbol) known = {0};
    struct backend_words words;
    if (plan_choose_words(builder, 0, (struct spot){0}, &words))
        list_add(&builder->words, words);
    for (size_t i = 0; i < pipeline->stages.count; i++) {
        const struct stage_extras *extras = pipeline->stages.items[i].extras;
        symbol word = extras ? extras->backend : 0;
        size_t number = 0;
        while (number < known.count && known.items[number] != word)
            number++;
        if (word == 0 || number < known.count)
            continue;
        list_add(&known, word);
        if (plan_choose_words(builder, word, extras->backend_at, &words))
            list_add(&builder->words, words);
    }
    list_clear(&known);
}

static void check_names(const struct pipeline *pipeline, const struct plan_request *request)
{
    struct plan_builder builder = {.catalogue = request->catalogue,
                                   .pipeline = pipeline,
                                   .layers = request->layers,
                                   .choices = request->choices,
                                   .problems = request->problems,
                                   .errors_before = SIZE_MAX}; /* there are others: each is one of many */
    choose_all_words(&builder);
    plan_check_words(&builder);
    struct loop *loop = loop_new(NULL);
    builder.host = loop ? plugin_host_new(loop, request->catalogue, NULL) : NULL;
    if (builder.host)
        plan_check_options(&builder);
    plugin_host_free(builder.host);
    loop_free(loop);
    list_clear(&builder.words);
}

struct pipeline *plan_read_pipeline(const char *path, const struct pipeline_changes *changes,
                                    const struct plan_request *request)
{
    size_t errors = request->problems->errors;
    cleanup(pipeline_free) struct pipeline *pipeline = pipeline_read_as_it_is(path, changes, request->problems);
    if (!pipeline || request->problems->errors == errors)
        return steal(&pipeline);
    check_names(pipeline, request);
    return NULL;
}
