/* SPDX-License-Identifier: BSD-3-Clause */
/* What a store holds: images, layers and blobs with their sizes, and who needs what. */
#ifndef NATIVE_STORE_INVENTORY_H
#define NATIVE_STORE_INVENTORY_H

#include "names.h"
#include "store.h"

#define INVENTORY_LIMIT 100000 /* of a kind */

struct inventory_item {
    char hex[65];
    uint64_t bytes; /* on the disk */
    int64_t used_at_ms;
    unsigned needed; /* by how many images that stay */
};
struct inventory_list {
    struct inventory_item *items; /* sorted by hex */
    size_t count;
};
struct inventory_image {
    struct inventory_item item;
    size_t *layers; /* positions in the list of layers */
    size_t layers_count;
    bool layers_known;
    size_t *blobs; /* manifest, config and layers, as far as they are here */
    size_t blobs_count;
    bool goes, in_use;
    char *names; /* "docker.io/library/busybox:1, ..." or NULL */
};
struct inventory {
    struct inventory_image *images; /* the one not used for longest first */
    size_t images_count;
    struct inventory_list layers, blobs;
};
bool inventory_take(struct inventory *inventory, const struct store *store, struct failure *failure);
void inventory_clear(struct inventory *inventory);
static inline void inventory_clear_at(struct inventory *place)
{
    inventory_clear(place);
}

#endif
