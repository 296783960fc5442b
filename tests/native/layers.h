/* SPDX-License-Identifier: BSD-3-Clause */
/* Layers and images made in memory and written as layouts and archives, as several tools write them. */
#ifndef TESTS_NATIVE_LAYERS_H
#define TESTS_NATIVE_LAYERS_H

#include <stdbool.h>
#include <stddef.h>

struct layer_entry {
    char type; /* 'f' file, 'd' folder, 'l' symbolic link, 'h' hard link, 'p' pipe, 'c' device, 0 ends */
    const char *name;
    const char *content; /* a file's content, a link's text; "@PATH" is the content of that file */
    unsigned mode;       /* 0: 0644 for files, 0755 for folders */
    long long size;      /* over 0: a file's size where it is more than its content (a hole) */
};

struct blob {
    char *bytes; /* owned */
    size_t length;
    char digest[72];
};

enum layer_packing { PACK_PLAIN, PACK_GZIP, PACK_ZSTD };

/* A tar of the entries. `diff_id`, when not NULL, gets the digest of the plain tar. */
struct blob layer_make(const struct layer_entry *entries, enum layer_packing packing, char diff_id[72]);
struct blob blob_of(const char *text);
void blob_clear(struct blob *blob);

struct test_image {
    struct blob layers[8];
    char diff_ids[8][72];
    size_t layers_count;
    struct blob config;
    struct blob manifest;
    const char *name; /* tag, or NULL */
};

/* Adds a layer to an image being made. */
void test_image_add(struct test_image *image, const struct layer_entry *entries, enum layer_packing packing);
/* Makes config and manifest; `platform` is the architecture, e.g. "amd64". */
void test_image_finish(struct test_image *image, const char *architecture, const char *name);
void test_image_clear(struct test_image *image);

void layout_write(const char *folder, const struct test_image *const *images); /* ends with NULL */
/* What `docker save` writes: the old form with layers in folders, of equal layers all but the first a link. */
void docker_folder_write(const char *folder, const struct test_image *image, const char *tag);
/* A tar of a folder's files. */
void archive_write(const char *path, const char *folder, enum layer_packing packing);

#endif
