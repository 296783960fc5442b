/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading OCI indexes, manifests and image configs. */
#include "registry/manifest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "registry/document.h"

bool oci_digest_valid(const char *digest)
{
    return strlen(digest) == OCI_DIGEST_LENGTH && strncmp(digest, "sha256:", 7) == 0 &&
           strspn(digest + 7, "0123456789abcdef") == 64;
}

static void clear_descriptor(struct oci_descriptor *descriptor)
{
    free(descriptor->media_type);
    free(descriptor->digest);
    free(descriptor->platform);
    free(descriptor->name);
    *descriptor = (struct oci_descriptor){0};
}

static bool read_platform(const json_t *object, char **platform, struct failure *failure)
{
    const json_t *member = json_object_get(object, "platform");
    if (member == NULL || json_is_null(member))
        return true;
    cleanup(memory_free) char *system = NULL, *architecture = NULL, *variant = NULL;
    if (!document_text(member, "os", DOCUMENT_REQUIRED, &system, failure) ||
        !document_text(member, "architecture", DOCUMENT_REQUIRED, &architecture, failure) ||
        !document_text(member, "variant", 0, &variant, failure))
        return false;
    bool plain = variant == NULL || variant[0] == '\0';
    if (asprintf(platform, "%s/%s%s%s", system, architecture, plain ? "" : "/", plain ? "" : variant) < 0) {
        *platform = NULL;
        return failure_memory(failure);
    }
    return true;
}

/* In a list of referrers images carry the type of their config there. */
static bool is_artifact(const json_t *object)
{
    const char *type = json_string_value(json_object_get(object, "artifactType"));
    return type != NULL && type[0] != '\0' && strcmp(type, "application/vnd.oci.image.config.v1+json") != 0 &&
           strcmp(type, "application/vnd.docker.container.image.v1+json") != 0;
}

static bool read_descriptor(const json_t *object, struct oci_descriptor *descriptor, struct failure *failure)
{
    if (!document_text(object, "mediaType", 0, &descriptor->media_type, failure) ||
        !document_text(object, "digest", DOCUMENT_REQUIRED, &descriptor->digest, failure) ||
        !document_size(object, "size", &descriptor->bytes, failure) ||
        !read_platform(object, &descriptor->platform, failure))
        return false;
    const json_t *annotations = json_object_get(object, "annotations");
    if (json_is_object(annotations) &&
        !document_text(annotations, "org.opencontainers.image.ref.name", 0, &descriptor->name, failure))
        return false;
    if (descriptor->media_type == NULL && (descriptor->media_type = strdup("")) == NULL)
        return failure_memory(failure);
    descriptor->is_artifact = is_artifact(object);
    if (!oci_digest_valid(descriptor->digest))
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "'%.100s' is not a sha256 digest", descriptor->digest);
    return true;
}

static bool read_descriptors(const json_t *array, size_t limit, struct oci_descriptor **items, size_t *count,
                             struct failure *failure)
{
    size_t length = json_array_size(array);
    if (length > limit)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "it lists %zu parts, more than %zu", length, limit);
    *items = calloc(length + 1, sizeof **items);
    if (*items == NULL)
        return failure_memory(failure);
    for (*count = 0; *count < length;) {
        size_t i = (*count)++;
        if (!read_descriptor(json_array_get(array, i), &(*items)[i], failure))
            return false;
    }
    return true;
}

bool oci_index_read(struct oci_index *index, const char *bytes, size_t length, struct failure *failure)
{
    *index = (struct oci_index){0};
    cleanup(document_free) json_t *root = document_parse(bytes, length, failure);
    if (root == NULL)
        return false;
    const json_t *manifests = json_object_get(root, "manifests");
    if (!json_is_array(manifests))
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "no list 'manifests' in the index");
    if (read_descriptors(manifests, OCI_MANIFESTS_LIMIT, &index->manifests, &index->count, failure))
        return true;
    oci_index_clear(index);
    return false;
}

void oci_index_clear(struct oci_index *index)
{
    for (size_t i = 0; i < index->count; i++)
        clear_descriptor(&index->manifests[i]);
    free(index->manifests);
    *index = (struct oci_index){0};
}

bool oci_platform_matches(const char *platform, const char *wanted)
{
    if (platform == NULL || wanted == NULL)
        return true;
    size_t length = strlen(wanted);
    return strncmp(platform, wanted, length) == 0 && (platform[length] == '\0' || platform[length] == '/');
}

static bool tag_matches(const char *name, const char *tag)
{
    if (tag == NULL)
        return true;
    if (name == NULL)
        return false;
    /* Writers put either the tag alone or the whole reference there. */
    size_t name_length = strlen(name), tag_length = strlen(tag);
    return strcmp(name, tag) == 0 || (name_length > tag_length && name[name_length - tag_length - 1] == ':' &&
                                      strcmp(name + name_length - tag_length, tag) == 0);
}

const struct oci_descriptor *oci_index_choose(const struct oci_index *index, const char *tag, const char *platform,
                                              const char *where, struct failure *failure)
{
    const struct oci_descriptor *chosen = NULL;
    char names[256] = "";
    size_t used = 0;
    bool tagged = false;
    for (size_t i = 0; i < index->count; i++) {
        const struct oci_descriptor *manifest = &index->manifests[i];
        if (manifest->is_artifact)
            continue;
        if (used < sizeof names && manifest->name != NULL) {
            int added = snprintf(names + used, sizeof names - used, "%s'%s'", used > 0 ? ", " : "", manifest->name);
            used += added > 0 ? (size_t)added : 0;
        }
        if (!tag_matches(manifest->name, tag))
            continue;
        tagged = true;
        if (!oci_platform_matches(manifest->platform, platform))
            continue;
        if (chosen != NULL && strcmp(chosen->digest, manifest->digest) != 0) {
            failure_set(failure, DESCPIPE_FAILED_REFUSED, "'%s' holds several images for %s: %s", where, platform,
                        used > 0 ? names : "none has a name");
            failure_hint(failure, "name one of them after a colon");
            return NULL;
        }
        chosen = manifest;
    }
    if (chosen != NULL)
        return chosen;
    if (tag != NULL && !tagged)
        failure_set(failure, DESCPIPE_FAILED_NOT_FOUND, "'%s' has no image named '%s': it holds %s", where, tag,
                    used > 0 ? names : "only images without names");
    else
        failure_set(failure, DESCPIPE_FAILED_NOT_FOUND, "'%s' has no image for %s", where, platform);
    return NULL;
}

bool oci_document_is_index(const struct oci_descriptor *descriptor)
{
    return strcmp(descriptor->media_type, "application/vnd.oci.image.index.v1+json") == 0 ||
           strcmp(descriptor->media_type, "application/vnd.docker.distribution.manifest.list.v2+json") == 0;
}

static bool read_manifest(const json_t *root, struct oci_manifest *manifest, struct failure *failure)
{
    const json_t *config = json_object_get(root, "config"), *layers = json_object_get(root, "layers");
    if (!json_is_object(config) || !json_is_array(layers))
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "no 'config' and 'layers' in the manifest");
    return read_descriptor(config, &manifest->config, failure) &&
           read_descriptors(layers, OCI_LAYERS_LIMIT, &manifest->layers, &manifest->layers_count, failure);
}

bool oci_manifest_read(struct oci_manifest *manifest, const char *bytes, size_t length, struct failure *failure)
{
    *manifest = (struct oci_manifest){0};
    cleanup(document_free) json_t *root = document_parse(bytes, length, failure);
    if (root != NULL && read_manifest(root, manifest, failure))
        return true;
    oci_manifest_clear(manifest);
    return false;
}

void oci_manifest_clear(struct oci_manifest *manifest)
{
    clear_descriptor(&manifest->config);
    for (size_t i = 0; i < manifest->layers_count; i++)
        clear_descriptor(&manifest->layers[i]);
    free(manifest->layers);
    *manifest = (struct oci_manifest){0};
}

static bool read_config(const json_t *root, struct oci_config *config, struct failure *failure)
{
    cleanup(memory_free) char *system = NULL, *architecture = NULL, *variant = NULL, *created = NULL;
    if (!document_text(root, "os", DOCUMENT_REQUIRED, &system, failure) ||
        !document_text(root, "architecture", DOCUMENT_REQUIRED, &architecture, failure) ||
        !document_text(root, "variant", 0, &variant, failure) || !document_text(root, "created", 0, &created, failure))
        return false;
    bool plain = variant == NULL || variant[0] == '\0';
    if (asprintf(&config->platform, "%s/%s%s%s", system, architecture, plain ? "" : "/", plain ? "" : variant) < 0) {
        config->platform = NULL;
        return failure_memory(failure);
    }
    config->created_at_ms = created != NULL ? document_time_ms(created) : 0;
    const json_t *rootfs = json_object_get(root, "rootfs");
    if (!document_texts(rootfs, "diff_ids", OCI_LAYERS_LIMIT, &config->diff_ids, &config->diff_ids_count, failure))
        return false;
    for (size_t i = 0; i < config->diff_ids_count; i++)
        if (!oci_digest_valid(config->diff_ids[i]))
            return failure_set(failure, DESCPIPE_FAILED_REFUSED, "'%.100s' is not a sha256 digest",
                               config->diff_ids[i]);
    const json_t *settings = json_object_get(root, "config"); /* may be missing or null, as its members may */
    return !json_is_array(json_object_get(settings, "Env")) ||
           document_texts(settings, "Env", OCI_ENVIRONMENT_LIMIT, &config->environment, &config->environment_count,
                          failure);
}

bool oci_config_read(struct oci_config *config, const char *bytes, size_t length, struct failure *failure)
{
    *config = (struct oci_config){0};
    cleanup(document_free) json_t *root = document_parse(bytes, length, failure);
    if (root != NULL && read_config(root, config, failure))
        return true;
    oci_config_clear(config);
    return false;
}

void oci_config_clear(struct oci_config *config)
{
    free(config->platform);
    document_texts_free(config->diff_ids, config->diff_ids_count);
    document_texts_free(config->environment, config->environment_count);
    *config = (struct oci_config){0};
}

static bool read_docker_image(const json_t *object, struct docker_image *image, struct failure *failure)
{
    const json_t *tags = json_object_get(object, "RepoTags");
    return document_text(object, "Config", DOCUMENT_REQUIRED, &image->config, failure) &&
           (tags == NULL || json_is_null(tags) ||
            document_texts(object, "RepoTags", OCI_MANIFESTS_LIMIT, &image->tags, &image->tags_count, failure)) &&
           document_texts(object, "Layers", OCI_LAYERS_LIMIT, &image->layers, &image->layers_count, failure);
}

bool docker_images_read(struct docker_images *images, const char *bytes, size_t length, struct failure *failure)
{
    *images = (struct docker_images){0};
    cleanup(document_free) json_t *root = document_parse(bytes, length, failure);
    if (root == NULL)
        return false;
    size_t count = json_array_size(root);
    if (!json_is_array(root) || count == 0 || count > OCI_MANIFESTS_LIMIT)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "manifest.json lists no image, or more than %d",
                           OCI_MANIFESTS_LIMIT);
    images->images = calloc(count, sizeof *images->images);
    if (images->images == NULL)
        return failure_memory(failure);
    while (images->count < count) {
        size_t i = images->count++;
        if (!read_docker_image(json_array_get(root, i), &images->images[i], failure)) {
            docker_images_clear(images);
            return false;
        }
    }
    return true;
}

void docker_images_clear(struct docker_images *images)
{
    for (size_t i = 0; i < images->count; i++) {
        free(images->images[i].config);
        document_texts_free(images->images[i].tags, images->images[i].tags_count);
        document_texts_free(images->images[i].layers, images->images[i].layers_count);
    }
    free(images->images);
    *images = (struct docker_images){0};
}

const struct docker_image *docker_images_choose(const struct docker_images *images, const char *tag, const char *where,
                                                struct failure *failure)
{
    const struct docker_image *chosen = NULL;
    char names[256] = "";
    size_t used = 0;
    for (size_t i = 0; i < images->count; i++) {
        const struct docker_image *image = &images->images[i];
        bool matches = tag == NULL;
        for (size_t t = 0; t < image->tags_count; t++) {
            matches = matches || tag_matches(image->tags[t], tag);
            if (used < sizeof names) {
                int added = snprintf(names + used, sizeof names - used, "%s'%s'", used > 0 ? ", " : "", image->tags[t]);
                used += added > 0 ? (size_t)added : 0;
            }
        }
        if (matches && chosen != NULL && strcmp(chosen->config, image->config) != 0) {
            failure_set(failure, DESCPIPE_FAILED_REFUSED, "'%s' holds several images: %s", where,
                        used > 0 ? names : "none has a name");
            failure_hint(failure, "name one of them after a colon");
            return NULL;
        }
        if (matches)
            chosen = image;
    }
    if (chosen == NULL)
        failure_set(failure, DESCPIPE_FAILED_NOT_FOUND, "'%s' has no image named '%s': it holds %s", where, tag,
                    used > 0 ? names : "only images without names");
    return chosen;
}
