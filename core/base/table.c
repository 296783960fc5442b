/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tables from texts to pointers and to small numbers.
 *
 * How it works: both are open addressing with linear probing over small slots that hold part of the hash beside an
 * index, so that a probe rarely touches a key that is not the one looked for. The hash multiplies eight bytes at a
 * time by keys drawn at random per process: names come from files of others, who must not be able to make them collide,
 * and they never learn a hash. Its speed counts: a large pipeline hashes several names per stage.
 */
#include "base/table.h"

#include <limits.h>
#include <pthread.h>
#include <string.h>

#include "base/digest.h"

static uint64_t hash_key[3];
static pthread_once_t hash_key_once = PTHREAD_ONCE_INIT;

static void draw_hash_key(void)
{
    random_bytes(hash_key, sizeof hash_key);
    hash_key[1] |= 1; /* a factor of zero would forget the text */
    hash_key[2] |= 1;
}

__extension__ typedef unsigned __int128 wide;

/* Both halves of a product, folded: every bit of the result hangs on every bit of both factors. */
static inline uint64_t multiply_fold(uint64_t left, uint64_t right)
{
    wide product = (wide)left * right;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t load_word(const char *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

/* Up to eight bytes; the length, which is hashed too, tells texts apart that load the same. */
static inline uint64_t load_rest(const char *bytes, size_t length)
{
    uint32_t head = 0, tail = 0;
    if (length >= 4) {
        memcpy(&head, bytes, sizeof head);
        memcpy(&tail, bytes + length - sizeof tail, sizeof tail);
        return (uint64_t)head << 32 | tail;
    }
    if (length == 0)
        return 0;
    return (uint64_t)(unsigned char)bytes[0] << 16 | (uint64_t)(unsigned char)bytes[length / 2] << 8 |
           (unsigned char)bytes[length - 1];
}

static uint32_t hash_bytes(const char *bytes, size_t length)
{
    uint64_t state = hash_key[0] ^ length;
    for (; length > 8; bytes += 8, length -= 8)
        state = multiply_fold(state ^ load_word(bytes), hash_key[1]);
    state = multiply_fold(state ^ load_rest(bytes, length), hash_key[1]);
    state = multiply_fold(state, hash_key[2]);
    return (uint32_t)(state ^ state >> 32);
}

/* A slot of either table: `index` is the entry's number plus one, 0 while empty. */
struct slot {
    uint32_t hash;
    uint32_t index;
};

static struct slot *slots_new(size_t count)
{
    return memory_allocate(count * sizeof(struct slot));
}

static void slots_insert(struct slot *slots, size_t count, struct slot added)
{
    size_t at = added.hash & (count - 1);
    while (slots[at].index != 0)
        at = (at + 1) & (count - 1);
    slots[at] = added;
}

/* True when a table of `count` slots with `used` of them taken must grow before the next one. */
static bool slots_are_full(size_t count, size_t used)
{
    return used + 1 > count - count / 8;
}

static struct slot *slots_grown(struct slot *slots, size_t *count)
{
    size_t grown = *count > 0 ? *count * 2 : 16;
    struct slot *larger = slots_new(grown);
    for (size_t i = 0; i < *count; i++)
        if (slots[i].index != 0)
            slots_insert(larger, grown, slots[i]);
    free(slots);
    *count = grown;
    return larger;
}

struct table_entry {
    char *key; /* NULL: removed */
    void *value;
    uint32_t hash;
};

struct table {
    struct slot *slots;
    struct table_entry *entries; /* in the order of insertion */
    size_t slot_count, entry_count, entry_capacity, removed;
};

struct table *table_new(void)
{
    pthread_once(&hash_key_once, draw_hash_key);
    return memory_allocate(sizeof(struct table));
}

void table_free(struct table *table)
{
    if (table == NULL)
        return;
    for (size_t i = 0; i < table->entry_count; i++)
        free(table->entries[i].key);
    free(table->entries);
    free(table->slots);
    free(table);
}

/* The slot that holds `key`, or NULL. */
static struct slot *table_slot(const struct table *table, const char *key, uint32_t hash)
{
    if (table->slot_count == 0)
        return NULL;
    for (size_t at = hash & (table->slot_count - 1);; at = (at + 1) & (table->slot_count - 1)) {
        struct slot *slot = &table->slots[at];
        if (slot->index == 0)
            return NULL;
        if (slot->hash == hash && strcmp(table->entries[slot->index - 1].key, key) == 0)
            return slot;
    }
}

/* Closes the gaps of removed entries and makes the slots anew. */
static void table_compact(struct table *table)
{
    size_t kept = 0;
    memset(table->slots, 0, table->slot_count * sizeof *table->slots);
    for (size_t i = 0; i < table->entry_count; i++) {
        if (table->entries[i].key == NULL)
            continue;
        table->entries[kept] = table->entries[i];
        slots_insert(table->slots, table->slot_count,
                     (struct slot){.hash = table->entries[kept].hash, .index = (uint32_t)(kept + 1)});
        kept++;
    }
    table->entry_count = kept;
    table->removed = 0;
}

static void table_make_room(struct table *table)
{
    if (table->removed > table->entry_count / 2)
        table_compact(table);
    if (slots_are_full(table->slot_count, table->entry_count - table->removed))
        table->slots = slots_grown(table->slots, &table->slot_count);
    if (table->entry_count == table->entry_capacity) {
        if (table->entry_capacity > UINT32_MAX / 4)
            memory_exhausted();
        table->entry_capacity = table->entry_capacity > 0 ? table->entry_capacity * 2 : 8;
        table->entries = memory_resize(table->entries, table->entry_capacity * sizeof *table->entries);
    }
}

void table_put(struct table *table, const char *key, void *value)
{
    uint32_t hash = hash_bytes(key, strlen(key));
    struct slot *slot = table_slot(table, key, hash);
    if (slot != NULL) {
        table->entries[slot->index - 1].value = value;
        return;
    }
    char *copy = memory_copy_text(key);
    table_make_room(table);
    table->entries[table->entry_count++] = (struct table_entry){.key = copy, .value = value, .hash = hash};
    slots_insert(table->slots, table->slot_count, (struct slot){.hash = hash, .index = (uint32_t)table->entry_count});
}

void *table_get(const struct table *table, const char *key)
{
    const struct slot *slot = table_slot(table, key, hash_bytes(key, strlen(key)));
    return slot != NULL ? table->entries[slot->index - 1].value : NULL;
}

/* The slots behind the freed one move up where their own place allows, so that no marks of removed ones pile up. */
static void slots_remove(struct slot *slots, size_t count, size_t hole)
{
    for (size_t at = (hole + 1) & (count - 1); slots[at].index != 0; at = (at + 1) & (count - 1)) {
        size_t home = slots[at].hash & (count - 1);
        if (((at - home) & (count - 1)) >= ((at - hole) & (count - 1))) {
            slots[hole] = slots[at];
            hole = at;
        }
    }
    slots[hole] = (struct slot){0};
}

bool table_remove(struct table *table, const char *key)
{
    struct slot *slot = table_slot(table, key, hash_bytes(key, strlen(key)));
    if (slot == NULL)
        return false;
    struct table_entry *entry = &table->entries[slot->index - 1];
    slots_remove(table->slots, table->slot_count, (size_t)(slot - table->slots));
    char *stored = steal(&entry->key); /* `key` may be this very text: freed last */
    entry->value = NULL;
    table->removed++;
    free(stored);
    return true;
}

size_t table_count(const struct table *table)
{
    return table->entry_count - table->removed;
}

bool table_next(const struct table *table, size_t *position, const char **key, void **value)
{
    while (*position < table->entry_count) {
        const struct table_entry *entry = &table->entries[(*position)++];
        if (entry->key == NULL)
            continue;
        if (key != NULL)
            *key = entry->key;
        if (value != NULL)
            *value = entry->value;
        return true;
    }
    return false;
}

/*
 * Symbols. Texts lie one behind the other in chunks that never move, each as its length (seven bits a byte, lowest
 * first), its bytes and a NUL. A symbol is an index into `offsets`; an offset counts through all chunks as if they were
 * one, so 4 GiB of text is the limit. A text that does not fit into the rest of a chunk starts a new one, a long one
 * gets a run of chunks of its own. Per symbol: 4 bytes of offset and 9 to 16 of slot.
 */
enum { SYMBOL_CHUNK_BITS = 16, SYMBOL_CHUNK = 1 << SYMBOL_CHUNK_BITS };

struct symbols {
    struct slot *slots;
    uint32_t *offsets;
    char **chunks;     /* for a run of chunks: each its own part of the same allocation */
    bool *chunk_owned; /* false for the second and later ones of a run */
    size_t slot_count, offset_capacity, chunk_count, chunk_capacity;
    uint32_t count;    /* symbols, with symbol 0 */
    size_t chunk_used; /* of the last chunk */
};

static void symbols_add_chunks(struct symbols *symbols, size_t bytes)
{
    size_t run = (bytes + SYMBOL_CHUNK - 1) >> SYMBOL_CHUNK_BITS;
    if (run > (UINT32_MAX >> SYMBOL_CHUNK_BITS) - symbols->chunk_count)
        memory_exhausted();
    if (symbols->chunk_count + run > symbols->chunk_capacity) {
        symbols->chunk_capacity = (symbols->chunk_count + run) * 2;
        symbols->chunks = memory_resize(symbols->chunks, symbols->chunk_capacity * sizeof *symbols->chunks);
        symbols->chunk_owned = memory_resize(symbols->chunk_owned, symbols->chunk_capacity);
    }
    char *memory = memory_resize(NULL, run << SYMBOL_CHUNK_BITS);
    for (size_t i = 0; i < run; i++) {
        symbols->chunks[symbols->chunk_count] = memory + (i << SYMBOL_CHUNK_BITS);
        symbols->chunk_owned[symbols->chunk_count++] = i == 0;
    }
    symbols->chunk_used = 0;
}

/* Where `length` more bytes go; sets the offset. */
static char *symbols_place(struct symbols *symbols, size_t length, uint32_t *offset)
{
    if (symbols->chunk_count == 0 || symbols->chunk_used + length > SYMBOL_CHUNK) {
        symbols_add_chunks(symbols, length);
        size_t run = (length + SYMBOL_CHUNK - 1) >> SYMBOL_CHUNK_BITS;
        size_t first = symbols->chunk_count - run;
        *offset = (uint32_t)(first << SYMBOL_CHUNK_BITS);
        symbols->chunk_used = length - ((run - 1) << SYMBOL_CHUNK_BITS);
        return symbols->chunks[first];
    }
    *offset = (uint32_t)(((symbols->chunk_count - 1) << SYMBOL_CHUNK_BITS) + symbols->chunk_used);
    char *place = symbols->chunks[symbols->chunk_count - 1] + symbols->chunk_used;
    symbols->chunk_used += length;
    return place;
}

static symbol symbols_append(struct symbols *symbols, const char *bytes, size_t length)
{
    unsigned char head[10];
    size_t head_length = 0;
    for (size_t rest = length;; rest >>= 7) {
        head[head_length++] = (unsigned char)((rest & 127) | (rest > 127 ? 128 : 0));
        if (rest <= 127)
            break;
    }
    if (length > UINT32_MAX - 16 || symbols->count == UINT32_MAX)
        memory_exhausted();
    uint32_t offset;
    char *place = symbols_place(symbols, head_length + length + 1, &offset);
    memcpy(place, head, head_length);
    if (length > 0)
        memcpy(place + head_length, bytes, length);
    place[head_length + length] = '\0';
    if (symbols->count == symbols->offset_capacity) {
        symbols->offset_capacity = symbols->offset_capacity > 0 ? symbols->offset_capacity * 2 : 64;
        symbols->offsets = memory_resize(symbols->offsets, symbols->offset_capacity * sizeof *symbols->offsets);
    }
    symbols->offsets[symbols->count] = offset;
    return symbols->count++;
}

static const char *symbol_read(const struct symbols *symbols, symbol wanted, size_t *length)
{
    uint32_t offset = symbols->offsets[wanted];
    const char *place = symbols->chunks[offset >> SYMBOL_CHUNK_BITS] + (offset & (SYMBOL_CHUNK - 1));
    size_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
        unsigned char byte = (unsigned char)*place++;
        value |= (size_t)(byte & 127) << shift;
        if (byte < 128)
            break;
    }
    *length = value;
    return place;
}

struct symbols *symbols_new(void)
{
    pthread_once(&hash_key_once, draw_hash_key);
    struct symbols *symbols = memory_allocate(sizeof *symbols);
    symbols_append(symbols, "", 0);
    return symbols;
}

void symbols_free(struct symbols *symbols)
{
    if (symbols == NULL)
        return;
    for (size_t i = 0; i < symbols->chunk_count; i++)
        if (symbols->chunk_owned[i])
            free(symbols->chunks[i]);
    free(symbols->chunks);
    free(symbols->chunk_owned);
    free(symbols->offsets);
    free(symbols->slots);
    free(symbols);
}

static symbol symbol_look_up(const struct symbols *symbols, const char *bytes, size_t length, uint32_t hash)
{
    if (symbols->slot_count == 0)
        return 0;
    for (size_t at = hash & (symbols->slot_count - 1);; at = (at + 1) & (symbols->slot_count - 1)) {
        const struct slot *slot = &symbols->slots[at];
        if (slot->index == 0)
            return 0;
        if (slot->hash != hash)
            continue;
        size_t stored_length;
        const char *stored = symbol_read(symbols, slot->index - 1, &stored_length);
        if (stored_length == length && memcmp(stored, bytes, length) == 0)
            return slot->index - 1;
    }
}

symbol symbol_find(const struct symbols *symbols, const char *bytes, size_t length)
{
    return length > 0 ? symbol_look_up(symbols, bytes, length, hash_bytes(bytes, length)) : 0;
}

symbol symbol_intern(struct symbols *symbols, const char *bytes, size_t length)
{
    if (length == 0)
        return 0;
    uint32_t hash = hash_bytes(bytes, length);
    symbol known = symbol_look_up(symbols, bytes, length, hash);
    if (known != 0)
        return known;
    if (slots_are_full(symbols->slot_count, symbols->count))
        symbols->slots = slots_grown(symbols->slots, &symbols->slot_count);
    symbol added = symbols_append(symbols, bytes, length);
    slots_insert(symbols->slots, symbols->slot_count, (struct slot){.hash = hash, .index = added + 1});
    return added;
}

const char *symbol_text(const struct symbols *symbols, symbol wanted)
{
    size_t length;
    return symbol_read(symbols, wanted, &length);
}

uint32_t symbols_count(const struct symbols *symbols)
{
    return symbols->count;
}
