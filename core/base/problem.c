/* SPDX-License-Identifier: BSD-3-Clause */
/* Collecting and printing the problems of an input. */
#include "base/problem.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"

enum { PRINT_LIMIT = 8192 }; /* bytes of one message on a terminal */

void problems_clear(struct problems *problems)
{
    for (size_t i = 0; i < problems->count; i++) {
        free(problems->items[i].file);
        free(problems->items[i].message);
        free(problems->items[i].hint);
    }
    free(problems->items);
    *problems = (struct problems){0};
}

static void count_problem(struct problems *problems, enum problem_level level)
{
    if (level == PROBLEM_ERROR)
        problems->errors++;
    else if (level == PROBLEM_WARNING)
        problems->warnings++;
    else
        problems->notes++;
}

void problem_add(struct problems *problems, enum problem_level level, struct place place, const char *hint,
                 const char *format, ...)
{
    count_problem(problems, level);
    if (problems->count >= PROBLEMS_LIMIT)
        return;
    char *message = NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&message, format, arguments);
    va_end(arguments);
    if (length < 0)
        memory_exhausted();
    struct problem *problem = list_grow(problems);
    *problem = (struct problem){.level = level,
                                .line = place.line,
                                .column = place.column,
                                .file = memory_copy_text(place.file),
                                .message = message,
                                .hint = memory_copy_text(hint)};
}

void problem_from_error(struct problems *problems, const struct error *error)
{
    struct place place = {.file = error->file, .line = error->line, .column = error->column};
    problem_add(problems, PROBLEM_ERROR, place, error->hint, "%s",
                error->message != NULL ? error->message : "failed without saying why");
}

static int compare_problems(const void *left_place, const void *right_place)
{
    const struct problem *left = left_place, *right = right_place;
    const char *left_file = left->file != NULL ? left->file : "", *right_file = right->file != NULL ? right->file : "";
    int order = strcmp(left_file, right_file);
    if (order != 0)
        return order;
    if (left->line != right->line)
        return left->line < right->line ? -1 : 1;
    if (left->column != right->column)
        return left->column < right->column ? -1 : 1;
    return 0;
}

/* A merge sort from the bottom up: equal places keep the order they were found in, which qsort does not promise. */
void problems_sort(struct problems *problems)
{
    size_t count = problems->count;
    if (count < 2)
        return;
    cleanup(memory_free) struct problem *other = memory_resize(NULL, count * sizeof *other);
    struct problem *from = problems->items, *to = other;
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t start = 0; start < count; start += 2 * width) {
            size_t middle = start + width < count ? start + width : count;
            size_t end = start + 2 * width < count ? start + 2 * width : count;
            size_t left = start, right = middle;
            for (size_t i = start; i < end; i++) {
                bool take_left = left < middle && (right >= end || compare_problems(&from[left], &from[right]) <= 0);
                to[i] = take_left ? from[left++] : from[right++];
            }
        }
        struct problem *swap = from;
        from = to;
        to = swap;
    }
    if (from != problems->items)
        memcpy(problems->items, from, count * sizeof *from);
}

const char *problem_level_name(enum problem_level level)
{
    switch (level) {
    case PROBLEM_ERROR:
        return "error";
    case PROBLEM_WARNING:
        return "warning";
    case PROBLEM_NOTE:
        break;
    }
    return "note";
}

static void append_place(struct text *out, const struct problem *problem)
{
    if (problem->file == NULL)
        return;
    text_append_printable(out, problem->file, PRINT_LIMIT);
    text_append_character(out, ':');
    if (problem->line > 0) {
        text_append_unsigned(out, problem->line);
        text_append_character(out, ':');
        if (problem->column > 0) {
            text_append_unsigned(out, problem->column);
            text_append_character(out, ':');
        }
    }
    text_append_character(out, ' ');
}

void problems_print(const struct problems *problems, struct text *out)
{
    for (size_t i = 0; i < problems->count; i++) {
        const struct problem *problem = &problems->items[i];
        append_place(out, problem);
        text_append(out, problem_level_name(problem->level));
        text_append(out, ": ");
        text_append_printable(out, problem->message, PRINT_LIMIT);
        text_append_character(out, '\n');
        if (problem->hint != NULL) {
            text_append(out, "  hint: ");
            text_append_printable(out, problem->hint, PRINT_LIMIT);
            text_append_character(out, '\n');
        }
    }
    size_t all = problems->errors + problems->warnings + problems->notes;
    if (all > problems->count)
        text_format(out, "(%zu more are not shown)\n", all - problems->count);
}

static void append_json_member(struct text *out, const char *name, const char *value)
{
    text_append(out, ", ");
    text_append_json(out, name);
    text_append(out, ": ");
    if (value != NULL)
        text_append_json(out, value);
    else
        text_append(out, "null");
}

static void append_position(struct text *out, const char *name, uint32_t number)
{
    text_append(out, ", ");
    text_append_json(out, name);
    text_append(out, ": ");
    if (number > 0)
        text_append_unsigned(out, number);
    else
        text_append(out, "null");
}

void problem_append_json(const struct problem *problem, struct text *out)
{
    text_append(out, "{\"level\": ");
    text_append_json(out, problem_level_name(problem->level));
    append_json_member(out, "file", problem->file);
    append_position(out, "line", problem->line);
    append_position(out, "column", problem->column);
    append_json_member(out, "message", problem->message);
    append_json_member(out, "hint", problem->hint);
    text_append_character(out, '}');
}

void problems_print_json(const struct problems *problems, struct text *out)
{
    text_append(out, "{\"problems\": [");
    for (size_t i = 0; i < problems->count; i++) {
        text_append(out, i > 0 ? ",\n  " : "\n  ");
        problem_append_json(&problems->items[i], out);
    }
    text_append(out, problems->count > 0 ? "\n]}\n" : "]}\n");
}
