/* SPDX-License-Identifier: BSD-3-Clause */
/* Taking image references apart. */
#include "pipeline/image_name.h"

#include <ctype.h>
#include <string.h>

#include "base/path.h"
#include "base/text.h"

enum { REFERENCE_LIMIT = 1024 };

static const struct {
    const char *prefix;
    uint32_t source;
    bool tagged;
} prefixes[] = {{"docker-archive:", DESCPIPE_SOURCE_DOCKER_ARCHIVE, true},
                {"oci-archive:", DESCPIPE_SOURCE_OCI_ARCHIVE, true},
                {"oci:", DESCPIPE_SOURCE_OCI_LAYOUT, true},
                {"rootfs:", DESCPIPE_SOURCE_ROOTFS, false},
                {"sif:", DESCPIPE_SOURCE_SIF, false}};

static bool refuse(const char *reference, const char *hint, const char *why, struct error *error)
{
    error_set(error, ERROR_INPUT, "'%.200s' is not an image: %s", reference, why);
    return error_hint(error, "%s", hint);
}

static bool only(const char *text, size_t length, const char *letters)
{
    for (size_t i = 0; i < length; i++)
        if (strchr(letters, text[i]) == NULL)
            return false;
    return length > 0;
}

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

/* HOST[:PORT]/ comes first when it holds a dot or a colon or is localhost (the distribution project's reference
 * grammar). */
static size_t host_length(const char *reference)
{
    size_t length = strcspn(reference, "/");
    if (reference[length] != '/')
        return 0;
    bool host = memchr(reference, '.', length) != NULL || memchr(reference, ':', length) != NULL ||
                (length == 9 && memcmp(reference, "localhost", 9) == 0);
    return host ? length + 1 : 0;
}

char *image_host(const char *reference)
{
    size_t length = host_length(reference);
    return length > 0 ? memory_copy_bytes(reference, length - 1) : NULL;
}

static bool check_registry(const char *reference, struct error *error)
{
    static const char hint[] =
        "an image is [HOST/]NAME[:TAG][@sha256:DIGEST], docker-archive:FILE, oci-archive:FILE, oci:FOLDER, "
        "rootfs:FOLDER or sif:FILE";
    size_t host = host_length(reference);
    if (host > 0 && !only(reference, host - 1, LOWER UPPER DIGITS ".-:[]"))
        return refuse(reference, hint, "its host has a letter that no host has", error);
    const char *name = reference + host;
    size_t length = strcspn(name, ":@");
    if (length == 0)
        return refuse(reference, hint, "it has no name", error);
    for (size_t i = 0; i < length; i++)
        if (isupper((unsigned char)name[i]))
            return refuse(reference, hint, "a name has lower-case letters only", error);
    if (!only(name, length, LOWER DIGITS "._-/") || name[0] == '/' || name[length - 1] == '/' ||
        memmem(name, length, "//", 2) != NULL)
        return refuse(reference, hint, "a name has lower-case letters, digits and '.', '_', '-', '/'", error);
    const char *rest = name + length;
    if (*rest == ':') {
        size_t tag = strcspn(rest + 1, "@");
        if (tag > 128 || !only(rest + 1, tag, LOWER UPPER DIGITS "._-") || strchr(".-", rest[1]) != NULL)
            return refuse(reference, hint, "a tag has letters, digits and '.', '_', '-'", error);
        rest += 1 + tag;
    }
    if (*rest == '\0')
        return true;
    if (strncmp(rest, "@sha256:", 8) != 0 || strlen(rest + 8) != 64 || !only(rest + 8, 64, "0123456789abcdef"))
        return refuse(reference, hint, "a digest is @sha256: and 64 hexadecimal digits", error);
    return true;
}

bool image_parse(const char *reference, const char *base, struct image_name *name, struct error *error)
{
    *name = (struct image_name){.source = DESCPIPE_SOURCE_REGISTRY};
    if (strlen(reference) > REFERENCE_LIMIT)
        return refuse(reference, "at most 1024 bytes", "it is too long", error);
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        size_t length = strlen(prefixes[i].prefix);
        if (strncmp(reference, prefixes[i].prefix, length) != 0)
            continue;
        const char *path = reference + length;
        const char *colon = prefixes[i].tagged ? strchr(path, ':') : NULL;
        cleanup(memory_free) char *written =
            colon != NULL ? memory_copy_bytes(path, (size_t)(colon - path)) : memory_copy_text(path);
        if (written[0] == '\0')
            return refuse(reference, "write the path behind the colon", "it has no path", error);
        if (colon != NULL && colon[1] == '\0')
            return refuse(reference, "write the tag, or leave the colon away", "its tag is empty", error);
        name->source = prefixes[i].source;
        name->path = path_absolute(base, written);
        name->tag = colon != NULL ? memory_copy_text(colon + 1) : NULL;
        return true;
    }
    return check_registry(reference, error);
}

void image_name_clear(struct image_name *name)
{
    memory_free(name->path);
    memory_free(name->tag);
    *name = (struct image_name){0};
}
