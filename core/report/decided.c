/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads what decided the tasks of a run. */
#include "report/decided.h"

#include <stdlib.h>
#include <string.h>

#include "base/members.h"
#include "base/text.h"
#include "run/journal/journal.h"

struct decided {
    struct arena *arena;
    struct table *tasks; /* "STAGE" or "STAGE/MEMBER" → struct decided_task */
    struct table *texts; /* digest → text */
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
    task->line = arena_copy(decided->arena, journal->line, journal->length);
    task->length = journal->length;
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
    task->line = NULL;
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

struct decided *decided_read(const char *run_folder, struct error *error)
{
    cleanup(journal_reader_close) struct journal_reader *reader = journal_reader_open(run_folder, error);
    if (reader == NULL)
        return NULL;
    struct decided *decided = memory_allocate(sizeof *decided);
    *decided = (struct decided){.arena = arena_new(), .tasks = table_new(), .texts = table_new()};
    cleanup(arena_free) struct arena *passing = arena_new();
    struct journal_record record;
    while (journal_reader_next(reader, &record)) {
        size_t kind = 0;
        while (kind < sizeof kinds / sizeof *kinds && strcmp(kinds[kind].kind, record.kind) != 0)
            kind++;
        struct members members;
        arena_reset(passing);
        if (kind < sizeof kinds / sizeof *kinds && members_find(&members, passing, record.line, record.length))
            kinds[kind].apply(decided, &members, &record);
    }
    return decided;
}

void decided_free(struct decided *decided)
{
    if (decided == NULL)
        return;
    table_free(decided->tasks);
    table_free(decided->texts);
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

bool decided_fields(const struct decided *decided, const struct decided_task *task, struct arena *arena,
                    struct decided_fields *fields)
{
    struct members record, item;
    *fields = (struct decided_fields){.count = 0};
    if (task->line == NULL || !members_find(&record, arena, task->line, task->length))
        return false;
    LIST(struct decided_field) list = {.items = NULL};
    for (struct elements all = members_elements(&record, "fields"); elements_next(&all, &item);) {
        const char *name = members_text(&item, "name"), *value = members_text(&item, "value");
        if (name == NULL || value == NULL)
            continue;
        const struct decided_field field = {.name = text_into(arena, name),
                                            .value = text_into(arena, value),
                                            .path = text_into(arena, members_text(&item, "path")),
                                            .text = table_get(decided->texts, value)};
        list_add(&list, field);
    }
    fields->items = arena_allocate(arena, (list.count + 1) * sizeof *list.items);
    fields->count = list.count;
    if (list.count > 0) {
        memcpy(fields->items, list.items, list.count * sizeof *list.items);
        qsort(fields->items, fields->count, sizeof *fields->items, compare_fields);
    }
    list_clear(&list);
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
