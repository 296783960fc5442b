/* SPDX-License-Identifier: BSD-3-Clause */
/* Which manifest of a registry's index is for a platform. */
#include "registry/image/choose.h"

#include <stdio.h>
#include <string.h>

#define NAMES_BYTES 400

/* "linux/arm64/v8" is what "linux/arm64" means: the one variant there is. */
static size_t significant_length(const char *platform)
{
    size_t length = strlen(platform);
    return length > 9 && strcmp(platform + length - 9, "/arm64/v8") == 0 ? length - 3 : length;
}

static bool is_exact(const char *platform, const char *wanted)
{
    size_t length = significant_length(wanted);
    return significant_length(platform) == length && strncmp(platform, wanted, length) == 0;
}

static bool fits(const char *platform, const char *wanted)
{
    return is_exact(platform, wanted) || oci_platform_matches(platform, wanted);
}

static bool is_for_nothing(const struct oci_descriptor *manifest)
{
    return manifest->is_artifact || (manifest->platform != NULL && strncmp(manifest->platform, "unknown/", 8) == 0);
}

static const struct oci_descriptor *choose_only(const struct oci_index *index, const char *what,
                                                struct failure *failure)
{
    const struct oci_descriptor *chosen = NULL;
    for (size_t i = 0; i < index->count; i++) {
        if (is_for_nothing(&index->manifests[i]))
            continue;
        if (chosen != NULL) {
            failure_set(failure, DESCPIPE_FAILED_REFUSED, "%s: it is for several platforms, and none was named", what);
            return NULL;
        }
        chosen = &index->manifests[i];
    }
    if (chosen == NULL)
        failure_set(failure, DESCPIPE_FAILED_NOT_FOUND, "%s: it is an index without any image", what);
    return chosen;
}

/* "linux/amd64, linux/arm64" */
static void list_platforms(const struct oci_index *index, char names[NAMES_BYTES])
{
    size_t used = 0;
    names[0] = '\0';
    for (size_t i = 0; i < index->count; i++) {
        const struct oci_descriptor *manifest = &index->manifests[i];
        if (manifest->platform == NULL || is_for_nothing(manifest))
            continue;
        size_t length = strlen(manifest->platform);
        if (used + length + 8 >= NAMES_BYTES) {
            snprintf(names + used, NAMES_BYTES - used, " ...");
            return;
        }
        int added = snprintf(names + used, NAMES_BYTES - used, "%s%s", used > 0 ? ", " : "", manifest->platform);
        used += added > 0 ? (size_t)added : 0;
    }
}

const struct oci_descriptor *choose_platform(const struct oci_index *index, const char *platform, const char *what,
                                             struct failure *failure)
{
    const struct oci_descriptor *chosen = NULL;
    if (platform == NULL)
        return choose_only(index, what, failure);
    for (size_t i = 0; i < index->count; i++) {
        const struct oci_descriptor *manifest = &index->manifests[i];
        if (is_for_nothing(manifest))
            continue;
        if (manifest->platform != NULL && is_exact(manifest->platform, platform))
            return manifest;
        if (chosen == NULL && (manifest->platform == NULL || fits(manifest->platform, platform)))
            chosen = manifest;
    }
    if (chosen != NULL)
        return chosen;
    char names[NAMES_BYTES];
    list_platforms(index, names);
    failure_set(failure, DESCPIPE_FAILED_NOT_FOUND, "%s: it is not made for %s, only for %s", what, platform,
                names[0] != '\0' ? names : "platforms without a name");
    failure_hint(failure, "build it for %s, or run it where its platform is", platform);
    return NULL;
}
