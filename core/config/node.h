/* SPDX-License-Identifier: BSD-3-Clause */
/* How nodes look inside config/; everybody else reads them through document.h. */
#ifndef DESCPIPE_CONFIG_NODE_H
#define DESCPIPE_CONFIG_NODE_H

#include <string.h>

#include "base/list.h"
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
struct node_chunk {
    char *bytes;
    size_t size;
};
struct node_store {
    char *at, *end; /* of the chunk being filled */
    size_t current; /* its index; those behind it are empty */
    LIST(struct node_chunk) chunks;
};
struct node_mark {
    size_t chunk, used;
};
struct node_store *node_store_new(void);
void node_store_free(struct node_store *store);
DEFINE_CLEANUP(struct node_store *, node_store_free);
char *node_store_room(struct node_store *store, size_t bytes); /* the slow path: a next chunk, aligned */

static inline void *node_store_take(struct node_store *store, size_t bytes) /* aligned for nodes, zeroed */
{
    size_t gap = -(uintptr_t)store->at & 7;
    char *place;
    if ((size_t)(store->end - store->at) >= bytes + gap) {
        place = store->at + gap;
        store->at = place + bytes;
    } else {
        place = node_store_room(store, bytes);
    }
    return memset(place, 0, bytes);
}

static inline char *node_store_text(struct node_store *store, const void *bytes, size_t length) /* with a NUL added */
{
    if (length == SIZE_MAX)
        memory_exhausted();
    char *place = store->at;
    if ((size_t)(store->end - store->at) > length)
        store->at += length + 1;
    else
        place = node_store_room(store, length + 1);
    if (length > 0)
        memcpy(place, bytes, length);
    place[length] = '\0';
    return place;
}

struct node_mark node_store_mark(const struct node_store *store);
void node_store_rewind(struct node_store *store,
                       struct node_mark mark); /* keeps a little memory, gives the rest back */

struct document {
    struct node_store *store; /* NULL in the view that a stream hands out */
    const struct node *root;
    const char *file; /* in the store, or borrowed by a view */
};

#endif
