/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From events to nodes.
 *
 * How it works: open collections lie on a stack of frames; a finished node is hung below the frame on top. An alias is
 * a copy of the named node's head that shares what is below, so a "billion laughs" file costs no memory; but what a
 * reader of the tree would meet is counted (`met`), and the budgets are about that count. Depth is counted the same
 * way: an anchored node knows its height.
 */
#include "config/document_build.h"

#include <string.h>

#include "base/list.h"
#include "base/table.h"
#include "base/text.h"
#include "config/variables.h"

enum {
    DEFAULT_DEPTH = 64,
    DEFAULT_NODES = 100 * 1000 * 1000,
    ALIAS_ENTRY_NODES = 1000 * 1000,   /* of one top-level entry that uses aliases */
    INDEX_THRESHOLD = 32,              /* a mapping with more keys gets a hash index to find duplicates */
    REPLACED_LIMIT = 256 * 1024 * 1024 /* bytes that variables may put into one file */
};

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

static void key_index_free(struct key_index *index)
{
    if (index == NULL)
        return;
    symbols_free(index->symbols);
    list_clear(&index->nodes);
    memory_free(index);
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

static struct place build_place(const struct document_build *build, uint32_t line, uint32_t column)
{
    return (struct place){.file = build->file, .line = line, .column = column};
}

static struct frame *top_frame(const struct document_build *build)
{
    return build->frames.count > 0 ? &build->frames.items[build->frames.count - 1] : NULL;
}

/* True when the frame on top is the streamed top mapping. */
static bool at_top(const struct document_build *build)
{
    return build->frames.count == 1 && build->reader->entry != NULL;
}

static bool refuse_count(struct document_build *build, const struct build_event *event)
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

static inline bool count_met(struct document_build *build, uint64_t weight, const struct build_event *event)
{
    build->met = build->met > UINT64_MAX - weight ? UINT64_MAX : build->met + weight;
    bool too_many = build->met > build->nodes_limit;
    bool multiplied = build->entry_uses_alias && build->met - build->met_before_entry > ALIAS_ENTRY_NODES;
    return too_many || multiplied ? refuse_count(build, event) : true;
}

/* A tag would change what a value is; we have none. */
static void refuse_tag(struct document_build *build, const struct build_event *event)
{
    static const char core[] = "tag:yaml.org,2002:"; /* written as "!!" */
    bool is_core = text_starts_with(event->tag, core);
    problem_add(build->problems, PROBLEM_ERROR, build_place(build, event->line, event->column),
                "remove it; quotes make a text of a number", "the tag '%s%.100s' is not supported", is_core ? "!!" : "",
                is_core ? event->tag + sizeof core - 1 : event->tag);
}

static struct anchor *new_anchor(struct document_build *build, const char *name)
{
    if (build->anchors == NULL)
        build->anchors = table_new();
    struct anchor *anchor = memory_allocate(sizeof *anchor);
    list_add(&build->all_anchors, anchor);
    table_put(build->anchors, name, anchor);
    build->entry_has_anchor = true;
    return anchor;
}

static inline struct anchor *set_anchor(struct document_build *build, const char *name)
{
    return name != NULL ? new_anchor(build, name) : NULL;
}

static bool is_null_text(const struct build_event *event)
{
    const char *text = event->text;
    if (event->length < 2)
        return event->length == 0 || text[0] == '~';
    if (event->length != 4 || (text[0] != 'n' && text[0] != 'N'))
        return false;
    return strcmp(text, "null") == 0 || strcmp(text, "Null") == 0 || strcmp(text, "NULL") == 0;
}

/* Values of the verbatim key stand directly in a top-level entry, or at the top of a small document. */
static bool is_verbatim(const struct document_build *build)
{
    const struct frame *frame = top_frame(build);
    return build->reader->verbatim != NULL && frame != NULL && frame->key != NULL &&
           build->frames.count == (build->reader->entry != NULL ? 2 : 1) &&
           strcmp(frame->key, build->reader->verbatim) == 0;
}

static uint32_t characters(const char *text, size_t length)
{
    uint32_t count = 0;
    for (size_t i = 0; i < length; i++)
        count += ((unsigned char)text[i] & 0xC0) != 0x80;
    return count;
}

/* The place of the variable itself where the text stands in the file as it is: no line break, no escape before it. */
static struct place variable_place(const struct document_build *build, const struct build_event *event, size_t at)
{
    struct place place = build_place(build, event->line, event->column);
    uint32_t quotes = event->plain ? 0 : 2;
    if (event->span == characters(event->text, event->length) + quotes)
        place.column += quotes / 2 + characters(event->text, at);
    return place;
}

static struct node *new_scalar(struct document_build *build, const struct build_event *event)
{
    struct node *node = node_store_take(build->store, sizeof *node);
    node->content.text = node_store_text(build->store, event->text, event->length);
    node->length = (uint32_t)event->length;
    return node;
}

/* false: too much was replaced. */
static bool scalar_with_variables(struct document_build *build, const struct build_event *event, struct node **node)
{
    struct variables_problem problem = {.hint = NULL};
    text_reset(&build->replaced);
    if (!variables_replace(event->text, event->length, &build->replaced, &problem)) {
        problem_add(build->problems, PROBLEM_ERROR, variable_place(build, event, problem.at), problem.hint, "%s",
                    text_bytes(&problem.message));
        text_clear(&problem.message);
        *node = new_scalar(build, event);
        (*node)->flags |= NODE_FLAG_BROKEN;
        return true;
    }
    build->replaced_bytes += build->replaced.length;
    if (build->replaced_bytes > REPLACED_LIMIT) {
        problem_add(build->problems, PROBLEM_ERROR, build_place(build, event->line, event->column), NULL,
                    "the values of variables in this file hold more than %d bytes", REPLACED_LIMIT);
        return false;
    }
    struct node_replaced *replaced = node_store_take(build->store, sizeof *replaced);
    replaced->raw = node_store_text(build->store, event->text, event->length);
    replaced->node.content.text = node_store_text(build->store, text_bytes(&build->replaced), build->replaced.length);
    replaced->node.length = (uint32_t)build->replaced.length;
    replaced->node.flags = NODE_FLAG_RAW;
    *node = &replaced->node;
    return true;
}

static struct node *find_child(const struct frame *frame, const char *key, size_t length)
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

static void append_child(struct frame *frame, struct node *child)
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

/* Top-level keys of a stream: their nodes are gone, their places stay. True when it is a duplicate. */
static bool note_top_key(struct document_build *build, const struct build_event *event)
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
    if (at_top(build)) {
        if (!note_top_key(build, event))
            return false;
        report_duplicate(build, event,
                         build->top_places.items[symbol_find(build->top_symbols, event->text, event->length)]);
        return true;
    }
    uint64_t bit = key_bit(event->text, event->length);
    const struct node *first = frame->key_bits & bit ? find_child(frame, event->text, event->length) : NULL;
    frame->key_bits |= bit;
    if (first != NULL)
        report_duplicate(build, event, (struct key_place){first->key_line, first->key_column});
    return first != NULL;
}

static void start_entry(struct document_build *build)
{
    build->entry_mark = node_store_mark(build->store);
    build->met_before_entry = build->met;
    build->entry_uses_alias = build->entry_has_anchor = false;
}

static void take_key(struct document_build *build, struct frame *frame, const struct build_event *event)
{
    if (at_top(build))
        start_entry(build);
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

static void deliver(struct document_build *build, const struct frame *frame, const struct node *node)
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

/* Hangs a finished node where it belongs. */
static void place_node(struct document_build *build, struct node *node)
{
    struct frame *frame = top_frame(build);
    if (frame == NULL) {
        build->root = node;
        return;
    }
    if (frame->node->kind == NODE_SEQUENCE) {
        append_child(frame, node);
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
    if (at_top(build)) {
        if (!frame->dropping)
            deliver(build, frame, node);
        finish_entry(build);
    } else if (!frame->dropping) {
        append_child(frame, node);
    }
    frame->key = NULL;
}

static bool wants_key(const struct frame *frame)
{
    return frame != NULL && frame->node->kind == NODE_MAPPING && frame->key == NULL;
}

static bool refuse_root(struct document_build *build, const struct build_event *event)
{
    if (build->any_root)
        return false;
    problem_add(build->problems, PROBLEM_ERROR, build_place(build, event->line, event->column), NULL,
                "the file must be a mapping of keys to values");
    return true;
}

static bool take_scalar(struct document_build *build, const struct build_event *event, bool *has_dollar)
{
    /* Only an escape in quotes makes a NUL; libyaml puts one behind every text. */
    bool has_nul = !event->plain && strlen(event->text) != event->length;
    *has_dollar = !has_nul && memchr(event->text, '$', event->length) != NULL;
    if (has_nul) {
        problem_add(build->problems, PROBLEM_ERROR, build_place(build, event->line, event->column), NULL,
                    "a text cannot hold a NUL character");
        return false;
    }
    if (event->length >= UINT32_MAX) {
        problem_add(build->problems, PROBLEM_ERROR, build_place(build, event->line, event->column), NULL,
                    "a text cannot be longer than 4 GiB");
        return false;
    }
    if (event->tag != NULL)
        refuse_tag(build, event);
    return count_met(build, 1, event);
}

static struct node *key_node(struct document_build *build, const struct build_event *event)
{
    struct node *node = new_scalar(build, event);
    node->kind = NODE_SCALAR;
    node->line = event->line;
    node->column = event->column;
    node->flags = (uint8_t)(NODE_FLAG_ANCHOR | (event->plain ? NODE_FLAG_PLAIN : 0));
    return node;
}

bool document_build_scalar(struct document_build *build, const struct build_event *event)
{
    bool has_dollar;
    if (!take_scalar(build, event, &has_dollar))
        return false;
    struct frame *frame = top_frame(build);
    if (wants_key(frame)) {
        take_key(build, frame, event);
        struct anchor *anchor = set_anchor(build, event->anchor);
        if (anchor != NULL)
            *anchor = (struct anchor){.node = key_node(build, event), .weight = 1};
        return true;
    }
    if (frame == NULL && !(event->plain && event->length == 0) && refuse_root(build, event))
        return false;
    struct node *node;
    if (has_dollar && !build->reader->no_variables && !is_verbatim(build)) {
        if (!scalar_with_variables(build, event, &node))
            return false;
    } else {
        node = new_scalar(build, event);
    }
    node->kind = NODE_SCALAR;
    node->line = event->line;
    node->column = event->column;
    if (event->plain)
        node->flags |= (uint8_t)(NODE_FLAG_PLAIN | (is_null_text(event) ? NODE_FLAG_NULL : 0));
    if (event->tag != NULL)
        node->flags |= NODE_FLAG_BROKEN;
    struct anchor *anchor = set_anchor(build, event->anchor);
    if (anchor != NULL) {
        *anchor = (struct anchor){.node = node, .weight = 1};
        node->flags |= NODE_FLAG_ANCHOR;
    }
    place_node(build, node);
    return true;
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
    take_key(build, frame, &key);
    return true;
}

bool document_build_alias(struct document_build *build, const struct build_event *event)
{
    struct frame *frame = top_frame(build);
    const struct anchor *anchor = build->anchors != NULL ? table_get(build->anchors, event->anchor) : NULL;
    struct place place = build_place(build, event->line, event->column);
    if (anchor != NULL && anchor->node == NULL)
        problem_add(build->problems, PROBLEM_ERROR, place, "a value cannot contain itself",
                    "the alias '*%.100s' stands inside its own anchor", event->anchor);
    else if (anchor == NULL)
        problem_add(build->problems, PROBLEM_ERROR, place, "an anchor must come before its alias",
                    "there is no anchor '&%.100s' for this alias", event->anchor);
    if (anchor == NULL || anchor->node == NULL) {
        if (wants_key(frame))
            return false;
        place_node(build, broken_node(build));
        return true;
    }
    if (wants_key(frame))
        return count_met(build, 1, event) && alias_as_key(build, frame, anchor, event);
    build->entry_uses_alias = true;
    if (!count_met(build, anchor->weight, event))
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
    place_node(build, node);
    return true;
}

bool document_build_open(struct document_build *build, enum node_kind kind, const struct build_event *event)
{
    struct frame *parent = top_frame(build);
    struct place place = build_place(build, event->line, event->column);
    if (wants_key(parent)) {
        problem_add(build->problems, PROBLEM_ERROR, place, "a text that begins with '{' or '[' needs quotes",
                    "a key must be a text, not a list or a mapping");
        return false;
    }
    if (parent == NULL && kind != NODE_MAPPING && refuse_root(build, event))
        return false;
    if (build->frames.count >= build->depth_limit) {
        problem_add(build->problems, PROBLEM_ERROR, place, NULL, "values are nested deeper than %u levels",
                    build->depth_limit);
        return false;
    }
    if (event->tag != NULL)
        refuse_tag(build, event);
    if (!count_met(build, 1, event))
        return false;
    struct node *node = node_store_take(build->store, sizeof *node);
    node->kind = (uint8_t)kind;
    node->line = event->line;
    node->column = event->column;
    struct frame frame = {.node = node, .met_before = build->met - 1, .merges_before = build->merges.count};
    frame.anchor = set_anchor(build, event->anchor);
    if (frame.anchor != NULL)
        node->flags = NODE_FLAG_ANCHOR | NODE_FLAG_SHARED;
    list_add(&build->frames, frame);
    return true;
}

/* One child of a merged mapping, unless the mapping has its key already. */
static void merge_child(struct document_build *build, struct frame *frame, const struct node *child)
{
    if (at_top(build)) {
        struct build_event key = {
            .text = child->key, .length = strlen(child->key), .line = child->key_line, .column = child->key_column};
        if (note_top_key(build, &key))
            return;
        frame->key = child->key;
        frame->key_line = child->key_line;
        frame->key_column = child->key_column;
        deliver(build, frame, child);
        return;
    }
    if (find_child(frame, child->key, strlen(child->key)) != NULL)
        return;
    struct node *copy = alias_node(build, child);
    copy->key = child->key;
    append_child(frame, copy);
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

static void merge_all(struct document_build *build, struct frame *frame)
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

bool document_build_close(struct document_build *build)
{
    struct frame *frame = top_frame(build);
    if (frame == NULL)
        return false;
    merge_all(build, frame);
    struct frame closed = *frame;
    key_index_free(closed.index);
    build->frames.count--;
    if (closed.anchor != NULL)
        *closed.anchor =
            (struct anchor){.node = closed.node, .weight = build->met - closed.met_before, .height = closed.height + 1};
    struct frame *parent = top_frame(build);
    if (parent != NULL && parent->height < closed.height + 1)
        parent->height = closed.height + 1;
    place_node(build, closed.node);
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
