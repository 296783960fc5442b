/* SPDX-License-Identifier: BSD-3-Clause */
/* Which image a registry's reference meant when it was last fetched here. */
#include "names.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "registry/digest.h"
#include "registry/manifest.h"
#include "registry/ownership.h"

#define LINES 5
#define FILE_BYTES 8192

void name_clear(struct name *name)
{
    free(name->reference);
    free(name->platform);
    free(name->config_digest);
    free(name->manifest_digest);
    free(name->media_type);
    *name = (struct name){0};
}

static char *file_of(const char *reference, const char *platform)
{
    char digest[DIGEST_SIZE];
    cleanup(memory_free) char *key = NULL;
    if (asprintf(&key, "%s\n%s", reference, platform != NULL ? platform : "") < 0) {
        key = NULL;
        return NULL;
    }
    return digest_of_bytes(key, strlen(key), digest) ? strdup(digest + strlen("sha256:")) : NULL;
}

bool name_read(int folder, const char *file, struct name *name)
{
    char bytes[FILE_BYTES];
    char **const lines[LINES] = {&name->reference, &name->platform, &name->config_digest, &name->manifest_digest,
                                 &name->media_type};
    cleanup(descriptor_close) int descriptor = openat(folder, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t length = descriptor >= 0 ? read(descriptor, bytes, sizeof bytes - 1) : -1;
    *name = (struct name){0};
    if (length <= 0)
        return false;
    bytes[length] = '\0';
    char *line = bytes;
    for (size_t i = 0; i < LINES; i++) {
        char *end = strchr(line, '\n');
        *lines[i] = end != NULL ? strndup(line, (size_t)(end - line)) : NULL;
        if (*lines[i] == NULL) {
            name_clear(name);
            return false;
        }
        line = end + 1;
    }
    if (oci_digest_valid(name->config_digest) && oci_digest_valid(name->manifest_digest))
        return true;
    name_clear(name);
    return false;
}

static int open_folder(const struct store *store)
{
    cleanup(memory_free) char *path = NULL;
    if (asprintf(&path, "%s/names", store_path(store)) < 0) {
        path = NULL;
        return -1;
    }
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

bool names_find(const struct store *store, const char *reference, const char *platform, struct name *name)
{
    cleanup(descriptor_close) int folder = open_folder(store);
    cleanup(memory_free) char *file = file_of(reference, platform);
    if (folder < 0 || file == NULL || !name_read(folder, file, name))
        return false;
    if (strcmp(name->reference, reference) == 0)
        return true;
    name_clear(name);
    return false;
}

void names_each(const struct store *store, bool (*visit)(void *context, struct name *name), void *context)
{
    int descriptor = open_folder(store);
    DIR *folder = descriptor >= 0 ? fdopendir(descriptor) : NULL;
    bool more = true;
    if (folder == NULL)
        descriptor_close(descriptor);
    for (const struct dirent *entry; folder != NULL && more && (entry = readdir(folder)) != NULL;) {
        cleanup(name_clear) struct name name = {0};
        if (entry->d_name[0] != '.' && name_read(dirfd(folder), entry->d_name, &name))
            more = visit(context, &name);
    }
    if (folder != NULL)
        closedir(folder);
}

struct image_search {
    const char *config_digest;
    struct name *found; /* its reference NULL: not yet */
};

static bool is_another_image(void *context, struct name *name)
{
    const struct image_search *search = context;
    if (strcmp(name->config_digest, search->config_digest) != 0)
        return true;
    *search->found = *name;
    *name = (struct name){0};
    return false;
}

bool names_find_image(const struct store *store, const char *config_digest, struct name *name)
{
    struct image_search search = {.config_digest = config_digest, .found = name};
    *name = (struct name){0};
    names_each(store, is_another_image, &search);
    return name->reference != NULL;
}

bool names_write(const struct store *store, const struct name *name, struct failure *failure)
{
    cleanup(memory_free) char *file = file_of(name->reference, name->platform), *path = NULL, *temporary = NULL;
    if (file == NULL || asprintf(&path, "%s/names/%s", store_path(store), file) < 0) {
        path = NULL;
        return failure_memory(failure);
    }
    if (asprintf(&temporary, "%s.XXXXXX", path) < 0) {
        temporary = NULL;
        return failure_memory(failure);
    }
    cleanup(descriptor_close) int descriptor = mkostemp(temporary, O_CLOEXEC);
    if (descriptor < 0)
        return failure_system(failure, "cannot write to '%s/names'", store_path(store));
    if (dprintf(descriptor, "%s\n%s\n%s\n%s\n%s\n", name->reference, name->platform, name->config_digest,
                name->manifest_digest, name->media_type) > 0 &&
        rename(temporary, path) == 0)
        return true;
    failure_system(failure, "cannot write '%s'", path);
    unlink(temporary);
    return false;
}
