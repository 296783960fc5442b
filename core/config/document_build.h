/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Builds nodes from the events of a YAML parser: anchors, aliases, merge keys, duplicate keys, variables and budgets.
 * Knows nothing of libyaml.
 */
#ifndef DESCPIPE_CONFIG_DOCUMENT_BUILD_H
#define DESCPIPE_CONFIG_DOCUMENT_BUILD_H

#include "config/node.h"

struct build_event {
    const char *anchor; /* of the node, or the name an alias asks for; NULL: none */
    const char *tag;    /* NULL: none */
    const char *text;   /* scalars */
    size_t length;
    bool plain;
    uint32_t line, column;
    uint32_t span; /* characters from its first to its last, when both are on one line; else 0 */
};

struct document_build;
/* `reader` and `problems` are borrowed. With reader->entry the top-level entries are handed out and forgotten. */
struct document_build *document_build_new(const struct document_reader *reader, const char *file, bool any_root,
                                          struct problems *problems);
void document_build_free(struct document_build *build);
DEFINE_CLEANUP(struct document_build *, document_build_free);
/* All return false when reading must stop; the problem was added. */
bool document_build_scalar(struct document_build *build, const struct build_event *event);
bool document_build_alias(struct document_build *build, const struct build_event *event);
bool document_build_open(struct document_build *build, enum node_kind kind, const struct build_event *event);
bool document_build_close(struct document_build *build);
/* The whole tree, of which the build lets go; an empty mapping when there was no node at all. */
struct document *document_build_take(struct document_build *build);

#endif
