/* SPDX-License-Identifier: BSD-3-Clause */
/* How nodes look inside config/; everybody else reads them through document.h. */
#ifndef DESCPIPE_CONFIG_NODE_H
#define DESCPIPE_CONFIG_NODE_H

#include "config/document.h"

enum node_flag {
    NODE_FLAG_PLAIN = 1 << 0, /* written without quotes */
    NODE_FLAG_NULL = 1 << 1,
    NODE_FLAG_BROKEN = 1 << 2, /* a problem was reported already: typed reading stays silent */
    NODE_FLAG_ANCHOR = 1 << 3, /* it carries an &anchor itself */
    NODE_FLAG_RAW = 1 << 4,    /* is a struct node_replaced */
    NODE_FLAG_SHARED = 1 << 5  /* its children may hang below other nodes too (anchor or alias) */
};

/* An alias is a node of its own that shares its text or children with the node it names: nothing is ever expanded in
 * memory. */
struct node {
    union {
        const char *text;   /* scalar */
        struct node *first; /* collection */
    } content;
    const char *key; /* in a mapping */
    struct node *next;
    uint32_t length; /* bytes of the text, or number of children */
    uint32_t line, column;
    uint32_t key_line, key_column;
    uint8_t kind;  /* enum node_kind */
    uint8_t flags; /* enum node_flag */
};

struct node_replaced { /* a scalar in which a ${VAR} was replaced */
    struct node node;
    const char *raw;
};

/* Memory for nodes and texts: filled from the front, rewound to a mark. Never moves what it gave. */
struct node_store;
struct node_mark {
    size_t chunk, used;
};
struct node_store *node_store_new(void);
void node_store_free(struct node_store *store);
DEFINE_CLEANUP(struct node_store *, node_store_free);
void *node_store_take(struct node_store *store, size_t bytes);                     /* aligned for nodes, zeroed */
char *node_store_text(struct node_store *store, const void *bytes, size_t length); /* with a NUL added */
struct node_mark node_store_mark(const struct node_store *store);
void node_store_rewind(struct node_store *store,
                       struct node_mark mark); /* keeps a little memory, gives the rest back */

struct document {
    struct node_store *store; /* NULL in the view that a stream hands out */
    const struct node *root;
    const char *file; /* in the store, or borrowed by a view */
};

#endif
