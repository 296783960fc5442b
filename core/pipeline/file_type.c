/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The first bytes of a file against its suffix. Binary types have magic bytes (FITS 4.0 section 4.4.1, HDF5 file format
 * III.A, NPY format version 1, PNG specification 5.2, ISO 32000 7.5.2, RFC 1952, the ZIP application note 4.3); JSON,
 * YAML and CSV are text and are looked at only as far as their first bytes can tell.
 */
#include "pipeline/file_type.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

enum { HEAD_LIMIT = 64 * 1024 + 4096 };

struct known_type {
    const char *suffix, *name;
    const char *magic;
    size_t length;
    bool text;
};

static const struct known_type known_types[] = {
    {"fits", "FITS", "SIMPLE  =", 9, false},
    {"fit", "FITS", "SIMPLE  =", 9, false},
    {"fits.gz", "gzip", "\x1F\x8B", 2, false},
    {"hdf5", "HDF5", "\x89HDF\r\n\x1A\n", 8, false},
    {"hdf", "HDF5", "\x89HDF\r\n\x1A\n", 8, false},
    {"h5", "HDF5", "\x89HDF\r\n\x1A\n", 8, false},
    {"npy", "NPY", "\x93NUMPY", 6, false},
    {"npz", "zip", "PK", 2, false},
    {"png", "PNG", "\x89PNG\r\n\x1A\n", 8, false},
    {"pdf", "PDF", "%PDF-", 5, false},
    {"gz", "gzip", "\x1F\x8B", 2, false},
    {"tar.gz", "gzip", "\x1F\x8B", 2, false},
    {"tgz", "gzip", "\x1F\x8B", 2, false},
    {"zip", "zip", "PK", 2, false},
    {"json", "JSON", NULL, 0, true},
    {"yaml", "YAML", NULL, 0, true},
    {"yml", "YAML", NULL, 0, true},
    {"csv", "CSV", NULL, 0, true},
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

static bool refuse(const char *path, const char *name, const char *why, struct error *error)
{
    return error_set(error, ERROR_INPUT, "'%s' is not %s: %s", path, name, why);
}

/* An HDF5 file may have a user block in front: the signature then stands at 512, 1024, 2048 ... */
static bool hdf5_fits(const char *bytes, size_t length)
{
    const struct known_type *type = find_known("hdf5");
    for (size_t at = 0; at + type->length <= length; at = at == 0 ? 512 : at * 2)
        if (memcmp(bytes + at, type->magic, type->length) == 0)
            return true;
    return false;
}

static bool zip_fits(const char *bytes, size_t length)
{
    return length >= 4 && bytes[0] == 'P' && bytes[1] == 'K' &&
           ((bytes[2] == 3 && bytes[3] == 4) || (bytes[2] == 5 && bytes[3] == 6) || (bytes[2] == 7 && bytes[3] == 8));
}

/* The cut may fall into a character. */
static bool is_text(const char *bytes, size_t length, bool cut)
{
    for (size_t missing = 0; missing <= (cut && length >= 3 ? 3u : 0u); missing++)
        if (text_is_utf8(bytes, length - missing))
            return memchr(bytes, '\0', length) == NULL;
    return false;
}

static bool json_begins(const char *bytes, size_t length)
{
    size_t at = 0;
    while (at < length && memchr(" \t\r\n", bytes[at], 4) != NULL)
        at++;
    return at < length && memchr("{[\"-0123456789tfn", bytes[at], 17) != NULL;
}

/* Every whole line of the head has as many commas (or semicolons, or tabs) outside of quotes as the first. */
static bool csv_fits(const char *bytes, size_t length, bool cut)
{
    size_t first[3] = {0}, counts[3] = {0};
    bool quoted = false, have_first = false, same[3] = {true, true, true}, any = false;
    for (size_t i = 0; i <= length; i++) {
        char c = i < length ? bytes[i] : '\n';
        if (i == length && (cut || (length > 0 && bytes[length - 1] == '\n')))
            break;
        if (c == '"')
            quoted = !quoted;
        const char *found = quoted ? NULL : memchr(",;\t", c, 3);
        if (found != NULL)
            counts[c == ',' ? 0 : c == ';' ? 1 : 2]++;
        if (c != '\n' || quoted)
            continue;
        for (size_t k = 0; k < 3; k++) {
            same[k] = same[k] && (!have_first || counts[k] == first[k]);
            first[k] = have_first ? first[k] : counts[k];
            counts[k] = 0;
        }
        have_first = any = true;
    }
    bool separated = first[0] > 0 || first[1] > 0 || first[2] > 0;
    for (size_t k = 0; any && separated && k < 3; k++)
        if (first[k] > 0 && same[k])
            return true;
    return !any || !separated;
}

static bool check_text(const struct known_type *type, const char *path, const char *bytes, size_t length, bool cut,
                       struct error *error)
{
    if (!is_text(bytes, length, cut))
        return refuse(path, type->name, "it is not UTF-8 text", error);
    if (strcmp(type->name, "JSON") == 0 && !json_begins(bytes, length))
        return refuse(path, type->name, "its first character begins no value", error);
    if (strcmp(type->name, "CSV") == 0 && !csv_fits(bytes, length, cut))
        return refuse(path, type->name, "its lines have different numbers of fields", error);
    return true;
}

static bool check_known(const struct known_type *type, const char *path, const char *bytes, size_t length, bool cut,
                        struct error *error)
{
    if (length == 0)
        return refuse(path, type->name, "it is empty", error);
    if (type->text)
        return check_text(type, path, bytes, length, cut, error);
    bool fits = length >= type->length && memcmp(bytes, type->magic, type->length) == 0;
    if (strcmp(type->name, "HDF5") == 0)
        fits = hdf5_fits(bytes, length);
    if (strcmp(type->name, "zip") == 0)
        fits = zip_fits(bytes, length);
    return fits || refuse(path, type->name, "its first bytes are others", error);
}

static bool check_own(const struct file_type *type, const char *suffix, const char *path, const char *bytes,
                      size_t length, struct error *error)
{
    if (length >= type->magic_offset + (size_t)type->magic_length &&
        memcmp(bytes + type->magic_offset, type->magic, type->magic_length) == 0)
        return true;
    return error_set(error, ERROR_INPUT, "'%s' is not what 'types' says of '%s': its bytes at offset %u are others",
                     path, suffix, type->magic_offset);
}

bool file_type_check(const struct pipeline *pipeline, const char *suffix, const char *path, struct error *error)
{
    size_t suffix_length = strlen(suffix);
    struct stat status;
    if (suffix_length > 0 && suffix[suffix_length - 1] == '/') {
        if (stat(path, &status) != 0)
            return error_system(error, "cannot look at '%s'", path);
        return S_ISDIR(status.st_mode) || error_set(error, ERROR_INPUT, "'%s' is not a folder", path);
    }
    cleanup(descriptor_close) int descriptor = file_open(path, &status, error);
    if (descriptor < 0)
        return false;
    const struct file_type *own = find_own(pipeline, suffix);
    const struct known_type *known = own == NULL ? find_known(suffix) : NULL;
    if (own == NULL && known == NULL)
        return true;
    cleanup(memory_free) char *head = memory_resize(NULL, HEAD_LIMIT);
    size_t length = 0;
    while (length < HEAD_LIMIT) {
        ssize_t got = read(descriptor, head + length, HEAD_LIMIT - length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_system(error, "cannot read '%s'", path);
        if (got == 0)
            break;
        length += (size_t)got;
    }
    bool cut = (uint64_t)status.st_size > length;
    return own != NULL ? check_own(own, suffix, path, head, length, error)
                       : check_known(known, path, head, length, cut, error);
}
