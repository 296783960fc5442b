/* SPDX-License-Identifier: BSD-3-Clause */
/* What an image reference says about where the image is: a prefix and a path, or a name for a registry. */
#include "pipeline/image_name.h"

#include <ctype.h>
#include <string.h>

#include "base/path.h"
#include "base/text.h"

#define REFERENCE_LIMIT 4096

struct prefix {
    const char *text;
    uint32_t source;
    bool has_tag; /* FILE:TAG */
    const char *what;
};

static const struct prefix prefixes[] = {
    {"docker-archive:", DESCPIPE_SOURCE_DOCKER_ARCHIVE, true, "a file"},
    {"oci-archive:", DESCPIPE_SOURCE_OCI_ARCHIVE, true, "a file"},
    {"oci:", DESCPIPE_SOURCE_OCI_LAYOUT, true, "a folder"},
    {"rootfs:", DESCPIPE_SOURCE_ROOTFS, false, "a folder"},
    {"sif:", DESCPIPE_SOURCE_SIF, false, "a file"},
};

void image_name_clear(struct image_name *name)
{
    memory_free(name->path);
    memory_free(name->tag);
    *name = (struct image_name){0};
}

static bool has_control_character(const char *text)
{
    for (; *text; text++) {
        if (iscntrl((unsigned char)*text))
            return true;
    }
    return false;
}

static bool parse_path(const char *reference, const struct prefix *prefix, const char *base, struct image_name *name,
                       struct error *error)
{
    const char *rest = reference + strlen(prefix->text);
    size_t length = prefix->has_tag ? strcspn(rest, ":") : strlen(rest);
    if (length == 0) {
        error_set(error, ERROR_INPUT, "image '%s' names no path", reference);
        return error_hint(error, "write %sPATH, where PATH is %s", prefix->text, prefix->what);
    }
    const char *tag = rest[length] == ':' ? rest + length + 1 : NULL;
    if (tag && !*tag) {
        error_set(error, ERROR_INPUT, "image '%s' ends with an empty tag", reference);
        return error_hint(error, "remove the last ':'");
    }
    cleanup(memory_free) char *path = memory_copy_bytes(rest, length);
    name->source = prefix->source;
    name->path = path_absolute(base, path);
    name->tag = memory_copy_text(tag);
    return true;
}

/* A letter that a registry's reference may have; the registry plugin judges the rest. */
static bool is_reference_character(char character)
{
    return isalnum((unsigned char)character) || (character && strchr("._-/:@+[]", character));
}

static bool parse_registry(const char *reference, struct error *error)
{
    for (const char *at = reference; *at; at++) {
        if (!is_reference_character(*at)) {
            error_set(error, ERROR_INPUT, "image '%s' has the character '%c', which no image name may have", reference,
                      *at);
            return error_hint(error, "names look like owner/name:tag or host/name@sha256:...");
        }
    }
    /* The path's letters are small; a host, before the first '/', and a tag may have capitals. */
    const char *slash = strchr(reference, '/');
    bool has_host =
        slash && (memchr(reference, '.', (size_t)(slash - reference)) ||
                  memchr(reference, ':', (size_t)(slash - reference)) || text_starts_with(reference, "localhost/"));
    for (const char *at = has_host ? slash : reference; *at && *at != ':' && *at != '@'; at++) {
        if (isupper((unsigned char)*at)) {
            error_set(error, ERROR_INPUT, "image '%s' has a capital letter in its name", reference);
            return error_hint(error, "image names are written in small letters; only tags may have capitals");
        }
    }
    if (reference[0] == '/' || reference[0] == ':' || reference[0] == '@' || text_ends_with(reference, "/") ||
        text_ends_with(reference, ":") || text_ends_with(reference, "@") || strstr(reference, "//")) {
        error_set(error, ERROR_INPUT, "image '%s' has an empty part", reference);
        return error_hint(error, "names look like owner/name:tag or host/name@sha256:...");
    }
    return true;
}

bool image_parse(const char *reference, const char *base, struct image_name *name, struct error *error)
{
    if (!*reference)
        return error_set(error, ERROR_INPUT, "an image name is empty");
    if (strlen(reference) > REFERENCE_LIMIT)
        return error_set(error, ERROR_INPUT, "an image name is longer than %d characters", REFERENCE_LIMIT);
    if (has_control_character(reference))
        return error_set(error, ERROR_INPUT, "an image name has a control character");
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        if (text_starts_with(reference, prefixes[i].text))
            return parse_path(reference, &prefixes[i], base, name, error);
    }
    if (!parse_registry(reference, error))
        return false;
    name->source = DESCPIPE_SOURCE_REGISTRY;
    return true;
}
