/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading nodes: what they hold, and their values as numbers, lengths and amounts. */
#include "config/node.h"

#include <string.h>

#include "base/clock.h"
#include "base/list.h"

enum { SHOWN_LIMIT = 60 }; /* bytes of a wrong value in a message */

void document_free(struct document *document)
{
    if (document == NULL)
        return;
    node_store_free(document->store);
    memory_free(document);
}

const struct node *document_root(const struct document *document)
{
    return document->root;
}

const char *document_file(const struct document *document)
{
    return document->file;
}

enum node_kind node_kind(const struct node *node)
{
    return (enum node_kind)node->kind;
}

struct place node_place(const struct document *document, const struct node *node)
{
    return (struct place){.file = document->file, .line = node->line, .column = node->column};
}

const char *node_text(const struct node *node)
{
    return node->kind == NODE_SCALAR ? node->content.text : "";
}

size_t node_length(const struct node *node)
{
    return node->kind == NODE_SCALAR ? node->length : 0;
}

bool node_is_plain(const struct node *node)
{
    return (node->flags & NODE_FLAG_PLAIN) != 0;
}

bool node_is_null(const struct node *node)
{
    return (node->flags & NODE_FLAG_NULL) != 0;
}

bool node_is_broken(const struct node *node)
{
    return (node->flags & NODE_FLAG_BROKEN) != 0;
}

bool node_has_anchor(const struct node *node)
{
    return (node->flags & NODE_FLAG_ANCHOR) != 0;
}

const char *node_raw_text(const struct node *node)
{
    if (node->flags & NODE_FLAG_RAW)
        return ((const struct node_replaced *)(const void *)node)->raw;
    return node_text(node);
}

size_t node_count(const struct node *node)
{
    return node->kind == NODE_SCALAR ? 0 : node->length;
}

const struct node *node_first(const struct node *node)
{
    return node->kind == NODE_SCALAR ? NULL : node->content.first;
}

const struct node *node_next(const struct node *child)
{
    return child->next;
}

const char *node_key(const struct node *child)
{
    return child->key;
}

struct place node_key_place(const struct document *document, const struct node *child)
{
    return (struct place){.file = document->file, .line = child->key_line, .column = child->key_column};
}

const struct node *node_get(const struct node *mapping, const char *key)
{
    if (mapping->kind != NODE_MAPPING)
        return NULL;
    const struct node *child = mapping->content.first;
    while (child != NULL && strcmp(child->key, key) != 0)
        child = child->next;
    return child;
}

const char *node_describe(const struct node *node, struct text *out)
{
    if (node->kind == NODE_SEQUENCE)
        return "a list";
    if (node->kind == NODE_MAPPING)
        return "a mapping";
    if (node->flags & NODE_FLAG_NULL)
        return "empty";
    text_reset(out);
    text_append_character(out, '\'');
    text_append_printable(out, node->content.text, SHOWN_LIMIT);
    text_append_character(out, '\'');
    return text_bytes(out);
}

/* "<what> must be <wanted>, not <what it is>"; silent for a node that has its problem already. */
static bool refuse(const struct document *document, const struct node *node, const char *what, const char *wanted,
                   const char *hint, struct problems *problems)
{
    if (node->flags & NODE_FLAG_BROKEN)
        return false;
    cleanup(text_clear) struct text shown = TEXT_INIT;
    problem_add(problems, PROBLEM_ERROR, node_place(document, node), hint, "%s must be %s, not %s", what, wanted,
                node_describe(node, &shown));
    return false;
}

/* A scalar that is not null and not broken. */
static bool is_value(const struct node *node)
{
    return node->kind == NODE_SCALAR && (node->flags & (NODE_FLAG_NULL | NODE_FLAG_BROKEN)) == 0;
}

bool node_to_text(const struct document *document, const struct node *node, const char *what, const char **text,
                  struct problems *problems)
{
    if (!is_value(node))
        return refuse(document, node, what, "a text", NULL, problems);
    *text = node->content.text;
    return true;
}

bool node_to_unsigned(const struct document *document, const struct node *node, const char *what, uint64_t minimum,
                      uint64_t maximum, uint64_t *number, struct problems *problems)
{
    uint64_t value;
    if (is_value(node) && text_to_unsigned(node->content.text, &value) && value >= minimum && value <= maximum) {
        *number = value;
        return true;
    }
    cleanup(text_clear) struct text wanted = TEXT_INIT;
    if (maximum == UINT64_MAX)
        text_format(&wanted, "a whole number of at least %llu", (unsigned long long)minimum);
    else
        text_format(&wanted, "a whole number from %llu to %llu", (unsigned long long)minimum,
                    (unsigned long long)maximum);
    return refuse(document, node, what, text_bytes(&wanted), NULL, problems);
}

bool node_to_boolean(const struct document *document, const struct node *node, const char *what, bool *value,
                     struct problems *problems)
{
    if (is_value(node) && (strcmp(node->content.text, "true") == 0 || strcmp(node->content.text, "false") == 0)) {
        *value = node->content.text[0] == 't';
        return true;
    }
    return refuse(document, node, what, "true or false", NULL, problems);
}

bool node_to_length(const struct document *document, const struct node *node, const char *what, int64_t *ms,
                    struct problems *problems)
{
    if (is_value(node) && clock_parse_length(node->content.text, ms))
        return true;
    return refuse(document, node, what, "a length of time", "write 90 (seconds), 30s, 5m, 2h or 1d", problems);
}

bool node_to_bytes(const struct document *document, const struct node *node, const char *what, uint64_t *bytes,
                   struct problems *problems)
{
    if (is_value(node) && bytes_parse(node->content.text, bytes))
        return true;
    return refuse(document, node, what, "an amount of bytes", "write 8GiB, 500MB or 4096", problems);
}

/* Copying: an explicit stack; collections that may hang below several nodes are copied once. */
struct copy_step {
    const struct node *source; /* the next child to copy */
    struct node *parent, *last;
};

struct copy_pair {
    const struct node *from; /* first child */
    struct node *to;
};

struct copying {
    struct node_store *store;
    LIST(struct copy_step) steps;
    LIST(struct copy_pair) shared; /* open addressing by `from`; count is the size, a power of two */
    size_t shared_used;
};

static size_t shared_slot(const struct copying *copying, const struct node *from)
{
    size_t mask = copying->shared.count - 1;
    size_t at = ((uintptr_t)from >> 4) * UINT64_C(0x9E3779B97F4A7C15) >> 20 & mask;
    while (copying->shared.items[at].from != NULL && copying->shared.items[at].from != from)
        at = (at + 1) & mask;
    return at;
}

static void shared_grow(struct copying *copying)
{
    struct copying old = *copying;
    size_t size = old.shared.count > 0 ? old.shared.count * 2 : 16;
    copying->shared.items = memory_allocate(size * sizeof *copying->shared.items);
    copying->shared.count = copying->shared.capacity = size;
    for (size_t i = 0; i < old.shared.count; i++)
        if (old.shared.items[i].from != NULL)
            copying->shared.items[shared_slot(copying, old.shared.items[i].from)] = old.shared.items[i];
    memory_free(old.shared.items);
}

static struct node *copy_head(struct copying *copying, const struct node *source)
{
    bool raw = (source->flags & NODE_FLAG_RAW) != 0;
    struct node *copy = node_store_take(copying->store, raw ? sizeof(struct node_replaced) : sizeof *copy);
    *copy = *source;
    copy->next = NULL;
    if (source->key != NULL)
        copy->key = node_store_text(copying->store, source->key, strlen(source->key));
    if (raw) {
        const char *text = node_raw_text(source);
        ((struct node_replaced *)(void *)copy)->raw = node_store_text(copying->store, text, strlen(text));
    }
    if (source->kind == NODE_SCALAR)
        copy->content.text = node_store_text(copying->store, source->content.text, source->length);
    else
        copy->content.first = NULL;
    return copy;
}

/* Lets the copy of a collection's children come next, unless they are there already. The children of a shared
 * collection are its first child's; that child's copy is set when it is made, before anything could ask for it again,
 * since nothing contains itself. */
static void copy_below(struct copying *copying, const struct node *source, struct node *copy)
{
    const struct node *first = node_first(source);
    if (first == NULL)
        return;
    if (source->flags & NODE_FLAG_SHARED) {
        if (copying->shared_used * 2 >= copying->shared.count)
            shared_grow(copying);
        struct copy_pair *pair = &copying->shared.items[shared_slot(copying, first)];
        if (pair->from != NULL) {
            copy->content.first = pair->to;
            return;
        }
        *pair = (struct copy_pair){.from = first};
        copying->shared_used++;
    }
    struct copy_step step = {.source = first, .parent = copy};
    list_add(&copying->steps, step);
}

static void copy_child(struct copying *copying)
{
    struct copy_step *step = &copying->steps.items[copying->steps.count - 1];
    const struct node *source = step->source;
    struct node *copy = copy_head(copying, source);
    if (step->last != NULL) {
        step->last->next = copy;
    } else {
        step->parent->content.first = copy;
        if (step->parent->flags & NODE_FLAG_SHARED)
            copying->shared.items[shared_slot(copying, source)].to = copy;
    }
    step->last = copy;
    step->source = source->next;
    if (step->source == NULL)
        copying->steps.count--;
    copy_below(copying, source, copy);
}

struct document *document_copy(const struct document *document, const struct node *node)
{
    struct copying copying = {.store = node_store_new()};
    struct document *result = memory_allocate(sizeof *result);
    result->store = copying.store;
    result->file = node_store_text(copying.store, document->file, strlen(document->file));
    struct node *root = copy_head(&copying, node);
    result->root = root;
    copy_below(&copying, node, root);
    while (copying.steps.count > 0)
        copy_child(&copying);
    list_clear(&copying.steps);
    memory_free(copying.shared.items);
    return result;
}
