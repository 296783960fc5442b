/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One blob to a registry: asked for first, then mounted from another repository of the same registry, then sent, in one
 * piece or in chunks; and a manifest, last.
 *
 * How it works: what was cut, or whose answer was lost, is not simply sent again: the server is asked how far it got,
 * and the upload goes on from there. A session that the server has forgotten begins anew. A blob goes in one request;
 * where something on the way finds that too long, in shorter and shorter ones.
 *
 * Source: OCI distribution specification 1.1, "Pushing blobs", "Mounting a blob from another repository", "Pushing
 * manifests".
 */
#ifndef DESCPIPE_REGISTRY_UPLOAD_H
#define DESCPIPE_REGISTRY_UPLOAD_H

#include "registry/client/client.h"

enum upload_way { UPLOAD_EXISTED, UPLOAD_MOUNTED, UPLOAD_SENT };

struct upload_request {
    struct registry_client *client; /* retained until done */
    const char *repository;         /* copied */
    const char *digest;             /* copied */
    uint64_t bytes;
    int descriptor;                /* read from its start; borrowed until done. -1: only asked for and mounted */
    const char *const *mount_from; /* repositories of the same registry that may hold it, ends with NULL; or NULL */
    void (*progress)(void *context, uint64_t bytes_done); /* may be NULL */
    /* Exactly once, never before the start has returned. */
    void (*done)(void *context, enum upload_way way, const struct failure *failure);
    void *context;
};
struct upload;
/* NULL with a failure when it could not begin; then `done` does not come. */
struct upload *upload_start(const struct upload_request *request, struct failure *failure);
void upload_stop(struct upload *upload); /* `done` still comes, as CANCELLED */

struct manifest_put_request {
    struct registry_client *client;
    const char *repository;
    const char *object; /* a tag, or the digest */
    const char *media_type;
    const char *bytes; /* copied */
    size_t length;
    void (*done)(void *context, const char *digest, const struct failure *failure); /* "sha256:..." of the bytes */
    void *context;
};
bool manifest_put(const struct manifest_put_request *request, struct failure *failure);

#endif
