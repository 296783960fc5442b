/* SPDX-License-Identifier: BSD-3-Clause */
/* What a stage's folder says of it: stage.yaml, and run.py where stage.yaml does not. */
#include <string.h>

#include "base/file.h"
#include "base/path.h"
#include "pipeline/github.h"
#include "pipeline/run_py.h"
#include "pipeline/stage_draft.h"

static void read_stage_yaml(struct stage_draft *draft, const char *path)
{
    static const struct document_reader reader = {.verbatim = "script", .budget = {.bytes = 1u << 20, .nodes = 100000}};
    cleanup(document_free) struct document *document = document_read_with(path, path, &reader, draft->reader->problems);
    if (document != NULL)
        stage_draft_keys(draft, document, document_root(document), FROM_STAGE_YAML);
}

static void take_map(struct stage_draft *draft, const struct run_py_entries *entries, const char *file,
                     struct slice *files)
{
    struct pipeline *pipeline = draft->reader->pipeline;
    files->at = (uint32_t)pipeline->files.count;
    for (size_t i = 0; i < entries->count; i++) {
        const struct run_py_entry *entry = &entries->items[i];
        struct place place = {.file = file, .line = entry->line, .column = entry->column};
        if (!name_is_plain(entry->tag)) {
            draft_refuse(draft, place, NULL, "'%.100s' cannot be a tag", entry->tag);
            continue;
        }
        if (!suffix_is_valid(entry->value)) {
            draft_refuse(draft, place, "write fits, tar.gz, or / for a folder", "'%.100s' cannot be the suffix of '%s'",
                         entry->value, entry->tag);
            continue;
        }
        struct file_tag tag = {.tag = reader_intern(draft->reader, entry->tag),
                               .suffix = reader_intern(draft->reader, entry->value),
                               .line = entry->line,
                               .column = entry->column};
        list_add(&pipeline->files, tag);
    }
    files->count = (uint32_t)pipeline->files.count - files->at;
}

static void take_config_map(struct stage_draft *draft, const struct run_py_entries *entries, const char *file)
{
    for (size_t i = 0; i < entries->count; i++) {
        const struct run_py_entry *entry = &entries->items[i];
        struct place place = {.file = file, .line = entry->line, .column = entry->column};
        if (!name_is_plain(entry->tag) || !path_is_component(entry->value)) {
            draft_refuse(draft, place, NULL, "'%.100s' cannot be the name of a config file inside the container",
                         entry->value);
            continue;
        }
        struct file_tag config = {.tag = reader_intern(draft->reader, entry->tag),
                                  .suffix = reader_intern(draft->reader, entry->value),
                                  .line = entry->line,
                                  .column = entry->column};
        list_add(&draft->configs, config);
    }
}

static bool parse_run_py(struct stage_draft *draft, const char *path, struct run_py *run_py)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(text_clear) struct text bytes = TEXT_INIT;
    if (!file_read(path, RUN_PY_BYTES_LIMIT, &bytes, &error)) {
        problem_from_error(draft->reader->problems, &error);
        return false;
    }
    if (!run_py_parse(text_bytes(&bytes), bytes.length, path, run_py, draft->reader->problems))
        return false;
    if (run_py->has_class)
        return true;
    draft_refuse(draft, (struct place){.file = path},
                 "write what the stage reads and writes into a stage.yaml beside it",
                 run_py->is_python ? "there is no class Stage in this file"
                                   : "this file is not Python: it cannot say what the stage reads and writes");
    return false;
}

static void read_run_py(struct stage_draft *draft, const char *path)
{
    cleanup(run_py_clear) struct run_py run_py = {0};
    if (!parse_run_py(draft, path, &run_py))
        return;
    draft->source = FROM_RUN_PY;
    if (!(draft->given & KEY_BIT(KEY_INPUTS))) {
        take_map(draft, &run_py.inputs, path, &draft->stage.inputs);
        draft->stage.inputs_from = FROM_RUN_PY;
    }
    if (!(draft->given & KEY_BIT(KEY_OUTPUTS))) {
        take_map(draft, &run_py.outputs, path, &draft->stage.outputs);
        draft->stage.outputs_from = FROM_RUN_PY;
    }
    if (draft->configs.count == 0)
        take_config_map(draft, &run_py.config, path);
}

/* Of a stage in a repository of GitHub: what was fetched of it; nothing is when nobody has built it here. */
static char *find_folder(struct stage_draft *draft)
{
    struct pipeline *pipeline = draft->reader->pipeline;
    if (!(draft->given & KEY_BIT(KEY_GITHUB)))
        return pipeline->image_folders.count > 0 ? stage_folder_find(pipeline, draft->name) : NULL;
    const struct stage_extras *extras = draft->extras;
    if (extras == NULL || extras->github == 0)
        return NULL;
    const char *checkout =
        extras->checkout != 0 ? pipeline_text(pipeline, extras->checkout) : GITHUB_DEFAULT_CHECKOUT;
    return github_stage_folder(pipeline_text(pipeline, extras->github), checkout);
}

/* What the stage's folder says. run.py is not opened when stage.yaml (with the section) says what it would say. */
void stage_draft_folder(struct stage_draft *draft)
{
    const uint64_t files = KEY_BIT(KEY_INPUTS) | KEY_BIT(KEY_OUTPUTS);
    const uint64_t described = files | KEY_BIT(KEY_COMMAND) | KEY_BIT(KEY_SCRIPT);
    struct pipeline *pipeline = draft->reader->pipeline;
    cleanup(memory_free) char *folder = find_folder(draft);
    if (folder == NULL) {
        if (!(draft->given & (described | KEY_BIT(KEY_GITHUB))))
            draft_refuse(draft, draft->place,
                         "give it inputs, outputs or a command, or add its folder to pipeline.images",
                         pipeline->image_folders.count > 0
                             ? "stage '%s' is described nowhere: no folder of pipeline.images has it"
                             : "stage '%s' is described nowhere",
                         draft->name);
        return;
    }
    draft->stage.folder = reader_intern(draft->reader, folder);
    cleanup(memory_free) char *stage_yaml = path_join(folder, "stage.yaml");
    cleanup(memory_free) char *run_py = path_join(folder, "run.py");
    bool has_yaml = file_exists(stage_yaml), has_run_py = file_exists(run_py);
    uint64_t wanted = files | (has_yaml ? 0 : KEY_BIT(KEY_CONFIG));
    if (has_yaml)
        read_stage_yaml(draft, stage_yaml);
    bool complete = has_yaml ? (draft->given & described) != 0 : (draft->given & wanted) == wanted;
    if (!complete && has_run_py)
        read_run_py(draft, run_py);
    else if (!has_yaml && !has_run_py && !(draft->given & described))
        draft_refuse(draft, draft->place, "write a stage.yaml with its inputs and outputs",
                     "stage '%s' is described nowhere: '%s' has no run.py and no stage.yaml", draft->name, folder);
    bool own_command = (draft->given & (KEY_BIT(KEY_COMMAND) | KEY_BIT(KEY_SCRIPT))) != 0;
    stage_folder_check(folder, has_run_py && !own_command, draft->reader->problems);
}
