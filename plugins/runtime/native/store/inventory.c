/* SPDX-License-Identifier: BSD-3-Clause */
/* What a store holds. */
#include "inventory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "registry/image/document_cache.h"
#include "registry/manifest.h"
#include "registry/ownership.h"

#include "blobs.h"

#define HEX_LENGTH 64
#define PATH_BYTES 640

void inventory_clear(struct inventory *inventory)
{
    for (size_t i = 0; i < inventory->images_count; i++) {
        free(inventory->images[i].layers);
        free(inventory->images[i].blobs);
        free(inventory->images[i].names);
    }
    free(inventory->images);
    free(inventory->layers.items);
    free(inventory->blobs.items);
    *inventory = (struct inventory){0};
}

static int compare_hex(const void *one, const void *other)
{
    return strcmp(((const struct inventory_item *)one)->hex, ((const struct inventory_item *)other)->hex);
}

static bool is_hex(const char *name)
{
    return strlen(name) == HEX_LENGTH && strspn(name, "0123456789abcdef") == HEX_LENGTH;
}

/* Blocks of a whole tree; a file with several names in it counts once. */
static uint64_t tree_bytes(const char *path)
{
    char copy[PATH_BYTES];
    snprintf(copy, sizeof copy, "%s", path);
    char *const roots[] = {copy, NULL};
    uint64_t bytes = 0;
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    for (const FTSENT *entry; walk != NULL && (entry = fts_read(walk)) != NULL;)
        if (entry->fts_info == FTS_F || entry->fts_info == FTS_D || entry->fts_info == FTS_SL)
            bytes += (uint64_t)entry->fts_statp->st_blocks * 512;
    if (walk != NULL)
        fts_close(walk);
    return bytes;
}

static bool add_item(struct inventory_list *list, const char *path, const char *hex, const struct stat *status,
                     struct failure *failure)
{
    struct inventory_item *items = realloc(list->items, (list->count + 1) * sizeof *items);
    if (items == NULL)
        return failure_memory(failure);
    list->items = items;
    struct inventory_item *item = &list->items[list->count++];
    *item = (struct inventory_item){
        .bytes = S_ISDIR(status->st_mode) ? tree_bytes(path) : (uint64_t)status->st_blocks * 512,
        .used_at_ms = (int64_t)status->st_mtim.tv_sec * 1000 + status->st_mtim.tv_nsec / 1000000};
    memcpy(item->hex, hex, HEX_LENGTH + 1);
    return true;
}

/* Everything in a folder that is named like a digest. */
static bool list_folder(const struct store *store, const char *name, struct inventory_list *list,
                        struct failure *failure)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s", store_path(store), name);
    DIR *folder = opendir(path);
    bool good = folder != NULL ? true : failure_system(failure, "cannot list '%s'", path);
    for (const struct dirent *entry; good && (entry = readdir(folder)) != NULL;) {
        struct stat status;
        if (!is_hex(entry->d_name) || fstatat(dirfd(folder), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        if (list->count == INVENTORY_LIMIT)
            good =
                failure_set(failure, DESCPIPE_FAILED_REFUSED, "'%s' holds more than %d things", path, INVENTORY_LIMIT);
        else {
            snprintf(path, sizeof path, "%s/%s/%s", store_path(store), name, entry->d_name);
            good = add_item(list, path, entry->d_name, &status, failure);
        }
    }
    if (folder != NULL)
        closedir(folder);
    if (list->count > 0)
        qsort(list->items, list->count, sizeof *list->items, compare_hex);
    return good;
}

/* The position of a digest, or SIZE_MAX. */
static size_t position_of(const struct inventory_list *list, const char *digest)
{
    struct inventory_item key = {.bytes = 0};
    if (list->count == 0 || !oci_digest_valid(digest))
        return SIZE_MAX;
    memcpy(key.hex, digest + strlen("sha256:"), HEX_LENGTH + 1);
    const struct inventory_item *found = bsearch(&key, list->items, list->count, sizeof key, compare_hex);
    return found != NULL ? (size_t)(found - list->items) : SIZE_MAX;
}

static bool add_position(size_t **positions, size_t *count, size_t position, struct failure *failure)
{
    if (position == SIZE_MAX)
        return true;
    for (size_t i = 0; i < *count; i++)
        if ((*positions)[i] == position)
            return true;
    size_t *longer = realloc(*positions, (*count + 1) * sizeof *longer);
    if (longer == NULL)
        return failure_memory(failure);
    *positions = longer;
    longer[(*count)++] = position;
    return true;
}

/* IMAGE/layers. Images of an older store lack it. */
static bool read_layers(const struct store *store, struct inventory *inventory, struct inventory_image *image,
                        struct failure *failure)
{
    char path[PATH_BYTES], line[128];
    snprintf(path, sizeof path, "%s/images/sha256/%s/layers", store_path(store), image->item.hex);
    FILE *file = fopen(path, "re");
    bool good = true;
    if (file == NULL)
        return true;
    image->layers_known = true;
    while (good && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        good = add_position(&image->layers, &image->layers_count, position_of(&inventory->layers, line), failure);
    }
    fclose(file);
    return good;
}

/* What a manifest names, and itself. */
static bool read_manifest(const struct store *store, const struct inventory *inventory, struct inventory_image *image,
                          const char *digest, struct failure *failure)
{
    cleanup(oci_manifest_clear) struct oci_manifest manifest = {0};
    cleanup(failure_clear) struct failure ignored = FAILURE_INIT;
    cleanup(memory_free) char *folder = blobs_folder(store);
    size_t length;
    cleanup(memory_free) char *bytes = document_cache_read(folder, digest, &length);
    if (bytes == NULL || !oci_manifest_read(&manifest, bytes, length, &ignored))
        return true;
    const struct inventory_list *blobs = &inventory->blobs;
    bool good = add_position(&image->blobs, &image->blobs_count, position_of(blobs, digest), failure) &&
                add_position(&image->blobs, &image->blobs_count, position_of(blobs, manifest.config.digest), failure);
    for (size_t i = 0; good && i < manifest.layers_count; i++)
        good = add_position(&image->blobs, &image->blobs_count, position_of(blobs, manifest.layers[i].digest), failure);
    return good;
}

static bool add_name(struct inventory_image *image, const char *reference, struct failure *failure)
{
    char *names = NULL;
    if (asprintf(&names, "%s%s%s", image->names != NULL ? image->names : "", image->names != NULL ? ", " : "",
                 reference) < 0)
        return failure_memory(failure);
    free(image->names);
    image->names = names;
    return true;
}

static struct inventory_image *find_image(struct inventory *inventory, const char *digest)
{
    for (size_t i = 0; i < inventory->images_count; i++)
        if (strcmp(inventory->images[i].item.hex, digest + strlen("sha256:")) == 0)
            return &inventory->images[i];
    return NULL;
}

static bool read_names(const struct store *store, struct inventory *inventory, struct failure *failure)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/names", store_path(store));
    DIR *folder = opendir(path);
    bool good = folder != NULL ? true : failure_system(failure, "cannot list '%s'", path);
    for (const struct dirent *entry; good && (entry = readdir(folder)) != NULL;) {
        cleanup(name_clear) struct name name = {0};
        if (!is_hex(entry->d_name) || !name_read(dirfd(folder), entry->d_name, &name))
            continue;
        struct inventory_image *image = find_image(inventory, name.config_digest);
        if (image != NULL)
            good = add_name(image, name.reference, failure) &&
                   read_manifest(store, inventory, image, name.manifest_digest, failure);
    }
    if (folder != NULL)
        closedir(folder);
    return good;
}

static int compare_use(const void *one, const void *other)
{
    int64_t left = ((const struct inventory_image *)one)->item.used_at_ms;
    int64_t right = ((const struct inventory_image *)other)->item.used_at_ms;
    return (left > right) - (left < right);
}

/* Folders and links of a root; its files are its layers' own. */
static bool list_images(const struct store *store, struct inventory *inventory, struct failure *failure)
{
    struct inventory_list list = {0};
    bool good = list_folder(store, "images/sha256", &list, failure);
    inventory->images = good ? calloc(list.count + 1, sizeof *inventory->images) : NULL;
    if (good && inventory->images == NULL)
        good = failure_memory(failure);
    for (size_t i = 0; good && i < list.count; i++) {
        inventory->images[i].item = list.items[i];
        inventory->images[i].item.bytes = 0;
        inventory->images_count++;
    }
    free(list.items);
    if (good && inventory->images_count > 0)
        qsort(inventory->images, inventory->images_count, sizeof *inventory->images, compare_use);
    return good;
}

bool inventory_take(struct inventory *inventory, const struct store *store, struct failure *failure)
{
    *inventory = (struct inventory){0};
    bool good = list_folder(store, "layers/sha256", &inventory->layers, failure) &&
                list_folder(store, "blobs/sha256", &inventory->blobs, failure) &&
                list_images(store, inventory, failure);
    for (size_t i = 0; good && i < inventory->images_count; i++)
        good = read_layers(store, inventory, &inventory->images[i], failure);
    if (good && read_names(store, inventory, failure))
        return true;
    inventory_clear(inventory);
    return false;
}
