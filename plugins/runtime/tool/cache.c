/* SPDX-License-Identifier: BSD-3-Clause */
/* Converted images; cache.h tells how. */
#include "tool/cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "registry/ownership.h"

#include "store/tree.h"

#define CACHE_PATH_LIMIT 1024 /* of CACHE itself */
#define LINE_LIMIT 1024
#define BLOCK ((size_t)1 << 20)

static void write_digits(const unsigned char *hash, char digits[CACHE_KEY_SIZE])
{
    for (size_t i = 0; i < 32; i++)
        snprintf(digits + 2 * i, 3, "%02x", hash[i]);
}

bool cache_key(const char *kind, const char *name, const char *platform, char key[CACHE_KEY_SIZE],
               struct failure *failure)
{
    cleanup(memory_free) char *text = NULL;
    unsigned char hash[EVP_MAX_MD_SIZE];
    int length = asprintf(&text, "%s\n%s\n%s", kind, name, platform != NULL ? platform : "");
    if (length < 0) {
        text = NULL;
        return failure_memory(failure);
    }
    if (EVP_Digest(text, (size_t)length, hash, NULL, EVP_sha256(), NULL) != 1)
        return failure_memory(failure);
    write_digits(hash, key);
    return true;
}

bool cache_open(const char *folder, struct failure *failure)
{
    static const char *const parts[] = {"", "/images", "/temporary", "/locks"};
    if (strlen(folder) > CACHE_PATH_LIMIT)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "the path of the image cache is too long: '%s'", folder);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        char path[CACHE_PATH_LIMIT + 16];
        snprintf(path, sizeof path, "%s%s", folder, parts[i]);
        if (mkdir(path, 0700) != 0 && errno != EEXIST)
            return failure_system(failure, "cannot make '%s'", path);
    }
    return true;
}

static char *entry_path(const struct cache_place *place, const char *name, struct failure *failure)
{
    char *path = NULL;
    if (asprintf(&path, "%s/images/%s%s%s", place->folder, place->key, name[0] != '\0' ? "/" : "", name) >= 0)
        return path;
    failure_memory(failure);
    return NULL;
}

static bool is_stopped(const atomic_bool *stop, struct failure *failure)
{
    if (stop == NULL || !atomic_load(stop))
        return false;
    failure_set(failure, DESCPIPE_FAILED_CANCELLED, "cancelled");
    return true;
}

static bool hash_descriptor(int file, const char *path, EVP_MD_CTX *context, const atomic_bool *stop,
                            struct failure *failure)
{
    cleanup(memory_free) char *block = malloc(BLOCK);
    if (block == NULL)
        return failure_memory(failure);
    for (;;) {
        ssize_t length = read(file, block, BLOCK);
        if (length == 0)
            return true;
        if (length < 0 && errno == EINTR)
            continue;
        if (length < 0)
            return failure_system(failure, "cannot read '%s'", path);
        if (is_stopped(stop, failure))
            return false;
        if (EVP_DigestUpdate(context, block, (size_t)length) != 1)
            return failure_memory(failure);
    }
}

bool cache_file_digest(const char *path, const atomic_bool *stop, char digest[72], struct failure *failure)
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    cleanup(descriptor_close) int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return failure_system(failure, "cannot open '%s'", path);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = context != NULL && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1;
    if (!good)
        failure_memory(failure);
    good = good && hash_descriptor(file, path, context, stop, failure);
    good = good && (EVP_DigestFinal_ex(context, hash, NULL) == 1 || failure_memory(failure));
    EVP_MD_CTX_free(context);
    if (good) {
        memcpy(digest, "sha256:", 7);
        write_digits(hash, digest + 7);
    }
    return good;
}

/* Of a payload that is a file. */
struct payload {
    uint64_t bytes;
    char digest[72];
    bool is_file;
};

static void take_payload_line(struct payload *payload, const char *line)
{
    if (strncmp(line, "payload-bytes ", 14) == 0) {
        payload->bytes = strtoull(line + 14, NULL, 10);
        payload->is_file = true;
    } else if (strncmp(line, "payload-digest ", 15) == 0) {
        snprintf(payload->digest, sizeof payload->digest, "%.71s", line + 15);
    }
}

/* False with no failure when it is not there. */
static bool read_description(const struct cache_place *place, struct payload *payload, struct image_facts *facts,
                             struct failure *failure)
{
    char line[LINE_LIMIT];
    cleanup(memory_free) char *path = entry_path(place, "description", failure);
    FILE *file = path != NULL ? fopen(path, "re") : NULL;
    if (file == NULL) {
        if (path != NULL && errno != ENOENT)
            failure_system(failure, "cannot read '%s'", path);
        return false;
    }
    bool good = true;
    while (good && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        take_payload_line(payload, line);
        good = image_facts_take_line(facts, line, failure);
    }
    fclose(file);
    return good;
}

static bool payload_is_whole(const char *path, const struct payload *payload, bool verify, const atomic_bool *stop,
                             struct failure *failure)
{
    struct stat status;
    char digest[72];
    if (stat(path, &status) != 0)
        return false;
    if (!payload->is_file)
        return S_ISDIR(status.st_mode);
    if (!S_ISREG(status.st_mode) || (uint64_t)status.st_size != payload->bytes)
        return false;
    if (!verify)
        return true;
    return cache_file_digest(path, stop, digest, failure) && strcmp(digest, payload->digest) == 0;
}

char *cache_find(const struct cache_place *place, bool verify, const atomic_bool *stop, struct image_facts *facts,
                 struct failure *failure)
{
    struct payload payload = {0};
    cleanup(image_facts_clear) struct image_facts found = {0};
    if (!read_description(place, &payload, &found, failure))
        return NULL;
    cleanup(memory_free) char *path = entry_path(place, place->payload, failure);
    if (path == NULL || !payload_is_whole(path, &payload, verify, stop, failure))
        return NULL;
    image_facts_clear(facts);
    *facts = found;
    found = (struct image_facts){0};
    return steal(&path);
}

/* What a taker of the same lock left when it crashed. */
static bool remove_leftovers(const struct cache_place *place, struct failure *failure)
{
    char path[CACHE_PATH_LIMIT + 16];
    snprintf(path, sizeof path, "%s/temporary", place->folder);
    DIR *folder = opendir(path);
    bool done = folder != NULL ? true : failure_system(failure, "cannot list '%s'", path);
    for (const struct dirent *entry; done && (entry = readdir(folder)) != NULL;)
        if (strncmp(entry->d_name, place->key, CACHE_KEY_SIZE - 1) == 0)
            done = tree_remove(dirfd(folder), entry->d_name, failure);
    if (folder != NULL)
        closedir(folder);
    return done;
}

bool cache_begin(const struct cache_place *place, struct cache_making *making, struct failure *failure)
{
    char path[CACHE_PATH_LIMIT + 128];
    snprintf(path, sizeof path, "%s/locks/%s", place->folder, place->key);
    making->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (making->lock < 0)
        return failure_system(failure, "cannot open '%s'", path);
    if (flock(making->lock, LOCK_EX | LOCK_NB) != 0) {
        bool busy = errno == EWOULDBLOCK || errno == EINTR;
        if (!busy)
            failure_system(failure, "cannot lock '%s'", path);
        cache_end(making);
        return false;
    }
    snprintf(path, sizeof path, "%s/temporary/%s.XXXXXX", place->folder, place->key);
    if (!remove_leftovers(place, failure) ||
        (mkdtemp(path) == NULL && !failure_system(failure, "cannot make a folder in '%s/temporary'", place->folder)) ||
        ((making->folder = strdup(path)) == NULL && !failure_memory(failure))) {
        cache_end(making);
        return false;
    }
    return true;
}

void cache_end(struct cache_making *making)
{
    cleanup(failure_clear) struct failure ignored = FAILURE_INIT;
    if (making->folder != NULL)
        tree_remove(AT_FDCWD, making->folder, &ignored);
    free(making->folder);
    descriptor_close(making->lock);
    *making = CACHE_MAKING_INIT;
}

static bool sync_path(const char *path, bool whole_system, struct failure *failure)
{
    cleanup(descriptor_close) int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return failure_system(failure, "cannot open '%s'", path);
    if ((whole_system ? syncfs(descriptor) : fsync(descriptor)) != 0 && errno != EINVAL)
        return failure_system(failure, "cannot sync '%s'", path);
    return true;
}

/* Size and checksum of a file; a folder has neither. */
static bool look_at_payload(const char *path, const atomic_bool *stop, struct payload *payload, struct failure *failure)
{
    struct stat status;
    if (stat(path, &status) != 0)
        return failure_system(failure, "the tool left no '%s'", path);
    payload->is_file = S_ISREG(status.st_mode);
    payload->bytes = (uint64_t)status.st_size;
    if (payload->is_file && !cache_file_digest(path, stop, payload->digest, failure))
        return false;
    return sync_path(path, !payload->is_file, failure);
}

static bool write_description(const struct cache_making *making, const struct image_facts *facts,
                              const struct payload *payload, struct failure *failure)
{
    cleanup(memory_free) char *path = NULL;
    if (asprintf(&path, "%s/description", making->folder) < 0) {
        path = NULL;
        return failure_memory(failure);
    }
    FILE *file = fopen(path, "wxe");
    if (file == NULL)
        return failure_system(failure, "cannot make '%s'", path);
    image_facts_write(facts, file);
    if (payload->is_file)
        fprintf(file, "payload-bytes %" PRIu64 "\npayload-digest %s\n", payload->bytes, payload->digest);
    bool good = fflush(file) == 0 && fsync(fileno(file)) == 0;
    good = fclose(file) == 0 && good;
    return good || failure_system(failure, "cannot write '%s'", path);
}

/* What lies in the place now is damaged or was asked for anew. A stage that has it open keeps it. */
static bool clear_place(const struct cache_place *place, const char *target, struct failure *failure)
{
    char aside[CACHE_PATH_LIMIT + 160];
    struct stat status;
    if (lstat(target, &status) != 0)
        return errno == ENOENT ? true : failure_system(failure, "'%s'", target);
    snprintf(aside, sizeof aside, "%s/temporary/%s.XXXXXX", place->folder, place->key);
    if (mkdtemp(aside) == NULL || rename(target, aside) != 0)
        return failure_system(failure, "cannot move '%s' away", target);
    return tree_remove(AT_FDCWD, aside, failure);
}

char *cache_commit(const struct cache_place *place, struct cache_making *making, const struct image_facts *facts,
                   const atomic_bool *stop, struct failure *failure)
{
    struct payload payload = {0};
    char parent[CACHE_PATH_LIMIT + 16];
    cleanup(memory_free) char *target = entry_path(place, "", failure);
    cleanup(memory_free) char *made = NULL;
    if (target == NULL || asprintf(&made, "%s/%s", making->folder, place->payload) < 0) {
        made = NULL;
        failure_memory(failure);
        return NULL;
    }
    snprintf(parent, sizeof parent, "%s/images", place->folder);
    if (!look_at_payload(made, stop, &payload, failure) || !write_description(making, facts, &payload, failure) ||
        !sync_path(making->folder, false, failure) || !clear_place(place, target, failure))
        return NULL;
    if (rename(making->folder, target) != 0) {
        failure_system(failure, "cannot move the image to '%s'", target);
        return NULL;
    }
    free(making->folder);
    making->folder = NULL;
    return sync_path(parent, false, failure) ? entry_path(place, place->payload, failure) : NULL;
}
