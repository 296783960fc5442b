/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Building a plan, step by step: select the stages, choose and open each backend's plugins, find the images, check what
 * goes together.
 *
 * How it works: plugins answer by calls, so the steps are functions that hand on to the next when the answers are in.
 * `auto` tries the runtimes in the configured order and takes the first whose probe succeeds; what it found wrong with
 * the others is kept for the person who reads why.
 */
#include "plan/plan.h"

#include <string.h>

#include "plan/names.h"
#include "plan/python_module.h"
#include "plan/select.h"

static void open_next_backend(struct plan_builder *builder);

static void plan_backend_clear(struct plugin_host *host, struct plan_backend *backend)
{
    plugin_close(backend->scheduler);
    plugin_close(backend->runtime);
    plugin_host_keep(host, backend->scheduler_settings);
    plugin_host_keep(host, backend->runtime_settings);
    memory_free(backend->name);
    memory_free(backend->scheduler_name);
    memory_free(backend->runtime_name);
    memory_free(backend->registry_name);
    memory_free(backend->runtime_reason);
}

void plan_free(struct plan *plan)
{
    if (!plan)
        return;
    for (size_t i = 0; plan->stages && i < plan->pipeline->stages.count; i++) {
        plugin_host_keep(plan->host, plan->stages[i].scheduler_settings);
        plugin_host_keep(plan->host, plan->stages[i].runtime_settings);
    }
    memory_free(plan->stages);
    for (size_t i = 0; i < plan->images_count; i++) {
        struct plan_image *image = &plan->images[i];
        memory_free(image->reference);
        memory_free(image->name);
        memory_free(image->place);
        memory_free(image->config_digest);
        memory_free(image->manifest_digest);
        memory_free(image->platform);
        memory_free(image->handle);
        memory_free(image->path);
        memory_free(image->tag);
    }
    memory_free(plan->images);
    image_lock_free(plan->lock);
    for (size_t i = 0; i < plan->backends_count; i++)
        plan_backend_clear(plan->host, &plan->backends[i]);
    memory_free(plan->backends);
    memory_free(plan->python_module);
    memory_free(plan);
}

static void finish(struct plan_builder *builder)
{
    struct plan *plan = steal(&builder->plan);
    if (builder->problems->errors > builder->errors_before || builder->error.kind != ERROR_NONE) {
        plan_free(plan);
        plan = NULL;
    }
    void (*done)(void *, struct plan *, const struct error *) = builder->done;
    void *context = builder->context;
    struct error error = builder->error;
    table_free(builder->images);
    list_clear(&builder->words);
    text_clear(&builder->tried);
    memory_free(builder->silent_host);
    text_clear(&builder->same_names);
    memory_free(builder);
    done(context, plan, &error);
    error_clear(&error);
}

static bool went_wrong(const struct plan_builder *builder)
{
    return builder->error.kind != ERROR_NONE || builder->problems->errors > builder->errors_before;
}

static void check_and_number(struct plan_builder *builder)
{
    struct plan *plan = builder->plan;
    for (uint32_t i = 0; i < plan->pipeline->stages.count; i++) {
        const struct stage *stage = &plan->pipeline->stages.items[i];
        struct plan_stage *planned = &plan->stages[i];
        planned->first_task = plan->tasks_count;
        plan->tasks_count += stage->members ? stage->members : 1;
        if (!planned->selected)
            continue;
        plan_check_stage(builder, i);
        if (stage->extras && stage->extras->python_module && !plan->python_module)
            plan->python_module = python_module_find(&builder->error);
        if (stage->extras && stage->extras->on.count > 0) {
            const struct plan_backend *backend = &plan->backends[planned->backend];
            planned->scheduler_settings =
                plan_stage_settings(builder, stage, backend->scheduler, backend->scheduler_name);
            planned->runtime_settings = plan_stage_settings(builder, stage, backend->runtime, backend->runtime_name);
        }
    }
}

static void stages_are_checked(struct plan_builder *builder)
{
    plan_collect_images(builder);
    if (went_wrong(builder) || builder->choices.extent == PLAN_COMBINATION) {
        finish(builder);
        return;
    }
    builder->plan->lock = image_lock_read(builder->pipeline->file, builder->problems);
    if (builder->plan->lock && plan_open_registries(builder))
        plan_identify_images(builder, finish);
    else
        finish(builder);
}

static bool is_about_images(const struct plan_builder *builder)
{
    return builder->choices.extent == PLAN_IMAGES || builder->choices.extent == PLAN_NAMES;
}

static void backends_are_open(struct plan_builder *builder)
{
    if (is_about_images(builder)) {
        stages_are_checked(builder);
        return;
    }
    check_and_number(builder);
    if (!plan_check_whole(builder) && builder->choices.detach)
        plan_check_detached(builder);
    plan_check_here(builder, stages_are_checked);
}

/* Opens the runtime of the backend at hand; false when that failed (settings or plugin). */
static bool open_runtime(struct plan_builder *builder, const char *name)
{
    struct plan_backend *backend = &builder->plan->backends[builder->backends_open];
    const struct backend_words *words = &builder->words.items[builder->backends_open];
    backend->runtime_settings = plan_choose_settings(builder, words, "runtime", name);
    if (!backend->runtime_settings)
        return false;
    backend->runtime = plugin_open(builder->host, "runtime", name, backend->runtime_settings, &builder->error);
    if (!backend->runtime)
        return false;
    backend->runtime_name = memory_copy_text(name);
    return true;
}

static void forget_runtime(struct plugin_host *host, struct plan_backend *backend)
{
    plugin_close(backend->runtime);
    backend->runtime = NULL;
    plugin_host_keep(host, backend->runtime_settings);
    backend->runtime_settings = NULL;
    memory_free(backend->runtime_name);
    backend->runtime_name = NULL;
}

static void runtime_is_open(struct plan_builder *builder)
{
    struct plan_backend *backend = &builder->plan->backends[builder->backends_open];
    if (!is_about_images(builder))
        backend->form = plan_agree_form(builder, backend, builder->words.items[builder->backends_open].place);
    builder->backends_open++;
    builder->candidate = 0;
    text_reset(&builder->tried);
    open_next_backend(builder);
}

static void try_next_runtime(struct plan_builder *builder);

static void candidate_refused(struct plan_builder *builder, const char *name, const char *why)
{
    text_format(&builder->tried, "%s%s: %s", builder->tried.length ? "; " : "", name, why);
    forget_runtime(builder->host, &builder->plan->backends[builder->backends_open]);
    builder->candidate++;
}

static void candidate_probed(void *context, const struct call_result *result)
{
    struct plan_builder *builder = context;
    struct plan_backend *backend = &builder->plan->backends[builder->backends_open];
    const char *name = config_layers_runtime_order(builder->layers)[builder->candidate];
    if (!result->ok) {
        candidate_refused(builder, name, result->message);
        try_next_runtime(builder);
        return;
    }
    backend->runtime_reason = builder->tried.length
                                  ? memory_format("runtime auto took '%s' (%s)", name, text_bytes(&builder->tried))
                                  : memory_format("runtime auto took '%s', the first that works here", name);
    runtime_is_open(builder);
}

static void try_next_runtime(struct plan_builder *builder)
{
    const char *const *order = config_layers_runtime_order(builder->layers);
    for (; order[builder->candidate];) {
        const char *name = order[builder->candidate];
        cleanup(error_clear) struct error missing = ERROR_INIT;
        if (!plugin_catalogue_find(builder->catalogue, "runtime", name, &missing)) {
            builder->candidate++; /* not shipped here: nothing to say about it */
            continue;
        }
        if (open_runtime(builder, name)) {
            struct call_options options = {.done = candidate_probed, .context = builder, .deadline_ms = 10000};
            runtime_probe(builder->plan->backends[builder->backends_open].runtime, options);
            return;
        }
        if (builder->error.kind == ERROR_NONE) { /* its settings are wrong, and that has been said */
            finish(builder);
            return;
        }
        cleanup(memory_free) char *why = memory_copy_text(builder->error.message);
        error_clear(&builder->error);
        candidate_refused(builder, name, why);
    }
    error_set(&builder->error, ERROR_PLUGIN, "no runtime works here (%s)",
              builder->tried.length ? text_bytes(&builder->tried) : "none is installed");
    error_hint(&builder->error, "see 'descpipe doctor', or choose one with --runtime");
    finish(builder);
}

/* On the only node of the allocation that the whole run has, stages are processes like on any machine: no step for
 * each. The forms stay those that the plan was made with outside. */
static bool settle_in_allocation(struct plan_builder *builder, struct plan_backend *backend,
                                 const struct backend_words *words)
{
    const struct descpipe_pilot *pilot = plugin_scheduler_pilot(backend->scheduler);
    backend->pilot = pilot != NULL;
    if (pilot == NULL || !pilot->inside || pilot->resources->nodes != 1)
        return true;
    struct settings *settings = plan_allocation_settings(builder, words, ALLOCATION_SCHEDULER, pilot->resources);
    if (settings == NULL)
        return false;
    plugin_close(backend->scheduler);
    plugin_host_keep(builder->host, backend->scheduler_settings);
    backend->scheduler_settings = settings;
    memory_free(backend->scheduler_name);
    backend->scheduler_name = memory_copy_text(ALLOCATION_SCHEDULER);
    backend->scheduler = plugin_open(builder->host, "scheduler", ALLOCATION_SCHEDULER, settings, &builder->error);
    return backend->scheduler != NULL;
}

static bool open_scheduler(struct plan_builder *builder)
{
    struct plan_backend *backend = &builder->plan->backends[builder->backends_open];
    const struct backend_words *words = &builder->words.items[builder->backends_open];
    backend->name = memory_copy_text(words->name);
    backend->scheduler_name = memory_copy_text(words->scheduler);
    backend->registry_name = memory_copy_text(words->registry);
    if (is_about_images(builder))
        return true;
    backend->scheduler_settings = plan_choose_settings(builder, words, "scheduler", words->scheduler);
    if (!backend->scheduler_settings)
        return false;
    backend->scheduler =
        plugin_open(builder->host, "scheduler", words->scheduler, backend->scheduler_settings, &builder->error);
    if (backend->scheduler == NULL)
        return false;
    backend->forms = plugin_scheduler(backend->scheduler)->forms;
    return settle_in_allocation(builder, backend, words);
}

static void open_next_backend(struct plan_builder *builder)
{
    if (builder->backends_open == builder->plan->backends_count) {
        if (went_wrong(builder))
            finish(builder);
        else
            backends_are_open(builder);
        return;
    }
    const struct backend_words *words = &builder->words.items[builder->backends_open];
    if (!open_scheduler(builder)) {
        finish(builder);
        return;
    }
    if (builder->choices.extent == PLAN_NAMES) {
        runtime_is_open(builder);
        return;
    }
    if (!text_equal(words->runtime, "auto")) {
        if (open_runtime(builder, words->runtime))
            runtime_is_open(builder);
        else
            finish(builder);
        return;
    }
    const struct plan_backend *backend = &builder->plan->backends[builder->backends_open];
    if (backend->scheduler && !(plugin_scheduler(backend->scheduler)->capabilities & DESCPIPE_SCHEDULER_HOST_STARTS)) {
        problem_add(builder->problems, PROBLEM_ERROR, words->place,
                    "name the runtime that the scheduler's machines have",
                    "runtime 'auto' is for schedulers on this machine; '%s' runs stages elsewhere", words->scheduler);
        finish(builder);
        return;
    }
    try_next_runtime(builder);
}

/* One backend for each distinct word, the default first; stages without a word share it. */
static bool number_backends(struct plan_builder *builder)
{
    struct plan *plan = builder->plan;
    const struct pipeline *pipeline = builder->pipeline;
    LIST(symbol) known = {0};
    bool fine = true;
    struct backend_words words;
    list_add(&known, (symbol)0);
    fine = plan_choose_words(builder, 0, (struct spot){0}, &words) && fine;
    list_add(&builder->words, words);
    for (size_t i = 0; i < pipeline->stages.count; i++) {
        const struct stage_extras *extras = pipeline->stages.items[i].extras;
        symbol word = extras ? extras->backend : 0;
        size_t number = 0;
        while (number < known.count && known.items[number] != word)
            number++;
        if (number == known.count && plan->stages[i].selected) {
            fine = plan_choose_words(builder, word, extras ? extras->backend_at : (struct spot){0}, &words) && fine;
            list_add(&known, word);
            list_add(&builder->words, words);
        }
        plan->stages[i].backend = number < known.count ? (uint32_t)number : 0;
    }
    plan->backends_count = known.count;
    plan->backends = memory_allocate(known.count * sizeof(*plan->backends));
    list_clear(&known);
    return plan_check_words(builder) && fine;
}

void plan_build(const struct plan_request *request,
                void (*done)(void *context, struct plan *plan, const struct error *error), void *context)
{
    struct plan_builder *builder = memory_allocate(sizeof(*builder));
    *builder = (struct plan_builder){.host = request->host,
                                     .catalogue = request->catalogue,
                                     .pipeline = request->pipeline,
                                     .layers = request->layers,
                                     .registries = request->registries,
                                     .choices = request->choices,
                                     .problems = request->problems,
                                     .errors_before = request->problems->errors,
                                     .done = done,
                                     .context = context,
                                     .images = table_new()};
    size_t stages = request->pipeline->stages.count;
    struct plan *plan = memory_allocate(sizeof(*plan));
    builder->plan = plan;
    plan->host = request->host;
    plan->pipeline = request->pipeline;
    plan->stages = memory_allocate((stages ? stages : 1) * sizeof(*plan->stages));
    cleanup(memory_free) bool *selected = memory_allocate(stages + 1);
    plan_select(request->pipeline, &request->choices, selected, request->problems);
    for (size_t i = 0; i < stages; i++) {
        plan->stages[i].selected = selected[i];
        plan->stages[i].image = UINT32_MAX;
    }
    bool names = number_backends(builder);
    if (plan_check_options(builder) && names && !went_wrong(builder))
        open_next_backend(builder);
    else
        finish(builder);
}

uint32_t plan_task_stage(const struct plan *plan, uint32_t task)
{
    uint32_t low = 0, high = (uint32_t)plan->pipeline->stages.count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (plan->stages[middle].first_task <= task)
            low = middle;
        else
            high = middle;
    }
    return low;
}

uint32_t plan_task_member(const struct plan *plan, uint32_t task)
{
    return task - plan->stages[plan_task_stage(plan, task)].first_task;
}
