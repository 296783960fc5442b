/* SPDX-License-Identifier: BSD-3-Clause */
/* HDF5, NPY, PNG, PDF, gzip and zip: what they say of themselves at their beginning and their end. */
#include "pipeline/file_content.h"

static bool refuse(struct text *why, const char *words)
{
    text_append(why, words);
    return false;
}

static bool refuse_magic(struct text *why)
{
    return refuse(why, "its first bytes are others");
}

static bool begins_with(const struct file_content *content, const char *magic, size_t length)
{
    return content->head_length >= length && memcmp(content->head, magic, length) == 0;
}

static uint64_t little_endian(const char *bytes, size_t count)
{
    uint64_t number = 0;
    for (size_t i = count; i-- > 0;)
        number = number << 8 | (unsigned char)bytes[i];
    return number;
}

/* The last occurrence of `what` in the tail, or NULL. */
static const char *find_last(const struct file_content *content, const char *what, size_t length)
{
    for (size_t at = content->tail_length; at-- > 0;)
        if (content->tail_length - at >= length && memcmp(content->tail + at, what, length) == 0)
            return content->tail + at;
    return NULL;
}

/* HDF5. */

static bool find_superblock(const struct file_content *content, size_t *at)
{
    /* A file may have a user block in front: the signature then stands at 512, 1024, 2048 ... */
    for (*at = 0; *at + 8 <= content->head_length; *at = *at == 0 ? 512 : *at * 2)
        if (memcmp(content->head + *at, "\x89HDF\r\n\x1A\n", 8) == 0)
            return true;
    return false;
}

bool file_content_hdf5(const struct file_content *content, struct text *why)
{
    size_t at;
    if (!find_superblock(content, &at))
        return refuse_magic(why);
    const char *block = content->head + at;
    size_t length = content->head_length - at;
    if (length < 48)
        return refuse(why, "it ends within its superblock");
    unsigned version = (unsigned char)block[8];
    if (version > 3)
        return true;                                           /* of a format that is not written yet */
    size_t width = (unsigned char)block[version < 2 ? 13 : 9]; /* of an address */
    if (width != 2 && width != 4 && width != 8)
        return refuse(why, "its superblock is damaged");
    size_t addresses = version == 0 ? 24 : version == 1 ? 28 : 12;
    if (addresses + 4 * width > length)
        return refuse(why, "it ends within its superblock");
    uint64_t nowhere = UINT64_MAX >> (64 - 8 * width);
    bool has_driver = version < 2 && little_endian(block + addresses + 3 * width, width) != nowhere;
    uint64_t end = little_endian(block + addresses + 2 * width, width);
    if (!has_driver && end != nowhere && end > content->size) { /* a driver may spread it over several files */
        text_format(why, "it states a size of %llu bytes and has %llu: it is cut, or was not closed",
                    (unsigned long long)end, (unsigned long long)content->size);
        return false;
    }
    return true;
}

bool file_content_npy(const struct file_content *content, struct text *why)
{
    if (!begins_with(content, "\x93NUMPY", 6))
        return refuse_magic(why);
    if (content->head_length < 12)
        return refuse(why, "it ends within its header");
    unsigned version = (unsigned char)content->head[6];
    size_t start = version == 1 ? 10 : 12;
    uint64_t length = little_endian(content->head + 8, start - 8);
    if (length > content->size - start)
        return refuse(why, "it ends within its header");
    if (length == 0 || start >= content->head_length || content->head[start] != '{')
        return refuse(why, "its header is no dictionary");
    return true;
}

bool file_content_png(const struct file_content *content, struct text *why)
{
    if (!begins_with(content, "\x89PNG\r\n\x1A\n", 8))
        return refuse_magic(why);
    if (content->head_length < 16 || memcmp(content->head + 8, "\0\0\0\rIHDR", 8) != 0)
        return refuse(why, "its first chunk is not IHDR");
    return find_last(content, "IEND\xAE\x42\x60\x82", 8) != NULL || refuse(why, "it has no IEND: it is cut");
}

bool file_content_pdf(const struct file_content *content, struct text *why)
{
    if (!begins_with(content, "%PDF-", 5))
        return refuse_magic(why);
    return find_last(content, "%%EOF", 5) != NULL || refuse(why, "it has no %%EOF: it is cut");
}

bool file_content_gzip(const struct file_content *content, struct text *why)
{
    enum { RESERVED_FLAGS = 0xE0, SHORTEST = 20 }; /* header 10, an empty deflate stream 2, trailer 8 */
    if (!begins_with(content, "\x1F\x8B", 2))
        return refuse_magic(why);
    if (content->size < SHORTEST)
        return refuse(why, "it ends within its header");
    return (content->head[2] == 8 && ((unsigned char)content->head[3] & RESERVED_FLAGS) == 0) ||
           refuse(why, "its header is damaged");
}

bool file_content_zip(const struct file_content *content, struct text *why)
{
    enum { END_RECORD = 22 };
    if (!begins_with(content, "PK\3\4", 4) && !begins_with(content, "PK\5\6", 4))
        return refuse_magic(why);
    const char *record = find_last(content, "PK\5\6", 4);
    size_t left = record != NULL ? content->tail_length - (size_t)(record - content->tail) : 0;
    if (left < END_RECORD)
        return refuse(why, "it has no end of central directory: it is cut");
    uint64_t size = little_endian(record + 12, 4), offset = little_endian(record + 16, 4);
    bool is_large = size == UINT32_MAX || offset == UINT32_MAX; /* Zip64 says it elsewhere */
    return is_large || size + offset <= content->size - left ||
           refuse(why, "its central directory does not lie in it: it is cut");
}
