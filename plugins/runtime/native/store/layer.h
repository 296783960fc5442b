/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One layer of an image: a tar stream, plain or compressed, unpacked into a folder of its own.
 *
 * Two libarchive readers stand behind each other: the first inflates, the second reads the tar; between them the
 * uncompressed bytes are hashed (that is the diff_id), before the first one the stored bytes (the blob's digest).
 * Nothing is believed before both have been compared, so the caller unpacks into a private folder and drops it on
 * failure.
 *
 * Beside the `tree` of what the layer adds lies `whiteouts`, what it takes away from the layers below: records of 'w'
 * (the path itself) or 'o' (all that is in the folder), the path, and a NUL.
 *
 * Source: OCI image specification 1.1, layer.md.
 */
#ifndef NATIVE_STORE_LAYER_H
#define NATIVE_STORE_LAYER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "registry/failure.h"

#include "budget.h"

#define LAYER_TREE "tree"
#define LAYER_WHITEOUTS "whiteouts"

struct layer_request {
    ssize_t (*read)(void *context, void *bytes, size_t size, struct failure *failure); /* 0 at the end, -1 failed */
    void *context;
    int folder;          /* empty and private: gets LAYER_TREE and LAYER_WHITEOUTS */
    const char *digest;  /* of the stored bytes, or NULL: not known (`docker save`) */
    const char *diff_id; /* of the uncompressed bytes, or NULL (fuzzing) */
    bool keep_owner;
    const struct budget *budget;
};

struct layer_result {
    uint64_t entries;
    uint64_t bytes;   /* unpacked */
    uint64_t skipped; /* devices, which nobody but root could make and no stage gets */
};

bool layer_unpack(const struct layer_request *request, struct layer_result *result, struct failure *failure);

#endif
