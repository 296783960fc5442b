/* SPDX-License-Identifier: BSD-3-Clause */
/* The plan in words for people and as the stable JSON of the command line's contract. */
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "plan/plan.h"

#define FLUSH_BYTES ((size_t)256 * 1024) /* plan.json of 100,000 stages is never whole in memory */

static const char *form_name(uint32_t form)
{
    switch (form) {
    case DESCPIPE_FORM_POD:
        return "pod";
    case DESCPIPE_FORM_MANAGED:
        return "managed";
    default:
        return "command";
    }
}

/* `start` is the text up to the value: ,"name": */
static void json_member(struct text *out, const char *start, const char *value)
{
    text_append(out, start);
    if (value)
        text_append_json(out, value);
    else
        text_append(out, "null");
}

static void json_files(const struct pipeline *pipeline, const char *start, struct slice files, struct text *out)
{
    text_append(out, start);
    for (uint32_t i = 0; i < files.count; i++) {
        const struct file_tag *file = &pipeline->files.items[files.at + i];
        if (i > 0)
            text_append(out, ",");
        text_append_json(out, pipeline_text(pipeline, file->tag));
        text_append(out, ":");
        text_append_json(out, pipeline_text(pipeline, file->suffix));
    }
    text_append(out, "}");
}

static void json_command(const struct plan *plan, uint32_t number, struct text *out)
{
    const struct pipeline *pipeline = plan->pipeline;
    const struct stage *stage = &pipeline->stages.items[number];
    text_append(out, ",\"command\":[");
    for (uint32_t i = 0; i < stage->command.count; i++) {
        if (i > 0)
            text_append(out, ",");
        text_append_json(out, pipeline_text(pipeline, pipeline->symbols_array.items[stage->command.at + i]));
    }
    if (stage->extras && stage->extras->script) {
        struct slice interpreter = stage->extras->interpreter;
        for (uint32_t i = 0; i < interpreter.count; i++) {
            text_append_json(out, pipeline_text(pipeline, pipeline->symbols_array.items[interpreter.at + i]));
            text_append(out, ",");
        }
        text_append(out, interpreter.count ? "\"" PLAN_SCRIPT_NAME "\"" : "\"sh\",\"" PLAN_SCRIPT_NAME "\"");
    } else if (stage->command.count == 0) {
        text_append(out, "\"/opt/desc/run.py\"");
    }
    text_append(out, "]");
}

static void json_resources(const struct plan *plan, uint32_t number, struct text *out)
{
    struct descpipe_resources resources;
    plan_resources(plan, number, &resources);
    text_append(out, ",\"resources\":{\"nodes\":");
    text_append_unsigned(out, resources.nodes);
    text_append(out, ",\"ppn\":");
    text_append_unsigned(out, resources.ranks_per_node);
    text_append(out, ",\"cpus\":");
    text_append_unsigned(out, resources.cpus_per_rank);
    if (resources.gpus_per_node) {
        text_append(out, ",\"gpus\":");
        text_append_unsigned(out, resources.gpus_per_node);
    }
    if (resources.memory_per_node) {
        text_append(out, ",\"memory\":");
        text_append_unsigned(out, resources.memory_per_node);
    }
    if (resources.time_limit_ms) {
        text_append(out, ",\"minutes\":");
        text_append_unsigned(out, resources.time_limit_ms / 60000);
    }
    text_append(out, "}");
}

static void json_checkpoint(const struct pipeline *pipeline, const struct stage *stage, struct text *out)
{
    const struct checkpoint *checkpoint = stage->extras != NULL ? &stage->extras->checkpoint : NULL;
    if (checkpoint == NULL || checkpoint->files.count == 0)
        return;
    text_append(out, ",\"checkpoint\":{\"files\":[");
    for (uint32_t i = 0; i < checkpoint->files.count; i++) {
        text_append(out, i > 0 ? "," : "");
        text_append_json(out, pipeline_text(pipeline, pipeline->symbols_array.items[checkpoint->files.at + i]));
    }
    text_format(out, "],\"signal\":\"%s\",\"before_ms\":%lld,\"links\":%u}", sigabbrev_np(checkpoint->signal),
                (long long)checkpoint->before_ms, checkpoint->links);
}

static void json_stage(const struct plan *plan, uint32_t number, struct text *out)
{
    const struct pipeline *pipeline = plan->pipeline;
    const struct stage *stage = &pipeline->stages.items[number];
    const struct plan_stage *planned = &plan->stages[number];
    const struct plan_image *image = planned->image == UINT32_MAX ? NULL : &plan->images[planned->image];
    text_append(out, "{\"name\":");
    text_append_json(out, pipeline_text(pipeline, stage->name));
    json_member(out, ",\"backend\":", plan->backends[planned->backend].name);
    json_member(out, ",\"image\":", image ? image->reference : NULL);
    json_member(out, ",\"digest\":", image ? image->config_digest : NULL);
    json_member(out, ",\"reference\":", image ? image->image.reference : NULL);
    json_member(out, ",\"manifest_digest\":", image ? image->manifest_digest : NULL);
    json_member(out, ",\"form\":", form_name(plan->backends[planned->backend].form));
    json_command(plan, number, out);
    json_files(pipeline, ",\"inputs\":{", stage->inputs, out);
    json_files(pipeline, ",\"outputs\":{", stage->outputs, out);
    text_append(out, ",\"after\":[");
    for (uint32_t i = 0; i < stage->after.count; i++) {
        if (i > 0)
            text_append(out, ",");
        uint32_t other = pipeline->edges.items[stage->after.at + i];
        text_append_json(out, pipeline_text(pipeline, pipeline->stages.items[other].name));
    }
    text_append(out, "]");
    json_resources(plan, number, out);
    json_checkpoint(pipeline, stage, out);
    text_append(out, ",\"members\":[");
    for (uint32_t member = 0; member < stage->members; member++) {
        cleanup(text_clear) struct text name = TEXT_INIT;
        stage_member_name(pipeline, stage, member, &name);
        if (member > 0)
            text_append(out, ",");
        text_append_json(out, text_bytes(&name));
    }
    text_append(out, planned->selected ? "]}" : "],\"selected\":false}");
}

bool plan_write_json(const struct plan *plan, int descriptor, struct error *error)
{
    cleanup(text_clear) struct text out = TEXT_INIT;
    const struct pipeline *pipeline = plan->pipeline;
    const struct plan_backend *backend = &plan->backends[0];
    text_append(&out, "{\"pipeline\":");
    text_append_json(&out, pipeline_text(pipeline, pipeline->name));
    text_append(&out, ",\"backend\":{\"name\":");
    text_append_json(&out, backend->name);
    json_member(&out, ",\"scheduler\":", backend->scheduler_name);
    json_member(&out, ",\"runtime\":", backend->runtime_name);
    json_member(&out, ",\"registry\":", backend->registry_name);
    text_append(&out, "},\"stages\":[");
    for (size_t i = 0; i < pipeline->stages.count; i++) {
        text_append(&out, i > 0 ? ",\n" : "\n");
        json_stage(plan, pipeline->order[i], &out);
        if (out.length >= FLUSH_BYTES) {
            if (!descriptor_write(descriptor, out.bytes, out.length, error))
                return false;
            text_reset(&out);
        }
    }
    text_append(&out, "\n]}\n");
    return descriptor_write(descriptor, out.bytes, out.length, error);
}

static void print_names(const struct plan *plan, const char *label, struct slice files, struct text *out)
{
    if (files.count == 0)
        return;
    text_format(out, "      %-9s", label);
    for (uint32_t i = 0; i < files.count; i++) {
        const struct file_tag *file = &plan->pipeline->files.items[files.at + i];
        const char *suffix = pipeline_text(plan->pipeline, file->suffix);
        text_append(out, i > 0 ? ", " : "");
        text_append_printable(out, pipeline_text(plan->pipeline, file->tag), 200);
        text_append(out, text_equal(suffix, "/") ? "" : ".");
        text_append_printable(out, suffix, 200);
    }
    text_append(out, "\n");
}

static void print_resources(const struct plan *plan, uint32_t number, struct text *out)
{
    struct descpipe_resources resources;
    plan_resources(plan, number, &resources);
    text_append(out, "      needs    ");
    text_append_count(out, resources.cpus_per_rank, "cpu");
    if (resources.nodes > 1 || resources.ranks_per_node > 1) {
        text_append(out, resources.ranks_per_node == 1 ? " for " : " for each of ");
        text_append_count(out, resources.ranks_per_node, "rank");
        text_append(out, resources.nodes == 1 ? " on " : " on each of ");
        text_append_count(out, resources.nodes, "node");
    }
    if (resources.memory_per_node) {
        text_append(out, ", ");
        bytes_append(out, resources.memory_per_node);
        text_append(out, " memory");
    }
    if (resources.gpus_per_node) {
        text_append(out, ", ");
        text_append_count(out, resources.gpus_per_node, "gpu");
    }
    if (resources.time_limit_ms) {
        text_append(out, ", at most ");
        text_append_count(out, resources.time_limit_ms / 60000, "minute");
    }
    text_append(out, "\n");
}

static void print_checkpoint(const struct pipeline *pipeline, const struct stage *stage, struct text *out)
{
    const struct checkpoint *checkpoint = stage->extras != NULL ? &stage->extras->checkpoint : NULL;
    if (checkpoint == NULL || checkpoint->files.count == 0)
        return;
    text_format(out, "      chain    told by %s ", sigabbrev_np(checkpoint->signal));
    clock_append_length(out, checkpoint->before_ms);
    text_append(out, " before its limit, goes on from ");
    for (uint32_t i = 0; i < checkpoint->files.count; i++) {
        text_append(out, i > 0 ? ", " : "");
        text_append_printable(out, pipeline_text(pipeline, pipeline->symbols_array.items[checkpoint->files.at + i]),
                              200);
    }
    text_append(out, ", at most ");
    text_append_count(out, checkpoint->links, "attempt");
    text_append(out, "\n");
}

/* A folder has no digest to have: it is what it is when a stage starts. */
static const char *digest_words(const struct plan_image *image)
{
    if (image->config_digest)
        return image->config_digest;
    return image->image.source == DESCPIPE_SOURCE_ROOTFS ? "a folder, used as it is" : "not here yet: no digest";
}

static void print_stage(const struct plan *plan, uint32_t number, struct text *out)
{
    const struct pipeline *pipeline = plan->pipeline;
    const struct stage *stage = &pipeline->stages.items[number];
    const struct plan_stage *planned = &plan->stages[number];
    text_append(out, "  ");
    text_append_printable(out, pipeline_text(pipeline, stage->name), 200);
    if (stage->members > 0) {
        text_append(out, " (");
        text_append_count(out, stage->members, "member");
        text_append(out, ")");
    }
    if (!planned->selected)
        text_append(out, " (not selected)");
    text_append(out, "\n");
    if (planned->image != UINT32_MAX) {
        const struct plan_image *image = &plan->images[planned->image];
        text_append(out, "      image    ");
        text_append_printable(out, image->reference, 400);
        text_format(out, " (%s)\n", digest_words(image));
    }
    if (planned->backend != 0)
        text_format(out, "      backend  %s\n", plan->backends[planned->backend].name);
    if (stage->after.count > 0) {
        text_append(out, "      after    ");
        for (uint32_t i = 0; i < stage->after.count; i++) {
            text_append(out, i > 0 ? ", " : "");
            uint32_t other = pipeline->edges.items[stage->after.at + i];
            text_append_printable(out, pipeline_text(pipeline, pipeline->stages.items[other].name), 200);
        }
        text_append(out, "\n");
    }
    print_names(plan, "reads", stage->inputs, out);
    print_names(plan, "writes", stage->outputs, out);
    print_resources(plan, number, out);
    print_checkpoint(pipeline, stage, out);
}

void plan_print(const struct plan *plan, struct text *out)
{
    const struct pipeline *pipeline = plan->pipeline;
    text_append(out, "pipeline ");
    text_append_printable(out, pipeline_text(pipeline, pipeline->name), 200);
    text_append(out, ": ");
    text_append_count(out, pipeline->stages.count, "stage");
    text_append(out, ", ");
    text_append_count(out, plan->tasks_count, "task");
    text_append(out, "\n");
    for (size_t i = 0; i < plan->backends_count; i++) {
        const struct plan_backend *backend = &plan->backends[i];
        text_format(out, "backend %s: scheduler %s, runtime %s, registry %s, form %s\n", backend->name,
                    backend->scheduler_name, backend->runtime_name, backend->registry_name, form_name(backend->form));
        if (backend->runtime_reason)
            text_format(out, "  %s\n", backend->runtime_reason);
    }
    text_format(out, "working folder %s\nresults in %s\n\n", pipeline->working, pipeline->output);
    for (size_t i = 0; i < pipeline->stages.count; i++)
        print_stage(plan, pipeline->order[i], out);
}
