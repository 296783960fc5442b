/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A developer's container as an image: a docker-archive with one layer, which holds all of the container's folder.
 *
 * One layer, for a difference would need the layers of the base, which an image from a folder never had and a store may
 * have dropped (`keep-layers: false`).
 *
 * Source: the format of `docker save`, and the OCI image specification's config.md.
 */
#ifndef NATIVE_COMMIT_H
#define NATIVE_COMMIT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "registry/digest.h"

#define COMMIT_REFERENCE "docker-archive:"

struct commit_request {
    const char *box;            /* the container's folder, tool/box.h */
    const char *path;           /* of the archive, absolute; replaced when it is whole */
    const char *const *command; /* or NULL: a shell */
    const atomic_bool *stop;
};
struct committed {
    char config_digest[DIGEST_SIZE];
    char platform[64];
    uint64_t bytes;
    int64_t created_at_ms;
};
/* For a helper thread. */
bool commit_write(const struct commit_request *request, struct committed *committed, struct failure *failure);

#endif
