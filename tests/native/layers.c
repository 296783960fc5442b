/* SPDX-License-Identifier: BSD-3-Clause */
/* Layers and images made in memory and written as layouts and archives. */
#include "layers.h"

#include <archive.h>
#include <archive_entry.h>
#include <check.h>
#include <fts.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "images.h"

#define LAYER_LIMIT (16u * 1024 * 1024)

static void set_digest(const char *bytes, size_t length, char digest[72])
{
    unsigned char hash[32];
    unsigned hash_length;
    ck_assert_int_eq(EVP_Digest(bytes, length, hash, &hash_length, EVP_sha256(), NULL), 1);
    snprintf(digest, 8, "sha256:");
    for (size_t i = 0; i < 32; i++)
        snprintf(digest + 7 + 2 * i, 3, "%02x", hash[i]);
}

static void append_text(char *text, size_t size, const char *more)
{
    size_t length = strlen(text), added = strlen(more) + 1;
    ck_assert_uint_le(added, size - length);
    memcpy(text + length, more, added);
}

static char *read_all(const char *path, size_t *length)
{
    FILE *file = fopen(path, "re");
    ck_assert_ptr_nonnull(file);
    char *bytes = malloc(LAYER_LIMIT);
    *length = fread(bytes, 1, LAYER_LIMIT, file);
    fclose(file);
    return bytes;
}

static void add_filter(struct archive *archive, enum layer_packing packing)
{
    if (packing == PACK_GZIP)
        ck_assert_int_eq(archive_write_add_filter_gzip(archive), ARCHIVE_OK);
    else if (packing == PACK_ZSTD)
        ck_assert_int_eq(archive_write_add_filter_zstd(archive), ARCHIVE_OK);
    else
        archive_write_add_filter_none(archive);
}

static void write_layer_entry(struct archive *archive, const struct layer_entry *from)
{
    struct archive_entry *entry = archive_entry_new();
    size_t length = from->type == 'f' && from->content != NULL ? strlen(from->content) : 0;
    char *loaded = NULL;
    const char *bytes = from->content;
    if (length > 0 && from->content[0] == '@')
        bytes = loaded = read_all(from->content + 1, &length);
    archive_entry_set_pathname(entry, from->name);
    archive_entry_set_perm(entry, from->mode != 0 ? from->mode : from->type == 'd' ? 0755 : 0644);
    archive_entry_set_mtime(entry, 1000000000, 0);
    archive_entry_set_filetype(entry, from->type == 'd'   ? AE_IFDIR
                                      : from->type == 'l' ? AE_IFLNK
                                      : from->type == 'p' ? AE_IFIFO
                                      : from->type == 'c' ? AE_IFCHR
                                                          : AE_IFREG);
    if (from->type == 'l')
        archive_entry_set_symlink(entry, from->content);
    else if (from->type == 'h')
        archive_entry_set_hardlink(entry, from->content);
    else if (from->type == 'c') {
        archive_entry_set_rdevmajor(entry, 1);
        archive_entry_set_rdevminor(entry, 3);
    }
    long long size = from->size > (long long)length ? from->size : (long long)length;
    archive_entry_set_size(entry, from->type == 'f' ? size : 0);
    if (from->size > (long long)length)
        archive_entry_sparse_add_entry(entry, 0, (la_int64_t)length);
    ck_assert_msg(archive_write_header(archive, entry) == ARCHIVE_OK, "%s", archive_error_string(archive));
    if (length > 0)
        ck_assert_int_eq(archive_write_data(archive, bytes, length), (la_ssize_t)length);
    archive_entry_free(entry);
    free(loaded);
}

struct blob layer_make(const struct layer_entry *entries, enum layer_packing packing, char diff_id[72])
{
    struct blob blob = {.bytes = malloc(LAYER_LIMIT)};
    struct archive *archive = archive_write_new();
    archive_write_set_format_pax_restricted(archive);
    archive_write_set_options(archive, "hdrcharset=BINARY");
    add_filter(archive, packing);
    archive_write_set_bytes_in_last_block(archive, 1);
    ck_assert_int_eq(archive_write_open_memory(archive, blob.bytes, LAYER_LIMIT, &blob.length), ARCHIVE_OK);
    for (; entries->type != 0; entries++)
        write_layer_entry(archive, entries);
    ck_assert_int_eq(archive_write_close(archive), ARCHIVE_OK);
    archive_write_free(archive);
    set_digest(blob.bytes, blob.length, blob.digest);
    if (diff_id != NULL) {
        struct archive *reader = archive_read_new();
        struct archive_entry *entry;
        archive_read_support_filter_all(reader);
        archive_read_support_format_raw(reader);
        ck_assert_int_eq(archive_read_open_memory(reader, blob.bytes, blob.length), ARCHIVE_OK);
        ck_assert_int_eq(archive_read_next_header(reader, &entry), ARCHIVE_OK);
        char *plain = malloc(LAYER_LIMIT);
        la_ssize_t length = archive_read_data(reader, plain, LAYER_LIMIT);
        ck_assert_int_gt(length, 0);
        set_digest(plain, (size_t)length, diff_id);
        free(plain);
        archive_read_free(reader);
    }
    return blob;
}

struct blob blob_of(const char *text)
{
    struct blob blob = {.bytes = strdup(text), .length = strlen(text)};
    set_digest(blob.bytes, blob.length, blob.digest);
    return blob;
}

void blob_clear(struct blob *blob)
{
    free(blob->bytes);
    *blob = (struct blob){0};
}

void test_image_add(struct test_image *image, const struct layer_entry *entries, enum layer_packing packing)
{
    size_t i = image->layers_count++;
    ck_assert_uint_lt(i, 8);
    image->layers[i] = layer_make(entries, packing, image->diff_ids[i]);
}

void test_image_finish(struct test_image *image, const char *architecture, const char *name)
{
    char diff_ids[1024] = "", layers[2048] = "", text[4096];
    for (size_t i = 0; i < image->layers_count; i++) {
        char part[256];
        snprintf(part, sizeof part, "%s\"%s\"", i > 0 ? "," : "", image->diff_ids[i]);
        append_text(diff_ids, sizeof diff_ids, part);
        snprintf(part, sizeof part,
                 "%s{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"%s\",\"size\":%zu}",
                 i > 0 ? "," : "", image->layers[i].digest, image->layers[i].length);
        append_text(layers, sizeof layers, part);
    }
    snprintf(text, sizeof text,
             "{\"os\":\"linux\",\"architecture\":\"%s\",\"created\":\"2024-05-06T07:08:09.5Z\",\"rootfs\":{\"type\":"
             "\"layers\",\"diff_ids\":[%s]}}",
             architecture, diff_ids);
    image->config = blob_of(text);
    snprintf(text, sizeof text,
             "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":"
             "\"%s\",\"size\":%zu},\"layers\":[%s]}",
             image->config.digest, image->config.length, layers);
    image->manifest = blob_of(text);
    image->name = name;
}

void test_image_clear(struct test_image *image)
{
    for (size_t i = 0; i < image->layers_count; i++)
        blob_clear(&image->layers[i]);
    blob_clear(&image->config);
    blob_clear(&image->manifest);
}

static void write_bytes(const char *folder, const char *name, const struct blob *blob)
{
    char path[4096];
    file_write(folder, name, "");
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(blob->bytes, 1, blob->length, file), blob->length);
    ck_assert_int_eq(fclose(file), 0);
}

static void write_blob(const char *folder, const struct blob *blob)
{
    char name[128];
    snprintf(name, sizeof name, "blobs/sha256/%s", blob->digest + 7);
    write_bytes(folder, name, blob);
}

void layout_write(const char *folder, const struct test_image *const *images)
{
    char index[8192] = "", part[1024];
    for (size_t i = 0; images[i] != NULL; i++) {
        const struct test_image *image = images[i];
        for (size_t layer = 0; layer < image->layers_count; layer++)
            write_blob(folder, &image->layers[layer]);
        write_blob(folder, &image->config);
        write_blob(folder, &image->manifest);
        const char *architecture = strstr(image->config.bytes, "arm64") != NULL ? "arm64" : "amd64";
        snprintf(part, sizeof part,
                 "%s{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"%s\",\"size\":%zu,"
                 "\"platform\":{\"os\":\"linux\",\"architecture\":\"%s\"}%s%s%s}",
                 i > 0 ? "," : "", image->manifest.digest, image->manifest.length, architecture,
                 image->name != NULL ? ",\"annotations\":{\"org.opencontainers.image.ref.name\":\"" : "",
                 image->name != NULL ? image->name : "", image->name != NULL ? "\"}" : "");
        append_text(index, sizeof index, part);
    }
    char text[9000];
    snprintf(text, sizeof text, "{\"schemaVersion\":2,\"manifests\":[%s]}", index);
    file_write(folder, "index.json", text);
    file_write(folder, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
}

void docker_folder_write(const char *folder, const struct test_image *image, const char *tag)
{
    char names[2048] = "", name[256], text[4096];
    for (size_t i = 0; i < image->layers_count; i++) {
        snprintf(name, sizeof name, "%zu/layer.tar", i);
        bool again = i > 0 && strcmp(image->diff_ids[i], image->diff_ids[i - 1]) == 0;
        if (again) {
            char path[4096], target[64];
            file_write(folder, name, "");
            snprintf(path, sizeof path, "%s/%s", folder, name);
            snprintf(target, sizeof target, "../%zu/layer.tar", i - 1);
            ck_assert_int_eq(unlink(path), 0);
            ck_assert_int_eq(symlink(target, path), 0);
        } else
            write_bytes(folder, name, &image->layers[i]);
        snprintf(text, sizeof text, "%s\"%s\"", i > 0 ? "," : "", name);
        append_text(names, sizeof names, text);
    }
    snprintf(name, sizeof name, "%s.json", image->config.digest + 7);
    write_bytes(folder, name, &image->config);
    snprintf(text, sizeof text, "[{\"Config\":\"%s\",\"RepoTags\":[\"%s\"],\"Layers\":[%s]}]", name, tag, names);
    file_write(folder, "manifest.json", text);
}

void archive_write(const char *path, const char *folder, enum layer_packing packing)
{
    struct archive *archive = archive_write_new();
    archive_write_set_format_gnutar(archive);
    add_filter(archive, packing);
    ck_assert_int_eq(archive_write_open_filename(archive, path), ARCHIVE_OK);
    char *const roots[] = {(char *)(uintptr_t)folder, NULL};
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    for (FTSENT *found; (found = fts_read(walk)) != NULL;) {
        if (found->fts_info == FTS_D || found->fts_info == FTS_DP)
            continue;
        struct archive_entry *entry = archive_entry_new();
        size_t length = 0;
        char *bytes = NULL, link[4096] = "";
        archive_entry_set_pathname(entry, found->fts_path + strlen(folder) + 1);
        archive_entry_set_perm(entry, 0644);
        if (found->fts_info == FTS_SL || found->fts_info == FTS_SLNONE) {
            ck_assert_int_gt(readlink(found->fts_path, link, sizeof link - 1), 0);
            archive_entry_set_filetype(entry, AE_IFLNK);
            archive_entry_set_symlink(entry, link);
        } else {
            bytes = read_all(found->fts_path, &length);
            archive_entry_set_filetype(entry, AE_IFREG);
            archive_entry_set_size(entry, (la_int64_t)length);
        }
        ck_assert_int_eq(archive_write_header(archive, entry), ARCHIVE_OK);
        if (length > 0)
            ck_assert_int_eq(archive_write_data(archive, bytes, length), (la_ssize_t)length);
        archive_entry_free(entry);
        free(bytes);
    }
    fts_close(walk);
    ck_assert_int_eq(archive_write_close(archive), ARCHIVE_OK);
    archive_write_free(archive);
}
