/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the stages that run on this machine need of it, known before the first of them starts: cpus, memory and GPUs,
 * the folders they mount, the secrets they are given. And what it cannot hold them to.
 *
 * How it works: a scheduler that starts stages here tells in its probe, as facts, what the machine has. A fact is
 * written for people (23.5 GiB), so memory is refused here only when it is clearly too much; the scheduler itself
 * decides to the byte.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "plan/build.h"

static const char *find_fact(const struct call_result *result, const char *name)
{
    for (size_t i = 0; result->ok && i < result->facts_count; i++) {
        if (text_equal(result->facts[i].name, name))
            return result->facts[i].value;
    }
    return NULL;
}

static void refuse_amount(struct plan_builder *builder, const struct stage *stage, const char *asked, const char *what,
                          const char *has)
{
    problem_add(builder->problems, PROBLEM_ERROR, plan_stage_place(builder, stage, (struct spot){0}),
                "lower what it asks for, or run it on a backend with larger machines",
                "stage '%s' asks for %s%s; this machine has %s", pipeline_text(builder->pipeline, stage->name), asked,
                what, has);
}

static uint64_t count_gpus(const char *list) /* "0,1" or "none" */
{
    uint64_t count = text_equal(list, "none") ? 0 : 1;
    for (const char *at = list; (at = strchr(at, ',')); at++)
        count++;
    return count;
}

static bool fact_bytes(const char *fact, uint64_t *bytes) /* "23.5 GiB" */
{
    cleanup(memory_free) char *text = memory_copy_text(fact);
    char *space = strchr(text, ' ');
    if (space)
        memmove(space, space + 1, strlen(space));
    return bytes_parse(text, bytes);
}

static void check_amounts(struct plan_builder *builder, uint32_t number, const struct call_result *result)
{
    const struct stage *stage = &builder->pipeline->stages.items[number];
    struct descpipe_resources needs;
    plan_resources(builder->plan, number, &needs);
    const char *cpus = find_fact(result, "cpus"), *memory = find_fact(result, "memory");
    uint64_t has = 0, asked = (uint64_t)needs.cpus_per_rank * needs.ranks_per_node;
    cleanup(text_clear) struct text amount = TEXT_INIT;
    if (cpus && text_to_unsigned(cpus, &has) && asked > has) {
        text_append_unsigned(&amount, asked);
        refuse_amount(builder, stage, text_bytes(&amount), " cpus", cpus);
    }
    const char *gpus = find_fact(result, "gpus");
    if (gpus && needs.gpus_per_node > count_gpus(gpus)) {
        text_reset(&amount);
        text_append_unsigned(&amount, needs.gpus_per_node);
        refuse_amount(builder, stage, text_bytes(&amount), needs.gpus_per_node == 1 ? " GPU" : " GPUs", gpus);
    }
    if (memory && fact_bytes(memory, &has) && needs.memory_per_node > has + has / 100) {
        text_reset(&amount);
        bytes_append(&amount, needs.memory_per_node);
        refuse_amount(builder, stage, text_bytes(&amount), " of memory", memory);
    }
}

/* Members may each mount their own: a source with ${each.KEY} in it is left to the start. */
static void check_mounts(struct plan_builder *builder, const struct stage *stage)
{
    for (size_t i = 0; i < stage->extras->mounts.count; i++) {
        const struct bind *bind = &stage->extras->mounts.items[i];
        const char *source = pipeline_text(builder->pipeline, bind->source);
        struct stat status;
        if (strchr(source, '$') || stat(source, &status) == 0)
            continue;
        struct spot spot = {.line = bind->line, .column = bind->column};
        problem_add(builder->problems, PROBLEM_ERROR, plan_stage_place(builder, stage, spot), NULL,
                    "stage '%s' mounts '%s', which cannot be found: %s", pipeline_text(builder->pipeline, stage->name),
                    source, strerror(errno));
    }
}

static void check_secret(struct plan_builder *builder, const struct stage *stage, const char *name)
{
    struct place place = plan_stage_place(builder, stage, (struct spot){0});
    const char *stage_name = pipeline_text(builder->pipeline, stage->name);
    struct secret_source source;
    if (!config_layers_secret(builder->layers, name, &source))
        problem_add(builder->problems, PROBLEM_ERROR, place,
                    "name it under 'secrets:' of the user's or the site's configuration",
                    "stage '%s' is given the secret '%s', which is not known here", stage_name, name);
    else if (source.from == SECRET_FROM_ENVIRONMENT && !secure_getenv(source.text))
        problem_add(builder->problems, PROBLEM_ERROR, place, NULL,
                    "stage '%s' is given the secret '%s': the environment has no '%s'", stage_name, name, source.text);
    else if (source.from == SECRET_FROM_FILE && access(source.text, R_OK) != 0)
        problem_add(builder->problems, PROBLEM_ERROR, place, NULL,
                    "stage '%s' is given the secret '%s': cannot read '%s': %s", stage_name, name, source.text,
                    strerror(errno));
}

static void check_secrets(struct plan_builder *builder, const struct stage *stage)
{
    for (size_t i = 0; i < stage->extras->environment.count; i++) {
        const struct variable *variable = &stage->extras->environment.items[i];
        if (variable->secret)
            check_secret(builder, stage, pipeline_text(builder->pipeline, variable->value));
    }
}

/* A scheduler of this machine only adds up what stages declare: the runtime would have to hold them to it. One note for
 * all of a backend, at the first. */
static void remark_memory(struct plan_builder *builder, uint32_t number)
{
    const struct plan *plan = builder->plan;
    const struct pipeline *pipeline = plan->pipeline;
    const struct plan_backend *backend = &plan->backends[number];
    const struct stage *first = NULL;
    size_t count = 0;
    if (plugin_runtime(backend->runtime)->capabilities & DESCPIPE_RUNTIME_LIMITS)
        return;
    for (uint32_t i = 0; i < pipeline->stages.count; i++) {
        const struct stage *stage = &pipeline->stages.items[i];
        if (!plan->stages[i].selected || plan->stages[i].backend != number ||
            pipeline->resources.items[stage->resources].memory == 0)
            continue;
        first = count++ == 0 ? stage : first;
    }
    if (count == 0)
        return;
    cleanup(text_clear) struct text others = TEXT_INIT;
    if (count > 1)
        text_format(&others, " and %zu other stage%s", count - 1, count == 2 ? "" : "s");
    problem_add(builder->problems, PROBLEM_NOTE, plan_stage_place(builder, first, (struct spot){0}),
                "it only decides how many stages run at a time; a runtime that limits memory would hold them to it",
                "the 'memory' of stage '%s'%s is not enforced: runtime '%s' lets a stage take more",
                pipeline_text(pipeline, first->name), text_bytes(&others), backend->runtime_name);
}

static void ask_next_scheduler(struct plan_builder *builder);

static void scheduler_answered(void *context, const struct call_result *result)
{
    struct plan_builder *builder = context;
    const struct plan *plan = builder->plan;
    for (uint32_t i = 0; i < plan->pipeline->stages.count; i++) {
        const struct stage *stage = &plan->pipeline->stages.items[i];
        if (!plan->stages[i].selected || plan->stages[i].backend != builder->next_scheduler)
            continue;
        check_amounts(builder, i, result);
        if (!stage->extras)
            continue;
        check_mounts(builder, stage);
        check_secrets(builder, stage);
    }
    remark_memory(builder, (uint32_t)builder->next_scheduler);
    builder->next_scheduler++;
    ask_next_scheduler(builder);
}

static void ask_next_scheduler(struct plan_builder *builder)
{
    const struct plan *plan = builder->plan;
    while (builder->next_scheduler < plan->backends_count) {
        struct plugin_instance *scheduler = plan->backends[builder->next_scheduler].scheduler;
        if (plugin_scheduler(scheduler)->capabilities & DESCPIPE_SCHEDULER_HOST_STARTS) {
            struct call_options options = {.done = scheduler_answered, .context = builder, .deadline_ms = 10000};
            scheduler_probe(scheduler, options);
            return;
        }
        builder->next_scheduler++;
    }
    builder->advance(builder);
}

void plan_check_here(struct plan_builder *builder, void (*advance)(struct plan_builder *builder))
{
    builder->next_scheduler = 0;
    builder->advance = advance;
    ask_next_scheduler(builder);
}
