/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A whole image to a registry: nothing when the tag names it already, else its blobs side by side, each only when the
 * registry lacks it, and the manifest last.
 */
#ifndef DESCPIPE_REGISTRY_PUSH_H
#define DESCPIPE_REGISTRY_PUSH_H

#include "registry/client/client.h"
#include "registry/reference.h"

#define PUSH_UPLOADS 3 /* at once */

struct push_blob {
    const char *digest;
    uint64_t bytes;
};

struct push_summary {
    const char *digest;            /* of the manifest */
    bool unchanged;                /* the tag named it already */
    size_t sent, mounted, existed; /* blobs */
    uint64_t sent_bytes;
};

struct push_request {
    struct registry_client *client;    /* retained until done */
    const struct reference *reference; /* copied */
    const struct push_blob *blobs;     /* config and layers; these, manifest, media type and mounts live until done */
    size_t count;
    const char *manifest;
    size_t manifest_length;
    const char *media_type;
    const char *const *mount_from; /* repositories of the same registry, ends with NULL; or NULL */
    /* A descriptor of the blob at its start, which the push closes; -1 with a failure, or without one: this machine
     * does not have it, and the registry must. */
    int (*open)(void *context, size_t index, struct failure *failure);
    void (*progress)(void *context, uint64_t bytes_done, uint64_t bytes_total); /* may be NULL */
    /* Exactly once, never before the start has returned. */
    void (*done)(void *context, const struct push_summary *summary, const struct failure *failure);
    void *context;
};
struct push;
/* NULL with a failure when it could not begin; then `done` does not come. */
struct push *push_start(const struct push_request *request, struct failure *failure);
void push_stop(struct push *push); /* `done` still comes, as CANCELLED */

#endif
