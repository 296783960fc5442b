/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads what is said about images: the Engine's inspection and a docker-archive's manifest.
 *
 * The id of an image is the digest of its config in Docker's own image store, and the digest of its manifest in the
 * containerd image store that newer Engines may use. There the id is also one of the manifest digests, which can never
 * happen in the other; that tells the two apart, and the config digest is then not known.
 */
#include <stdio.h>
#include <string.h>

#include "engine/answer.h"
#include "engine/bytes.h"
#include "engine/json.h"

enum { HEX_LENGTH = 64, MANIFEST_IMAGES_LIMIT = 10000 };

static bool is_digest(const char *text)
{
    return text != NULL && strncmp(text, "sha256:", 7) == 0 && strspn(text + 7, "0123456789abcdef") == HEX_LENGTH &&
           text[7 + HEX_LENGTH] == '\0';
}

/* The repository of a reference as Docker's own lists write it: without Docker Hub's host and "library/". */
static size_t familiar_name(const char **reference)
{
    static const char *const prefixes[] = {"docker.io/", "index.docker.io/", "library/"};
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++) {
        if (strncmp(*reference, prefixes[i], strlen(prefixes[i])) == 0) {
            *reference += strlen(prefixes[i]);
        }
    }
    const char *name = strrchr(*reference, '/');
    name = name != NULL ? name : *reference;
    return (size_t)(name - *reference) + strcspn(name, ":@");
}

static void choose_manifest_digest(const json_t *digests, const char *reference, struct image_facts *facts)
{
    size_t wanted = reference != NULL ? familiar_name(&reference) : 0;
    for (size_t i = 0; i < json_array_size(digests); i++) {
        const char *entry = json_string_value(json_array_get(digests, i));
        const char *digest = entry != NULL ? strchr(entry, '@') : NULL;
        if (digest == NULL || !is_digest(digest + 1)) {
            continue;
        }
        size_t length = familiar_name(&entry);
        bool matches = wanted > 0 && length == wanted && strncmp(entry, reference, wanted) == 0;
        if (matches || facts->manifest_digest[0] == '\0') {
            snprintf(facts->manifest_digest, sizeof(facts->manifest_digest), "%s", digest + 1);
        }
        if (strcmp(digest + 1, facts->id) == 0) {
            facts->config_digest[0] = '\0';
        }
        if (matches) {
            break;
        }
    }
}

bool answer_read_image(const char *text, size_t length, const char *reference, struct image_facts *facts)
{
    struct image_facts read = {0};
    char system[32], machine[32], variant[32], created[64];
    json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
    const json_t *image = json_is_array(root) && json_array_size(root) == 1 ? json_array_get(root, 0) : root;
    bool done = json_copy_text(image, "Id", read.id, sizeof(read.id)) && is_digest(read.id);
    if (done) {
        memcpy(read.config_digest, read.id, sizeof(read.id));
        choose_manifest_digest(json_object_get(image, "RepoDigests"), reference, &read);
        bool platform = json_copy_text(image, "Os", system, sizeof(system)) && system[0] != '\0' &&
                        json_copy_text(image, "Architecture", machine, sizeof(machine)) && machine[0] != '\0';
        bool has_variant = json_copy_text(image, "Variant", variant, sizeof(variant)) && variant[0] != '\0';
        if (platform) {
            snprintf(read.platform, sizeof(read.platform), "%s/%s%s%s", system, machine, has_variant ? "/" : "",
                     has_variant ? variant : "");
        }
        read.bytes = json_read_count(image, "Size");
        json_copy_text(image, "Created", created, sizeof(created));
        read.created_at_ms = answer_read_time(created);
        *facts = read;
    }
    json_decref(root);
    return done;
}

/* "0123….json" (docker save before 25) or "blobs/sha256/0123…" (since). */
static bool read_config_name(const char *name, char digest[ANSWER_ID])
{
    const char *slash = name != NULL ? strrchr(name, '/') : NULL;
    const char *hex = slash != NULL ? slash + 1 : name;
    if (hex == NULL || strspn(hex, "0123456789abcdef") != HEX_LENGTH ||
        (hex[HEX_LENGTH] != '\0' && strcmp(hex + HEX_LENGTH, ".json") != 0)) {
        return false;
    }
    snprintf(digest, ANSWER_ID, "sha256:%.*s", HEX_LENGTH, hex);
    return true;
}

/* Does the wish match one of the image's names: all of it, or only what stands behind the colon? */
static bool has_tag(const json_t *image, const char *tag)
{
    const json_t *tags = json_object_get(image, "RepoTags");
    for (size_t i = 0; i < json_array_size(tags); i++) {
        const char *name = json_string_value(json_array_get(tags, i));
        const char *colon = name != NULL ? strrchr(name, ':') : NULL;
        if (name != NULL && (strcmp(name, tag) == 0 || (colon != NULL && strcmp(colon + 1, tag) == 0))) {
            return true;
        }
    }
    return false;
}

bool answer_read_archive_manifest(const char *text, size_t length, const char *tag, char config_digest[ANSWER_ID],
                                  char words[ANSWER_WORDS])
{
    json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
    const json_t *chosen = NULL;
    size_t matching = 0;
    bool done = false;
    if (!json_is_array(root) || json_array_size(root) > MANIFEST_IMAGES_LIMIT) {
        snprintf(words, ANSWER_WORDS, "its manifest.json is not a list of images");
        json_decref(root);
        return false;
    }
    for (size_t i = 0; i < json_array_size(root); i++) {
        const json_t *image = json_array_get(root, i);
        if (tag == NULL || has_tag(image, tag)) {
            chosen = image;
            matching++;
        }
    }
    if (matching == 0 && tag != NULL) {
        snprintf(words, ANSWER_WORDS, "it holds no image with the tag '%.200s'", tag);
    } else if (matching == 0) {
        snprintf(words, ANSWER_WORDS, "it holds no image");
    } else if (matching > 1) {
        snprintf(words, ANSWER_WORDS, "it holds %zu images%s; name one by its tag", matching,
                 tag != NULL ? " with that tag" : "");
    } else if (!read_config_name(json_string_value(json_object_get(chosen, "Config")), config_digest)) {
        snprintf(words, ANSWER_WORDS, "its manifest.json does not name a config by its sha256");
    } else {
        done = true;
    }
    json_decref(root);
    return done;
}
