/* SPDX-License-Identifier: BSD-3-Clause */
/* The model's life and its look-ups. */
#include "pipeline/pipeline.h"

#include <string.h>

#include "base/path.h"

static void extras_free(struct stage_extras *extras)
{
    if (extras == NULL)
        return;
    memory_free(extras->retries.exit_codes);
    for (size_t i = 0; i < extras->on.count; i++)
        document_free(extras->on.items[i].document);
    list_clear(&extras->environment);
    list_clear(&extras->mounts);
    list_clear(&extras->foreach);
    list_clear(&extras->on);
    memory_free(extras);
}

void pipeline_free(struct pipeline *pipeline)
{
    if (pipeline == NULL)
        return;
    for (size_t i = 0; i < pipeline->stages.count; i++)
        extras_free(pipeline->stages.items[i].extras);
    for (size_t i = 0; i < pipeline->backends.count; i++)
        backend_clear(&pipeline->backends.items[i]);
    list_clear(&pipeline->image_folders);
    list_clear(&pipeline->stages);
    list_clear(&pipeline->files);
    list_clear(&pipeline->symbols_array);
    list_clear(&pipeline->edges);
    list_clear(&pipeline->resources);
    list_clear(&pipeline->inputs);
    list_clear(&pipeline->configs);
    list_clear(&pipeline->backends);
    list_clear(&pipeline->limits);
    list_clear(&pipeline->types);
    on_exit_clear(&pipeline->on_exit);
    memory_free(pipeline->order);
    memory_free(pipeline->producers);
    list_clear(&pipeline->stage_numbers);
    memory_free(pipeline->working);
    memory_free(pipeline->output);
    memory_free(pipeline->shared_cache);
    memory_free(pipeline->file);
    memory_free(pipeline->base);
    symbols_free(pipeline->symbols);
    memory_free(pipeline);
}

const char *pipeline_text(const struct pipeline *pipeline, symbol wanted)
{
    return symbol_text(pipeline->symbols, wanted);
}

const struct stage *pipeline_stage(const struct pipeline *pipeline, const char *name, uint32_t *number)
{
    symbol wanted = symbol_find(pipeline->symbols, name, strlen(name));
    if (wanted == 0 || wanted >= pipeline->stage_numbers.count || pipeline->stage_numbers.items[wanted] == 0)
        return NULL;
    uint32_t found = pipeline->stage_numbers.items[wanted] - 1;
    if (number != NULL)
        *number = found;
    return &pipeline->stages.items[found];
}

uint32_t pipeline_producer(const struct pipeline *pipeline, symbol tag)
{
    if (pipeline->producers == NULL || tag >= pipeline->producers_count || pipeline->producers[tag] == 0)
        return UINT32_MAX;
    return pipeline->producers[tag] - 1;
}

/* Sorted by tag once the model is complete. */
const struct run_input *pipeline_input(const struct pipeline *pipeline, symbol tag)
{
    size_t low = 0, high = pipeline->inputs.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (pipeline->inputs.items[middle].tag < tag)
            low = middle + 1;
        else
            high = middle;
    }
    return low < pipeline->inputs.count && pipeline->inputs.items[low].tag == tag ? &pipeline->inputs.items[low] : NULL;
}

/* Sorted by stage and tag once the model is complete. */
const struct run_config *pipeline_config(const struct pipeline *pipeline, const struct stage *stage, symbol tag)
{
    size_t low = 0, high = pipeline->configs.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct run_config *config = &pipeline->configs.items[middle];
        if (config->stage < stage->name || (config->stage == stage->name && config->tag < tag))
            low = middle + 1;
        else
            high = middle;
    }
    const struct run_config *found = low < pipeline->configs.count ? &pipeline->configs.items[low] : NULL;
    return found != NULL && found->stage == stage->name && found->tag == tag ? found : NULL;
}

const struct backend *pipeline_backend(const struct pipeline *pipeline, const char *name)
{
    for (size_t i = 0; i < pipeline->backends.count; i++)
        if (strcmp(pipeline->backends.items[i].name, name) == 0)
            return &pipeline->backends.items[i];
    return NULL;
}

char *stage_metadata_file(const struct pipeline *pipeline, const struct stage *stage, enum metadata_source from)
{
    if (from == FROM_SECTION || stage->folder == 0)
        return memory_copy_text(pipeline->file);
    return path_join(pipeline_text(pipeline, stage->folder), from == FROM_STAGE_YAML ? "stage.yaml" : "run.py");
}

static void append_with_stage(const char *reference, const char *stage, struct text *out)
{
    for (const char *found; (found = strstr(reference, "{stage}")) != NULL; reference = found + 7) {
        text_append_bytes(out, reference, (size_t)(found - reference));
        text_append(out, stage);
    }
    text_append(out, reference);
}

bool pipeline_image_reference(const struct pipeline *pipeline, const struct stage *stage, const struct backend *backend,
                              struct text *out)
{
    const char *name = pipeline_text(pipeline, stage->name);
    if (stage->extras != NULL && stage->extras->image != 0) {
        text_append(out, pipeline_text(pipeline, stage->extras->image));
        return true;
    }
    const struct backend_image *image = backend != NULL ? backend_image(backend, name) : NULL;
    if (image != NULL) {
        append_with_stage(image->reference, name, out);
        return true;
    }
    if (pipeline->owner == 0 || pipeline->basename == 0 || pipeline->version == 0)
        return false;
    text_format(out, "%s/%s-%s:%s", pipeline_text(pipeline, pipeline->owner),
                pipeline_text(pipeline, pipeline->basename), name, pipeline_text(pipeline, pipeline->version));
    return true;
}
