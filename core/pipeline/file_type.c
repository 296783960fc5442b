/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * File types by suffix.
 *
 * How it works: binary types are known by the bytes at their beginning. JSON, YAML and CSV have none, so their first
 * bytes are read the way their readers would, just far enough to tell a text of that kind from anything else: a check
 * that refuses a good file would be worse than none.
 */
#include "pipeline/file_type.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"

#define HEAD_BYTES ((size_t)64 * 1024)

struct head {
    unsigned char bytes[HEAD_BYTES];
    size_t length;
};

struct magic {
    const char *suffix, *name, *bytes;
    size_t length, offset;
};

static const struct magic magics[] = {
    {"fits", "FITS", "SIMPLE  =", 9, 0},
    {"fit", "FITS", "SIMPLE  =", 9, 0},
    {"hdf5", "HDF5", "\x89HDF\r\n\x1a\n", 8, 0},
    {"h5", "HDF5", "\x89HDF\r\n\x1a\n", 8, 0},
    {"hdf", "HDF5", "\x89HDF\r\n\x1a\n", 8, 0},
    {"npy", "NPY", "\x93NUMPY", 6, 0},
    {"npz", "zip", "PK", 2, 0},
    {"zip", "zip", "PK", 2, 0},
    {"png", "PNG", "\x89PNG\r\n\x1a\n", 8, 0},
    {"pdf", "PDF", "%PDF-", 5, 0},
    {"gz", "gzip", "\x1f\x8b", 2, 0},
    {"tgz", "gzip", "\x1f\x8b", 2, 0},
};

static bool is_text(const struct head *head)
{
    return memchr(head->bytes, '\0', head->length) == NULL;
}

static size_t skip_space(const struct head *head, size_t at)
{
    if (at == 0 && head->length >= 3 && memcmp(head->bytes, "\xef\xbb\xbf", 3) == 0)
        at = 3;
    while (at < head->length && isspace(head->bytes[at]))
        at++;
    return at;
}

static bool looks_like_json(const struct head *head)
{
    size_t at = skip_space(head, 0);
    if (at == head->length || !is_text(head))
        return false;
    unsigned char first = head->bytes[at];
    return strchr("{[\"-tfn", first) != NULL || isdigit(first);
}

/* Any text without control characters may be YAML; a table or a binary is not. */
static bool looks_like_yaml(const struct head *head)
{
    for (size_t i = 0; i < head->length; i++) {
        unsigned char byte = head->bytes[i];
        if (byte < ' ' && byte != '\t' && byte != '\n' && byte != '\r')
            return false;
    }
    return true;
}

static bool looks_like_csv(const struct head *head)
{
    return head->length > 0 && is_text(head) && skip_space(head, 0) < head->length;
}

static const struct {
    const char *suffix, *name;
    bool (*looks)(const struct head *head);
} texts[] = {
    {"json", "JSON", looks_like_json},
    {"yaml", "YAML", looks_like_yaml},
    {"yml", "YAML", looks_like_yaml},
    {"csv", "CSV", looks_like_csv},
};

/* "fits.gz" is a gzip file: the last part decides. */
static const char *last_part(const char *suffix)
{
    const char *dot = strrchr(suffix, '.');
    return dot ? dot + 1 : suffix;
}

const char *file_type_name(const char *suffix)
{
    const char *part = last_part(suffix);
    for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++) {
        if (text_equal(magics[i].suffix, part))
            return magics[i].name;
    }
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (text_equal(texts[i].suffix, part))
            return texts[i].name;
    }
    return NULL;
}

static bool read_head(int descriptor, const char *path, struct head *head, struct error *error)
{
    while (head->length < HEAD_BYTES) {
        ssize_t got = read(descriptor, head->bytes + head->length, HEAD_BYTES - head->length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_system(error, "cannot read '%s'", path);
        if (got == 0)
            break;
        head->length += (size_t)got;
    }
    return true;
}

static bool has_magic(const struct head *head, const char *bytes, size_t length, size_t offset)
{
    return head->length >= offset + length && memcmp(head->bytes + offset, bytes, length) == 0;
}

static bool refuse(const char *path, const char *name, const struct head *head, struct error *error)
{
    error_set(error, ERROR_INPUT, "'%s' is %s, not a %s file", path, head->length == 0 ? "empty" : "something else",
              name);
    return error_hint(error, "its first bytes are not those of %s; is the suffix right, was it written to its end?",
                      name);
}

/* -1: the pipeline says nothing of this suffix. */
static int judge_own_types(const struct pipeline *pipeline, const char *suffix, const struct head *head)
{
    for (size_t i = 0; pipeline && i < pipeline->types.count; i++) {
        const struct file_type *type = &pipeline->types.items[i];
        if (text_equal(pipeline_text(pipeline, type->suffix), suffix))
            return has_magic(head, type->magic, type->magic_length, type->magic_offset);
    }
    return -1;
}

static bool judge_file(const struct pipeline *pipeline, const char *suffix, const char *path, const struct head *head,
                       struct error *error)
{
    int own = judge_own_types(pipeline, suffix, head);
    if (own >= 0)
        return own || refuse(path, suffix, head, error);
    const char *part = last_part(suffix);
    for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++) {
        const struct magic *magic = &magics[i];
        if (text_equal(magic->suffix, part))
            return has_magic(head, magic->bytes, magic->length, magic->offset) ||
                   refuse(path, magic->name, head, error);
    }
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (text_equal(texts[i].suffix, part))
            return texts[i].looks(head) || refuse(path, texts[i].name, head, error);
    }
    return true;
}

bool file_type_check(const struct pipeline *pipeline, const char *suffix, const char *path, struct error *error)
{
    cleanup(descriptor_close) int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat status;
    if (descriptor < 0 || fstat(descriptor, &status) != 0)
        return error_system(error, "cannot read '%s'", path);
    if (text_ends_with(suffix, "/"))
        return S_ISDIR(status.st_mode) || error_set(error, ERROR_INPUT, "'%s' is not a folder", path);
    if (!S_ISREG(status.st_mode))
        return error_set(error, ERROR_INPUT, "'%s' is %s, not a regular file", path,
                         S_ISDIR(status.st_mode) ? "a folder" : "a special file");
    cleanup(memory_free) struct head *head = memory_allocate(sizeof(*head));
    return read_head(descriptor, path, head, error) && judge_file(pipeline, suffix, path, head, error);
}
