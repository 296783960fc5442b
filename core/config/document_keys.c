/* SPDX-License-Identifier: BSD-3-Clause */
/* The keys of a mapping: found again, and refused when they come twice. */
#include <string.h>

#include "config/document_frame.h"

enum { INDEX_THRESHOLD = 32 }; /* a mapping with more keys gets a hash index to find duplicates */

void key_index_free(struct key_index *index)
{
    if (index == NULL)
        return;
    symbols_free(index->symbols);
    list_clear(&index->nodes);
    memory_free(index);
}

struct node *frame_find(const struct frame *frame, const char *key, size_t length)
{
    if (frame->index != NULL) {
        symbol known = symbol_find(frame->index->symbols, key, length);
        return length > 0 && known == 0            ? NULL
               : known < frame->index->nodes.count ? frame->index->nodes.items[known]
                                                   : NULL;
    }
    for (struct node *child = frame->node->content.first; child != NULL; child = child->next)
        if (child->key[0] == key[0] && strcmp(child->key, key) == 0)
            return child;
    return NULL;
}

static void index_child(struct key_index *index, struct node *child)
{
    symbol key = symbol_intern(index->symbols, child->key, strlen(child->key));
    while (index->nodes.count <= key)
        list_add(&index->nodes, NULL);
    if (index->nodes.items[key] == NULL)
        index->nodes.items[key] = child;
}

void frame_append(struct frame *frame, struct node *child)
{
    if (frame->last != NULL)
        frame->last->next = child;
    else
        frame->node->content.first = child;
    frame->last = child;
    frame->node->length++;
    if (frame->node->kind != NODE_MAPPING)
        return;
    if (frame->index != NULL) {
        index_child(frame->index, child);
    } else if (frame->node->length > INDEX_THRESHOLD) {
        frame->index = memory_allocate(sizeof *frame->index);
        frame->index->symbols = symbols_new();
        for (struct node *each = frame->node->content.first; each != NULL; each = each->next)
            index_child(frame->index, each);
    }
}

static uint64_t key_bit(const char *key, size_t length)
{
    size_t last = length > 0 ? length - 1 : 0;
    unsigned hash =
        (unsigned char)key[0] * 7u + (unsigned char)key[last] * 3u + (unsigned char)key[last / 2] + (unsigned)length;
    return UINT64_C(1) << (hash & 63);
}

static void report_duplicate(struct document_build *build, const struct build_event *event, struct key_place first)
{
    problem_add(build->problems, PROBLEM_ERROR, build_place(build, event->line, event->column), "remove one of them",
                "the key '%.200s' is already given at %s:%u:%u", event->text, build->file, first.line, first.column);
}

bool build_note_top_key(struct document_build *build, const struct build_event *event)
{
    symbol key = symbol_intern(build->top_symbols, event->text, event->length);
    while (build->top_places.count <= key)
        (void)list_grow(&build->top_places);
    struct key_place *first = &build->top_places.items[key];
    if (first->line > 0)
        return true;
    *first = (struct key_place){event->line, event->column};
    return false;
}

static bool is_duplicate(struct document_build *build, struct frame *frame, const struct build_event *event)
{
    if (build_at_top(build)) {
        if (!build_note_top_key(build, event))
            return false;
        report_duplicate(build, event,
                         build->top_places.items[symbol_find(build->top_symbols, event->text, event->length)]);
        return true;
    }
    uint64_t bit = key_bit(event->text, event->length);
    const struct node *first = frame->key_bits & bit ? frame_find(frame, event->text, event->length) : NULL;
    frame->key_bits |= bit;
    if (first != NULL)
        report_duplicate(build, event, (struct key_place){first->key_line, first->key_column});
    return first != NULL;
}

void build_take_key(struct document_build *build, struct frame *frame, const struct build_event *event)
{
    if (build_at_top(build))
        build_start_entry(build);
    frame->key = node_store_text(build->store, event->text, event->length);
    frame->key_line = event->line;
    frame->key_column = event->column;
    frame->merging = event->plain && event->text[0] == '<' && strcmp(event->text, "<<") == 0;
    if (frame->merging) {
        frame->dropping = frame->merged;
        if (frame->merged)
            problem_add(build->problems, PROBLEM_ERROR, build_place(build, event->line, event->column),
                        "write <<: [*first, *second]", "the mapping already has a merge key '<<'");
        frame->merged = true;
        return;
    }
    frame->dropping = is_duplicate(build, frame, event);
}
