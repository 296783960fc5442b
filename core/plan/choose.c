/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which plugins, with which settings: the words of pipeline, layers and command line put together.
 *
 * How it works: the name of a backend comes from the highest layer that says one; it is looked up in the pipeline, then
 * with the user, then with the site; a name that is no backend may be a scheduler's, which then takes the place of the
 * default backend's. Single words (--runtime ...) replace those of the default backend only: a stage that names its own
 * backend means it.
 */
#include "plan/build.h"

#include <stddef.h>
#include <string.h>

#define FALLBACK_SCHEDULER "sequential"
#define FALLBACK_RUNTIME "auto"
#define FALLBACK_REGISTRY "dockerhub"

static const struct backend *find_backend(const struct plan_builder *builder, const char *name, enum layer *layer)
{
    const struct backend *backend = pipeline_backend(builder->pipeline, name);
    *layer = LAYER_PIPELINE;
    if (!backend) {
        backend = config_layers_backend(builder->layers, name);
        *layer = LAYER_USER;
    }
    return backend;
}

/* The highest layer's word for one of "backend", "scheduler" ...; NULL when nobody above the pipeline says one. */
static const char *word_above_pipeline(const struct config_layers *layers, const char *key, struct place *place)
{
    enum layer layer = LAYER_DEFAULT;
    const char *value = config_layers_value(layers, key, place, &layer);
    return value && (layer > LAYER_PIPELINE || config_layers_locked(layers, key, NULL)) ? value : NULL;
}

static const char *default_backend_name(const struct plan_builder *builder, struct place *place)
{
    const char *name = word_above_pipeline(builder->layers, "backend", place);
    if (name)
        return name;
    const struct spot *said = &builder->pipeline->default_backend_at;
    *place = (struct place){.file = builder->pipeline->file, .line = said->line, .column = said->column};
    if (builder->pipeline->default_backend)
        return pipeline_text(builder->pipeline, builder->pipeline->default_backend);
    enum layer layer = LAYER_DEFAULT;
    if (pipeline_backend(builder->pipeline, "default"))
        return "default";
    name = config_layers_value(builder->layers, "backend", place, &layer);
    if (name)
        return name;
    return config_layers_backend(builder->layers, "default") ? "default" : NULL;
}

static void take_choice(const struct plugin_choice *choice, const char **word, struct place *place)
{
    if (!choice->use)
        return;
    *word = choice->use;
    *place = choice->place;
}

static void words_from_backend(struct backend_words *words)
{
    const struct backend *backend = words->backend;
    if (!backend)
        return;
    words->place = backend->place;
    take_choice(&backend->scheduler, &words->scheduler, &words->scheduler_place);
    take_choice(&backend->runtime, &words->runtime, &words->runtime_place);
    take_choice(&backend->registry, &words->registry, &words->registry_place);
}

/* The original's `launcher: nersc` ran the stages one by one through shifter; `local` through docker. */
static void words_from_launcher(const struct plan_builder *builder, struct backend_words *words)
{
    const char *launcher = pipeline_text(builder->pipeline, builder->pipeline->launcher);
    if (text_equal(launcher, "nersc"))
        words->runtime = "shifter";
    else if (text_equal(launcher, "local"))
        words->runtime = "docker";
}

static void override_word(const struct plan_builder *builder, const char *key, const char **word, struct place *place)
{
    struct place said = {0};
    const char *above = word_above_pipeline(builder->layers, key, &said);
    if (!above)
        return;
    *word = above;
    *place = said;
}

static void words_override(const struct plan_builder *builder, struct backend_words *words)
{
    override_word(builder, "scheduler", &words->scheduler, &words->scheduler_place);
    override_word(builder, "runtime", &words->runtime, &words->runtime_place);
    override_word(builder, "registry", &words->registry, &words->registry_place);
}

static bool is_scheduler(const struct plan_builder *builder, const char *name)
{
    cleanup(error_clear) struct error ignored = ERROR_INIT;
    return plugin_catalogue_find(builder->catalogue, "scheduler", name, &ignored) != NULL;
}

static void problem_no_backend(const struct plan_builder *builder, const char *name, struct place place)
{
    const char *const *known = config_layers_backend_names(builder->layers);
    cleanup(words_clear) struct words names = {0};
    for (size_t i = 0; i < builder->pipeline->backends.count; i++)
        words_add(&names, builder->pipeline->backends.items[i].name);
    words_add_all(&names, known);
    const char *nearest = text_nearest(name, words_list(&names));
    cleanup(text_clear) struct text hint = TEXT_INIT;
    if (nearest) {
        text_format(&hint, "did you mean '%s'?", nearest);
    } else {
        text_append(&hint, names.count ? "known:" : "no backends are defined in the pipeline, user or site files");
        for (size_t i = 0; i < names.count; i++)
            text_format(&hint, "%s %s", i ? "," : "", names.items[i]);
    }
    problem_add(builder->problems, PROBLEM_ERROR, place, text_bytes(&hint), "there is no backend and no scheduler '%s'",
                name);
}

bool plan_choose_words(const struct plan_builder *builder, symbol word, struct spot said, struct backend_words *words)
{
    *words = (struct backend_words){.name = "default",
                                    .scheduler = FALLBACK_SCHEDULER,
                                    .runtime = FALLBACK_RUNTIME,
                                    .registry = FALLBACK_REGISTRY,
                                    .place = {.file = builder->pipeline->file}};
    words->scheduler_place = words->runtime_place = words->registry_place = words->place;
    struct place place = {.file = builder->pipeline->file, .line = said.line, .column = said.column};
    const char *name = word ? pipeline_text(builder->pipeline, word) : default_backend_name(builder, &place);
    if (!name) {
        if (builder->pipeline->launcher)
            words_from_launcher(builder, words);
        words_override(builder, words);
        return true;
    }
    words->backend = find_backend(builder, name, &words->layer);
    if (words->backend) {
        words->name = words->backend->name;
        words_from_backend(words);
    } else if (is_scheduler(builder, name)) {
        /* the default backend of the pipeline with this scheduler */
        const char *fallback = builder->pipeline->default_backend
                                   ? pipeline_text(builder->pipeline, builder->pipeline->default_backend)
                                   : "default";
        words->backend = find_backend(builder, fallback, &words->layer);
        words_from_backend(words);
        words->name = name;
        words->scheduler = name;
    } else {
        problem_no_backend(builder, name, place);
        return false;
    }
    if (!word)
        words_override(builder, words);
    return true;
}

/* The registries that descpipe itself knows by name: their plugin is asked for only when an image needs it. */
static const char *const known_registries[] = {"dockerhub", "ecr", "oci", NULL};

static bool is_known_registry(const char *name)
{
    for (size_t i = 0; known_registries[i]; i++) {
        if (text_equal(known_registries[i], name))
            return true;
    }
    return false;
}

/* The first one missing is kept as the error, for its exit status; all others are problems beside it. */
static void check_word(struct plan_builder *builder, const char *kind, const char *name, struct place place)
{
    cleanup(error_clear) struct error missing = ERROR_INIT;
    if (plugin_catalogue_find(builder->catalogue, kind, name, &missing))
        return;
    if (text_equal(kind, "registry") && is_known_registry(name))
        return;
    const char *nearest = text_equal(kind, "registry") ? text_nearest(name, known_registries) : NULL;
    if (nearest)
        error_hint(&missing, "did you mean '%s'?", nearest);
    else if (text_equal(kind, "registry"))
        error_hint(&missing, "descpipe comes with dockerhub, ecr and oci");
    error_place(&missing, place.file, place.line, place.column);
    bool only_plugins = builder->problems->errors == builder->errors_before;
    if (only_plugins && builder->error.kind == ERROR_NONE)
        error_move(&builder->error, &missing);
    else
        problem_from_error(builder->problems, &missing);
}

/* True when an earlier backend has the same word at the same place. */
static bool checked_before(const struct plan_builder *builder, size_t number, const struct place *place, size_t offset)
{
    for (size_t i = 0; i < number; i++) {
        const struct place *other = (const void *)((const char *)&builder->words.items[i] + offset);
        if (place->line == other->line && place->column == other->column && text_equal(place->file, other->file))
            return true;
    }
    return false;
}

bool plan_check_words(struct plan_builder *builder)
{
    size_t errors = builder->problems->errors;
    bool scheduler = builder->choices.extent == PLAN_WHOLE || builder->choices.extent == PLAN_COMBINATION;
    bool runtime = builder->choices.extent != PLAN_NAMES;
    for (size_t i = 0; i < builder->words.count; i++) {
        const struct backend_words *words = &builder->words.items[i];
        if (scheduler &&
            !checked_before(builder, i, &words->scheduler_place, offsetof(struct backend_words, scheduler_place)))
            check_word(builder, "scheduler", words->scheduler, words->scheduler_place);
        if (runtime && !text_equal(words->runtime, "auto") &&
            !checked_before(builder, i, &words->runtime_place, offsetof(struct backend_words, runtime_place)))
            check_word(builder, "runtime", words->runtime, words->runtime_place);
        if (!checked_before(builder, i, &words->registry_place, offsetof(struct backend_words, registry_place)))
            check_word(builder, "registry", words->registry, words->registry_place);
    }
    return builder->problems->errors == errors && builder->error.kind == ERROR_NONE;
}

static void settings_from_backend(struct plan_builder *builder, const struct backend_words *words, const char *kind,
                                  const char *plugin, struct settings *settings)
{
    const struct plugin_choice *choice = words->backend ? backend_choice(words->backend, kind) : NULL;
    /* Options belong to the plugin they were written for: another one chosen over it does not get them. */
    if (!choice || !choice->options ||
        (choice->use && !text_equal(choice->use, plugin) && !text_equal(choice->use, "auto")))
        return;
    const struct node *root = document_root(choice->options);
    for (const struct node *value = node_first(root); value; value = node_next(value))
        settings_set_node(settings, node_key(value), node_key_place(choice->options, value), value, choice->options,
                          words->layer, builder->problems);
}

/* --jobs is the scheduler's own option where it has one. */
static void settings_from_jobs(struct plan_builder *builder, const struct descpipe_plugin *descriptor,
                               struct settings *settings)
{
    struct place place = {0};
    enum layer layer = LAYER_DEFAULT;
    const char *jobs = config_layers_value(builder->layers, "jobs", &place, &layer);
    if (!jobs)
        return;
    for (const struct descpipe_option *const *option = descriptor->options; option && *option; option++) {
        if (text_equal((*option)->key, "jobs")) {
            settings_set_text(settings, "jobs", jobs, place, layer, builder->problems);
            return;
        }
    }
}

struct settings *plan_choose_settings(struct plan_builder *builder, const struct backend_words *words, const char *kind,
                                      const char *plugin)
{
    const struct descpipe_plugin *descriptor = plugin_descriptor(builder->host, kind, plugin, &builder->error);
    if (!descriptor)
        return NULL;
    cleanup(memory_free) char *owner = memory_format("%s/%s", kind, plugin);
    struct settings *settings = settings_new(descriptor->options, owner);
    config_layers_apply_before(builder->layers, kind, plugin, settings, builder->problems);
    settings_from_backend(builder, words, kind, plugin, settings);
    config_layers_apply_after(builder->layers, kind, plugin, settings, builder->problems);
    if (text_equal(kind, "scheduler"))
        settings_from_jobs(builder, descriptor, settings);
    settings_finish(settings, words->place, builder->pipeline->base, builder->problems);
    return settings;
}

struct settings *plan_allocation_settings(struct plan_builder *builder, const struct backend_words *words,
                                          const char *plugin, const struct descpipe_resources *resources)
{
    const struct descpipe_plugin *descriptor = plugin_descriptor(builder->host, "scheduler", plugin, &builder->error);
    if (!descriptor)
        return NULL;
    cleanup(memory_free) char *owner = memory_format("scheduler/%s", plugin);
    struct settings *settings = settings_new(descriptor->options, owner);
    const struct place place = {.file = "the allocation"};
    cleanup(memory_free) char *cpus = memory_format("%u", resources->cpus_per_rank);
    cleanup(memory_free) char *memory = memory_format("%llu", (unsigned long long)resources->memory_per_node);
    settings_set_text(settings, "cpus", cpus, place, LAYER_DEFAULT, builder->problems);
    settings_set_text(settings, "memory", memory, place, LAYER_DEFAULT, builder->problems);
    settings_from_jobs(builder, descriptor, settings);
    settings_finish(settings, words->place, builder->pipeline->base, builder->problems);
    return settings;
}

static bool is_of_stages(const struct descpipe_option *const *options, const char *key)
{
    for (; options != NULL && *options != NULL; options++)
        if (text_equal((*options)->key, key))
            return ((*options)->flags & DESCPIPE_OPTION_PER_STAGE) != 0;
    return true; /* an unknown one is told as that */
}

struct settings *plan_stage_settings(struct plan_builder *builder, const struct stage *stage,
                                     const struct plugin_instance *plugin, const char *name)
{
    for (size_t i = 0; stage->extras && i < stage->extras->on.count; i++) {
        const struct plugin_options *on = &stage->extras->on.items[i];
        if (!text_equal(pipeline_text(builder->pipeline, on->plugin), name))
            continue;
        const struct descpipe_plugin *descriptor = plugin_instance_descriptor(plugin);
        cleanup(memory_free) char *owner = memory_format("%s/%s", descriptor->kind, name);
        struct settings *settings = settings_new(descriptor->options, owner);
        const struct node *root = document_root(on->document);
        for (const struct node *value = node_first(root); value; value = node_next(value)) {
            struct place place = node_key_place(on->document, value);
            if (is_of_stages(descriptor->options, node_key(value)))
                settings_set_node(settings, node_key(value), place, value, on->document, LAYER_PIPELINE,
                                  builder->problems);
            else
                problem_add(builder->problems, PROBLEM_ERROR, place, "say it of the whole backend, under 'backends'",
                            "a stage can have no option '%.100s' of %s of its own", node_key(value), owner);
        }
        return settings;
    }
    return NULL;
}
