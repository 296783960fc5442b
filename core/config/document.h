/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * YAML as a tree with the place of every node, read event by event with budgets. The only file that includes yaml.h
 * is document.c.
 *
 * How it works: a document is read as a stream of top-level entries, so that a pipeline of 100,000 stage sections never
 * stands in memory as a whole: for each `key: value` of the top mapping the reader builds the value's nodes in an
 * arena, hands them over and forgets them again (what an anchor keeps is kept). document_read builds everything at
 * once, for small files.
 */
#ifndef DESCPIPE_CONFIG_DOCUMENT_H
#define DESCPIPE_CONFIG_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/problem.h"
#include "base/table.h"

enum node_kind { NODE_SCALAR = 1, NODE_SEQUENCE, NODE_MAPPING };

/* Nodes are read through these functions only. Children of a mapping are its values, each with a key. */
struct node;
struct document;

struct document_budget { /* 0 means the default */
    uint64_t bytes;      /* of the file: 1 GiB */
    uint32_t depth;      /* 64 */
    uint64_t nodes;      /* after expansion of aliases: 100 million; of one entry that uses aliases: 1 million */
};

/* Streams a file. `entry` gets each top-level key and value in file order; they live until it returns. false: some
 * problem of level error was added (syntax, duplicate key, tag, second document, cycle, budget, not a mapping, not
 * UTF-8). Reading goes on after problems of single entries, stops at a syntax error. */
struct document_reader {
    void (*entry)(void *context, const struct document *document, const char *key, struct place key_place,
                  const struct node *value);
    void *context;
    struct document_budget budget;
    bool no_variables;    /* do not replace ${VAR} */
    const char *verbatim; /* values of this key, directly in a top-level entry, are not replaced either (`script`);
                             NULL: none */
    bool *whole; /* set to whether the end of the file was reached (a syntax error or a budget stops before it); may be
                    NULL */
    struct symbols *symbols; /* top-level keys are interned here to find duplicates; NULL: a table of its own */
};
bool document_stream(const char *path, const char *shown_path, const struct document_reader *reader,
                     struct problems *problems);

/* The whole file at once. NULL when there was an error. An empty file is an empty mapping. */
struct document *document_read(const char *path, const char *shown_path, const struct document_budget *budget,
                               struct problems *problems);
struct document *document_parse(const char *bytes, size_t length, const char *shown_path,
                                const struct document_budget *budget, struct problems *problems);
/* The same, with what document_reader offers (`entry` and `context` are not used; `verbatim` then counts at the top
 * level). */
struct document *document_read_with(const char *path, const char *shown_path, const struct document_reader *reader,
                                    struct problems *problems);
/* One value of any kind ("4", "[a, b]", "{x: 1}"), as --set takes it; no variables. `shown_path` stands for the file in
 * messages. */
struct document *document_parse_value(const char *value, const char *shown_path, struct problems *problems);
bool document_stream_bytes(const char *bytes, size_t length, const char *shown_path,
                           const struct document_reader *reader, struct problems *problems);
/* A copy of one node and what is below as a document of its own, places included. Aliases stay shared. */
struct document *document_copy(const struct document *document, const struct node *node);
const char *document_file(const struct document *document); /* the shown path */
void document_free(struct document *document);
DEFINE_CLEANUP(struct document *, document_free);
const struct node *document_root(const struct document *document);

enum node_kind node_kind(const struct node *node);
struct place node_place(const struct document *document, const struct node *node);
/* Scalars: the text after ${VAR} replacement; `node_is_plain` tells 10 from "10"; `node_is_null` is a plain ~, null or
 * nothing. */
const char *node_text(const struct node *node);
size_t node_length(const struct node *node);
bool node_is_plain(const struct node *node);
bool node_is_null(const struct node *node);
bool node_is_broken(
    const struct node *node); /* its problem is reported already (a missing variable): say no more about it */
bool node_has_anchor(const struct node *node); /* &name: meant for use elsewhere */
/* The text as written, before ${VAR} replacement (for `script:`). */
const char *node_raw_text(const struct node *node);
size_t node_count(const struct node *node); /* children */
const struct node *node_first(const struct node *node);
const struct node *node_next(const struct node *child);
const char *node_key(const struct node *child); /* in a mapping, else NULL */
struct place node_key_place(const struct document *document, const struct node *child);
const struct node *node_get(const struct node *mapping, const char *key); /* or NULL */

/* "a list", "a mapping", "empty" or the text in quotes, cut for a message; `out` holds the bytes. */
const char *node_describe(const struct node *node, struct text *out);

/* Typed reading with a problem at the node's place when it does not fit: "WHAT must be …, not …". `what` names the
 * value as it stands in the message: "'cpus'". */
bool node_to_text(const struct document *document, const struct node *node, const char *what, const char **text,
                  struct problems *problems);
bool node_to_unsigned(const struct document *document, const struct node *node, const char *what, uint64_t minimum,
                      uint64_t maximum, uint64_t *number, struct problems *problems);
bool node_to_boolean(const struct document *document, const struct node *node, const char *what, bool *value,
                     struct problems *problems); /* true, false */
bool node_to_length(const struct document *document, const struct node *node, const char *what, int64_t *ms,
                    struct problems *problems);
bool node_to_bytes(const struct document *document, const struct node *node, const char *what, uint64_t *bytes,
                   struct problems *problems);

#endif
