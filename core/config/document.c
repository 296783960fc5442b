/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libyaml's events, turned into places and messages that people can use. The only file that includes yaml.h.
 *
 * libyaml reads UTF-8 here and nothing else: we tell it so, and name other encodings ourselves. Its marks count
 * characters from 0; a byte order mark is skipped before it sees it, so that the first line's columns are right.
 */
#include "config/document.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <yaml.h>

#include "base/clock.h"
#include "base/file.h"
#include "config/document_build.h"

#define DEFAULT_BYTES (UINT64_C(1) << 30)

struct source {     /* a file or bytes in memory */
    int descriptor; /* -1: bytes */
    const char *bytes;
    size_t length, at;
    uint64_t read, limit;
    bool started, failed;
    int failure; /* errno of a failed read, 0: larger than the limit */
};

struct reading {
    struct source source;
    const struct document_reader *reader;
    const char *file;
    struct problems *problems;
    yaml_parser_t parser;
    struct document_build *build;
    bool any_root;
};

static ssize_t source_bytes(struct source *source, unsigned char *buffer, size_t size)
{
    if (source->descriptor >= 0) {
        ssize_t got;
        do
            got = read(source->descriptor, buffer, size);
        while (got < 0 && errno == EINTR);
        return got;
    }
    size_t left = source->length - source->at;
    size_t taken = left < size ? left : size;
    memcpy(buffer, source->bytes + source->at, taken);
    source->at += taken;
    return (ssize_t)taken;
}

static int source_read(void *context, unsigned char *buffer, size_t size, size_t *size_read)
{
    struct source *source = context;
    ssize_t got = source_bytes(source, buffer, size);
    if (got < 0) {
        source->failed = true;
        source->failure = errno;
        return 0;
    }
    source->read += (uint64_t)got;
    if (source->read > source->limit) {
        source->failed = true;
        return 0;
    }
    size_t skipped = 0;
    if (!source->started && got >= 3 && memcmp(buffer, "\xEF\xBB\xBF", 3) == 0) {
        skipped = 3;
        memmove(buffer, buffer + skipped, (size_t)got - skipped);
        if (got == 3) { /* nothing would mean the end */
            source->started = true;
            return source_read(source, buffer, size, size_read);
        }
    }
    source->started = true;
    *size_read = (size_t)got - skipped;
    return 1;
}

/* Looks at the source from its first byte again, for messages about bytes the parser could not take. */
static bool source_again(struct source *source)
{
    source->at = 0;
    return source->descriptor < 0 || lseek(source->descriptor, 0, SEEK_SET) == 0;
}

/* Line and column of the byte at `offset` (after a byte order mark). */
static struct place place_of_byte(struct reading *reading, size_t offset)
{
    struct place place = {.file = reading->file, .line = 1, .column = 1};
    unsigned char buffer[4096];
    bool first = true;
    if (!source_again(&reading->source))
        return (struct place){.file = reading->file};
    for (ssize_t got; offset > 0 && (got = source_bytes(&reading->source, buffer, sizeof buffer)) > 0; first = false) {
        size_t start = first && got >= 3 && memcmp(buffer, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
        for (size_t i = start; i < (size_t)got && offset > 0; i++, offset--) {
            if (buffer[i] == '\n') {
                place.line++;
                place.column = 1;
            } else if ((buffer[i] & 0xC0) != 0x80) {
                place.column++;
            }
        }
    }
    return place;
}

static bool is_utf16(struct reading *reading)
{
    unsigned char head[2];
    return source_again(&reading->source) && source_bytes(&reading->source, head, 2) == 2 &&
           ((head[0] == 0xFF && head[1] == 0xFE) || (head[0] == 0xFE && head[1] == 0xFF) || head[0] == 0 ||
            head[1] == 0);
}

static void report_bytes(struct reading *reading)
{
    struct place whole = {.file = reading->file};
    if (reading->source.failed && reading->source.failure != 0) {
        problem_add(reading->problems, PROBLEM_ERROR, whole, NULL, "cannot read '%s': %s", reading->file,
                    strerror(reading->source.failure));
        return;
    }
    if (reading->source.failed) {
        cleanup(text_clear) struct text limit = TEXT_INIT;
        bytes_append(&limit, reading->source.limit);
        problem_add(reading->problems, PROBLEM_ERROR, whole, NULL, "'%s' is larger than the limit of %s", reading->file,
                    text_bytes(&limit));
        return;
    }
    if (is_utf16(reading)) {
        problem_add(reading->problems, PROBLEM_ERROR, whole, "save it as UTF-8",
                    "'%s' is not UTF-8 (it looks like UTF-16)", reading->file);
        return;
    }
    int value = reading->parser.problem_value;
    bool control = reading->parser.problem != NULL && strstr(reading->parser.problem, "control") != NULL;
    struct place place = place_of_byte(reading, reading->parser.problem_offset);
    if (control)
        problem_add(reading->problems, PROBLEM_ERROR, place, "write it as \\x.. in double quotes",
                    "the control character 0x%02X is not allowed", (unsigned)value);
    else if (value >= 0)
        problem_add(reading->problems, PROBLEM_ERROR, place, "save the file as UTF-8", "the byte 0x%02X is not UTF-8",
                    (unsigned)value & 0xFF);
    else
        problem_add(reading->problems, PROBLEM_ERROR, place, "save the file as UTF-8", "the bytes here are not UTF-8");
}

static struct place mark_place(const struct reading *reading, yaml_mark_t mark)
{
    return (struct place){.file = reading->file, .line = (uint32_t)mark.line + 1, .column = (uint32_t)mark.column + 1};
}

/* Its words, and where what it was reading begins: a bracket or quote that is not closed. */
static void report_libyaml(struct reading *reading, struct place place, const char *problem)
{
    const yaml_parser_t *parser = &reading->parser;
    bool begun = parser->context != NULL && parser->context_mark.index < parser->problem_mark.index;
    cleanup(text_clear) struct text hint = TEXT_INIT;
    if (begun)
        text_format(&hint, "it begins at %zu:%zu: is a bracket or a quote left open?", parser->context_mark.line + 1,
                    parser->context_mark.column + 1);
    problem_add(reading->problems, PROBLEM_ERROR, place, begun ? text_bytes(&hint) : NULL, "not YAML: %s%s%s", problem,
                parser->context != NULL ? " " : "", parser->context != NULL ? parser->context : "");
}

/* libyaml's words for its own states say little to people; the common ones get words of ours. */
static void report_syntax(struct reading *reading)
{
    const yaml_parser_t *parser = &reading->parser;
    struct place place = mark_place(reading, parser->problem_mark);
    const char *problem = parser->problem != NULL ? parser->problem : "not understood";
    unsigned char found = parser->buffer.pointer != NULL ? *parser->buffer.pointer : 0;
    if (strcmp(problem, "found character that cannot start any token") == 0 && found == '\t')
        problem_add(reading->problems, PROBLEM_ERROR, place, "use spaces", "a tab cannot be used to indent");
    else if (strcmp(problem, "found character that cannot start any token") == 0)
        problem_add(reading->problems, PROBLEM_ERROR, place, "put the text in quotes", "a text cannot begin with '%c'",
                    found);
    else if (strcmp(problem, "mapping values are not allowed in this context") == 0)
        problem_add(reading->problems, PROBLEM_ERROR, place,
                    "put a text that holds ': ' in quotes; check the indentation",
                    "not YAML: a ':' is not expected here");
    else if (strcmp(problem, "did not find expected key") == 0)
        problem_add(reading->problems, PROBLEM_ERROR, place, "check the indentation and the quotes of the lines above",
                    "not YAML: a key is expected here");
    else if (strcmp(problem, "could not find expected ':'") == 0)
        problem_add(reading->problems, PROBLEM_ERROR, place, "write 'key: value'; a key stands on one line",
                    "not YAML: the ':' after a key is missing");
    else
        report_libyaml(reading, place, problem);
}

static void report_parser(struct reading *reading)
{
    if (reading->parser.error == YAML_MEMORY_ERROR)
        memory_exhausted();
    if (reading->parser.error == YAML_READER_ERROR)
        report_bytes(reading);
    else
        report_syntax(reading);
}

static const char *as_text(const yaml_char_t *text)
{
    return (const char *)text;
}

static bool take_scalar(struct reading *reading, const yaml_event_t *event)
{
    struct build_event scalar = {
        .anchor = as_text(event->data.scalar.anchor),
        .tag = as_text(event->data.scalar.tag),
        .text = as_text(event->data.scalar.value),
        .length = event->data.scalar.length,
        .plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE,
        .line = (uint32_t)event->start_mark.line + 1,
        .column = (uint32_t)event->start_mark.column + 1,
    };
    if (event->start_mark.line == event->end_mark.line)
        scalar.span = (uint32_t)(event->end_mark.index - event->start_mark.index);
    return document_build_scalar(reading->build, &scalar);
}

static bool take_event(struct reading *reading, const yaml_event_t *event)
{
    struct build_event node = {.line = (uint32_t)event->start_mark.line + 1,
                               .column = (uint32_t)event->start_mark.column + 1};
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return take_scalar(reading, event);
    case YAML_ALIAS_EVENT:
        node.anchor = as_text(event->data.alias.anchor);
        return document_build_alias(reading->build, &node);
    case YAML_SEQUENCE_START_EVENT:
        node.anchor = as_text(event->data.sequence_start.anchor);
        node.tag = as_text(event->data.sequence_start.tag);
        return document_build_open(reading->build, NODE_SEQUENCE, &node);
    case YAML_MAPPING_START_EVENT:
        node.anchor = as_text(event->data.mapping_start.anchor);
        node.tag = as_text(event->data.mapping_start.tag);
        return document_build_open(reading->build, NODE_MAPPING, &node);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return document_build_close(reading->build);
    default:
        return true;
    }
}

static bool refuse_second_document(struct reading *reading, const yaml_event_t *event)
{
    problem_add(reading->problems, PROBLEM_ERROR, mark_place(reading, event->start_mark),
                "keep one and remove the others", "a second document begins here: a file holds one");
    return false;
}

static bool read_events(struct reading *reading)
{
    for (unsigned documents = 0;;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&reading->parser, &event)) {
            report_parser(reading);
            return false;
        }
        yaml_event_type_t type = event.type;
        bool going = true;
        if (type == YAML_DOCUMENT_START_EVENT && ++documents > 1)
            going = refuse_second_document(reading, &event);
        else
            going = take_event(reading, &event);
        yaml_event_delete(&event);
        if (!going)
            return false;
        if (type == YAML_STREAM_END_EVENT)
            return true;
    }
}

/* Returns the tree when the reader does not stream, NULL otherwise and when there were errors. */
static struct document *read_source(struct reading *reading, bool *done)
{
    size_t errors_before = reading->problems->errors;
    if (!yaml_parser_initialize(&reading->parser))
        memory_exhausted();
    yaml_parser_set_encoding(&reading->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input(&reading->parser, source_read, &reading->source);
    reading->source.limit = reading->reader->budget.bytes > 0 ? reading->reader->budget.bytes : DEFAULT_BYTES;
    reading->build = document_build_new(reading->reader, reading->file, reading->any_root, reading->problems);
    bool complete = read_events(reading);
    if (reading->reader->whole != NULL)
        *reading->reader->whole = complete;
    *done = complete && reading->problems->errors == errors_before;
    struct document *document = *done && reading->reader->entry == NULL ? document_build_take(reading->build) : NULL;
    document_build_free(reading->build);
    yaml_parser_delete(&reading->parser);
    return document;
}

static struct document *read_file(const char *path, struct reading *reading, bool *done)
{
    *done = false;
    if (access(path, R_OK) != 0) {
        problem_add(reading->problems, PROBLEM_ERROR, (struct place){0}, NULL, "cannot read '%s': %s", reading->file,
                    strerror(errno));
        return NULL;
    }
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(descriptor_close) int descriptor = file_open(path, NULL, &error);
    if (descriptor < 0) {
        problem_from_error(reading->problems, &error);
        return NULL;
    }
    reading->source.descriptor = descriptor;
    return read_source(reading, done);
}

bool document_stream(const char *path, const char *shown_path, const struct document_reader *reader,
                     struct problems *problems)
{
    struct reading reading = {.reader = reader, .file = shown_path, .problems = problems};
    bool done;
    document_free(read_file(path, &reading, &done));
    return done;
}

struct document *document_read_with(const char *path, const char *shown_path, const struct document_reader *reader,
                                    struct problems *problems)
{
    struct document_reader whole = *reader;
    whole.entry = NULL;
    struct reading reading = {.reader = &whole, .file = shown_path, .problems = problems};
    bool done;
    return read_file(path, &reading, &done);
}

struct document *document_read(const char *path, const char *shown_path, const struct document_budget *budget,
                               struct problems *problems)
{
    struct document_reader reader = {.budget = budget != NULL ? *budget : (struct document_budget){0}};
    return document_read_with(path, shown_path, &reader, problems);
}

static struct document *parse_bytes(const char *bytes, size_t length, struct reading *reading)
{
    reading->source = (struct source){.descriptor = -1, .bytes = bytes, .length = length};
    bool done;
    return read_source(reading, &done);
}

struct document *document_parse(const char *bytes, size_t length, const char *shown_path,
                                const struct document_budget *budget, struct problems *problems)
{
    struct document_reader reader = {.budget = budget != NULL ? *budget : (struct document_budget){0}};
    struct reading reading = {.reader = &reader, .file = shown_path, .problems = problems};
    return parse_bytes(bytes, length, &reading);
}

struct document *document_parse_value(const char *value, const char *shown_path, struct problems *problems)
{
    struct document_reader reader = {.no_variables = true, .budget = {.bytes = 1u << 20, .nodes = 100000}};
    struct reading reading = {.reader = &reader, .file = shown_path, .problems = problems, .any_root = true};
    return parse_bytes(value, strlen(value), &reading);
}

bool document_stream_bytes(const char *bytes, size_t length, const char *shown_path,
                           const struct document_reader *reader, struct problems *problems)
{
    struct reading reading = {.reader = reader, .file = shown_path, .problems = problems};
    size_t errors_before = problems->errors;
    document_free(parse_bytes(bytes, length, &reading));
    return problems->errors == errors_before;
}
