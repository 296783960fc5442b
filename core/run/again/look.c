/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether the outputs of an earlier result are still what it made; look.h. */
#include "run/again/look.h"

#include "base/file.h"
#include "base/path.h"
#include "cache/file_digest.h"

const struct cache_output *look_find_output(const struct cache_result *result, const char *name)
{
    for (size_t i = 0; i < result->outputs_count; i++)
        if (text_equal(result->outputs[i].name, name))
            return &result->outputs[i];
    return NULL;
}

void look_list_outputs(struct look *look)
{
    const struct engine *engine = look->engine;
    uint32_t number, member;
    const struct stage *stage = walk_stage_of(engine, look->task, &number, &member);
    const struct task_files files = files_of(engine, look->arena);
    struct staging_output *outputs = arena_allocate(look->arena, (stage->outputs.count + 1) * sizeof *outputs);
    for (uint32_t i = 0; i < stage->outputs.count; i++) {
        const struct file_tag *file = &engine->pipeline->files.items[stage->outputs.at + i];
        outputs[i] = (struct staging_output){.tag = pipeline_text(engine->pipeline, file->tag),
                                             .suffix = pipeline_text(engine->pipeline, file->suffix),
                                             .name = task_files_name(&files, file),
                                             .published = task_files_data_path(&files, stage, member, file)};
    }
    look->out =
        (struct staging_out){.pipeline = engine->pipeline, .outputs = outputs, .outputs_count = stage->outputs.count};
    if (look->result.folder == NULL)
        return;
    cleanup(memory_free) char *attempt = path_join(engine->folder.descpipe, look->result.folder);
    look->out.attempt = arena_copy_text(look->arena, attempt);
    files_link_output(engine, look->arena, look->task, &look->out);
}

/* Only when it is not there at all: another file in its place is another matter. */
static bool need_not_be(struct look *look, size_t output, const char *path)
{
    if (output >= 32 || (look->may_be_gone >> output & 1) == 0 || file_exists(path))
        return false;
    look->gone |= UINT32_C(1) << output;
    return true;
}

static bool is_as_recorded(const char *path, const struct cache_output *recorded)
{
    uint64_t bytes;
    int64_t modified_ns;
    return file_digest_look(path, &bytes, &modified_ns, NULL) && bytes == recorded->bytes &&
           modified_ns == recorded->modified_ns;
}

static bool has_content(const char *path, const struct cache_output *recorded)
{
    char sha256[DIGEST_TEXT];
    return file_digest(NULL, path, false, sha256, NULL) && text_equal(sha256, recorded->sha256);
}

static bool looks_at_content(const struct look *look)
{
    return look->engine->pipeline->cache == CACHE_FULL;
}

bool look_glance(struct look *look)
{
    if (looks_at_content(look) && look->out.outputs_count > 0)
        return false;
    for (size_t i = 0; i < look->out.outputs_count; i++) {
        const struct staging_output *output = &look->out.outputs[i];
        const struct cache_output *recorded = look_find_output(&look->result, output->name);
        if (recorded != NULL && need_not_be(look, i, output->published))
            continue;
        if (recorded == NULL || task_file_is_folder(output->suffix) || !is_as_recorded(output->published, recorded))
            return false;
    }
    return true;
}

static bool is_sound(const struct look *look, const char *path, const struct cache_output *recorded)
{
    return is_as_recorded(path, recorded) && (!looks_at_content(look) || has_content(path, recorded));
}

bool look_examine(struct look *look)
{
    size_t to_place = 0;
    for (size_t i = 0; i < look->out.outputs_count; i++) {
        const struct staging_output output = look->out.outputs[i];
        const struct cache_output *recorded = look_find_output(&look->result, output.name);
        if (recorded != NULL && (need_not_be(look, i, output.published) || is_sound(look, output.published, recorded)))
            continue;
        cleanup(memory_free) char *made = look->out.attempt != NULL ? path_join(look->out.attempt, output.name) : NULL;
        if (recorded == NULL || made == NULL || !is_sound(look, made, recorded)) {
            text_format(&look->reason, "its output '%s' is %s", output.name,
                        file_exists(output.published) ? "not what it made" : "gone");
            return false;
        }
        look->out.outputs[to_place++] = output;
    }
    look->out.outputs_count = to_place;
    enum verdict verdict;
    cleanup(error_clear) struct error error = ERROR_INIT;
    if (to_place == 0 || staging_publish(&look->out, &verdict, &error))
        return true;
    text_format(&look->reason, "its outputs cannot be put back: %s", error.message);
    return false;
}
