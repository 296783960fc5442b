/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The JSON documents of images: OCI index and manifest (and Docker's equals of them), image config, and the
 * manifest.json of `docker save`. Bounded readers; whoever passes bytes has checked their digest.
 * Sources: OCI image specification 1.1 (image-index, manifest, descriptor, config, image-layout), Docker image
 * specification 1.2.
 */
#ifndef DESCPIPE_REGISTRY_MANIFEST_H
#define DESCPIPE_REGISTRY_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "registry/failure.h"
#include "registry/ownership.h"

#define OCI_DOCUMENT_LIMIT (4u * 1024 * 1024) /* bytes of one document, as registries have it */
#define OCI_LAYERS_LIMIT 1024
#define OCI_ENVIRONMENT_LIMIT 10000 /* variables */
#define OCI_MANIFESTS_LIMIT 4096
#define OCI_INDEX_DEPTH_LIMIT 4
#define OCI_DIGEST_LENGTH 71 /* "sha256:" and 64 hexadecimal digits */

/* The one kind of digest in use; others are refused where they are read. */
bool oci_digest_valid(const char *digest);

struct oci_descriptor {
    char *media_type; /* "" when absent */
    char *digest;
    uint64_t bytes;
    char *platform;   /* "linux/amd64", "linux/arm64/v8", or NULL */
    char *name;       /* of the annotation org.opencontainers.image.ref.name, or NULL */
    bool is_artifact; /* a signature, a list of parts, ...: no image, whatever its platform says */
};

struct oci_index {
    struct oci_descriptor *manifests;
    size_t count;
};
bool oci_index_read(struct oci_index *index, const char *bytes, size_t length, struct failure *failure);
void oci_index_clear(struct oci_index *index);
static inline void oci_index_clear_at(struct oci_index *place)
{
    oci_index_clear(place);
}
/* The one manifest with the tag (when given) for the platform. `where` names the image in messages. */
const struct oci_descriptor *oci_index_choose(const struct oci_index *index, const char *tag, const char *platform,
                                              const char *where, struct failure *failure);

struct oci_manifest {
    struct oci_descriptor config;
    struct oci_descriptor *layers; /* the lowest first */
    size_t layers_count;
};
bool oci_manifest_read(struct oci_manifest *manifest, const char *bytes, size_t length, struct failure *failure);
void oci_manifest_clear(struct oci_manifest *manifest);
static inline void oci_manifest_clear_at(struct oci_manifest *place)
{
    oci_manifest_clear(place);
}

/* True for a document that lists manifests, not layers. */
bool oci_document_is_index(const struct oci_descriptor *descriptor);

struct oci_config {
    char *platform;
    char **diff_ids; /* of the uncompressed layers, the lowest first */
    size_t diff_ids_count;
    char **environment; /* "NAME=value", as the image's author set it */
    size_t environment_count;
    int64_t created_at_ms;
};
bool oci_config_read(struct oci_config *config, const char *bytes, size_t length, struct failure *failure);
void oci_config_clear(struct oci_config *config);
static inline void oci_config_clear_at(struct oci_config *place)
{
    oci_config_clear(place);
}
/* "linux/amd64" matches itself and "linux/amd64/v2"; what is not said matches everything. */
bool oci_platform_matches(const char *platform, const char *wanted);

/* One image of manifest.json in a `docker save` archive; names are of entries in the archive. */
struct docker_image {
    char *config;
    char **tags;
    size_t tags_count;
    char **layers;
    size_t layers_count;
};
struct docker_images {
    struct docker_image *images;
    size_t count;
};
bool docker_images_read(struct docker_images *images, const char *bytes, size_t length, struct failure *failure);
void docker_images_clear(struct docker_images *images);
static inline void docker_images_clear_at(struct docker_images *place)
{
    docker_images_clear(place);
}
const struct docker_image *docker_images_choose(const struct docker_images *images, const char *tag, const char *where,
                                                struct failure *failure);

#endif
