/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Taking images away that nobody used for long, or that are too many.
 *
 * How it works: with the store to itself (store_enter_alone) it lists the images with their layers and the time of
 * their last use, chooses those that go, and then removes what no remaining image needs: roots, layers, blobs, names.
 * An image whose root is mounted by some process of this machine, or that was used in the last hour, stays.
 */
#ifndef NATIVE_STORE_PRUNE_H
#define NATIVE_STORE_PRUNE_H

#include "store.h"

#define PRUNE_GRACE_MS (60ll * 60 * 1000) /* a run may have prepared it and not started yet */

struct prune_wish {
    uint64_t unused_ms;  /* 0: whatever age */
    uint64_t keep_bytes; /* 0: does not matter */
    bool only_say;
    int64_t now_ms;
    const atomic_bool *stop;
};
struct prune_result {
    char **lines; /* one for each image that goes, owned */
    size_t count;
    uint64_t freed; /* bytes */
};
bool prune_store(struct store *store, const struct prune_wish *wish, struct prune_result *result, bool *busy,
                 struct failure *failure);
void prune_result_clear(struct prune_result *result);

#endif
