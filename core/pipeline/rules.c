/* SPDX-License-Identifier: BSD-3-Clause */
/* What must hold between stages, inputs and configs; each rule with its own message. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/path.h"
#include "pipeline/reader.h"

static const char *hint_or_null(const struct text *hint)
{
    return hint->length > 0 ? text_bytes(hint) : NULL;
}

static void add_at_file(struct pipeline_reader *reader, enum problem_level level, const struct stage *stage,
                        unsigned from, const struct file_tag *file, const char *hint, const char *message)
{
    cleanup(memory_free) char *path = stage_metadata_file(reader->pipeline, stage, (enum metadata_source)from);
    problem_add(reader->problems, level, (struct place){.file = path, .line = file->line, .column = file->column}, hint,
                "%s", message);
}

/* The nearest tag that somebody makes or that is given. */
static void hint_tag(struct pipeline_reader *reader, const char *tag, struct text *hint)
{
    const struct pipeline *pipeline = reader->pipeline;
    size_t limit = strlen(tag) / 3, best = limit + 1;
    bool may_compare = reader_may_compare(reader, pipeline->files.count + pipeline->inputs.count);
    const char *nearest = NULL;
    for (size_t i = 0; i < pipeline->stages.count + 1 && may_compare; i++) {
        const struct stage *stage = i < pipeline->stages.count ? &pipeline->stages.items[i] : NULL;
        size_t count = stage != NULL ? stage->outputs.count : pipeline->inputs.count;
        for (size_t j = 0; j < count; j++) {
            const char *candidate =
                pipeline_text(pipeline, stage != NULL ? pipeline->files.items[stage->outputs.at + j].tag
                                                      : pipeline->inputs.items[j].tag);
            size_t distance = text_distance(tag, candidate, limit);
            if (distance < best) {
                best = distance;
                nearest = candidate;
            }
        }
    }
    if (nearest != NULL)
        text_format(hint, "did you mean '%s'?", nearest);
    else
        text_format(hint, "add runtime: {inputs: {%s: PATH}}", tag);
}

static const struct file_tag *find_output(const struct pipeline *pipeline, const struct stage *stage, symbol tag)
{
    for (uint32_t i = 0; i < stage->outputs.count; i++)
        if (pipeline->files.items[stage->outputs.at + i].tag == tag)
            return &pipeline->files.items[stage->outputs.at + i];
    return NULL;
}

/* Consumers with the producer's foreach keys need each of their values there. */
static void check_members(struct pipeline_reader *reader, const struct stage *consumer, const struct file_tag *file,
                          const struct stage *producer)
{
    const struct pipeline *pipeline = reader->pipeline;
    if (!stage_members_match(consumer, producer))
        return;
    for (uint32_t member = 0; member < consumer->members; member++) {
        if (stage_member_match(pipeline, consumer, member, producer) != UINT32_MAX)
            continue;
        cleanup(text_clear) struct text name = TEXT_INIT;
        cleanup(text_clear) struct text message = TEXT_INIT;
        stage_member_name(pipeline, consumer, member, &name);
        text_format(&message, "the member '%s' of stage '%s' takes '%s' from the same member of '%s', which has none",
                    text_bytes(&name), pipeline_text(pipeline, consumer->name), pipeline_text(pipeline, file->tag),
                    pipeline_text(pipeline, producer->name));
        add_at_file(reader, PROBLEM_ERROR, consumer, consumer->inputs_from, file,
                    "stages with the same foreach keys work member by member: give both the same values",
                    text_bytes(&message));
        return;
    }
}

static void check_produced_input(struct pipeline_reader *reader, const struct stage *stage, const struct file_tag *file,
                                 const struct stage *producer)
{
    const struct pipeline *pipeline = reader->pipeline;
    const struct file_tag *output = find_output(pipeline, producer, file->tag);
    cleanup(text_clear) struct text message = TEXT_INIT;
    if (output != NULL && output->suffix != file->suffix) {
        text_format(&message, "stage '%s' takes '%s' as '%s', but stage '%s' makes it as '%s'",
                    pipeline_text(pipeline, stage->name), pipeline_text(pipeline, file->tag),
                    pipeline_text(pipeline, file->suffix), pipeline_text(pipeline, producer->name),
                    pipeline_text(pipeline, output->suffix));
        add_at_file(reader, PROBLEM_ERROR, stage, stage->inputs_from, file, NULL, text_bytes(&message));
        return;
    }
    check_members(reader, stage, file, producer);
}

static void check_input(struct pipeline_reader *reader, uint32_t number, const struct file_tag *file, symbol *suffixes)
{
    const struct pipeline *pipeline = reader->pipeline;
    const struct stage *stage = &pipeline->stages.items[number];
    const char *tag = pipeline_text(pipeline, file->tag);
    const struct run_input *input = pipeline_input(pipeline, file->tag);
    uint32_t producer = pipeline_producer(pipeline, file->tag);
    cleanup(text_clear) struct text message = TEXT_INIT;
    if (input != NULL) {
        symbol *suffix = &suffixes[input - pipeline->inputs.items];
        if (*suffix != 0 && *suffix != file->suffix) {
            text_format(&message, "stage '%s' takes the input '%s' as '%s', another stage takes it as '%s'",
                        pipeline_text(pipeline, stage->name), tag, pipeline_text(pipeline, file->suffix),
                        pipeline_text(pipeline, *suffix));
            add_at_file(reader, PROBLEM_ERROR, stage, stage->inputs_from, file, NULL, text_bytes(&message));
        }
        *suffix = file->suffix;
        return;
    }
    if (producer == number) {
        text_format(&message, "stage '%s' takes its own output '%s'", pipeline_text(pipeline, stage->name), tag);
        add_at_file(reader, PROBLEM_ERROR, stage, stage->inputs_from, file, "give the output another tag",
                    text_bytes(&message));
        return;
    }
    if (producer != UINT32_MAX) {
        check_produced_input(reader, stage, file, &pipeline->stages.items[producer]);
        return;
    }
    cleanup(text_clear) struct text hint = TEXT_INIT;
    hint_tag(reader, tag, &hint);
    text_format(
        &message,
        "the input '%s' of stage '%s' comes from nowhere: no stage makes it and runtime.inputs does not name it", tag,
        pipeline_text(pipeline, stage->name));
    add_at_file(reader, PROBLEM_ERROR, stage, stage->inputs_from, file, text_bytes(&hint), text_bytes(&message));
}

/* True when `stage` takes data of stage `other`. */
static bool takes_data(const struct pipeline *pipeline, const struct stage *stage, uint32_t other)
{
    for (uint32_t i = 0; i < stage->inputs.count; i++) {
        symbol tag = pipeline->files.items[stage->inputs.at + i].tag;
        if (pipeline_producer(pipeline, tag) == other && pipeline_input(pipeline, tag) == NULL)
            return true;
    }
    return false;
}

/* Where the entry stands; the stage when --set says it. *path, when it gets one, holds the name of the file. */
static struct place depends_place(const struct pipeline_reader *reader, const struct stage *stage, uint32_t at,
                                  char **path)
{
    size_t low = 0, high = reader->depends_spots.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (reader->depends_spots.items[middle].at < at)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == reader->depends_spots.count || reader->depends_spots.items[low].at != at)
        return reader_place(reader, stage->line, stage->column);
    const struct depends_spot *spot = &reader->depends_spots.items[low];
    *path = stage_metadata_file(reader->pipeline, stage, (enum metadata_source)spot->from);
    return (struct place){.file = *path, .line = spot->line, .column = spot->column};
}

static void check_depends_on(struct pipeline_reader *reader, uint32_t number, uint32_t at)
{
    const struct pipeline *pipeline = reader->pipeline;
    const struct stage *stage = &pipeline->stages.items[number];
    symbol name = pipeline->symbols_array.items[at];
    const char *own = pipeline_text(pipeline, stage->name), *other = pipeline_text(pipeline, name);
    cleanup(memory_free) char *path = NULL;
    uint32_t other_number = name < pipeline->stage_numbers.count ? pipeline->stage_numbers.items[name] : 0;
    if (other_number != 0 && other_number - 1 != number && takes_data(pipeline, stage, other_number - 1))
        return;
    struct place place = depends_place(reader, stage, at, &path);
    if (other_number == 0) {
        cleanup(text_clear) struct text hint = TEXT_INIT;
        reader_hint_stage(reader, other, &hint);
        problem_add(reader->problems, PROBLEM_ERROR, place, hint_or_null(&hint),
                    "stage '%s' depends on '%.100s', which is no stage of this pipeline", own, other);
    } else if (other_number - 1 == number) {
        problem_add(reader->problems, PROBLEM_ERROR, place, NULL, "stage '%s' depends on itself", own);
    } else {
        problem_add(reader->problems, PROBLEM_NOTE, place, "remove it unless the order matters: it costs parallelism",
                    "stage '%s' depends on '%s' but takes no data from it", own, other);
    }
}

static void check_stage_configs(struct pipeline_reader *reader, const struct stage *stage)
{
    const struct pipeline *pipeline = reader->pipeline;
    for (uint32_t i = 0; i < stage->configs.count; i++) {
        const struct file_tag *config = &pipeline->files.items[stage->configs.at + i];
        if (pipeline_config(pipeline, stage, config->tag) != NULL)
            continue;
        const char *name = pipeline_text(pipeline, stage->name), *tag = pipeline_text(pipeline, config->tag);
        cleanup(text_clear) struct text hint = TEXT_INIT;
        text_format(&hint, "add runtime: {config: {%s: {%s: PATH}}}", name, tag);
        problem_add(reader->problems, PROBLEM_ERROR, reader_place(reader, stage->line, stage->column),
                    text_bytes(&hint), "stage '%s' needs the config file '%s' (%s), which runtime.config does not give",
                    name, tag, pipeline_text(pipeline, config->suffix));
    }
}

static void check_limit(struct pipeline_reader *reader, const struct stage *stage)
{
    const struct pipeline *pipeline = reader->pipeline;
    symbol limit = stage->extras != NULL ? stage->extras->limit : 0;
    if (limit == 0)
        return;
    cleanup(memory_free) const char **known = memory_allocate((pipeline->limits.count + 1) * sizeof *known);
    for (size_t i = 0; i < pipeline->limits.count; i++) {
        known[i] = pipeline_text(pipeline, pipeline->limits.items[i].name);
        if (pipeline->limits.items[i].name == limit)
            return;
    }
    cleanup(text_clear) struct text hint = TEXT_INIT;
    const char *nearest = text_nearest(pipeline_text(pipeline, limit), known);
    if (nearest != NULL)
        text_format(&hint, "did you mean '%s'?", nearest);
    else
        text_format(&hint, "add limits: {%s: 4}", pipeline_text(pipeline, limit));
    const struct spot *said = &stage->extras->limit_at;
    struct place place = said->line > 0 ? reader_place(reader, said->line, said->column)
                                        : reader_place(reader, stage->line, stage->column);
    problem_add(reader->problems, PROBLEM_ERROR, place, text_bytes(&hint),
                "the limit '%.100s' of stage '%s' is not defined", pipeline_text(pipeline, limit),
                pipeline_text(pipeline, stage->name));
}

/* A path that must be there; `folder` when a folder is wanted. */
static void check_path(struct pipeline_reader *reader, struct place place, const char *what, const char *path,
                       bool folder)
{
    struct stat status;
    if (stat(path, &status) != 0)
        problem_add(reader->problems, PROBLEM_ERROR, place,
                    errno == ENOENT ? "relative paths count from the working directory (or --base)" : NULL,
                    "%s: cannot read '%s': %s", what, path, strerror(errno));
    else if (folder && !S_ISDIR(status.st_mode))
        problem_add(reader->problems, PROBLEM_ERROR, place, NULL, "%s: '%s' is not a folder", what, path);
    else if (!folder && !S_ISREG(status.st_mode))
        problem_add(reader->problems, PROBLEM_ERROR, place,
                    S_ISDIR(status.st_mode) ? "an input with the suffix '/' may be a folder" : NULL,
                    "%s: '%s' is not a regular file", what, path);
}

/* What is missing below the working folder may lie on a volume that stands for it elsewhere; the plan, which knows the
 * backends, says the rest. */
static bool may_be_on_a_volume(const struct pipeline *pipeline, const struct run_input *input)
{
    const char *path = pipeline_text(pipeline, input->path);
    struct stat status;
    return path_is_inside(pipeline->working, path) && stat(path, &status) != 0 && errno == ENOENT;
}

static void check_run_input(struct pipeline_reader *reader, const struct run_input *input, symbol suffix)
{
    const struct pipeline *pipeline = reader->pipeline;
    const char *tag = pipeline_text(pipeline, input->tag);
    cleanup(text_clear) struct text change = TEXT_INIT;
    cleanup(text_clear) struct text hint = TEXT_INIT;
    bool changed = input->line == 0;
    text_format(&change, "--input %s", tag);
    struct place place = reader_place(reader, input->line, input->column);
    if (changed)
        place.file = text_bytes(&change);
    uint32_t producer = pipeline_producer(pipeline, input->tag);
    if (suffix == 0) {
        problem_add(reader->problems, changed ? PROBLEM_ERROR : PROBLEM_NOTE, place, NULL,
                    "no stage takes an input '%s'", tag);
        return;
    }
    if (producer != UINT32_MAX)
        problem_add(reader->problems, PROBLEM_NOTE, place, NULL,
                    "the given input '%s' is used in place of the output of stage '%s'", tag,
                    pipeline_text(pipeline, pipeline->stages.items[producer].name));
    const char *text = pipeline_text(pipeline, suffix);
    text_format(&hint, "the input '%s'", tag);
    if (input->path != 0 && !may_be_on_a_volume(pipeline, input))
        check_path(reader, place, text_bytes(&hint), pipeline_text(pipeline, input->path),
                   text[strlen(text) - 1] == '/');
    else if (input->url != 0 && text[strlen(text) - 1] == '/')
        problem_add(reader->problems, PROBLEM_ERROR, place, NULL,
                    "the input '%s' is a folder and cannot come from a url", tag);
}

static void check_run_config(struct pipeline_reader *reader, const struct run_config *config)
{
    const struct pipeline *pipeline = reader->pipeline;
    const char *name = pipeline_text(pipeline, config->stage), *tag = pipeline_text(pipeline, config->tag);
    struct place place = reader_place(reader, config->line, config->column);
    uint32_t number = reader_stage(reader, name);
    if (number == UINT32_MAX) {
        cleanup(text_clear) struct text hint = TEXT_INIT;
        reader_hint_stage(reader, name, &hint);
        problem_add(reader->problems, PROBLEM_NOTE, place, hint_or_null(&hint),
                    "runtime.config names '%.100s', which is no listed stage", name);
        return;
    }
    const struct stage *stage = &pipeline->stages.items[number];
    for (uint32_t i = 0; i < stage->configs.count; i++)
        if (pipeline->files.items[stage->configs.at + i].tag == config->tag) {
            cleanup(text_clear) struct text what = TEXT_INIT;
            text_format(&what, "the config file '%s' of stage '%s'", tag, name);
            if (config->path != 0)
                check_path(reader, place, text_bytes(&what), pipeline_text(pipeline, config->path), false);
            return;
        }
    problem_add(reader->problems, PROBLEM_NOTE, place, NULL, "stage '%s' has no config file '%.100s'", name, tag);
}

void rules_check(struct pipeline_reader *reader)
{
    const struct pipeline *pipeline = reader->pipeline;
    cleanup(memory_free) symbol *suffixes = memory_allocate((pipeline->inputs.count + 1) * sizeof *suffixes);
    for (uint32_t i = 0; i < pipeline->stages.count; i++) {
        const struct stage *stage = &pipeline->stages.items[i];
        for (uint32_t j = 0; j < stage->inputs.count; j++)
            check_input(reader, i, &pipeline->files.items[stage->inputs.at + j], suffixes);
        for (uint32_t j = 0; j < stage->depends_on.count; j++)
            check_depends_on(reader, i, stage->depends_on.at + j);
        check_stage_configs(reader, stage);
        check_limit(reader, stage);
    }
    for (size_t i = 0; i < pipeline->inputs.count; i++)
        check_run_input(reader, &pipeline->inputs.items[i], suffixes[i]);
    for (size_t i = 0; i < pipeline->configs.count; i++)
        check_run_config(reader, &pipeline->configs.items[i]);
}
