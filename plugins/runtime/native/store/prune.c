/* SPDX-License-Identifier: BSD-3-Clause */
/* Taking images away. */
#include "prune.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "registry/ownership.h"

#include "inventory.h"
#include "tree.h"

#define PATH_BYTES 640
#define MOUNTS_LIMIT (16u << 20) /* bytes of one process's mounts */
#define LEFTOVER_MS (24ll * 60 * 60 * 1000)

void prune_result_clear(struct prune_result *result)
{
    for (size_t i = 0; i < result->count; i++)
        free(result->lines[i]);
    free((void *)result->lines);
    *result = (struct prune_result){0};
}

/* --- who is in use --- */

static void mark_mounted(struct inventory *inventory, const char *line)
{
    const char *place = line;
    while ((place = strstr(place, "/images/sha256/")) != NULL) {
        place += strlen("/images/sha256/");
        for (size_t i = 0; i < inventory->images_count; i++)
            if (strncmp(place, inventory->images[i].item.hex, 64) == 0)
                inventory->images[i].in_use = true;
    }
}

/* Every process of this machine that lets us see its mounts; ours do. */
static void mark_in_use(struct inventory *inventory)
{
    DIR *processes = opendir("/proc");
    for (const struct dirent *entry; processes != NULL && (entry = readdir(processes)) != NULL;) {
        char path[300];
        char *line = NULL;
        size_t size = 0;
        if (entry->d_name[0] < '0' || entry->d_name[0] > '9')
            continue;
        snprintf(path, sizeof path, "/proc/%s/mountinfo", entry->d_name);
        FILE *mounts = fopen(path, "re");
        for (size_t read = 0; mounts != NULL && read < MOUNTS_LIMIT && getline(&line, &size, mounts) > 0;
             read += strlen(line))
            mark_mounted(inventory, line);
        free(line);
        if (mounts != NULL)
            fclose(mounts);
    }
    if (processes != NULL)
        closedir(processes);
}

/* Processes that prepared it and live on: a run between two stages. */
static void mark_held(const struct store *store, struct inventory *inventory)
{
    for (size_t i = 0; i < inventory->images_count; i++) {
        char digest[72];
        snprintf(digest, sizeof digest, "sha256:%s", inventory->images[i].item.hex);
        if (store_image_is_held(store, digest))
            inventory->images[i].in_use = true;
    }
}

/* --- who goes --- */

static void count_need(struct inventory *inventory, const struct inventory_image *image, int by)
{
    for (size_t i = 0; i < image->layers_count; i++)
        inventory->layers.items[image->layers[i]].needed += (unsigned)by;
    for (size_t i = 0; i < image->blobs_count; i++)
        inventory->blobs.items[image->blobs[i]].needed += (unsigned)by;
}

/* An image whose layers we do not know may need any of them. */
static bool layers_may_go(const struct inventory *inventory)
{
    for (size_t i = 0; i < inventory->images_count; i++)
        if (!inventory->images[i].goes && !inventory->images[i].layers_known)
            return false;
    return true;
}

static uint64_t bytes_of(const struct inventory_list *list, bool needed)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < list->count; i++)
        if ((list->items[i].needed > 0) == needed)
            bytes += list->items[i].bytes;
    return bytes;
}

static uint64_t bytes_that_stay(const struct inventory *inventory)
{
    return bytes_of(&inventory->blobs, true) + bytes_of(&inventory->layers, true) +
           (layers_may_go(inventory) ? 0 : bytes_of(&inventory->layers, false));
}

static void choose(struct inventory *inventory, const struct prune_wish *wish)
{
    bool by_age = wish->unused_ms > 0 || wish->keep_bytes == 0;
    for (size_t i = 0; i < inventory->images_count; i++)
        count_need(inventory, &inventory->images[i], 1);
    for (size_t i = 0; i < inventory->images_count; i++) {
        struct inventory_image *image = &inventory->images[i];
        int64_t unused_ms = wish->now_ms - image->item.used_at_ms;
        bool old = by_age && unused_ms >= (int64_t)wish->unused_ms;
        bool large = wish->keep_bytes > 0 && bytes_that_stay(inventory) > wish->keep_bytes;
        if (image->in_use || unused_ms < PRUNE_GRACE_MS || !(old || large))
            continue;
        image->goes = true;
        count_need(inventory, image, -1);
    }
}

static bool tell(const struct inventory_image *image, struct prune_result *result, struct failure *failure)
{
    time_t used = (time_t)(image->item.used_at_ms / 1000);
    struct tm time;
    char when[32] = "?";
    if (gmtime_r(&used, &time) != NULL)
        strftime(when, sizeof when, "%Y-%m-%d", &time);
    char **lines = realloc((void *)result->lines, (result->count + 1) * sizeof *lines);
    if (lines == NULL)
        return failure_memory(failure);
    result->lines = lines;
    if (asprintf(&lines[result->count], "sha256:%.12s  last used %s  %s", image->item.hex, when,
                 image->names != NULL ? image->names : "(of a file or folder)") < 0)
        return failure_memory(failure);
    result->count++;
    return true;
}

/* --- removing --- */

/* Out of its place at once, then piece by piece: a crash leaves a temporary folder and nothing half. */
static bool remove_thing(const struct store *store, const char *kind, const char *hex, struct failure *failure)
{
    char from[PATH_BYTES], to[PATH_BYTES];
    snprintf(from, sizeof from, "%s/%ss/sha256/%s", store_path(store), kind, hex);
    snprintf(to, sizeof to, "%s/%s-%s.pruned", store_temporary(store), kind, hex);
    if (!tree_remove(AT_FDCWD, to, failure))
        return false;
    if (rename(from, to) != 0)
        return errno == ENOENT || failure_system(failure, "cannot remove '%s'", from);
    return tree_remove(AT_FDCWD, to, failure);
}

static bool remove_unneeded(const struct store *store, const char *kind, const struct inventory_list *list,
                            struct failure *failure)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].needed == 0 && !remove_thing(store, kind, list->items[i].hex, failure))
            return false;
    return true;
}

static bool names_a_goer(const struct inventory *inventory, const char *config_digest)
{
    for (size_t i = 0; i < inventory->images_count; i++)
        if (strcmp(inventory->images[i].item.hex, config_digest + strlen("sha256:")) == 0)
            return inventory->images[i].goes;
    return true; /* of an image that is not here at all */
}

static void remove_names(const struct store *store, const struct inventory *inventory)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/names", store_path(store));
    DIR *folder = opendir(path);
    for (const struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        cleanup(name_clear) struct name name = {0};
        if (entry->d_name[0] != '.' &&
            (!name_read(dirfd(folder), entry->d_name, &name) || names_a_goer(inventory, name.config_digest)))
            unlinkat(dirfd(folder), entry->d_name, 0);
    }
    if (folder != NULL)
        closedir(folder);
}

/* What crashed or cancelled makers left for a day: nobody else is in the store now. */
static void remove_leftovers(const struct store *store, const char *name, bool whole_too, int64_t now_ms)
{
    cleanup(failure_clear) struct failure ignored = FAILURE_INIT;
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s", store_path(store), name);
    DIR *folder = opendir(path);
    for (const struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        struct stat status;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            (!whole_too && strchr(entry->d_name, '.') == NULL) ||
            fstatat(dirfd(folder), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        if (now_ms - (int64_t)status.st_mtim.tv_sec * 1000 > LEFTOVER_MS)
            tree_remove(dirfd(folder), entry->d_name, &ignored);
    }
    if (folder != NULL)
        closedir(folder);
}

static bool remove_all(const struct store *store, const struct inventory *inventory, const struct prune_wish *wish,
                       struct failure *failure)
{
    for (size_t i = 0; i < inventory->images_count; i++) {
        if (wish->stop != NULL && atomic_load(wish->stop))
            return failure_set(failure, DESCPIPE_FAILED_CANCELLED, "pruning was cancelled");
        if (inventory->images[i].goes && !remove_thing(store, "image", inventory->images[i].item.hex, failure))
            return false;
    }
    remove_names(store, inventory);
    if (layers_may_go(inventory) && !remove_unneeded(store, "layer", &inventory->layers, failure))
        return false;
    if (!remove_unneeded(store, "blob", &inventory->blobs, failure))
        return false;
    remove_leftovers(store, "partial", true, wish->now_ms);
    remove_leftovers(store, "temporary", true, wish->now_ms);
    remove_leftovers(store, "blobs/sha256", false, wish->now_ms);
    return true;
}

bool prune_store(struct store *store, const struct prune_wish *wish, struct prune_result *result, bool *busy,
                 struct failure *failure)
{
    cleanup(inventory_clear) struct inventory inventory = {0};
    *result = (struct prune_result){0};
    if (!store_enter_alone(store, busy, failure) || !inventory_take(&inventory, store, failure))
        return false;
    mark_in_use(&inventory);
    mark_held(store, &inventory);
    uint64_t before = bytes_of(&inventory.layers, false) + bytes_of(&inventory.blobs, false);
    choose(&inventory, wish);
    result->freed = before - bytes_that_stay(&inventory);
    for (size_t i = 0; i < inventory.images_count; i++)
        if (inventory.images[i].goes && !tell(&inventory.images[i], result, failure))
            return false;
    return wish->only_say || remove_all(store, &inventory, wish, failure);
}
