/* SPDX-License-Identifier: BSD-3-Clause */
/* Dynamic arrays of any type: struct { type *items; size_t count, capacity; }, declared with LIST(type). */
#ifndef DESCPIPE_BASE_LIST_H
#define DESCPIPE_BASE_LIST_H

#include <stddef.h>

#include "base/memory.h"

#define LIST(type) struct { type *items; size_t count, capacity; }

#define list_reserve(list, more) \
    list_reserve_bytes((void **)&(list)->items, &(list)->capacity, (list)->count, (more), sizeof(*(list)->items))
#define list_add(list, item) (list_reserve((list), 1), (void)((list)->items[(list)->count++] = (item)))
/* Room for one more, zeroed; evaluates to its address. */
#define list_grow(list) (list_reserve((list), 1), list_zero(&(list)->items[(list)->count], sizeof(*(list)->items)), &(list)->items[(list)->count++])
#define list_clear(list) (memory_free((list)->items), (list)->items = NULL, (list)->count = (list)->capacity = 0)

void list_reserve_bytes(void **items, size_t *capacity, size_t count, size_t more, size_t item_size);
void *list_zero(void *place, size_t bytes);

/* Lists of owned texts ending with NULL, as argv and environments are. */
struct words {
    char **items; /* NULL while empty; else ends with NULL */
    size_t count, capacity;
};
void words_add(struct words *words, const char *word);          /* copies */
void words_take(struct words *words, char *word);               /* takes */
void words_format(struct words *words, const char *format, ...) __attribute__((format(printf, 2, 3)));
void words_add_all(struct words *words, const char *const *more);
void words_clear(struct words *words);
const char *const *words_list(const struct words *words);       /* never NULL */
const char *words_environment(const char *const *environment, const char *name); /* value of NAME=value or NULL */
static inline void words_clear_at(struct words *place) { words_clear(place); }

#endif
