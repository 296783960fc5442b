/* SPDX-License-Identifier: BSD-3-Clause */
/* A small hash from 64-bit numbers to 32-bit ones, for jobs and (stage, member) pairs: 16 bytes an entry. Key 0 is
 * none. */
#ifndef DESCPIPE_REPORT_NUMBER_INDEX_H
#define DESCPIPE_REPORT_NUMBER_INDEX_H

#include <stddef.h>
#include <stdint.h>

struct number_entry {
    uint64_t key;
    uint32_t value;
};
struct number_index {
    struct number_entry *entries;
    size_t count, capacity; /* capacity is a power of two, or 0 */
};

void number_index_clear(struct number_index *index);
void number_index_put(struct number_index *index, uint64_t key, uint32_t value); /* key not 0; replaces */
uint32_t number_index_get(const struct number_index *index, uint64_t key);       /* UINT32_MAX: none */

#endif
