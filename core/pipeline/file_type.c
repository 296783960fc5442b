/* SPDX-License-Identifier: BSD-3-Clause */
/* Files against their suffix: which type it names, and how much of the file is read to tell. */
#include "pipeline/file_type.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "pipeline/file_content.h"

/* Reading stays bounded, for the engine waits meanwhile: a mebibyte of JSON or CSV and a quarter of YAML take it some
 * ten milliseconds. Of what is larger, the beginning is parsed and the end is looked at. */
enum {
    OWN_LIMIT = 65000 + 4096, /* the largest `offset:`, and its magic bytes */
    BINARY_LIMIT = 64 * 1024,
    TEXT_LIMIT = 1024 * 1024,
    YAML_LIMIT = 256 * 1024
};

struct known_type {
    const char *suffix, *name;
    file_content_check check;
    size_t limit;
};

static const struct known_type known_types[] = {
    {"fits", "FITS", file_content_fits, BINARY_LIMIT},    {"fit", "FITS", file_content_fits, BINARY_LIMIT},
    {"fits.gz", "gzip", file_content_gzip, BINARY_LIMIT}, {"hdf5", "HDF5", file_content_hdf5, BINARY_LIMIT},
    {"hdf", "HDF5", file_content_hdf5, BINARY_LIMIT},     {"h5", "HDF5", file_content_hdf5, BINARY_LIMIT},
    {"npy", "NPY", file_content_npy, BINARY_LIMIT},       {"npz", "zip", file_content_zip, BINARY_LIMIT},
    {"png", "PNG", file_content_png, BINARY_LIMIT},       {"pdf", "PDF", file_content_pdf, BINARY_LIMIT},
    {"gz", "gzip", file_content_gzip, BINARY_LIMIT},      {"tar.gz", "gzip", file_content_gzip, BINARY_LIMIT},
    {"tgz", "gzip", file_content_gzip, BINARY_LIMIT},     {"zip", "zip", file_content_zip, BINARY_LIMIT},
    {"json", "JSON", file_content_json, TEXT_LIMIT},      {"yaml", "YAML", file_content_yaml, YAML_LIMIT},
    {"yml", "YAML", file_content_yaml, YAML_LIMIT},       {"csv", "CSV", file_content_csv, TEXT_LIMIT},
};

static const struct known_type *find_known(const char *suffix)
{
    for (size_t i = 0; i < sizeof known_types / sizeof known_types[0]; i++)
        if (strcmp(known_types[i].suffix, suffix) == 0)
            return &known_types[i];
    return NULL;
}

const char *file_type_name(const char *suffix)
{
    const struct known_type *type = find_known(suffix);
    return type != NULL ? type->name : NULL;
}

static const struct file_type *find_own(const struct pipeline *pipeline, const char *suffix)
{
    for (size_t i = 0; pipeline != NULL && i < pipeline->types.count; i++)
        if (strcmp(pipeline_text(pipeline, pipeline->types.items[i].suffix), suffix) == 0)
            return &pipeline->types.items[i];
    return NULL;
}

/* `limit` bytes from `start`, or what there is of them. */
static bool read_part(int descriptor, uint64_t start, size_t limit, char **bytes, size_t *length, const char *path,
                      struct error *error)
{
    *bytes = memory_resize(NULL, limit);
    for (*length = 0; *length < limit;) {
        ssize_t got = pread(descriptor, *bytes + *length, limit - *length, (off_t)(start + *length));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_system(error, "cannot read '%s'", path);
        if (got == 0)
            break;
        *length += (size_t)got;
    }
    return true;
}

static bool check_known(const struct known_type *type, const char *shown, const struct file_content *content,
                        struct error *error)
{
    cleanup(text_clear) struct text why = TEXT_INIT;
    if (content->head_length == 0)
        text_append(&why, "it is empty");
    else if (type->check(content, &why))
        return true;
    return error_set(error, ERROR_INPUT, "%s is not %s: %s", shown, type->name, text_bytes(&why));
}

static bool check_own(const struct file_type *type, const char *suffix, const char *shown,
                      const struct file_content *content, struct error *error)
{
    if (content->head_length >= type->magic_offset + (size_t)type->magic_length &&
        memcmp(content->head + type->magic_offset, type->magic, type->magic_length) == 0)
        return true;
    return error_set(error, ERROR_INPUT, "%s is not what 'types' says of '%s': its bytes at offset %u are others",
                     shown, suffix, type->magic_offset);
}

bool file_type_check(const struct pipeline *pipeline, const char *suffix, struct file_named file, struct error *error)
{
    size_t suffix_length = strlen(suffix);
    struct stat status;
    if (suffix_length > 0 && suffix[suffix_length - 1] == '/') {
        if (stat(file.path, &status) != 0)
            return error_system(error, "cannot look at '%s'", file.path);
        return S_ISDIR(status.st_mode) || error_set(error, ERROR_INPUT, "%s is not a folder", file.shown);
    }
    cleanup(descriptor_close) int descriptor = file_open(file.path, &status, error);
    if (descriptor < 0)
        return false;
    const struct file_type *own = find_own(pipeline, suffix);
    const struct known_type *known = own == NULL ? find_known(suffix) : NULL;
    if (own == NULL && known == NULL)
        return true;
    struct file_content content = {.descriptor = descriptor, .size = (uint64_t)status.st_size};
    cleanup(memory_free) char *head = NULL, *tail = NULL;
    size_t limit = own != NULL ? OWN_LIMIT : known->limit;
    if (!read_part(descriptor, 0, limit, &head, &content.head_length, file.path, error))
        return false;
    content.head = content.tail = head;
    content.tail_length = content.head_length;
    if (own != NULL)
        return check_own(own, suffix, file.shown, &content, error);
    if (file_content_is_cut(&content)) {
        uint64_t start = content.size > FILE_CONTENT_TAIL ? content.size - FILE_CONTENT_TAIL : 0;
        if (!read_part(descriptor, start, FILE_CONTENT_TAIL, &tail, &content.tail_length, file.path, error))
            return false;
        content.tail = tail;
    }
    return check_known(known, file.shown, &content, error);
}

/* Of the types whose files all begin with the same bytes; a zip may have anything in front. */
static const struct {
    const char *type, *bytes;
    size_t length;
} beginnings[] = {
    {"FITS", "SIMPLE  =", 9}, {"HDF5", "\x89HDF\r\n\x1A\n", 8},
    {"NPY", "\x93NUMPY", 6},  {"PNG", "\x89PNG\r\n\x1A\n", 8},
    {"PDF", "%PDF-", 5},      {"gzip", "\x1F\x8B", 2},
};

bool file_type_magic(const struct pipeline *pipeline, const char *suffix, struct file_magic *magic)
{
    const struct file_type *own = find_own(pipeline, suffix);
    if (own != NULL) {
        *magic = (struct file_magic){.type = "what 'types' says of its suffix",
                                     .bytes = own->magic,
                                     .length = own->magic_length,
                                     .offset = own->magic_offset};
        return true;
    }
    const char *type = file_type_name(suffix);
    if (type == NULL)
        return false;
    *magic = (struct file_magic){.type = type, .bytes = ""};
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++)
        if (strcmp(beginnings[i].type, type) == 0) {
            magic->bytes = beginnings[i].bytes;
            magic->length = beginnings[i].length;
        }
    magic->may_follow_block = strcmp(type, "HDF5") == 0;
    return true;
}
