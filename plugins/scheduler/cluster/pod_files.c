/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A stage whose files only the cluster sees: the two containers around its own, and the ConfigMap that has their
 * scripts and the stage's configuration.
 *
 * How it works: both run the configured helper image, see the volume where this machine has its working folder, and say
 * in their termination message what went wrong. The ConfigMap is small by law (POD_FILES_LIMIT), so it holds what a
 * person writes; data belongs on the volume. A file's key there is its contents' hash, so that several stages can share
 * one.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cluster/pod.h"

#define SCRIPTS_FOLDER "/opt/descpipe"
#define BRING_IN_NAME "bring-in.sh"
#define PUBLISH_NAME "publish.sh"
#define CONFIG_TARGET "/opt/config"

enum { FILES_COUNT = 1000, FILES_DEPTH = 16, KEY_BYTES = 41 };

struct packing {
    json_t *data;  /* key → base64; NULL: only what is there is wanted */
    json_t *items; /* of the volume */
    size_t bytes, count;
    char *words;
};

static bool name_key(const void *bytes, size_t length, char key[KEY_BYTES])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    if (EVP_Digest(bytes, length, digest, NULL, EVP_sha256(), NULL) != 1) {
        return false;
    }
    for (size_t i = 0; i < (KEY_BYTES - 1) / 2; i++) {
        snprintf(key + 2 * i, 3, "%02x", digest[i]);
    }
    return true;
}

static bool pack_bytes(json_t *data, const char *key, const void *bytes, size_t length)
{
    unsigned char *packed = malloc(length / 3 * 4 + 5);
    if (packed == NULL) {
        return false;
    }
    EVP_EncodeBlock(packed, bytes, (int)length);
    bool set = json_object_set_new(data, key, json_string((const char *)packed)) == 0;
    free(packed);
    return set;
}

static bool too_large(struct packing *packing)
{
    snprintf(
        packing->words, POD_WORDS,
        "its configuration and scripts have more than %d bytes or %d files, which is the most a ConfigMap carries; "
        "put large files on the volume and take them as inputs",
        POD_FILES_LIMIT, FILES_COUNT);
    return false;
}

static bool pack_file(struct packing *packing, int folder, const char *name, const char *inside,
                      const struct stat *status)
{
    char key[KEY_BYTES];
    packing->bytes += (size_t)status->st_size;
    if (status->st_size > POD_FILES_LIMIT || packing->bytes > POD_FILES_LIMIT || ++packing->count > FILES_COUNT) {
        return too_large(packing);
    }
    size_t length = (size_t)status->st_size, got = 0;
    char *bytes = malloc(length + 1);
    int file = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t part = 0;
    while (bytes != NULL && file >= 0 && got < length && (part = read(file, bytes + got, length - got)) > 0) {
        got += (size_t)part;
    }
    bool read_all = bytes != NULL && file >= 0 && got == length;
    if (!read_all) {
        snprintf(packing->words, POD_WORDS, "its configuration '%.200s' cannot be read: %s", inside,
                 part < 0 || file < 0 ? strerror(errno) : "it changed meanwhile");
    }
    bool packed = read_all && name_key(bytes, length, key) &&
                  (packing->data == NULL || pack_bytes(packing->data, key, bytes, length));
    if (packed) {
        json_array_append_new(packing->items, json_pack("{s:s, s:s, s:i}", "key", key, "path", inside, "mode",
                                                        (status->st_mode & S_IXUSR) != 0 ? 0555 : 0444));
    }
    if (file >= 0) {
        close(file);
    }
    free(bytes);
    return packed;
}

static bool pack_folder(struct packing *packing, int parent, const char *name, const char *inside, int depth);

static bool pack_entry(struct packing *packing, int folder, const char *name, const char *inside, int depth)
{
    struct stat status;
    char *path = NULL;
    if (asprintf(&path, "%s%s%s", inside, inside[0] != '\0' ? "/" : "", name) < 0) {
        return false;
    }
    bool packed = fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0;
    if (packed && S_ISDIR(status.st_mode)) {
        packed = pack_folder(packing, folder, name, path, depth + 1);
    } else if (packed && S_ISREG(status.st_mode)) {
        packed = pack_file(packing, folder, name, path, &status);
    } else {
        snprintf(packing->words, POD_WORDS, "its configuration '%.200s' is no file and no folder", path);
        packed = false;
    }
    free(path);
    return packed;
}

static int is_no_dot(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

/* In the order of names, so that the same files make the same manifest. */
static bool pack_folder(struct packing *packing, int parent, const char *name, const char *inside, int depth)
{
    struct dirent **entries = NULL;
    int folder = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    int count = folder >= 0 ? scandirat(folder, ".", &entries, is_no_dot, alphasort) : -1;
    bool packed = count >= 0 && depth <= FILES_DEPTH;
    if (!packed) {
        snprintf(packing->words, POD_WORDS, "its configuration folder '%.200s' cannot be read: %s", name,
                 count < 0 ? strerror(errno) : "it is too deep");
    }
    for (int i = 0; i < count; i++) {
        packed = packed && pack_entry(packing, folder, entries[i]->d_name, inside, depth);
        free(entries[i]);
    }
    free(entries);
    if (folder >= 0) {
        close(folder);
    }
    return packed;
}

static const char *config_folder(const struct descpipe_job *job)
{
    const struct descpipe_mount *const *mounts = job->form->mounts;
    for (size_t i = 0; mounts != NULL && mounts[i] != NULL; i++) {
        if (strcmp(mounts[i]->target, CONFIG_TARGET) == 0) {
            return mounts[i]->source;
        }
    }
    return NULL;
}

/* A stage without configuration has an empty folder there, or one that was never made. */
static bool pack_config(struct packing *packing, const struct descpipe_job *job)
{
    const char *folder = config_folder(job);
    return folder == NULL || (access(folder, F_OK) != 0 && errno == ENOENT) ||
           pack_folder(packing, AT_FDCWD, folder, "", 0);
}

static bool pack_script(struct packing *packing, const char *text)
{
    char key[KEY_BYTES];
    size_t length = text != NULL ? strlen(text) : 0;
    packing->bytes += length;
    if (packing->bytes > POD_FILES_LIMIT) {
        return too_large(packing);
    }
    return text == NULL || (name_key(text, length, key) && pack_bytes(packing->data, key, text, length));
}

json_t *pod_files_data(const struct descpipe_job *job, char words[POD_WORDS])
{
    struct packing packing = {.data = json_object(), .items = json_array(), .words = words};
    snprintf(words, POD_WORDS, "out of memory");
    bool packed =
        pack_config(&packing, job) && pack_script(&packing, job->bring_in) && pack_script(&packing, job->publish);
    json_decref(packing.items);
    if (!packed) {
        json_decref(packing.data);
        return NULL;
    }
    return packing.data;
}

json_t *pod_config_volume(const struct pod_wishes *wishes, const struct descpipe_job *job, const char *name,
                          char words[POD_WORDS])
{
    struct packing packing = {.items = json_array(), .words = words};
    if (!pack_config(&packing, job)) {
        json_decref(packing.items);
        return NULL;
    }
    if (json_array_size(packing.items) == 0) {
        json_decref(packing.items);
        return json_pack("{s:s, s:{}}", "name", name, "emptyDir");
    }
    return json_pack("{s:s, s:{s:s, s:o}}", "name", name, "configMap", "name", wishes->files, "items", packing.items);
}

/* The volume, where this machine has it. */
static json_t *work_mount(const struct pod_wishes *wishes, json_t *volumes)
{
    pod_add_volume(volumes, pod_work_volume(wishes));
    json_t *work = json_pack("{s:s, s:s}", "name", "work", "mountPath", wishes->mount);
    if (wishes->path != NULL) {
        json_object_set_new(work, "subPath", json_string(wishes->path));
    }
    return work;
}

/* Its script lies there as well (pod_files_write). */
static json_t *helper_on_volume(const struct pod_wishes *wishes, const struct descpipe_job *job, const char *name,
                                const char *key, json_t *volumes)
{
    char script[4096];
    snprintf(script, sizeof(script), "%s%s", wishes->scripts, key);
    return json_pack("{s:s, s:s, s:[s, s], s:[{s:s, s:s}], s:o, s:s, s:[o]}", "name", name, "image",
                     wishes->helper_image, "command", "/bin/sh", script, "env", "name", "DESCPIPE_WORD", "value",
                     "/dev/termination-log", "resources", pod_resources(wishes, job->resources, false),
                     "terminationMessagePolicy", "FallbackToLogsOnError", "volumeMounts", work_mount(wishes, volumes));
}

static bool write_text(const char *prefix, const char *key, const char *text, char *words)
{
    char *path = NULL;
    if (text == NULL) {
        return true;
    }
    int file = asprintf(&path, "%s%s", prefix, key) >= 0
                   ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644)
                   : -1;
    size_t length = strlen(text), done = 0;
    ssize_t part = 1;
    while (file >= 0 && done < length && (part = write(file, text + done, length - done)) > 0) {
        done += (size_t)part;
    }
    bool written = file >= 0 && done == length;
    if (!written) {
        snprintf(words, POD_WORDS, "cannot write '%.300s': %s", path != NULL ? path : key, strerror(errno));
    }
    if (file >= 0) {
        close(file);
    }
    free(path);
    return written;
}

bool pod_files_write(const char *prefix, const struct descpipe_job *job, char words[POD_WORDS])
{
    return write_text(prefix, BRING_IN_NAME, job->bring_in, words) &&
           write_text(prefix, PUBLISH_NAME, job->publish, words);
}

static void add_key(json_t *keys, const char *text, const char *path)
{
    char key[KEY_BYTES];
    if (text != NULL && name_key(text, strlen(text), key)) {
        json_array_append_new(keys, json_pack("{s:s, s:s}", "key", key, "path", path));
    }
}

static json_t *helper(const struct pod_wishes *wishes, const struct descpipe_job *job, const char *name,
                      const char *key, json_t *volumes)
{
    if (wishes->scripts != NULL) {
        return helper_on_volume(wishes, job, name, key, volumes);
    }
    json_t *keys = json_array();
    add_key(keys, job->bring_in, BRING_IN_NAME);
    add_key(keys, job->publish, PUBLISH_NAME);
    pod_add_volume(volumes, json_pack("{s:s, s:{s:s, s:o}}", "name", "scripts", "configMap", "name", wishes->files,
                                      "items", keys));
    json_t *work = work_mount(wishes, volumes);
    char script[64];
    snprintf(script, sizeof(script), SCRIPTS_FOLDER "/%s", key);
    return json_pack("{s:s, s:s, s:[s, s], s:[{s:s, s:s}], s:o, s:s, s:[{s:s, s:s, s:b}, o]}", "name", name, "image",
                     wishes->helper_image, "command", "/bin/sh", script, "env", "name", "DESCPIPE_WORD", "value",
                     "/dev/termination-log", "resources", pod_resources(wishes, job->resources, false),
                     "terminationMessagePolicy", "FallbackToLogsOnError", "volumeMounts", "name", "scripts",
                     "mountPath", SCRIPTS_FOLDER, "readOnly", 1, work);
}

json_t *pod_bring_in_container(const struct pod_wishes *wishes, const struct descpipe_job *job, json_t *volumes)
{
    return job->bring_in != NULL ? helper(wishes, job, POD_BRING_IN, BRING_IN_NAME, volumes) : NULL;
}

json_t *pod_publish_container(const struct pod_wishes *wishes, const struct descpipe_job *job, json_t *volumes)
{
    return job->publish != NULL ? helper(wishes, job, POD_PUBLISH, PUBLISH_NAME, volumes) : NULL;
}
