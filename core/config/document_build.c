/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From events to nodes.
 *
 * How it works: open collections lie on a stack of frames; a finished node is hung below the frame on top. In a stream
 * the values of the top mapping are handed out instead, and forgotten.
 */
#include "config/document_build.h"

#include <string.h>

#include "config/document_frame.h"

enum { DEFAULT_DEPTH = 64, DEFAULT_NODES = 100 * 1000 * 1000 };

struct document_build *document_build_new(const struct document_reader *reader, const char *file, bool any_root,
                                          struct problems *problems)
{
    struct document_build *build = memory_allocate(sizeof *build);
    build->reader = reader;
    build->problems = problems;
    build->file = file;
    build->any_root = any_root;
    build->store = node_store_new();
    build->depth_limit = reader->budget.depth > 0 ? reader->budget.depth : DEFAULT_DEPTH;
    build->nodes_limit = reader->budget.nodes > 0 ? reader->budget.nodes : DEFAULT_NODES;
    if (reader->entry != NULL) {
        build->own_symbols = reader->symbols == NULL ? symbols_new() : NULL;
        build->top_symbols = reader->symbols != NULL ? reader->symbols : build->own_symbols;
    }
    return build;
}

void document_build_free(struct document_build *build)
{
    if (build == NULL)
        return;
    for (size_t i = 0; i < build->frames.count; i++)
        key_index_free(build->frames.items[i].index);
    for (size_t i = 0; i < build->all_anchors.count; i++)
        memory_free(build->all_anchors.items[i]);
    list_clear(&build->all_anchors);
    list_clear(&build->frames);
    list_clear(&build->merges);
    list_clear(&build->top_places);
    table_free(build->anchors);
    symbols_free(build->own_symbols);
    text_clear(&build->replaced);
    node_store_free(build->store);
    memory_free(build);
}

bool build_refuse_count(struct document_build *build, const struct build_event *event)
{
    if (build->met > build->nodes_limit) {
        problem_add(build->problems, PROBLEM_ERROR, build_place(build, event->line, event->column), NULL,
                    "the file holds more than %llu values", (unsigned long long)build->nodes_limit);
        return false;
    }
    problem_add(build->problems, PROBLEM_ERROR, build_place(build, event->line, event->column),
                "aliases of aliases multiply: write the values out or use fewer",
                "with its aliases this entry holds more than %d values", ALIAS_ENTRY_NODES);
    return false;
}

/* A tag would change what a value is; we have none. */
void build_refuse_tag(struct document_build *build, const struct build_event *event)
{
    static const char core[] = "tag:yaml.org,2002:"; /* written as "!!" */
    bool is_core = text_starts_with(event->tag, core);
    problem_add(build->problems, PROBLEM_ERROR, build_place(build, event->line, event->column),
                "remove it; quotes make a text of a number", "the tag '%s%.100s' is not supported", is_core ? "!!" : "",
                is_core ? event->tag + sizeof core - 1 : event->tag);
}

void build_start_entry(struct document_build *build)
{
    build->entry_mark = node_store_mark(build->store);
    build->met_before_entry = build->met;
    build->entry_uses_alias = build->entry_has_anchor = false;
}

void build_deliver(struct document_build *build, const struct frame *frame, const struct node *node)
{
    struct document view = {.root = node, .file = build->file};
    build->reader->entry(build->reader->context, &view, frame->key,
                         build_place(build, frame->key_line, frame->key_column), node);
}

static void finish_entry(struct document_build *build)
{
    if (!build->entry_has_anchor)
        node_store_rewind(build->store, build->entry_mark);
    build->entry_uses_alias = build->entry_has_anchor = false;
    build->met_before_entry = build->met;
}

void build_hang(struct document_build *build, struct node *node)
{
    struct frame *frame = build_top(build);
    if (frame == NULL) {
        build->root = node;
        return;
    }
    if (frame->node->kind == NODE_SEQUENCE) {
        frame_append(frame, node);
        return;
    }
    if (frame->merging) {
        struct merge merge = {.source = node};
        if (!frame->dropping)
            list_add(&build->merges, merge);
        frame->key = NULL;
        return;
    }
    node->key = frame->key;
    node->key_line = frame->key_line;
    node->key_column = frame->key_column;
    if (build_at_top(build)) {
        if (!frame->dropping)
            build_deliver(build, frame, node);
        finish_entry(build);
    } else if (!frame->dropping) {
        frame_append(frame, node);
    }
    frame->key = NULL;
}

bool build_refuse_root(struct document_build *build, const struct build_event *event)
{
    if (build->any_root)
        return false;
    problem_add(build->problems, PROBLEM_ERROR, build_place(build, event->line, event->column), NULL,
                "the file must be a mapping of keys to values");
    return true;
}

bool document_build_open(struct document_build *build, enum node_kind kind, const struct build_event *event)
{
    struct frame *parent = build_top(build);
    struct place place = build_place(build, event->line, event->column);
    if (frame_wants_key(parent)) {
        problem_add(build->problems, PROBLEM_ERROR, place, "a text that begins with '{' or '[' needs quotes",
                    "a key must be a text, not a list or a mapping");
        return false;
    }
    if (parent == NULL && kind != NODE_MAPPING && build_refuse_root(build, event))
        return false;
    if (build->frames.count >= build->depth_limit) {
        problem_add(build->problems, PROBLEM_ERROR, place, NULL, "values are nested deeper than %u levels",
                    build->depth_limit);
        return false;
    }
    if (event->tag != NULL)
        build_refuse_tag(build, event);
    if (!build_count(build, 1, event))
        return false;
    struct node *node = node_store_take(build->store, sizeof *node);
    node->kind = (uint8_t)kind;
    node->line = event->line;
    node->column = event->column;
    struct frame frame = {.node = node, .met_before = build->met - 1, .merges_before = build->merges.count};
    frame.anchor = build_anchor(build, event->anchor);
    if (frame.anchor != NULL)
        node->flags = NODE_FLAG_ANCHOR | NODE_FLAG_SHARED;
    list_add(&build->frames, frame);
    return true;
}

bool document_build_close(struct document_build *build)
{
    struct frame *frame = build_top(build);
    if (frame == NULL)
        return false;
    build_merge(build, frame);
    struct frame closed = *frame;
    key_index_free(closed.index);
    build->frames.count--;
    if (closed.anchor != NULL)
        *closed.anchor =
            (struct anchor){.node = closed.node, .weight = build->met - closed.met_before, .height = closed.height + 1};
    struct frame *parent = build_top(build);
    if (parent != NULL && parent->height < closed.height + 1)
        parent->height = closed.height + 1;
    build_hang(build, closed.node);
    return true;
}

struct document *document_build_take(struct document_build *build)
{
    struct document *document = memory_allocate(sizeof *document);
    document->store = steal(&build->store);
    document->file = node_store_text(document->store, build->file, strlen(build->file));
    struct node *root = build->root;
    if (root == NULL || (!build->any_root && root->kind == NODE_SCALAR)) {
        root = node_store_take(document->store, sizeof *root);
        root->kind = NODE_MAPPING;
        root->line = root->column = 1;
    }
    document->root = root;
    return document;
}
