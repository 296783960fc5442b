/* SPDX-License-Identifier: BSD-3-Clause */
/* What image a source holds: found by tag and platform, read without unpacking anything, every digest checked. */
#ifndef NATIVE_STORE_DESCRIBE_H
#define NATIVE_STORE_DESCRIBE_H

#include <descpipe/types.h>

#include "source.h"

struct described_layer {
    char *name;     /* of the part that holds it */
    char *digest;   /* of its stored bytes, or NULL: not known */
    char *diff_id;  /* of its uncompressed bytes */
    uint64_t bytes; /* stored; 0: not known */
};

struct description {
    char *config_digest;
    char *config_name; /* of the part that holds it */
    uint64_t config_bytes;
    char *manifest_digest; /* or NULL */
    char *media_type;      /* of the manifest, or NULL */
    char *platform;
    uint64_t stored_bytes; /* 0: not known */
    int64_t created_at_ms;
    struct described_layer *layers; /* the lowest first */
    size_t layers_count;
    char **environment; /* of the image's own, "NAME=value" */
    size_t environment_count;
};

bool description_read(struct description *description, const struct source *source, const struct descpipe_image *image,
                      struct failure *failure);
/* The same of a manifest's bytes, whose digest was checked; the config is a blob of the source. */
bool description_of_manifest(struct description *description, const struct source *source, const char *manifest_digest,
                             const char *media_type, const char *bytes, size_t length,
                             const struct descpipe_image *image, struct failure *failure);
void description_clear(struct description *description);
static inline void description_clear_at(struct description *place)
{
    description_clear(place);
}

#endif
