/* SPDX-License-Identifier: BSD-3-Clause */
/* Open addressing with linear probing, at most two thirds full. Keys are our own numbers, not chosen by strangers. */
#include "report/number_index.h"

#include "base/memory.h"

void number_index_clear(struct number_index *index)
{
    memory_free(index->entries);
    *index = (struct number_index){0};
}

static size_t home(uint64_t key, size_t capacity)
{
    key ^= key >> 32; /* the finishing steps of a usual 64-bit mixer */
    key *= UINT64_C(0x9E3779B97F4A7C15);
    key ^= key >> 29;
    return (size_t)key & (capacity - 1);
}

static struct number_entry *place_of(struct number_entry *entries, size_t capacity, uint64_t key)
{
    size_t at = home(key, capacity);
    while (entries[at].key != 0 && entries[at].key != key)
        at = (at + 1) & (capacity - 1);
    return &entries[at];
}

static void grow(struct number_index *index)
{
    size_t capacity = index->capacity > 0 ? index->capacity * 2 : 64;
    struct number_entry *entries = memory_allocate(capacity * sizeof *entries);
    for (size_t i = 0; i < index->capacity; i++)
        if (index->entries[i].key != 0)
            *place_of(entries, capacity, index->entries[i].key) = index->entries[i];
    memory_free(index->entries);
    index->entries = entries;
    index->capacity = capacity;
}

void number_index_put(struct number_index *index, uint64_t key, uint32_t value)
{
    if ((index->count + 1) * 3 > index->capacity * 2)
        grow(index);
    struct number_entry *entry = place_of(index->entries, index->capacity, key);
    if (entry->key == 0)
        index->count++;
    *entry = (struct number_entry){key, value};
}

uint32_t number_index_get(const struct number_index *index, uint64_t key)
{
    if (index->capacity == 0 || key == 0)
        return UINT32_MAX;
    const struct number_entry *entry = place_of(index->entries, index->capacity, key);
    return entry->key == key ? entry->value : UINT32_MAX;
}
