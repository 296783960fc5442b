/* SPDX-License-Identifier: BSD-3-Clause */
/* Scalars: their texts, with the variables in them replaced. */
#include <string.h>

#include "config/document_frame.h"
#include "config/variables.h"

enum { REPLACED_LIMIT = 256 * 1024 * 1024 }; /* bytes that variables may put into one file */

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
    const struct frame *frame = build_top(build);
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
        build_refuse_tag(build, event);
    return build_count(build, 1, event);
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
    struct frame *frame = build_top(build);
    if (frame_wants_key(frame)) {
        build_take_key(build, frame, event);
        struct anchor *anchor = build_anchor(build, event->anchor);
        if (anchor != NULL)
            *anchor = (struct anchor){.node = key_node(build, event), .weight = 1};
        return true;
    }
    if (frame == NULL && !(event->plain && event->length == 0) && build_refuse_root(build, event))
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
    struct anchor *anchor = build_anchor(build, event->anchor);
    if (anchor != NULL) {
        *anchor = (struct anchor){.node = node, .weight = 1};
        node->flags |= NODE_FLAG_ANCHOR;
    }
    build_hang(build, node);
    return true;
}
