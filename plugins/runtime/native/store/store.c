/* SPDX-License-Identifier: BSD-3-Clause */
/* Unpacked images, kept by content on a local disk; store.h tells how. */
#include "store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "registry/manifest.h"
#include "registry/ownership.h"

#include "assemble.h"
#include "environment.h"
#include "layer.h"
#include "tree.h"

#define STORE_PATH_LIMIT 400 /* with a layer's longest path still within PATH_MAX */

struct store {
    char *path;
    char *temporary;
    int lock; /* of the whole store; -1: not taken */
};

static bool make_folder(const char *path, struct failure *failure)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        return true;
    return failure_system(failure, "cannot make '%s'", path);
}

struct store *store_open(const char *path, struct failure *failure)
{
    static const char *const folders[] = {"",           "/layers", "/layers/sha256", "/images",       "/images/sha256",
                                          "/temporary", "/locks",  "/blobs",         "/blobs/sha256", "/partial",
                                          "/names"};
    cleanup(store_close) struct store *store = calloc(1, sizeof *store);
    if (store != NULL)
        store->lock = -1;
    if (store == NULL || (store->path = strdup(path)) == NULL ||
        asprintf(&store->temporary, "%s/temporary", path) < 0) {
        failure_memory(failure);
        return NULL;
    }
    if (strlen(path) > STORE_PATH_LIMIT) {
        failure_set(failure, DESCPIPE_FAILED_REFUSED, "the path of the store is longer than %d bytes: '%s'",
                    STORE_PATH_LIMIT, path);
        return NULL;
    }
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        char folder[STORE_PATH_LIMIT + 64];
        snprintf(folder, sizeof folder, "%s%s", path, folders[i]);
        if (!make_folder(folder, failure))
            return NULL;
    }
    return steal(&store);
}

void store_close(struct store *store)
{
    if (store == NULL)
        return;
    descriptor_close(store->lock);
    free(store->path);
    free(store->temporary);
    free(store);
}

const char *store_path(const struct store *store)
{
    return store->path;
}

static bool lock_store(struct store *store, int operation, bool *busy, struct failure *failure)
{
    char path[STORE_PATH_LIMIT + 64];
    *busy = false;
    if (store->lock >= 0)
        return true;
    snprintf(path, sizeof path, "%s/locks/store", store->path);
    cleanup(descriptor_close) int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lock < 0)
        return failure_system(failure, "cannot open '%s'", path);
    if (flock(lock, operation | LOCK_NB) != 0) {
        *busy = errno == EWOULDBLOCK || errno == EINTR;
        return *busy ? false : failure_system(failure, "cannot lock '%s'", path);
    }
    store->lock = lock;
    lock = -1;
    return true;
}

bool store_enter(struct store *store, bool *busy, struct failure *failure)
{
    return lock_store(store, LOCK_SH, busy, failure);
}

bool store_enter_alone(struct store *store, bool *busy, struct failure *failure)
{
    return lock_store(store, LOCK_EX, busy, failure);
}

const char *store_temporary(const struct store *store)
{
    return store->temporary;
}

/* A thing of the store: where it will be, and its name while it is made. */
struct thing {
    char place[STORE_PATH_LIMIT + 128];
    char name[128];                    /* KIND-HEX */
    char made[STORE_PATH_LIMIT + 192]; /* its temporary folder, "" when there is none */
    int lock;
};

static bool name_thing(const struct store *store, struct thing *thing, const char *kind, const char *digest,
                       struct failure *failure)
{
    thing->lock = -1;
    thing->made[0] = '\0';
    if (!oci_digest_valid(digest))
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "'%.100s' is not a sha256 digest", digest);
    snprintf(thing->place, sizeof thing->place, "%s/%ss/sha256/%s", store->path, kind, digest + 7);
    snprintf(thing->name, sizeof thing->name, "%s-%s", kind, digest + 7);
    return true;
}

static bool is_there(const struct thing *thing)
{
    return access(thing->place, F_OK) == 0;
}

static bool take_lock(const struct store *store, struct thing *thing, bool *busy, struct failure *failure)
{
    char path[STORE_PATH_LIMIT + 192];
    snprintf(path, sizeof path, "%s/locks/%s", store->path, thing->name);
    thing->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (thing->lock < 0)
        return failure_system(failure, "cannot open '%s'", path);
    if (flock(thing->lock, LOCK_EX | LOCK_NB) == 0)
        return true;
    *busy = errno == EWOULDBLOCK || errno == EINTR;
    return *busy ? false : failure_system(failure, "cannot lock '%s'", path);
}

/* What a taker of the same lock left when it crashed. */
static bool remove_leftovers(const struct store *store, const struct thing *thing, struct failure *failure)
{
    DIR *folder = opendir(store->temporary);
    size_t length = strlen(thing->name);
    bool done = folder != NULL ? true : failure_system(failure, "cannot list '%s'", store->temporary);
    for (const struct dirent *entry; done && (entry = readdir(folder)) != NULL;)
        if (strncmp(entry->d_name, thing->name, length) == 0 && entry->d_name[length] == '.')
            done = tree_remove(dirfd(folder), entry->d_name, failure);
    if (folder != NULL)
        closedir(folder);
    return done;
}

static void drop_made(struct thing *thing)
{
    cleanup(failure_clear) struct failure ignored = FAILURE_INIT;
    if (thing->made[0] != '\0')
        tree_remove(AT_FDCWD, thing->made, &ignored);
    descriptor_close(thing->lock);
    thing->made[0] = '\0';
    thing->lock = -1;
}

static void thing_close(struct thing *thing)
{
    drop_made(thing);
}
DEFINE_CLEANUP(struct thing *, thing_close);

/* Takes the lock and makes an empty temporary folder, unless the thing is there by then. */
static bool begin_thing(const struct store *store, struct thing *thing, bool *busy, struct failure *failure)
{
    if (!take_lock(store, thing, busy, failure))
        return false;
    if (is_there(thing))
        return true;
    if (!remove_leftovers(store, thing, failure))
        return false;
    snprintf(thing->made, sizeof thing->made, "%s/%s.XXXXXX", store->temporary, thing->name);
    if (mkdtemp(thing->made) != NULL)
        return true;
    failure_system(failure, "cannot make a folder in '%s'", store->temporary);
    thing->made[0] = '\0';
    return false;
}

static bool sync_folder(const char *path, bool everything, struct failure *failure)
{
    cleanup(descriptor_close) int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0 || (everything ? syncfs(folder) : fsync(folder)) != 0)
        return failure_system(failure, "cannot sync '%s'", path);
    return true;
}

/* Puts the made folder into its place; somebody else's equal one there is as good. */
static bool finish_thing(struct thing *thing, struct failure *failure)
{
    char parent[sizeof thing->place];
    snprintf(parent, sizeof parent, "%.*s", (int)(strrchr(thing->place, '/') - thing->place), thing->place);
    if (!sync_folder(thing->made, true, failure))
        return false;
    if (rename(thing->made, thing->place) == 0) {
        thing->made[0] = '\0';
        return sync_folder(parent, false, failure);
    }
    return errno == EEXIST || errno == ENOTEMPTY ? true : failure_system(failure, "cannot move to '%s'", thing->place);
}

static ssize_t read_part(void *context, void *bytes, size_t size, struct failure *failure)
{
    return part_read(context, bytes, size, failure);
}

static bool unpack_layer(const struct source *source, const struct described_layer *layer, const char *folder,
                         const struct budget *budget, struct failure *failure)
{
    cleanup(part_close) struct part *part = source_read(source, layer->name, failure);
    cleanup(descriptor_close) int target = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (part == NULL)
        return false;
    if (target < 0)
        return failure_system(failure, "'%s'", folder);
    struct layer_request request = {.read = read_part,
                                    .context = part,
                                    .folder = target,
                                    .digest = layer->digest,
                                    .diff_id = layer->diff_id,
                                    .keep_owner = geteuid() == 0,
                                    .budget = budget};
    struct layer_result result;
    return layer_unpack(&request, &result, failure) ||
           failure_wrap(failure, "layer '%s' of '%s'", layer->name, source_path(source));
}

static int lock_use(const struct store *store, const char *config_digest, int operation)
{
    char path[STORE_PATH_LIMIT + 192];
    if (!oci_digest_valid(config_digest))
        return -1;
    snprintf(path, sizeof path, "%s/locks/use-%s", store->path, config_digest + 7);
    cleanup(descriptor_close) int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lock < 0 || flock(lock, operation | LOCK_NB) != 0)
        return -1;
    int held = lock;
    lock = -1;
    return held;
}

int store_hold_image(const struct store *store, const char *config_digest)
{
    return lock_use(store, config_digest, LOCK_SH);
}

bool store_image_is_held(const struct store *store, const char *config_digest)
{
    cleanup(descriptor_close) int lock = lock_use(store, config_digest, LOCK_EX);
    return lock < 0;
}

bool store_has_layer(const struct store *store, const char *diff_id)
{
    cleanup(failure_clear) struct failure ignored = FAILURE_INIT;
    struct thing thing;
    return name_thing(store, &thing, "layer", diff_id, &ignored) && is_there(&thing);
}

bool store_make_layer(const struct store *store, const struct source *source, const struct described_layer *layer,
                      const struct budget *budget, bool *busy, struct failure *failure)
{
    struct thing thing;
    *busy = false;
    if (!name_thing(store, &thing, "layer", layer->diff_id, failure))
        return false;
    if (is_there(&thing))
        return true;
    cleanup(thing_close) struct thing *making = &thing;
    if (!begin_thing(store, making, busy, failure))
        return false;
    return thing.made[0] == '\0' ||
           (unpack_layer(source, layer, thing.made, budget, failure) && finish_thing(making, failure));
}

static bool note_layers(const char *folder, const struct description *description, struct failure *failure)
{
    char path[STORE_PATH_LIMIT + 256];
    snprintf(path, sizeof path, "%s/layers", folder);
    FILE *file = fopen(path, "wxe");
    if (file == NULL)
        return failure_system(failure, "cannot make '%s'", path);
    for (size_t i = 0; i < description->layers_count; i++)
        fprintf(file, "%s\n", description->layers[i].diff_id);
    bool good = ferror(file) == 0;
    return (fclose(file) == 0 && good) || failure_system(failure, "cannot write '%s'", path);
}

static bool assemble(const struct store *store, const struct description *description, const char *folder,
                     struct failure *failure)
{
    char root[STORE_PATH_LIMIT + 256];
    snprintf(root, sizeof root, "%s/root", folder);
    if (mkdir(root, 0755) != 0)
        return failure_system(failure, "cannot make '%s'", root);
    for (size_t i = 0; i < description->layers_count; i++) {
        struct thing layer;
        if (!name_thing(store, &layer, "layer", description->layers[i].diff_id, failure) ||
            !assemble_layer(layer.place, root, geteuid() == 0, failure))
            return false;
    }
    return assemble_mount_points(root, failure) && note_layers(folder, description, failure) &&
           environment_write(folder, description->environment, description->environment_count, failure);
}

static char *root_of(const struct thing *thing, struct failure *failure)
{
    char *root = NULL;
    utimensat(AT_FDCWD, thing->place, NULL, 0); /* used now; a store that cannot be written is never pruned either */
    if (asprintf(&root, "%s/root", thing->place) >= 0)
        return root;
    failure_memory(failure);
    return NULL;
}

char *store_find_image(const struct store *store, const char *config_digest, struct failure *failure)
{
    struct thing thing;
    if (!name_thing(store, &thing, "image", config_digest, failure) || !is_there(&thing))
        return NULL;
    return root_of(&thing, failure);
}

char *store_make_image(const struct store *store, const struct source *source, const struct description *description,
                       const struct budget *budget, bool *busy, struct failure *failure)
{
    struct thing thing;
    *busy = false;
    if (!name_thing(store, &thing, "image", description->config_digest, failure))
        return NULL;
    if (is_there(&thing))
        return root_of(&thing, failure);
    cleanup(thing_close) struct thing *making = &thing;
    if (!begin_thing(store, making, busy, failure))
        return NULL;
    if (thing.made[0] == '\0')
        return root_of(&thing, failure);
    for (size_t i = 0; i < description->layers_count; i++)
        if (!store_make_layer(store, source, &description->layers[i], budget, busy, failure))
            return NULL;
    if (!assemble(store, description, thing.made, failure) || !finish_thing(making, failure))
        return NULL;
    return root_of(&thing, failure);
}
