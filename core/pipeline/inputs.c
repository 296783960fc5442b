/* SPDX-License-Identifier: BSD-3-Clause */
/* The run's own files: --input, runtime.inputs, and which file each config tag of a stage means. */
#include <string.h>

#include "base/path.h"
#include "pipeline/reader.h"

/* --input TAG=PATH replaces or adds. The place of such an input is line 0. */
static void add_change(struct pipeline_reader *reader, const char *argument)
{
    struct pipeline *pipeline = reader->pipeline;
    const char *equals = strchr(argument, '=');
    cleanup(memory_free) char *shown =
        memory_format("--input %.*s", (int)(equals != NULL ? (size_t)(equals - argument) : strlen(argument)), argument);
    if (equals == NULL || equals == argument || equals[1] == '\0') {
        problem_add(reader->problems, PROBLEM_ERROR, (struct place){.file = shown},
                    "write --input shear-catalog=./shear.fits", "an input is TAG=PATH");
        return;
    }
    symbol tag = symbol_intern(pipeline->symbols, argument, (size_t)(equals - argument));
    cleanup(memory_free) char *path = path_absolute(pipeline->base, equals + 1);
    struct run_input input = {.tag = tag, .path = reader_intern(reader, path)};
    for (size_t i = 0; i < pipeline->inputs.count; i++)
        if (pipeline->inputs.items[i].tag == tag) {
            pipeline->inputs.items[i] = input;
            return;
        }
    list_add(&pipeline->inputs, input);
}

static struct file_tag *find_config(struct pipeline *pipeline, uint32_t number, symbol tag)
{
    const struct stage *stage = &pipeline->stages.items[number];
    for (uint32_t i = 0; i < stage->configs.count; i++)
        if (pipeline->files.items[stage->configs.at + i].tag == tag)
            return &pipeline->files.items[stage->configs.at + i];
    return NULL;
}

/* A section's `config: {tag: file}` names a file below runtime.config when that is a folder, else the name inside the
 * container. */
static void settle_config(struct pipeline_reader *reader, const struct section_config *config)
{
    struct pipeline *pipeline = reader->pipeline;
    struct file_tag *inside = find_config(pipeline, config->stage, config->tag);
    const char *file = pipeline_text(pipeline, config->file);
    if (reader->config_folder != NULL) {
        cleanup(memory_free) char *path = path_absolute(reader->config_folder, file);
        struct run_config added = {.stage = pipeline->stages.items[config->stage].name,
                                   .tag = config->tag,
                                   .path = reader_intern(reader, path),
                                   .line = config->line,
                                   .column = config->column};
        list_add(&pipeline->configs, added);
        if (inside != NULL)
            inside->suffix = config->metadata != 0 ? config->metadata : reader_intern(reader, path_name(file));
        return;
    }
    if (!path_is_component(file))
        problem_add(reader->problems, PROBLEM_ERROR, reader_place(reader, config->line, config->column),
                    "name the file in runtime.config: {STAGE: {TAG: PATH}}, or let runtime.config be its folder",
                    "'%.200s' cannot be the name of a config file inside the container", file);
    else if (inside != NULL)
        inside->suffix = config->file;
}

static int compare_inputs(const void *left, const void *right)
{
    const struct run_input *a = left, *b = right;
    return a->tag < b->tag ? -1 : a->tag > b->tag;
}

static int compare_configs(const void *left, const void *right)
{
    const struct run_config *a = left, *b = right;
    if (a->stage != b->stage)
        return a->stage < b->stage ? -1 : 1;
    return a->tag < b->tag ? -1 : a->tag > b->tag;
}

static void take_folder(const struct config_layers *layers, const char *key, const char **above, const char **below)
{
    enum layer layer;
    const char *value = config_layers_value(layers, key, NULL, &layer);
    if (value == NULL)
        return;
    const char **place = layer > LAYER_PIPELINE || config_layers_locked(layers, key, NULL) ? above : below;
    if (*place == NULL)
        *place = value;
}

void pipeline_take_folders(const struct config_layers *layers, struct pipeline_changes *changes)
{
    take_folder(layers, "working", &changes->working, &changes->default_working);
    take_folder(layers, "output", &changes->output, &changes->default_output);
}

void inputs_finish(struct pipeline_reader *reader)
{
    struct pipeline *pipeline = reader->pipeline;
    for (size_t i = 0; reader->changes->inputs != NULL && reader->changes->inputs[i] != NULL; i++)
        add_change(reader, reader->changes->inputs[i]);
    for (size_t i = 0; i < reader->section_configs.count; i++)
        settle_config(reader, &reader->section_configs.items[i]);
    if (pipeline->inputs.count > 1)
        qsort(pipeline->inputs.items, pipeline->inputs.count, sizeof pipeline->inputs.items[0], compare_inputs);
    if (pipeline->configs.count > 1)
        qsort(pipeline->configs.items, pipeline->configs.count, sizeof pipeline->configs.items[0], compare_configs);
    const struct pipeline_changes *changes = reader->changes;
    if (pipeline->working == NULL)
        pipeline->working =
            path_absolute(pipeline->base, changes->default_working != NULL ? changes->default_working : "work");
    if (pipeline->output == NULL)
        pipeline->output =
            path_absolute(pipeline->base, changes->default_output != NULL ? changes->default_output : "out");
}
