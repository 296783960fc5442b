/* SPDX-License-Identifier: BSD-3-Clause */
/* A hash table from texts to pointers (owned by the caller), with a per-process random seed, and symbols:
 * a text ↔ small number table for the many equal names of a large pipeline. */
#ifndef DESCPIPE_BASE_TABLE_H
#define DESCPIPE_BASE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"

struct table;
struct table *table_new(void);
void table_free(struct table *table); /* not the values */
DEFINE_CLEANUP(struct table *, table_free);
void table_put(struct table *table, const char *key, void *value); /* copies the key; replaces */
void *table_get(const struct table *table, const char *key);       /* or NULL */
bool table_remove(struct table *table, const char *key);
size_t table_count(const struct table *table);
/* In the order of insertion: for (size_t i = 0; table_next(t, &i, &key, &value);). Removing meanwhile is fine, putting is not. */
bool table_next(const struct table *table, size_t *position, const char **key, void **value);

/* Symbol 0 is the empty text and also means "none". Texts never move and live as long as the table. */
typedef uint32_t symbol;
struct symbols;
struct symbols *symbols_new(void);
void symbols_free(struct symbols *symbols);
DEFINE_CLEANUP(struct symbols *, symbols_free);
symbol symbol_intern(struct symbols *symbols, const char *bytes, size_t length);
symbol symbol_find(const struct symbols *symbols, const char *bytes, size_t length); /* 0 when unknown */
const char *symbol_text(const struct symbols *symbols, symbol wanted);
uint32_t symbols_count(const struct symbols *symbols); /* one more than the highest symbol */

#endif
