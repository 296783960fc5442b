/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files that build nodes share. document_build.c has the frames, document_scalar.c texts and their variables,
 * document_keys.c the keys of a mapping, document_alias.c anchors, aliases and merge keys.
 */
#ifndef DESCPIPE_CONFIG_DOCUMENT_FRAME_H
#define DESCPIPE_CONFIG_DOCUMENT_FRAME_H

#include "base/list.h"
#include "base/table.h"
#include "base/text.h"
#include "config/document_build.h"

enum { ALIAS_ENTRY_NODES = 1000 * 1000 }; /* of one top-level entry that uses aliases */

struct anchor {
    struct node *node; /* NULL while its collection is still open */
    uint64_t weight;   /* nodes met below and with it */
    uint32_t height;   /* levels below it */
};

struct key_index { /* of a mapping with many keys */
    struct symbols *symbols;
    LIST(struct node *) nodes; /* by symbol */
};

struct frame {
    struct node *node, *last;
    struct anchor *anchor;
    uint64_t met_before;
    uint32_t height;
    size_t merges_before; /* what `build->merges` held when the frame was opened */
    struct key_index *index;
    uint64_t key_bits; /* a set of key hashes: a clear bit means the key is new */
    const char *key;   /* the key whose value comes next, or NULL */
    uint32_t key_line, key_column;
    bool merging;  /* that key is `<<` */
    bool merged;   /* there was one */
    bool dropping; /* that key is a duplicate: its value is built and forgotten */
};

struct merge {
    struct node *source;
};

struct key_place {
    uint32_t line, column;
};

struct document_build {
    const struct document_reader *reader;
    struct problems *problems;
    const char *file;
    struct node_store *store;
    LIST(struct frame) frames;
    LIST(struct merge) merges;
    struct table *anchors; /* name → struct anchor */
    LIST(struct anchor *) all_anchors;
    struct node *root;
    struct text replaced;
    uint64_t replaced_bytes, met, met_before_entry, nodes_limit;
    uint32_t depth_limit;
    bool any_root, entry_uses_alias, entry_has_anchor;
    struct node_mark entry_mark;
    struct symbols *top_symbols; /* of the streamed top mapping; own_symbols when the reader lends none */
    struct symbols *own_symbols;
    LIST(struct key_place) top_places; /* by symbol; line 0: not met */
};

static inline struct place build_place(const struct document_build *build, uint32_t line, uint32_t column)
{
    return (struct place){.file = build->file, .line = line, .column = column};
}

static inline struct frame *build_top(const struct document_build *build)
{
    return build->frames.count > 0 ? &build->frames.items[build->frames.count - 1] : NULL;
}

/* True when the frame on top is the streamed top mapping. */
static inline bool build_at_top(const struct document_build *build)
{
    return build->frames.count == 1 && build->reader->entry != NULL;
}

static inline bool frame_wants_key(const struct frame *frame)
{
    return frame != NULL && frame->node->kind == NODE_MAPPING && frame->key == NULL;
}

/* document_build.c. What returns false has added its problem, and reading stops. */
bool build_refuse_count(struct document_build *build, const struct build_event *event);
static inline bool build_count(struct document_build *build, uint64_t weight, const struct build_event *event)
{
    build->met = build->met > UINT64_MAX - weight ? UINT64_MAX : build->met + weight;
    bool too_many = build->met > build->nodes_limit;
    bool multiplied = build->entry_uses_alias && build->met - build->met_before_entry > ALIAS_ENTRY_NODES;
    return too_many || multiplied ? build_refuse_count(build, event) : true;
}
void build_refuse_tag(struct document_build *build, const struct build_event *event);
bool build_refuse_root(struct document_build *build, const struct build_event *event); /* false: it is fine */
void build_start_entry(struct document_build *build);
void build_deliver(struct document_build *build, const struct frame *frame, const struct node *node);
void build_hang(struct document_build *build, struct node *node); /* where a finished node belongs */

/* document_keys.c */
void build_take_key(struct document_build *build, struct frame *frame, const struct build_event *event);
/* Top-level keys of a stream: their nodes are gone, their places stay. True when it is a duplicate. */
bool build_note_top_key(struct document_build *build, const struct build_event *event);
struct node *frame_find(const struct frame *frame, const char *key, size_t length); /* or NULL */
void frame_append(struct frame *frame, struct node *child);
void key_index_free(struct key_index *index);

/* document_alias.c */
struct anchor *build_new_anchor(struct document_build *build, const char *name);
static inline struct anchor *build_anchor(struct document_build *build, const char *name) /* of a node; NULL: none */
{
    return name != NULL ? build_new_anchor(build, name) : NULL;
}
void build_merge(struct document_build *build, struct frame *frame); /* what its merge keys named, at its end */

#endif
