/* SPDX-License-Identifier: BSD-3-Clause */
/* The memory of nodes: chunks that are filled from the front and rewound to a mark, entry by entry. */
#include <string.h>

#include "base/list.h"
#include "config/node.h"

enum { CHUNK_FIRST = 2048, CHUNK_LARGEST = 256 * 1024, CHUNK_ALIGNMENT = 8, CHUNKS_KEPT = 8 };

struct chunk {
    char *bytes;
    size_t size, used;
};

struct node_store {
    LIST(struct chunk) chunks;
    size_t current; /* index of the chunk being filled; those behind it are empty */
};

struct node_store *node_store_new(void)
{
    return memory_allocate(sizeof(struct node_store));
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

/* The first chunk from the current one on with room for `bytes`, or a new one. */
static struct chunk *store_room(struct node_store *store, size_t bytes, size_t alignment)
{
    for (; store->current < store->chunks.count; store->current++) {
        struct chunk *chunk = &store->chunks.items[store->current];
        size_t used = (chunk->used + alignment - 1) & ~(alignment - 1);
        if (used <= chunk->size && chunk->size - used >= bytes) {
            chunk->used = used;
            return chunk;
        }
    }
    size_t size = CHUNK_FIRST;
    if (store->chunks.count > 0)
        size = store->chunks.items[store->chunks.count - 1].size * 2;
    if (size > CHUNK_LARGEST)
        size = CHUNK_LARGEST;
    if (size < bytes)
        size = bytes;
    struct chunk chunk = {.bytes = memory_resize(NULL, size), .size = size};
    list_add(&store->chunks, chunk);
    store->current = store->chunks.count - 1;
    return &store->chunks.items[store->current];
}

void *node_store_take(struct node_store *store, size_t bytes)
{
    struct chunk *chunk = store_room(store, bytes, CHUNK_ALIGNMENT);
    void *place = chunk->bytes + chunk->used;
    chunk->used += bytes;
    return memset(place, 0, bytes);
}

char *node_store_text(struct node_store *store, const void *bytes, size_t length)
{
    if (length == SIZE_MAX)
        memory_exhausted();
    struct chunk *chunk = store_room(store, length + 1, 1);
    char *place = chunk->bytes + chunk->used;
    chunk->used += length + 1;
    if (length > 0)
        memcpy(place, bytes, length);
    place[length] = '\0';
    return place;
}

struct node_mark node_store_mark(const struct node_store *store)
{
    if (store->current >= store->chunks.count)
        return (struct node_mark){.chunk = store->current};
    return (struct node_mark){.chunk = store->current, .used = store->chunks.items[store->current].used};
}

void node_store_rewind(struct node_store *store, struct node_mark mark)
{
    /* One very large entry must not make the rest of the reading large. */
    while (store->chunks.count > mark.chunk + CHUNKS_KEPT)
        memory_free(store->chunks.items[--store->chunks.count].bytes);
    for (size_t i = mark.chunk; i < store->chunks.count; i++)
        store->chunks.items[i].used = i == mark.chunk ? mark.used : 0;
    store->current = mark.chunk;
}
