/* SPDX-License-Identifier: BSD-3-Clause */
/* The memory of nodes: chunks that are filled from the front and rewound to a mark, entry by entry. */
#include "config/node.h"

enum { CHUNK_FIRST = 2048, CHUNK_LARGEST = 64 * 1024, CHUNKS_KEPT = 8 };

struct node_store *node_store_new(void)
{
    struct node_store *store = memory_allocate(sizeof *store);
    static char nothing[1];
    store->at = store->end = nothing;
    return store;
}

void node_store_free(struct node_store *store)
{
    if (store == NULL)
        return;
    for (size_t i = 0; i < store->chunks.count; i++)
        memory_free(store->chunks.items[i].bytes);
    list_clear(&store->chunks);
    memory_free(store);
}

static void fill_from(struct node_store *store, size_t chunk, size_t used)
{
    store->current = chunk;
    store->at = store->chunks.items[chunk].bytes + used;
    store->end = store->chunks.items[chunk].bytes + store->chunks.items[chunk].size;
}

char *node_store_room(struct node_store *store, size_t bytes)
{
    for (size_t next = store->chunks.count > 0 ? store->current + 1 : 0; next < store->chunks.count; next++) {
        if (store->chunks.items[next].size < bytes)
            continue;
        fill_from(store, next, bytes);
        return store->at - bytes;
    }
    size_t size = store->chunks.count > 0 ? store->chunks.items[store->chunks.count - 1].size * 2 : CHUNK_FIRST;
    if (size > CHUNK_LARGEST)
        size = CHUNK_LARGEST;
    if (size < bytes)
        size = bytes;
    struct node_chunk chunk = {.bytes = memory_resize(NULL, size), .size = size};
    list_add(&store->chunks, chunk);
    fill_from(store, store->chunks.count - 1, bytes);
    return store->at - bytes;
}

struct node_mark node_store_mark(const struct node_store *store)
{
    if (store->chunks.count == 0)
        return (struct node_mark){0};
    return (struct node_mark){.chunk = store->current,
                              .used = (size_t)(store->at - store->chunks.items[store->current].bytes)};
}

void node_store_rewind(struct node_store *store, struct node_mark mark)
{
    /* One very large entry must not make the rest of the reading large. */
    while (store->chunks.count > mark.chunk + CHUNKS_KEPT)
        memory_free(store->chunks.items[--store->chunks.count].bytes);
    if (store->chunks.count > 0)
        fill_from(store, mark.chunk, mark.used);
}
