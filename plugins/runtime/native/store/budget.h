/* SPDX-License-Identifier: BSD-3-Clause */
/* What unpacking one image may use up at most, and whether somebody has asked to stop. */
#ifndef NATIVE_STORE_BUDGET_H
#define NATIVE_STORE_BUDGET_H

#include <stdatomic.h>
#include <stdint.h>

#define BUDGET_ENTRIES 5000000u
#define BUDGET_FREE_BYTES (256ull << 20)

struct budget {
    uint64_t entries;        /* of one layer */
    uint64_t bytes;          /* of one layer, unpacked; holes count */
    uint64_t free_bytes;     /* left on the disk */
    const atomic_bool *stop; /* or NULL */
};

#endif
