/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads what decided the tasks of a run.
 *
 * How it works: a record names what differs from an earlier one, which is whole; both are kept as they stand, and only
 * looked into when a task is asked for.
 */
#include "report/decided.h"

#include <stdlib.h>
#include <string.h>

#include "base/members.h"
#include "base/text.h"
#include "report/number_index.h"
#include "run/journal/journal.h"

struct decided {
    struct arena *arena, *passing;
    struct table *tasks;       /* "STAGE" or "STAGE/MEMBER" → struct decided_task */
    struct table *texts;       /* digest → text */
    struct number_index whole; /* sequence of a record that others may be like → its place in `records` */
    LIST(struct decided_record) records;
};

static char *task_name(struct arena *arena, const char *stage, const char *member)
{
    cleanup(text_clear) struct text name = TEXT_INIT;
    text_append(&name, stage);
    if (member != NULL) {
        text_append_character(&name, '/');
        text_append(&name, member);
    }
    return arena_copy(arena, text_bytes(&name), name.length);
}

static const char *kept_text(struct decided *decided, const struct members *record, const char *name)
{
    const char *text = members_text(record, name);
    return text != NULL ? arena_copy(decided->arena, text, strlen(text)) : NULL;
}

static struct decided_task *named_task(struct decided *decided, const struct members *record)
{
    const char *stage = members_text(record, "stage");
    if (stage == NULL)
        return NULL;
    const char *name = task_name(decided->arena, stage, members_text(record, "member"));
    struct decided_task *task = table_get(decided->tasks, name);
    if (task == NULL) {
        task = arena_allocate(decided->arena, sizeof *task);
        table_put(decided->tasks, name, task);
    }
    return task;
}

static void apply_key(struct decided *decided, const struct members *record, const struct journal_record *journal)
{
    struct decided_task *task = named_task(decided, record);
    if (task == NULL)
        return;
    task->key = kept_text(decided, record, "key");
    task->refused = kept_text(decided, record, "refused");
    task->made_by = NULL;
    task->record = (struct decided_record){.line = arena_copy(decided->arena, journal->line, journal->length),
                                           .length = journal->length};
    if (members_number(record, "like") > 0)
        return;
    number_index_put(&decided->whole, journal->sequence, (uint32_t)decided->records.count);
    list_add(&decided->records, task->record);
}

static void apply_state(struct decided *decided, const struct members *record, const struct journal_record *journal)
{
    (void)journal;
    if (!text_equal(members_text(record, "state"), "cached"))
        return;
    struct decided_task *task = named_task(decided, record);
    if (task == NULL)
        return;
    task->key = kept_text(decided, record, "key");
    task->made_by = kept_text(decided, record, "made_by");
    int64_t made_in = members_number(record, "made_in");
    task->made_in = made_in > 0 ? (uint64_t)made_in : 0;
    task->record = (struct decided_record){.line = NULL};
}

static void apply_text(struct decided *decided, const struct members *record, const struct journal_record *journal)
{
    (void)journal;
    const char *sha256 = members_text(record, "sha256");
    const char *content = kept_text(decided, record, "content");
    if (sha256 != NULL && content != NULL)
        table_put(decided->texts, sha256, (void *)(uintptr_t)content);
}

static const struct {
    const char *kind;
    void (*apply)(struct decided *decided, const struct members *record, const struct journal_record *journal);
} kinds[] = {{"key", apply_key}, {"state", apply_state}, {"text", apply_text}};

struct decided *decided_new(void)
{
    struct decided *decided = memory_allocate(sizeof *decided);
    *decided =
        (struct decided){.arena = arena_new(), .passing = arena_new(), .tasks = table_new(), .texts = table_new()};
    return decided;
}

void decided_apply(struct decided *decided, const struct journal_record *record)
{
    size_t kind = 0;
    while (kind < sizeof kinds / sizeof *kinds && strcmp(kinds[kind].kind, record->kind) != 0)
        kind++;
    struct members members;
    arena_reset(decided->passing);
    if (kind < sizeof kinds / sizeof *kinds && members_find(&members, decided->passing, record->line, record->length))
        kinds[kind].apply(decided, &members, record);
}

struct decided *decided_read(const char *run_folder, struct error *error)
{
    cleanup(journal_reader_close) struct journal_reader *reader = journal_reader_open(run_folder, error);
    if (reader == NULL)
        return NULL;
    struct decided *decided = decided_new();
    struct journal_record record;
    while (journal_reader_next(reader, &record))
        decided_apply(decided, &record);
    return decided;
}

void decided_free(struct decided *decided)
{
    if (decided == NULL)
        return;
    table_free(decided->tasks);
    table_free(decided->texts);
    number_index_clear(&decided->whole);
    list_clear(&decided->records);
    arena_free(decided->passing);
    arena_free(decided->arena);
    memory_free(decided);
}

const struct decided_task *decided_task(const struct decided *decided, const char *stage, const char *member)
{
    return table_get(decided->tasks, task_name(decided->arena, stage, member));
}

static int compare_fields(const void *left, const void *right)
{
    return strcmp(((const struct decided_field *)left)->name, ((const struct decided_field *)right)->name);
}

static const char *text_into(struct arena *arena, const char *text)
{
    return text != NULL ? arena_copy(arena, text, strlen(text)) : NULL;
}

/* Some fifty fields, each looked for among as many: what has thousands has them in its own record. */
static struct decided_field *find_field(struct decided_fields *fields, const char *name)
{
    for (size_t i = 0; i < fields->count; i++)
        if (strcmp(fields->items[i].name, name) == 0)
            return &fields->items[i];
    return NULL;
}

/* The record's fields: of those that are there already (it is like another) the new value counts. */
static void take_fields(const struct decided *decided, const struct members *record, struct decided_fields *fields)
{
    struct members item;
    struct arena *arena = record->arena;
    size_t before = fields->count, capacity = before;
    for (struct elements all = members_elements(record, "fields"); elements_next(&all, &item);) {
        const char *name = members_text(&item, "name"), *value = members_text(&item, "value");
        if (name == NULL || value == NULL)
            continue;
        const struct decided_field field = {.name = name,
                                            .value = value,
                                            .path = members_text(&item, "path"),
                                            .text = table_get(decided->texts, value)};
        struct decided_field *same = before > 0 ? find_field(fields, name) : NULL;
        if (same != NULL) {
            *same = field;
            continue;
        }
        if (fields->count == capacity) {
            capacity = capacity < 16 ? 32 : capacity * 2;
            struct decided_field *items = arena_allocate(arena, capacity * sizeof *items);
            if (fields->count > 0)
                memcpy(items, fields->items, fields->count * sizeof *items);
            fields->items = items;
        }
        fields->items[fields->count++] = field;
    }
}

static void leave_out(const struct members *record, struct decided_fields *fields)
{
    json_t *names = members_json(record, "without");
    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        struct decided_field *field = name != NULL ? find_field(fields, name) : NULL;
        if (field != NULL)
            *field = fields->items[--fields->count];
    }
    json_decref(names);
}

bool decided_fields(const struct decided *decided, const struct decided_task *task, struct arena *arena,
                    struct decided_fields *fields)
{
    struct members record, like;
    *fields = (struct decided_fields){.count = 0};
    if (task->record.line == NULL || !members_find(&record, arena, task->record.line, task->record.length))
        return false;
    int64_t sequence = members_number(&record, "like");
    if (sequence > 0) {
        uint32_t place = number_index_get(&decided->whole, (uint64_t)sequence);
        if (place == UINT32_MAX ||
            !members_find(&like, arena, decided->records.items[place].line, decided->records.items[place].length))
            return false; /* damaged: what `verify` is for */
        take_fields(decided, &like, fields);
        leave_out(&record, fields);
    }
    take_fields(decided, &record, fields);
    if (fields->count > 0)
        qsort(fields->items, fields->count, sizeof *fields->items, compare_fields);
    return true;
}

void decided_of_identity(const struct identity *identity, struct decided_fields *fields)
{
    fields->items = arena_allocate(identity->arena, (identity->count + 1) * sizeof *fields->items);
    fields->count = identity->count;
    for (size_t i = 0; i < identity->count; i++) {
        const struct identity_field *field = &identity->fields[i];
        cleanup(text_clear) struct text text = TEXT_INIT;
        bool has_text = identity_field_text(field, &text);
        fields->items[i] =
            (struct decided_field){.name = field->name,
                                   .value = field->value,
                                   .path = field->path,
                                   .text = has_text ? text_into(identity->arena, text_bytes(&text)) : NULL};
    }
}
