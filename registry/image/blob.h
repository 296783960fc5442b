/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One blob from a registry into a file, its digest checked.
 *
 * How it works: what comes is written to the file, and a helper thread hashes behind the writing, so memory does not
 * grow with the blob. A file that holds a part already is hashed first and goes on by a Range request; so does a
 * connection that was cut. A server without ranges starts over. A wrong digest empties the file.
 */
#ifndef DESCPIPE_REGISTRY_BLOB_H
#define DESCPIPE_REGISTRY_BLOB_H

#include "registry/client/client.h"

#define BLOB_SLOWEST 1024 /* bytes a second */

struct blob_request {
    struct registry_client *client; /* retained until done */
    const char *repository;         /* copied */
    const char *digest;             /* copied */
    uint64_t bytes;                 /* as the manifest says; more or less is a failure */
    int descriptor;                 /* read and write, a regular file, the caller's alone until done; borrowed */
    uint64_t slow_window_ms;        /* less than BLOB_SLOWEST bytes a second for so long is a cut; 0: one minute */
    void (*progress)(void *context, uint64_t bytes_done); /* may be NULL; goes back when a server starts over */
    /* Exactly once, never before the start has returned. Without a failure the file holds the blob, not yet synced;
     * else what is worth to go on from. `received`: bytes that came over the network. */
    void (*done)(void *context, uint64_t received, const struct failure *failure);
    void *context;
};
struct blob_fetch;
/* NULL with a failure when it could not begin; then `done` does not come. */
struct blob_fetch *blob_fetch_start(const struct blob_request *request, struct failure *failure);
void blob_fetch_stop(struct blob_fetch *fetch); /* `done` still comes, as CANCELLED */

#endif
