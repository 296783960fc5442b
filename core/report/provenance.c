/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What ran, for whoever asks years later.
 *
 * How it works: everything is taken from the journal, whose chain `descpipe verify` checks; this file is a view of it
 * for other programs. What decided a task (its image, command, environment, files) is its key's fields; a cached task
 * names the run that has them.
 */
#include <jansson.h>
#include <string.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/members.h"
#include "report/decided.h"
#include "report/number_index.h"
#include "report/run_records.h"
#include "run/journal/journal.h"

enum { RENDERED = 16 };
struct rendered {   /* what decided tasks that are alike */
    uint64_t whole; /* decided_fields; 0: nothing here */
    struct text text;
};

struct provenance { /* parts of the journal, as JSON */
    const struct journal_reader *reader;
    struct arena *arena, *passing;
    struct number_index published; /* job → the place of the record with its files */
    LIST(struct journal_place) places;
    char *plugins, *options, *site;
    struct text images;
    struct text sources;
    struct rendered rendered[RENDERED]; /* by `whole` */
};

static void member_name(struct text *out, const char *name)
{
    text_append(out, ",\"");
    text_append(out, name); /* a word of ours */
    text_append(out, "\":");
}

static void member(struct text *out, const char *name, const char *value)
{
    member_name(out, name);
    if (value != NULL && value[0] != '\0')
        text_append_json(out, value);
    else
        text_append(out, "null");
}

static void member_time(struct text *out, const char *name, int64_t wall_ms)
{
    member_name(out, name);
    if (wall_ms <= 0) {
        text_append(out, "null");
        return;
    }
    text_append_character(out, '"');
    clock_append_stamp(out, wall_ms);
    text_append_character(out, '"');
}

static char *raw_copy(struct arena *arena, const struct members *record, const char *name)
{
    const char *bytes;
    size_t length;
    return members_raw(record, name, &bytes, &length) ? arena_copy(arena, bytes, length) : NULL;
}

static void take_image(struct provenance *sources, const struct members *record, struct journal_place place)
{
    static const char *const names[] = {"reference", "config_digest", "manifest_digest", "handle"};
    (void)place;
    if (members_text(record, "failure") != NULL || members_text(record, "image") == NULL)
        return;
    text_append(&sources->images, sources->images.length > 0 ? ",\n" : "");
    text_append(&sources->images, "{\"image\":");
    text_append_json(&sources->images, members_text(record, "image"));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        member(&sources->images, names[i], members_text(record, names[i]));
    text_append(&sources->images, "}");
}

static void take_source(struct provenance *sources, const struct members *record, struct journal_place place)
{
    (void)place;
    text_append(&sources->sources, sources->sources.length > 0 ? ",\n" : "");
    text_append(&sources->sources, "{\"folder\":");
    text_append_json(&sources->sources, members_text(record, "folder") != NULL ? members_text(record, "folder") : "");
    member(&sources->sources, "commit", members_text(record, "commit"));
    text_append(&sources->sources, members_true(record, "dirty") ? ",\"dirty\":true}" : ",\"dirty\":false}");
}

static void take_run(struct provenance *sources, const struct members *record, struct journal_place place)
{
    (void)place;
    sources->plugins = raw_copy(sources->arena, record, "plugins");
    sources->options = raw_copy(sources->arena, record, "options");
    sources->site = raw_copy(sources->arena, record, "site");
}

static void take_publish(struct provenance *sources, const struct members *record, struct journal_place place)
{
    int64_t job = members_number(record, "job");
    if (job <= 0)
        return;
    number_index_put(&sources->published, (uint64_t)job, (uint32_t)sources->places.count);
    list_add(&sources->places, place);
}

static const struct {
    const char *kind;
    void (*take)(struct provenance *sources, const struct members *record, struct journal_place place);
} kinds[] = {{"publish", take_publish}, {"run", take_run}, {"image", take_image}, {"source", take_source}};

struct provenance *provenance_new(const struct journal_reader *reader)
{
    struct provenance *sources = memory_allocate(sizeof *sources);
    *sources = (struct provenance){.reader = reader, .arena = arena_new(), .passing = arena_new()};
    return sources;
}

void provenance_apply(struct provenance *sources, const struct journal_record *record)
{
    struct members members;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(record->kind, kinds[i].kind) != 0)
            continue;
        arena_reset(sources->passing);
        if (members_find(&members, sources->passing, record->line, record->length))
            kinds[i].take(sources, &members, record->place);
    }
}

void provenance_free(struct provenance *sources)
{
    if (sources == NULL)
        return;
    arena_free(sources->arena);
    arena_free(sources->passing);
    number_index_clear(&sources->published);
    list_clear(&sources->places);
    text_clear(&sources->images);
    text_clear(&sources->sources);
    for (size_t i = 0; i < RENDERED; i++)
        text_clear(&sources->rendered[i].text);
    memory_free(sources);
}

static void append_files(const struct decided_fields *fields, const char *kind, const char *name, struct text *out)
{
    size_t length = strlen(kind);
    bool first = true;
    member_name(out, name);
    text_append_character(out, '[');
    for (size_t i = 0; i < fields->count; i++) {
        if (strncmp(fields->items[i].name, kind, length) != 0)
            continue;
        text_append(out, first ? "{\"name\":" : ",{\"name\":");
        first = false;
        text_append_json(out, fields->items[i].name + length);
        member(out, "path", fields->items[i].path);
        member(out, "sha256", fields->items[i].value);
        text_append(out, "}");
    }
    text_append(out, "]");
}

static void append_environment(const struct decided_fields *fields, struct text *out)
{
    static const char kind[] = "environment ";
    bool first = true;
    text_append(out, ",\"environment\":{");
    for (size_t i = 0; i < fields->count; i++) {
        if (!text_starts_with(fields->items[i].name, kind))
            continue;
        const char *name = fields->items[i].name + sizeof kind - 1;
        text_append(out, first ? "" : ",");
        first = false;
        text_append_json(out, name);
        text_append(out, ":");
        text_append_json(out, name_sounds_secret(name) ? "(not shown)" : fields->items[i].value);
    }
    text_append(out, "}");
}

static const char *field_value(const struct decided_fields *fields, const char *name)
{
    for (size_t i = 0; i < fields->count; i++)
        if (strcmp(fields->items[i].name, name) == 0)
            return fields->items[i].value;
    return NULL;
}

static void append_fields(const struct decided_fields *fields, struct text *out)
{
    member(out, "image", field_value(fields, "image"));
    member(out, "command", field_value(fields, "command"));
    append_environment(fields, out);
    append_files(fields, "input ", "inputs", out);
    append_files(fields, "config ", "configs", out);
    append_files(fields, "program ", "programs", out);
}

static void append_decided(const struct run_records *records, const struct decided_task *task, struct text *out)
{
    struct decided_fields fields;
    member(out, "key", task->key);
    member(out, "made_by", task->made_by);
    if (!decided_fields(records->decided, task, records->passing, &fields))
        return;
    if (fields.whole == 0) {
        append_fields(&fields, out);
        return;
    }
    struct rendered *rendered = &records->sources->rendered[fields.whole % RENDERED];
    if (rendered->whole != fields.whole) {
        text_reset(&rendered->text);
        append_fields(&fields, &rendered->text);
        rendered->whole = fields.whole;
    }
    text_append_bytes(out, rendered->text.bytes, rendered->text.length);
}

/* What its attempt published: nothing, where the record cannot be read again. */
static void append_outputs(const struct provenance *sources, uint64_t job, struct arena *arena, struct text *out)
{
    uint32_t number = number_index_get(&sources->published, job);
    struct members record;
    const char *files = NULL, *line = NULL;
    size_t length = 0;
    if (number != UINT32_MAX)
        line = journal_reader_again(sources->reader, sources->places.items[number], arena);
    text_append(out, ",\"outputs\":");
    if (line != NULL && members_find(&record, arena, line, sources->places.items[number].length) &&
        members_raw(&record, "files", &files, &length))
        text_append_bytes(out, files, length);
    else
        text_append(out, "[]");
}

static void append_task(const struct run_records *records, uint32_t number, struct text *out)
{
    const struct run_view *view = records->view;
    const struct task_view *task = &view->tasks.items[number];
    const char *stage = run_view_text(view, task->stage);
    const char *member_text = task->member != 0 ? run_view_text(view, task->member) : NULL;
    struct decided_task why;
    arena_reset(records->passing);
    text_append(out, "{\"stage\":");
    text_append_json(out, stage);
    member(out, "member", member_text);
    member(out, "state", task_state_name((enum task_state)task->state));
    member(out, "verdict", run_view_text(view, task->verdict));
    member_name(out, "attempt");
    text_append_unsigned(out, task->attempt);
    member(out, "host", run_view_text(view, task->host));
    member_time(out, "started", task->started_at_ms);
    member_time(out, "finished", task->finished_at_ms);
    if (decided_task(records->decided, stage, member_text, records->passing, &why))
        append_decided(records, &why, out);
    append_outputs(records->sources, task->job, records->passing, out);
    text_append(out, "}");
}

static void append_run(const struct run_records *records, const char *version, struct text *out)
{
    const struct run_view *view = records->view;
    const struct provenance *sources = records->sources;
    text_append(out, "{\"descpipe\":");
    text_append_json(out, version);
    member(out, "run", view->run);
    member(out, "pipeline", view->name);
    member(out, "file", view->pipeline);
    member(out, "user", view->user);
    member(out, "host", view->host);
    text_format(out, ",\"site\":%s", sources->site != NULL ? sources->site : "null");
    member(out, "backend", view->backend);
    member(out, "state", run_view_state(view));
    member_time(out, "started", view->started_at_ms);
    member_time(out, "finished", view->finished_at_ms);
    text_format(out, ",\n\"options\":%s", sources->options != NULL ? sources->options : "null");
    text_format(out, ",\n\"plugins\":%s", sources->plugins != NULL ? sources->plugins : "[]");
    text_format(out, ",\n\"sources\":[%s]", text_bytes(&sources->sources));
    text_format(out, ",\n\"images\":[%s]", text_bytes(&sources->images));
    text_append(out, ",\n\"tasks\":[");
}

bool provenance_next(void *context, struct text *piece)
{
    struct records_writing *writing = context;
    uint32_t tasks = (uint32_t)writing->records->view->tasks.count;
    if (!writing->begun)
        append_run(writing->records, writing->version, piece);
    writing->begun = true;
    for (; writing->task < tasks && piece->length < RECORDS_PIECE; writing->task++) {
        text_append(piece, writing->task > 0 ? ",\n" : "\n");
        append_task(writing->records, writing->task, piece);
    }
    if (writing->task == tasks && !writing->ended) {
        text_append(piece, "\n]}\n");
        writing->ended = true;
    }
    return piece->length > 0;
}
