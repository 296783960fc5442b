/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a reference means right now: a tag or digest → the manifest for a platform, its config, sizes and age.
 *
 * How it works: with a cache folder a tag is first asked by HEAD, which registries do not count as a pull, and what its
 * digest names is read from the folder when it was seen before: documents never change. Every document is checked
 * against its digest, from wherever it came. A tag that does not exist is answered with the nearest ones.
 */
#ifndef DESCPIPE_REGISTRY_RESOLVE_H
#define DESCPIPE_REGISTRY_RESOLVE_H

#include "registry/client/client.h"
#include "registry/reference.h"

struct resolution {
    char *digest;          /* of what the reference names: an index or a manifest */
    char *manifest_digest; /* of the platform's manifest */
    char *media_type;      /* of it */
    char *config_digest;
    char *platform;
    uint64_t stored_bytes; /* config and layers as they are transferred */
    int64_t created_at_ms; /* 0: not said */
    char *manifest;        /* the document's bytes, with a NUL added */
    size_t manifest_length;
    char *config;
    size_t config_length;
};
void resolution_clear(struct resolution *resolution);
/* Texts are borrowed from the resolution; `present` and `handle` are not set. */
struct descpipe_image_identity resolution_identity(const struct resolution *resolution);

struct resolve_request {
    struct registry_client *client;    /* retained until done */
    const struct reference *reference; /* copied; its host is only for messages */
    const char *platform;              /* "linux/amd64"; NULL: an index must hold one only */
    const char *cache_folder;          /* documents by digest, made when missing; NULL: none */
    /* Exactly once, never before the start has returned. One of both is NULL; what is in the resolution may be taken.
     */
    void (*done)(void *context, struct resolution *resolution, const struct failure *failure);
    void *context;
};
struct resolve;
/* NULL with a failure when it could not begin; then `done` does not come. */
struct resolve *resolve_start(const struct resolve_request *request, struct failure *failure);
void resolve_stop(struct resolve *resolve); /* `done` still comes, as CANCELLED */

#endif
