/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Anchors, aliases and merge keys.
 *
 * How it works: an alias is a copy of the named node's head that shares what is below, so a "billion laughs" file costs
 * no memory; but what a reader of the tree would meet is counted, and the budgets are about that count. Depth is
 * counted the same way: an anchored node knows its height.
 */
#include <string.h>

#include "config/document_frame.h"

struct anchor *build_new_anchor(struct document_build *build, const char *name)
{
    if (build->anchors == NULL)
        build->anchors = table_new();
    struct anchor *anchor = memory_allocate(sizeof *anchor);
    list_add(&build->all_anchors, anchor);
    table_put(build->anchors, name, anchor);
    build->entry_has_anchor = true;
    return anchor;
}

/* A node that stands for an alias that names nothing: reported, and then silent. */
static struct node *broken_node(struct document_build *build)
{
    struct node *node = node_store_take(build->store, sizeof *node);
    node->kind = NODE_SCALAR;
    node->content.text = "";
    node->flags = NODE_FLAG_BROKEN | NODE_FLAG_PLAIN | NODE_FLAG_NULL;
    return node;
}

static struct node *alias_node(struct document_build *build, const struct node *named)
{
    bool raw = (named->flags & NODE_FLAG_RAW) != 0;
    struct node *node = node_store_take(build->store, raw ? sizeof(struct node_replaced) : sizeof *node);
    memcpy(node, named, raw ? sizeof(struct node_replaced) : sizeof *node);
    node->next = NULL;
    node->key = NULL;
    node->flags &= (uint8_t)~NODE_FLAG_ANCHOR;
    if (node->kind != NODE_SCALAR)
        node->flags |= NODE_FLAG_SHARED;
    return node;
}

static bool alias_as_key(struct document_build *build, struct frame *frame, const struct anchor *anchor,
                         const struct build_event *event)
{
    if (anchor->node->kind != NODE_SCALAR) {
        problem_add(build->problems, PROBLEM_ERROR, build_place(build, event->line, event->column), NULL,
                    "a key must be a text, not a list or a mapping");
        return false;
    }
    struct build_event key = *event;
    key.text = node_raw_text(anchor->node);
    key.length = strlen(key.text);
    key.plain = false;
    build_take_key(build, frame, &key);
    return true;
}

bool document_build_alias(struct document_build *build, const struct build_event *event)
{
    struct frame *frame = build_top(build);
    const struct anchor *anchor = build->anchors != NULL ? table_get(build->anchors, event->anchor) : NULL;
    struct place place = build_place(build, event->line, event->column);
    if (anchor != NULL && anchor->node == NULL)
        problem_add(build->problems, PROBLEM_ERROR, place, "a value cannot contain itself",
                    "the alias '*%.100s' stands inside its own anchor", event->anchor);
    else if (anchor == NULL)
        problem_add(build->problems, PROBLEM_ERROR, place, "an anchor must come before its alias",
                    "there is no anchor '&%.100s' for this alias", event->anchor);
    if (anchor == NULL || anchor->node == NULL) {
        if (frame_wants_key(frame))
            return false;
        build_hang(build, broken_node(build));
        return true;
    }
    if (frame_wants_key(frame))
        return build_count(build, 1, event) && alias_as_key(build, frame, anchor, event);
    build->entry_uses_alias = true;
    if (!build_count(build, anchor->weight, event))
        return false;
    if (build->frames.count + anchor->height > build->depth_limit) {
        problem_add(build->problems, PROBLEM_ERROR, place, NULL, "values are nested deeper than %u levels",
                    build->depth_limit);
        return false;
    }
    if (frame != NULL && frame->height < anchor->height + 1)
        frame->height = anchor->height + 1;
    struct node *node = alias_node(build, anchor->node);
    node->line = event->line;
    node->column = event->column;
    build_hang(build, node);
    return true;
}

/* One child of a merged mapping, unless the mapping has its key already. */
static void merge_child(struct document_build *build, struct frame *frame, const struct node *child)
{
    if (build_at_top(build)) {
        struct build_event key = {
            .text = child->key, .length = strlen(child->key), .line = child->key_line, .column = child->key_column};
        if (build_note_top_key(build, &key))
            return;
        frame->key = child->key;
        frame->key_line = child->key_line;
        frame->key_column = child->key_column;
        build_deliver(build, frame, child);
        return;
    }
    if (frame_find(frame, child->key, strlen(child->key)) != NULL)
        return;
    struct node *copy = alias_node(build, child);
    copy->key = child->key;
    frame_append(frame, copy);
}

static void merge_mapping(struct document_build *build, struct frame *frame, const struct node *source)
{
    if (source->flags & NODE_FLAG_BROKEN)
        return;
    if (source->kind != NODE_MAPPING) {
        problem_add(build->problems, PROBLEM_ERROR, build_place(build, source->line, source->column), NULL,
                    "the merge key '<<' takes a mapping or a list of mappings");
        return;
    }
    for (const struct node *child = source->content.first; child != NULL; child = child->next)
        merge_child(build, frame, child);
}

void build_merge(struct document_build *build, struct frame *frame)
{
    for (size_t i = frame->merges_before; i < build->merges.count; i++) {
        const struct node *source = build->merges.items[i].source;
        if (source->kind != NODE_SEQUENCE) {
            merge_mapping(build, frame, source);
            continue;
        }
        for (const struct node *each = source->content.first; each != NULL; each = each->next)
            merge_mapping(build, frame, each);
    }
    build->merges.count = frame->merges_before;
}
