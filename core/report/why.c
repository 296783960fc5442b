/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Why a task ran.
 *
 * How it works: the run's journal has what decided the task then; the file of what the working folder remembers says
 * which earlier run had made it last, and that run's journal has the other values. Both lists are sorted, so that one
 * walk over them finds what differs.
 */
#include "report/why.h"

#include <string.h>

#include "base/path.h"
#include "base/text.h"

enum { LINES_SHOWN = 12, VALUE_SHOWN = 300, DIGEST_SHOWN = 12 };

void why_compare(struct why *why, const struct decided_fields *before, const struct decided_fields *after)
{
    why->changes = arena_allocate(why->arena, (before->count + after->count + 1) * sizeof *why->changes);
    why->changes_count = 0;
    for (size_t i = 0, j = 0; i < before->count || j < after->count;) {
        const struct decided_field *one = i < before->count ? &before->items[i] : NULL;
        const struct decided_field *other = j < after->count ? &after->items[j] : NULL;
        int order = one == NULL ? 1 : other == NULL ? -1 : strcmp(one->name, other->name);
        i += order <= 0;
        j += order >= 0;
        if (order == 0 && strcmp(one->value, other->value) == 0)
            continue;
        why->changes[why->changes_count++] =
            (struct why_change){.before = order <= 0 ? one : NULL, .after = order >= 0 ? other : NULL};
    }
}

/* For who outlives `decided`, which keeps what it has told of several tasks. */
static void own_fields(struct decided_fields *fields, struct arena *arena)
{
    struct decided_field *items = arena_allocate(arena, (fields->count + 1) * sizeof *items);
    for (size_t i = 0; i < fields->count; i++) {
        const struct decided_field *field = &fields->items[i];
        items[i] = (struct decided_field){.name = arena_copy_text(arena, field->name),
                                          .value = arena_copy_text(arena, field->value),
                                          .path = arena_copy_text(arena, field->path),
                                          .text = field->text};
    }
    *fields = (struct decided_fields){.items = items, .count = fields->count};
}

bool why_earlier_fields(const char *descpipe_folder, const char *run, const char *stage, const char *member,
                        struct arena *arena, struct decided_fields *fields)
{
    if (!path_is_component(run))
        return false;
    cleanup(memory_free) char *folder = memory_format("%s/runs/%s", descpipe_folder, run);
    cleanup(decided_free) struct decided *decided = decided_read(folder, NULL);
    struct decided_task task;
    if (decided == NULL || !decided_task(decided, stage, member, arena, &task) ||
        !decided_fields(decided, &task, arena, fields))
        return false;
    decided_texts(decided, arena, fields);
    own_fields(fields, arena);
    return true;
}

static void compare_with(struct why *why, const char *descpipe_folder, const struct cache_result *before,
                         const struct decided_fields *now)
{
    struct decided_fields then;
    why->run = before->run;
    why->attempt = before->attempt;
    why->answer = WHY_BEFORE_LOST;
    if (!why_earlier_fields(descpipe_folder, before->run, before->stage, before->member, why->arena, &then))
        return;
    why_compare(why, &then, now);
    why->answer = WHY_CHANGED;
}

bool why_find(struct why *why, const struct run_view *view, uint32_t number, struct error *error)
{
    const struct task_view *task = &view->tasks.items[number];
    const char *stage = run_view_text(view, task->stage);
    const char *member = task->member != 0 ? run_view_text(view, task->member) : NULL;
    cleanup(decided_free) struct decided *decided = decided_read(view->folder, error);
    if (decided == NULL)
        return false;
    cleanup(memory_free) char *runs = path_folder(view->folder);
    cleanup(memory_free) char *descpipe = path_folder(runs);
    struct decided_task now;
    why->answer = WHY_NOT_STARTED;
    if (!decided_task(decided, stage, member, why->arena, &now))
        return true;
    if (now.made_by != NULL) {
        why->answer = WHY_CACHED;
        why->run = now.made_by;
        why->attempt = now.made_in;
        return true;
    }
    struct decided_fields fields;
    struct cache_result before;
    cleanup(cache_store_free) struct cache_store *store = cache_store_open(descpipe, false, NULL);
    bool known = store != NULL && decided_fields(decided, &now, why->arena, &fields) &&
                 cache_store_latest(store, stage, member, path_name(view->folder), why->arena, &before);
    why->answer = WHY_FIRST;
    if (known) {
        decided_texts(decided, why->arena, &fields);
        own_fields(&fields, why->arena);
        compare_with(why, descpipe, &before, &fields);
    }
    if (now.refused != NULL) {
        why->reason = now.refused;
        why->answer = WHY_REFUSED;
    }
    return true;
}

/* Printing. */

static void append_value(const struct decided_field *field, struct text *out)
{
    if (field == NULL)
        text_append(out, "(none)");
    else if (text_starts_with(field->name, "output ")) /* has no value: there is only whether a stage makes it */
        text_append(out, "(declared)");
    else if (digest_is_text(field->value))
        text_append_bytes(out, field->value, DIGEST_SHOWN);
    else
        text_append_printable(out, field->value[0] != '\0' ? field->value : "''", VALUE_SHOWN);
}

struct lines {
    const char *at, *end;
};

static size_t line_length(struct lines lines)
{
    const char *newline = memchr(lines.at, '\n', (size_t)(lines.end - lines.at));
    return newline != NULL ? (size_t)(newline + 1 - lines.at) : (size_t)(lines.end - lines.at);
}

static size_t last_line_length(struct lines lines)
{
    size_t length = (size_t)(lines.end - lines.at);
    const char *newline = length > 1 ? memrchr(lines.at, '\n', length - 1) : NULL;
    return newline != NULL ? (size_t)(lines.end - newline - 1) : length;
}

static bool drop_common(struct lines *one, struct lines *other, size_t (*measure)(struct lines), bool at_end)
{
    size_t length = measure(*one);
    if (length == 0 || length != measure(*other) ||
        memcmp(at_end ? one->end - length : one->at, at_end ? other->end - length : other->at, length) != 0)
        return false;
    one->at += at_end ? 0 : length;
    other->at += at_end ? 0 : length;
    one->end -= at_end ? length : 0;
    other->end -= at_end ? length : 0;
    return true;
}

static void print_lines(struct lines lines, char mark, struct text *out)
{
    int shown = 0;
    for (; lines.at < lines.end && shown < LINES_SHOWN; shown++) {
        size_t length = line_length(lines);
        cleanup(memory_free) char *line = memory_copy_bytes(lines.at, length - (lines.at[length - 1] == '\n'));
        text_format(out, "      %c ", mark);
        text_append_printable(out, line, VALUE_SHOWN);
        text_append_character(out, '\n');
        lines.at += length;
    }
    if (lines.at < lines.end)
        text_format(out, "      %c …\n", mark);
}

/* What differs of two texts, between their common beginning and end. */
static void print_text_change(const char *before, const char *after, struct text *out)
{
    struct lines one = {before, before + strlen(before)}, other = {after, after + strlen(after)};
    while (drop_common(&one, &other, line_length, false))
        ;
    while (drop_common(&one, &other, last_line_length, true))
        ;
    print_lines(one, '-', out);
    print_lines(other, '+', out);
}

static void print_change(const struct why_change *change, struct text *out)
{
    const struct decided_field *either = change->after != NULL ? change->after : change->before;
    text_append(out, "  ");
    text_append_printable(out, either->name, VALUE_SHOWN);
    text_append(out, ": ");
    append_value(change->before, out);
    text_append(out, " → ");
    append_value(change->after, out);
    if (either->path != NULL) {
        text_append(out, " (");
        text_append_printable(out, either->path, VALUE_SHOWN);
        text_append_character(out, ')');
    }
    text_append_character(out, '\n');
    if (change->before != NULL && change->after != NULL && change->before->text != NULL && change->after->text != NULL)
        print_text_change(change->before->text, change->after->text, out);
}

static void print_changes(const struct why *why, struct text *out)
{
    for (size_t i = 0; i < why->changes_count; i++)
        print_change(&why->changes[i], out);
}

void why_print(const struct why *why, const char *name, bool future, struct text *out)
{
    text_append(out, name);
    const char *runs = future ? "will run" : "ran";
    switch (why->answer) {
    case WHY_CACHED:
        text_format(out,
                    future ? " will not run: nothing that decides it has changed since run %s made it\n"
                           : " did not run: nothing that decides it had changed since run %s made it\n",
                    why->run);
        return;
    case WHY_CHANGED:
        text_format(out, " %s, because this has changed since run %s made it:\n", runs, why->run);
        print_changes(why, out);
        if (why->changes_count == 0)
            text_append(out, "  nothing that is known; its earlier result could not be read\n");
        return;
    case WHY_REFUSED:
        text_format(out, " %s: %s", runs, why->reason);
        text_append(out, why->changes_count > 0 ? "; since its last success this has changed as well:\n" : "\n");
        print_changes(why, out);
        return;
    case WHY_FIRST:
        text_format(out, " %s: no earlier run of this working folder has made it\n", runs);
        return;
    case WHY_BEFORE_LOST:
        text_format(out,
                    " %s, because something has changed since run %s, which is not there any more to compare with\n",
                    runs, why->run);
        return;
    case WHY_NOT_STARTED:
        text_append(out, " has not run\n");
        return;
    case WHY_WAITS:
        text_format(out, " runs after '%s', unless that makes what it made before\n", why->reason);
        return;
    }
}

static void json_member(struct text *out, const char *name, const char *value)
{
    text_format(out, ",\"%s\":", name);
    if (value != NULL)
        text_append_json(out, value);
    else
        text_append(out, "null");
}

static void json_change(const struct why_change *change, struct text *out)
{
    const struct decided_field *before = change->before, *after = change->after;
    const struct decided_field *either = after != NULL ? after : before;
    if (either == NULL)
        return;
    text_append(out, "{\"field\":");
    text_append_json(out, either->name);
    json_member(out, "before", before != NULL ? before->value : NULL);
    json_member(out, "after", after != NULL ? after->value : NULL);
    json_member(out, "path", either->path);
    if (before != NULL && before->text != NULL)
        json_member(out, "before_text", before->text);
    if (after != NULL && after->text != NULL)
        json_member(out, "after_text", after->text);
    text_append(out, "}");
}

void why_append_json(const struct why *why, struct text *out)
{
    static const char *const words[] = {
        [WHY_CACHED] = "cached",    [WHY_CHANGED] = "changed",     [WHY_REFUSED] = "refused", [WHY_FIRST] = "first",
        [WHY_BEFORE_LOST] = "lost", [WHY_NOT_STARTED] = "not-run", [WHY_WAITS] = "waits"};
    text_format(out, ",\"why\":\"%s\"", words[why->answer]);
    json_member(out, "reason", why->reason);
    text_append(out, ",\"compared_with\":");
    if (why->run != NULL) {
        text_append(out, "{\"run\":");
        text_append_json(out, why->run);
        text_format(out, ",\"attempt\":%llu}", (unsigned long long)why->attempt);
    } else {
        text_append(out, "null");
    }
    text_append(out, ",\"changes\":[");
    for (size_t i = 0; i < why->changes_count; i++) {
        text_append(out, i > 0 ? "," : "");
        json_change(&why->changes[i], out);
    }
    text_append(out, "]");
}
