/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads a pipeline file into the model.
 *
 * How it works: the file is streamed. `pipeline:` makes the list of stages; each later section is read straight into
 * its stage and forgotten. A section that stands before `pipeline:` is kept as a copy until the list is known. When the
 * file is at its end, stages without a section are completed, inputs are looked for, edges inferred, and the rules
 * between stages checked.
 */
#include "pipeline/reader.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/path.h"

struct place reader_place(const struct pipeline_reader *reader, uint32_t line, uint32_t column)
{
    return (struct place){.file = reader->pipeline->file, .line = line, .column = column};
}

symbol reader_intern_bytes(struct pipeline_reader *reader, const char *text, size_t length)
{
    struct word *word = NULL;
    if (length > 0 && length <= sizeof word->bytes) {
        unsigned char first = (unsigned char)text[0], last = (unsigned char)text[length - 1];
        word = &reader->words[((unsigned)length * 5 + first * 3u + last) & 127];
        if (word->length == length && memcmp(word->bytes, text, length) == 0)
            return word->known;
    }
    symbol known = symbol_intern(reader->pipeline->symbols, text, length);
    if (word != NULL) {
        word->length = (uint32_t)length;
        word->known = known;
        memcpy(word->bytes, text, length);
    }
    return known;
}

symbol reader_intern(struct pipeline_reader *reader, const char *text)
{
    return reader_intern_bytes(reader, text, strlen(text));
}

uint32_t reader_stage(const struct pipeline_reader *reader, const char *name)
{
    uint32_t number;
    return pipeline_stage(reader->pipeline, name, &number) != NULL ? number : UINT32_MAX;
}

enum { COMPARISONS_LIMIT = 5 * 1000 * 1000 };

bool reader_may_compare(struct pipeline_reader *reader, size_t more)
{
    if (more > COMPARISONS_LIMIT - reader->comparisons)
        return false;
    reader->comparisons += more;
    return true;
}

/* The nearest stage's number, or UINT32_MAX. */
static uint32_t nearest_stage(struct pipeline_reader *reader, const char *name)
{
    const struct pipeline *pipeline = reader->pipeline;
    size_t limit = strlen(name) / 3, best = limit + 1;
    uint32_t nearest = UINT32_MAX;
    if (!reader_may_compare(reader, pipeline->stages.count))
        return UINT32_MAX;
    for (uint32_t i = 0; i < pipeline->stages.count && best > 0; i++) {
        size_t distance = text_distance(name, pipeline_text(pipeline, pipeline->stages.items[i].name), limit);
        if (distance < best) {
            best = distance;
            nearest = i;
        }
    }
    return nearest;
}

void reader_hint_stage(struct pipeline_reader *reader, const char *name, struct text *hint)
{
    uint32_t nearest = nearest_stage(reader, name);
    if (nearest != UINT32_MAX)
        text_format(hint, "did you mean '%s'?",
                    pipeline_text(reader->pipeline, reader->pipeline->stages.items[nearest].name));
}

void reader_hint_word(const char *word, const char *const *known, struct text *hint)
{
    const char *nearest = text_nearest(word, known);
    if (nearest != NULL)
        text_format(hint, "did you mean '%s'?", nearest);
    for (size_t i = 0; nearest == NULL && known[i] != NULL; i++)
        text_format(hint, "%s%s", i == 0 ? "known: " : ", ", known[i]);
}

static const char *hint_or_null(const struct text *hint)
{
    return hint->length > 0 ? text_bytes(hint) : NULL;
}

/* A section that `pipeline.stages` does not list: a note, unless it looks like a slip. */
static void unlisted_section(struct pipeline_reader *reader, const struct document *document, const char *key,
                             struct place place, const struct node *value)
{
    cleanup(text_clear) struct text hint = TEXT_INIT;
    const char *nearest = text_nearest(key, section_names);
    if (nearest != NULL) {
        text_format(&hint, "did you mean '%s'?", nearest);
        problem_add(reader->problems, PROBLEM_ERROR, place, text_bytes(&hint), "there is no section '%.100s'", key);
        return;
    }
    if (node_kind(value) != NODE_MAPPING && !node_is_null(value)) {
        reader_hint_stage(reader, key, &hint);
        problem_add(reader->problems, PROBLEM_ERROR, place, hint_or_null(&hint),
                    "'%.100s' is neither a section of a pipeline nor a stage", key);
        return;
    }
    for (const struct node *child = node_first(value); child != NULL; child = node_next(child)) {
        if (stage_key_is_known(reader, node_key(child)))
            continue;
        text_append(&hint, "a section that is no stage's does not belong here; stages are listed in pipeline.stages");
        problem_add(reader->problems, PROBLEM_ERROR, node_key_place(document, child), text_bytes(&hint),
                    "section '%.100s' is not a listed stage, and no stage has a key '%.100s'", key, node_key(child));
        return;
    }
    if (node_has_anchor(value)) /* there to be merged into stages */
        return;
    struct unlisted_section unlisted = {.name = memory_copy_text(key), .line = place.line, .column = place.column};
    list_add(&reader->unlisted, unlisted);
}

/* A section near to a stage that has none of its own is a slip of the pen; else it is an old stage, left in the file.
 */
static void report_unlisted(struct pipeline_reader *reader)
{
    for (size_t i = 0; i < reader->unlisted.count; i++) {
        const struct unlisted_section *section = &reader->unlisted.items[i];
        struct place place = reader_place(reader, section->line, section->column);
        uint32_t nearest = nearest_stage(reader, section->name);
        if (nearest == UINT32_MAX || reader->sections_seen.items[nearest]) {
            problem_add(reader->problems, PROBLEM_NOTE, place, NULL,
                        "section '%.100s' is not used: pipeline.stages does not list it", section->name);
            continue;
        }
        cleanup(text_clear) struct text hint = TEXT_INIT;
        text_format(&hint, "did you mean '%s'?",
                    pipeline_text(reader->pipeline, reader->pipeline->stages.items[nearest].name));
        problem_add(reader->problems, PROBLEM_ERROR, place, text_bytes(&hint),
                    "section '%.100s' is no stage's: pipeline.stages does not list it", section->name);
    }
}

static void take_section(struct pipeline_reader *reader, const struct document *document, const char *key,
                         struct place place, const struct node *value)
{
    uint32_t number = reader_stage(reader, key);
    if (number == UINT32_MAX) {
        unlisted_section(reader, document, key, place, value);
        return;
    }
    reader->sections_seen.items[number] = 1;
    stage_read(reader, number, document, place, value);
}

static void take_entry(void *context, const struct document *document, const char *key, struct place place,
                       const struct node *value)
{
    struct pipeline_reader *reader = context;
    if (section_read(reader, document, key, place, value))
        return;
    if (reader->has_pipeline) {
        take_section(reader, document, key, place, value);
        return;
    }
    struct early_section early = {
        .name = memory_copy_text(key), .place = place, .document = document_copy(document, value)};
    early.place.file = reader->pipeline->file;
    list_add(&reader->early, early);
}

static void take_early_sections(struct pipeline_reader *reader)
{
    for (size_t i = 0; i < reader->early.count; i++) {
        const struct early_section *early = &reader->early.items[i];
        if (reader->has_pipeline)
            take_section(reader, early->document, early->name, early->place, document_root(early->document));
    }
}

static void complete_stages_without_section(struct pipeline_reader *reader)
{
    struct pipeline *pipeline = reader->pipeline;
    for (uint32_t i = 0; i < pipeline->stages.count; i++)
        if (!reader->sections_seen.items[i])
            stage_read(reader, i, NULL,
                       reader_place(reader, pipeline->stages.items[i].line, pipeline->stages.items[i].column), NULL);
}

/* "STAGE.key=value": the longest listed stage before a '.' wins, for names may hold dots. */
static void parse_set(struct pipeline_reader *reader, const char *argument)
{
    cleanup(memory_free) char *copy = memory_copy_text(argument);
    char *equals = strchr(copy, '=');
    size_t named = equals != NULL ? (size_t)(equals - copy) : strlen(copy);
    cleanup(memory_free) char *shown = memory_format("--set %.*s", (int)named, copy);
    struct place place = {.file = shown};
    char *dot = equals != NULL ? memrchr(copy, '.', named) : NULL;
    if (dot == NULL || dot == copy || dot + 1 == equals) {
        problem_add(reader->problems, PROBLEM_ERROR, place, "write --set tomography.cpus=8",
                    "a change is STAGE.KEY=VALUE");
        return;
    }
    *equals = *dot = '\0';
    uint32_t number = reader_stage(reader, copy);
    if (number == UINT32_MAX) {
        cleanup(text_clear) struct text hint = TEXT_INIT;
        reader_hint_stage(reader, copy, &hint);
        problem_add(reader->problems, PROBLEM_ERROR, place, hint_or_null(&hint), "there is no stage '%.100s'", copy);
        return;
    }
    struct document *document = document_parse_value(equals + 1, shown, reader->problems);
    if (document == NULL)
        return;
    struct stage_set set = {
        .stage = number, .key = memory_copy_text(dot + 1), .shown = steal(&shown), .document = document};
    list_add(&reader->sets, set);
}

void reader_parse_sets(struct pipeline_reader *reader)
{
    const char *const *sets = reader->changes->sets;
    for (size_t i = 0; sets != NULL && sets[i] != NULL; i++)
        parse_set(reader, sets[i]);
}

static void reader_clear(struct pipeline_reader *reader)
{
    for (size_t i = 0; i < reader->early.count; i++) {
        memory_free(reader->early.items[i].name);
        document_free(reader->early.items[i].document);
    }
    for (size_t i = 0; i < reader->sets.count; i++) {
        memory_free(reader->sets.items[i].key);
        memory_free(reader->sets.items[i].shown);
        document_free(reader->sets.items[i].document);
    }
    for (size_t i = 0; i < reader->unlisted.count; i++)
        memory_free(reader->unlisted.items[i].name);
    list_clear(&reader->early);
    list_clear(&reader->unlisted);
    list_clear(&reader->sets);
    list_clear(&reader->sections_seen);
    list_clear(&reader->section_configs);
    list_clear(&reader->depends_spots);
    memory_free(reader->resource_slots);
    memory_free(reader->config_folder);
}

/* What nobody said. */
static void set_defaults(struct pipeline_reader *reader)
{
    struct pipeline *pipeline = reader->pipeline;
    if (pipeline->name == 0)
        pipeline->name = pipeline->basename;
    if (pipeline->name == 0) {
        const char *file = path_name(pipeline->file);
        const char *dot = strrchr(file, '.');
        pipeline->name =
            symbol_intern(pipeline->symbols, file, dot != NULL && dot > file ? (size_t)(dot - file) : strlen(file));
    }
    const struct pipeline_changes *changes = reader->changes;
    if (changes->working != NULL) {
        memory_free(pipeline->working);
        pipeline->working = path_absolute(pipeline->base, changes->working);
    }
    if (changes->output != NULL) {
        memory_free(pipeline->output);
        pipeline->output = path_absolute(pipeline->base, changes->output);
    }
}

/* At the section that is most likely meant, when there is one. */
static void report_no_pipeline(struct pipeline_reader *reader)
{
    static const char *const meant[] = {"pipeline", NULL};
    struct place place = reader_place(reader, 0, 0);
    cleanup(text_clear) struct text hint = TEXT_INIT;
    for (size_t i = 0; i < reader->early.count && hint.length == 0; i++) {
        const struct early_section *early = &reader->early.items[i];
        if (strcasecmp(early->name, "pipeline") != 0 && text_nearest(early->name, meant) == NULL)
            continue;
        place = early->place;
        text_format(&hint, "'%.100s' here: did you mean 'pipeline'?", early->name);
    }
    problem_add(reader->problems, PROBLEM_ERROR, place,
                hint.length > 0 ? text_bytes(&hint) : "write pipeline: {name: x, stages: [first, second]}",
                "there is no section 'pipeline'");
}

static void finish(struct pipeline_reader *reader)
{
    if (!reader->has_pipeline) {
        report_no_pipeline(reader);
        return;
    }
    take_early_sections(reader);
    report_unlisted(reader);
    complete_stages_without_section(reader);
    set_defaults(reader);
    inputs_finish(reader);
    graph_find_producers(reader);
    rules_check(reader);
    graph_build(reader);
}

static struct pipeline *pipeline_new(const char *path, const struct pipeline_changes *changes,
                                     struct problems *problems)
{
    cleanup(memory_free) char *here = NULL;
    if (changes->base == NULL && (here = getcwd(NULL, 0)) == NULL) {
        problem_add(problems, PROBLEM_ERROR, (struct place){0}, NULL, "cannot tell the working directory: %s",
                    strerror(errno));
        return NULL;
    }
    struct pipeline *pipeline = memory_allocate(sizeof *pipeline);
    pipeline->file = memory_copy_text(path);
    pipeline->base = path_absolute(here != NULL ? here : "/", changes->base != NULL ? changes->base : ".");
    pipeline->symbols = symbols_new();
    (void)list_grow(&pipeline->resources);
    pipeline->late_outputs_ms = LATE_OUTPUTS_MS;
    return pipeline;
}

struct pipeline *pipeline_read_as_it_is(const char *path, const struct pipeline_changes *changes,
                                        struct problems *problems)
{
    static const struct pipeline_changes none = {0};
    changes = changes != NULL ? changes : &none;
    cleanup(pipeline_free) struct pipeline *pipeline = pipeline_new(path, changes, problems);
    if (pipeline == NULL)
        return NULL;
    struct pipeline_reader reader = {.pipeline = pipeline, .changes = changes, .problems = problems};
    stage_keys_prepare(&reader);
    struct document_reader stream = {
        .entry = take_entry, .context = &reader, .verbatim = "script", .symbols = pipeline->symbols};
    bool whole = false;
    stream.whole = &whole;
    document_stream(path, pipeline->file, &stream, problems);
    if (whole) /* of half a file nothing can be said about what is missing */
        finish(&reader);
    reader_clear(&reader);
    problems_sort(problems);
    return whole ? steal(&pipeline) : NULL;
}

struct pipeline *pipeline_read(const char *path, const struct pipeline_changes *changes, struct problems *problems)
{
    size_t errors_before = problems->errors;
    cleanup(pipeline_free) struct pipeline *pipeline = pipeline_read_as_it_is(path, changes, problems);
    return problems->errors == errors_before ? steal(&pipeline) : NULL;
}
