/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads what decided the tasks of a run.
 *
 * How it works: a record names what differs from an earlier one, which is whole. Only where they lie in the journal is
 * kept, some fifty bytes a task; who asks for a task makes them be read again. So a run of 100,000 stages can be
 * written about by a process that has no room for its journal.
 */
#include "report/decided.h"

#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/table.h"
#include "base/text.h"
#include "report/number_index.h"
#include "run/journal/journal.h"

enum { LIKES = 64, LIKE_BYTES = 64 * 1024 };
struct like { /* a record that others say what they have otherwise */
    uint64_t sequence;
    struct decided_fields fields;
};
struct decided_place {
    uint64_t at;
    uint32_t length;
    uint32_t key; /* how the key of it begins */
};

struct decided {
    struct journal_reader *own;
    const struct journal_reader *reader;
    struct arena *passing;
    struct symbols *names;
    struct number_index tasks; /* stage and member → the place of the last record that decides */
    struct number_index whole; /* sequence of a record that others may be like → its place */
    struct number_index texts; /* the first bytes of a digest → the place of its text */
    LIST(struct decided_place) places;
    struct like likes[LIKES]; /* the first of them that were asked for, in `kept` */
    size_t likes_count;
    struct arena *kept;
};

static void keep_place(struct decided *decided, struct number_index *index, uint64_t key,
                       const struct journal_record *record)
{
    const struct decided_place place = {.at = record->place.at, .length = record->place.length};
    number_index_put(index, key, (uint32_t)decided->places.count);
    list_add(&decided->places, place);
}

/* The record there, or false. */
static bool read_again(const struct decided *decided, const struct number_index *index, uint64_t key,
                       struct arena *arena, struct members *record)
{
    uint32_t number = number_index_get(index, key);
    if (number == UINT32_MAX)
        return false;
    const struct decided_place *kept = &decided->places.items[number];
    const struct journal_place place = {.at = kept->at, .length = kept->length};
    const char *line = journal_reader_again(decided->reader, place, arena);
    return line != NULL && members_find(record, arena, line, place.length);
}

static uint64_t task_key(symbol stage, symbol member)
{
    return (uint64_t)stage << 32 | member;
}

/* Two digests with the same beginning do not happen; who reads the text compares all of it. */
static uint64_t digest_beginning(const char *sha256)
{
    enum { DIGITS = 16 };
    char beginning[DIGITS + 1];
    memcpy(beginning, sha256, DIGITS);
    beginning[DIGITS] = '\0';
    return strtoull(beginning, NULL, DIGITS);
}

static void keep_task(struct decided *decided, const struct members *record, const struct journal_record *journal)
{
    const char *stage = members_text(record, "stage"), *member = members_text(record, "member");
    if (stage == NULL || stage[0] == '\0')
        return;
    symbol stage_name = symbol_intern(decided->names, stage, strlen(stage));
    symbol member_name = member != NULL ? symbol_intern(decided->names, member, strlen(member)) : 0;
    keep_place(decided, &decided->tasks, task_key(stage_name, member_name), journal);
    const char *key = members_text(record, "key");
    if (key != NULL && digest_is_text(key))
        decided->places.items[decided->places.count - 1].key = (uint32_t)(digest_beginning(key) >> 32);
}

static void apply_key(struct decided *decided, const struct members *record, const struct journal_record *journal)
{
    keep_task(decided, record, journal);
    if (members_number(record, "like") <= 0)
        keep_place(decided, &decided->whole, journal->sequence, journal);
}

static void apply_state(struct decided *decided, const struct members *record, const struct journal_record *journal)
{
    if (text_equal(members_text(record, "state"), "cached"))
        keep_task(decided, record, journal);
}

static void apply_text(struct decided *decided, const struct members *record, const struct journal_record *journal)
{
    const char *sha256 = members_text(record, "sha256");
    if (sha256 != NULL && digest_is_text(sha256) && digest_beginning(sha256) != 0)
        keep_place(decided, &decided->texts, digest_beginning(sha256), journal);
}

static const struct {
    const char *kind;
    void (*apply)(struct decided *decided, const struct members *record, const struct journal_record *journal);
} kinds[] = {{"key", apply_key}, {"state", apply_state}, {"text", apply_text}};

struct decided *decided_new(const struct journal_reader *reader)
{
    struct decided *decided = memory_allocate(sizeof *decided);
    *decided = (struct decided){.reader = reader, .passing = arena_new(), .kept = arena_new(), .names = symbols_new()};
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
    struct journal_reader *reader = journal_reader_open(run_folder, error);
    if (reader == NULL)
        return NULL;
    struct decided *decided = decided_new(reader);
    struct journal_record record;
    decided->own = reader;
    while (journal_reader_next(reader, &record))
        decided_apply(decided, &record);
    return decided;
}

void decided_free(struct decided *decided)
{
    if (decided == NULL)
        return;
    journal_reader_close(decided->own);
    symbols_free(decided->names);
    number_index_clear(&decided->tasks);
    number_index_clear(&decided->whole);
    number_index_clear(&decided->texts);
    list_clear(&decided->places);
    arena_free(decided->passing);
    arena_free(decided->kept);
    memory_free(decided);
}

/* What `tasks` has it under; 0: nothing is known of it. */
static uint64_t find_task(const struct decided *decided, const char *stage, const char *member)
{
    symbol stage_name = symbol_find(decided->names, stage, strlen(stage));
    symbol member_name = member != NULL ? symbol_find(decided->names, member, strlen(member)) : 0;
    return stage_name == 0 || (member != NULL && member_name == 0) ? 0 : task_key(stage_name, member_name);
}

bool decided_task(const struct decided *decided, const char *stage, const char *member, struct arena *arena,
                  struct decided_task *task)
{
    *task = (struct decided_task){.key = NULL};
    uint64_t key = find_task(decided, stage, member);
    if (key == 0 || !read_again(decided, &decided->tasks, key, arena, &task->record))
        return false;
    task->key = members_text(&task->record, "key");
    task->refused = members_text(&task->record, "refused");
    task->made_by = members_text(&task->record, "made_by");
    int64_t made_in = members_number(&task->record, "made_in");
    task->made_in = made_in > 0 ? (uint64_t)made_in : 0;
    return true;
}

bool decided_key_beginning(const struct decided *decided, const char *stage, const char *member,
                           char beginning[DECIDED_BEGINNING])
{
    static const char digits[] = "0123456789abcdef";
    uint64_t key = find_task(decided, stage, member);
    uint32_t number = key != 0 ? number_index_get(&decided->tasks, key) : UINT32_MAX;
    uint32_t value = number != UINT32_MAX ? decided->places.items[number].key : 0;
    if (value == 0)
        return false;
    for (unsigned i = 0; i < DECIDED_BEGINNING - 1; i++)
        beginning[i] = digits[value >> (28 - 4 * i) & 15];
    beginning[DECIDED_BEGINNING - 1] = '\0';
    return true;
}

static int compare_fields(const void *left, const void *right)
{
    return strcmp(((const struct decided_field *)left)->name, ((const struct decided_field *)right)->name);
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
static void take_fields(const struct members *record, struct decided_fields *fields)
{
    struct members item;
    struct arena *arena = record->arena;
    size_t before = fields->count, capacity = before;
    for (struct elements all = members_elements(record, "fields"); elements_next(&all, &item);) {
        const char *name = members_text(&item, "name"), *value = members_text(&item, "value");
        if (name == NULL || value == NULL)
            continue;
        const struct decided_field field = {.name = name, .value = value, .path = members_text(&item, "path")};
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

static void sort_fields(struct decided_fields *fields)
{
    if (fields->count > 0)
        qsort(fields->items, fields->count, sizeof *fields->items, compare_fields);
}

/* The fields of a whole record: of the first LIKES of them kept for the tasks to come. */
static bool whole_fields(struct decided *decided, uint64_t sequence, struct arena *arena, struct decided_fields *fields)
{
    struct members record;
    for (size_t i = 0; i < decided->likes_count; i++)
        if (decided->likes[i].sequence == sequence) {
            *fields = decided->likes[i].fields;
            return true;
        }
    uint32_t number = number_index_get(&decided->whole, sequence);
    bool keeps =
        number != UINT32_MAX && decided->places.items[number].length <= LIKE_BYTES && decided->likes_count < LIKES;
    if (!read_again(decided, &decided->whole, sequence, keeps ? decided->kept : arena, &record))
        return false; /* damaged: what `verify` is for */
    take_fields(&record, fields);
    sort_fields(fields);
    fields->whole = keeps ? sequence : 0;
    if (keeps)
        decided->likes[decided->likes_count++] = (struct like){.sequence = sequence, .fields = *fields};
    return true;
}

static bool says_nothing_else(const struct members *record)
{
    struct members item;
    const char *bytes;
    size_t length;
    struct elements all = members_elements(record, "fields");
    return !elements_next(&all, &item) && !members_raw(record, "without", &bytes, &length);
}

/* For who changes them. */
static void copy_fields(struct decided_fields *fields, struct arena *arena)
{
    struct decided_field *items = arena_allocate(arena, (fields->count + 1) * sizeof *items);
    if (fields->count > 0)
        memcpy(items, fields->items, fields->count * sizeof *items);
    *fields = (struct decided_fields){.items = items, .count = fields->count};
}

bool decided_fields(struct decided *decided, const struct decided_task *task, struct arena *arena,
                    struct decided_fields *fields)
{
    *fields = (struct decided_fields){.count = 0};
    if (members_text(&task->record, "state") != NULL)
        return false;
    int64_t sequence = members_number(&task->record, "like");
    if (sequence > 0) {
        if (!whole_fields(decided, (uint64_t)sequence, arena, fields))
            return false;
        uint64_t whole = fields->whole;
        copy_fields(fields, arena);
        if (says_nothing_else(&task->record)) {
            fields->whole = whole;
            return true;
        }
        leave_out(&task->record, fields);
    }
    take_fields(&task->record, fields);
    sort_fields(fields);
    return true;
}

void decided_texts(const struct decided *decided, struct arena *arena, struct decided_fields *fields)
{
    struct members record;
    for (size_t i = 0; i < fields->count; i++) {
        struct decided_field *field = &fields->items[i];
        if (digest_is_text(field->value) &&
            read_again(decided, &decided->texts, digest_beginning(field->value), arena, &record) &&
            text_equal(members_text(&record, "sha256"), field->value))
            field->text = members_text(&record, "content");
    }
}

void decided_of_identity(const struct identity *identity, struct decided_fields *fields)
{
    fields->items = arena_allocate(identity->arena, (identity->count + 1) * sizeof *fields->items);
    fields->count = identity->count;
    for (size_t i = 0; i < identity->count; i++) {
        const struct identity_field *field = &identity->fields[i];
        cleanup(text_clear) struct text text = TEXT_INIT;
        bool has_text = identity_field_text(field, &text);
        fields->items[i] = (struct decided_field){
            .name = field->name,
            .value = field->value,
            .path = field->path,
            .text = has_text ? arena_copy(identity->arena, text_bytes(&text), text.length) : NULL};
    }
}
