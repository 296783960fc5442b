/* SPDX-License-Identifier: BSD-3-Clause */
/* Which files a task reads and writes. */
#include "plan/task_files.h"

#include <string.h>

#include "base/text.h"

#define NONE TASK_FILES_NO_MEMBER

struct growing {
    struct task_file *items;
    size_t count, capacity;
};

bool task_file_is_folder(const char *suffix)
{
    return text_ends_with(suffix, "/");
}

void task_file_append_name(struct text *name, const char *tag, const char *suffix)
{
    size_t length = strlen(suffix);
    if (task_file_is_folder(suffix))
        length--;
    text_append(name, tag);
    if (length == 0)
        return;
    text_append_character(name, '.');
    text_append_bytes(name, suffix, length);
}

const char *task_files_name(const struct task_files *files, const struct file_tag *file)
{
    cleanup(text_clear) struct text name = TEXT_INIT;
    task_file_append_name(&name, pipeline_text(files->pipeline, file->tag),
                          pipeline_text(files->pipeline, file->suffix));
    return arena_copy(files->arena, text_bytes(&name), name.length);
}

const char *task_files_data_path(const struct task_files *files, const struct stage *producer, uint32_t member,
                                 const struct file_tag *file)
{
    const char *tag = pipeline_text(files->pipeline, file->tag);
    const char *suffix = pipeline_text(files->pipeline, file->suffix);
    cleanup(text_clear) struct text path = TEXT_INIT;
    text_append(&path, files->working);
    text_append(&path, "/data/");
    if (producer->members == 0) {
        task_file_append_name(&path, tag, suffix);
    } else if (member == NONE) {
        text_append(&path, tag);
    } else {
        cleanup(text_clear) struct text name = TEXT_INIT;
        stage_member_name(files->pipeline, producer, member, &name);
        text_append(&path, tag);
        text_append_character(&path, '/');
        task_file_append_name(&path, text_bytes(&name), suffix);
    }
    return arena_copy(files->arena, text_bytes(&path), path.length);
}

/* Where one input of a task comes from and what it is called inside. From nowhere: it is all members of a stage. */
static bool find_input(const struct task_files *files, const struct stage *stage, uint32_t member,
                       const struct file_tag *file, struct task_file *found)
{
    const struct pipeline *pipeline = files->pipeline;
    const char *suffix = pipeline_text(pipeline, file->suffix);
    const struct run_input *given = pipeline_input(pipeline, file->tag);
    *found = (struct task_file){
        .name = task_files_name(files, file), .is_folder = task_file_is_folder(suffix), .suffix = suffix};
    if (given != NULL) {
        const char *fetched = files->fetched != NULL ? files->fetched[given - pipeline->inputs.items] : NULL;
        found->from = fetched != NULL ? fetched : pipeline_text(pipeline, given->path);
        return true;
    }
    uint32_t number = pipeline_producer(pipeline, file->tag);
    if (number == UINT32_MAX)
        return false;
    const struct stage *producer = &pipeline->stages.items[number];
    uint32_t match = NONE;
    if (producer->members > 0 && member != NONE)
        match = stage_member_match(pipeline, stage, member, producer);
    if (producer->members == 0 || match != NONE)
        found->from = task_files_data_path(files, producer, match, file);
    return true;
}

/* A folder of members holds those of this plan and nothing else: what earlier runs left in WORKING/data is theirs. */
static void add_members(const struct task_files *files, const struct file_tag *file, struct growing *list)
{
    const struct pipeline *pipeline = files->pipeline;
    const char *tag = pipeline_text(pipeline, file->tag), *suffix = pipeline_text(pipeline, file->suffix);
    const struct stage *producer = &pipeline->stages.items[pipeline_producer(pipeline, file->tag)];
    const struct task_file folder = {.name = arena_copy_text(files->arena, tag), .is_folder = true};
    list_add(list, folder);
    size_t data = strlen(files->working) + strlen("/data/");
    for (uint32_t member = 0; member < producer->members; member++) {
        const char *from = task_files_data_path(files, producer, member, file);
        const struct task_file item = {
            .from = from, .name = from + data, .is_folder = task_file_is_folder(suffix), .suffix = suffix};
        list_add(list, item);
    }
}

bool task_files_inputs(const struct task_files *files, const struct stage *stage, uint32_t member,
                       struct task_file_list *inputs, struct error *error)
{
    struct growing list = {.items = NULL};
    for (uint32_t i = 0; i < stage->inputs.count; i++) {
        const struct file_tag *file = &files->pipeline->files.items[stage->inputs.at + i];
        struct task_file found;
        if (!find_input(files, stage, member, file, &found)) {
            list_clear(&list);
            return error_set(error, ERROR_INPUT, "no stage writes its input '%s' and 'runtime.inputs' does not name it",
                             pipeline_text(files->pipeline, file->tag));
        }
        if (found.from != NULL)
            list_add(&list, found);
        else
            add_members(files, file, &list);
    }
    struct task_file *kept = arena_allocate(files->arena, (list.count + 1) * sizeof *kept);
    if (list.count > 0)
        memcpy(kept, list.items, list.count * sizeof *kept);
    *inputs = (struct task_file_list){.items = kept, .count = list.count};
    list_clear(&list);
    return true;
}

bool task_files_configs(const struct task_files *files, const struct stage *stage, struct task_file_list *configs,
                        struct error *error)
{
    struct task_file *list = arena_allocate(files->arena, (stage->configs.count + 1) * sizeof *list);
    for (uint32_t i = 0; i < stage->configs.count; i++) {
        const struct file_tag *file = &files->pipeline->files.items[stage->configs.at + i];
        const struct run_config *config = pipeline_config(files->pipeline, stage, file->tag);
        if (config == NULL)
            return error_set(error, ERROR_INPUT, "'runtime.config' does not say where its configuration '%s' is",
                             pipeline_text(files->pipeline, file->tag));
        list[i] = (struct task_file){.from = pipeline_text(files->pipeline, config->path),
                                     .name = pipeline_text(files->pipeline, file->suffix)};
    }
    *configs = (struct task_file_list){.items = list, .count = stage->configs.count};
    return true;
}
