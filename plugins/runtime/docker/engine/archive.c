/* SPDX-License-Identifier: BSD-3-Clause */
/* Steps through the heads of a tar file (POSIX ustar, GNU and pax) for the one small file that says what is in it. */
#include "engine/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = 512, ENTRIES_LIMIT = 200000, MANIFEST_LIMIT = 4 << 20 };
enum { NAME_SIZE = 100, LENGTH_PLACE = 124, LENGTH_WIDTH = 12, CHECKSUM_PLACE = 148, CHECKSUM_WIDTH = 8, TYPE_PLACE = 156 };

static bool read_at(int descriptor, void *into, size_t length, uint64_t place)
{
    char *next = into;
    while (length > 0) {
        ssize_t got = pread(descriptor, next, length, (off_t)place);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return false;
        }
        next += got;
        length -= (size_t)got;
        place += (uint64_t)got;
    }
    return true;
}

/* Octal digits, or GNU's binary form for large files. */
static bool read_number(const unsigned char *field, size_t width, uint64_t *number)
{
    *number = 0;
    if ((field[0] & 0x80) != 0) {
        for (size_t i = 0; i < width; i++) {
            if (*number >> 55 != 0) {
                return false;
            }
            *number = *number << 8 | (i == 0 ? field[i] & 0x7Fu : field[i]);
        }
        return true;
    }
    size_t i = 0;
    while (i < width && field[i] == ' ') {
        i++;
    }
    for (; i < width && field[i] >= '0' && field[i] <= '7'; i++) {
        *number = *number << 3 | (uint64_t)(field[i] - '0');
    }
    return i == width || field[i] == '\0' || field[i] == ' ';
}

static bool checksum_fits(const unsigned char *block)
{
    uint64_t stated = 0, sum = 0;
    for (size_t i = 0; i < BLOCK; i++) {
        bool inside = i >= CHECKSUM_PLACE && i < CHECKSUM_PLACE + CHECKSUM_WIDTH;
        sum += inside ? ' ' : block[i];
    }
    return read_number(block + CHECKSUM_PLACE, CHECKSUM_WIDTH, &stated) && stated == sum;
}

static const char *name_compression(const unsigned char *block)
{
    static const struct {
        const char *name, *magic;
        size_t length;
    } forms[] = {{"gzip", "\x1f\x8b", 2},
                 {"bzip2", "BZh", 3},
                 {"xz",
                  "\xfd"
                  "7zXZ",
                  5},
                 {"zstd", "\x28\xb5\x2f\xfd", 4}};
    for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
        if (memcmp(block, forms[i].magic, forms[i].length) == 0) {
            return forms[i].name;
        }
    }
    return NULL;
}

static enum archive_answer refuse(char words[ANSWER_WORDS], const char *why)
{
    snprintf(words, ANSWER_WORDS, "%s", why);
    return ARCHIVE_REFUSED;
}

static enum archive_answer read_manifest(int descriptor, uint64_t place, uint64_t size, const char *tag,
                                         char config_digest[ANSWER_ID], char words[ANSWER_WORDS])
{
    if (size == 0 || size > MANIFEST_LIMIT) {
        return refuse(words, "its manifest.json is empty or larger than 4 MiB");
    }
    char *text = malloc((size_t)size);
    if (text == NULL) {
        return refuse(words, "not enough memory for its manifest.json");
    }
    bool done = read_at(descriptor, text, (size_t)size, place);
    if (!done) {
        refuse(words, "it ends within its manifest.json");
    } else {
        done = answer_read_archive_manifest(text, (size_t)size, tag, config_digest, words);
    }
    free(text);
    return done ? ARCHIVE_READ : ARCHIVE_REFUSED;
}

static enum archive_answer search(int descriptor, uint64_t file_size, const char *tag, char config_digest[ANSWER_ID],
                                  char words[ANSWER_WORDS])
{
    unsigned char block[BLOCK];
    uint64_t place = 0, size = 0;
    for (int entries = 0; entries < ENTRIES_LIMIT && place < file_size; entries++) {
        if (!read_at(descriptor, block, sizeof(block), place)) {
            return refuse(words, place == 0 ? "it is too short to be a tar file" : "it is cut off");
        }
        if (block[0] == '\0') {
            break; /* the block of zeros at the end */
        }
        if (!checksum_fits(block) || !read_number(block + LENGTH_PLACE, LENGTH_WIDTH, &size)) {
            const char *compression = name_compression(block);
            if (place == 0 && compression != NULL) {
                snprintf(words, ANSWER_WORDS, "it is compressed with %s; unpack it to a plain tar file first",
                         compression);
                return ARCHIVE_REFUSED;
            }
            return refuse(words, place == 0 ? "it is not a tar file" : "it is not a whole tar file");
        }
        if (size > file_size) {
            return refuse(words, "it is cut off");
        }
        const char *name = (const char *)block;
        bool regular = block[TYPE_PLACE] == '0' || block[TYPE_PLACE] == '\0';
        if (regular &&
            (strncmp(name, "manifest.json", NAME_SIZE) == 0 || strncmp(name, "./manifest.json", NAME_SIZE) == 0)) {
            return read_manifest(descriptor, place + BLOCK, size, tag, config_digest, words);
        }
        place += BLOCK + (size + BLOCK - 1) / BLOCK * BLOCK;
    }
    return refuse(words, "it holds no manifest.json, as `docker save` writes one");
}

enum archive_answer archive_read(const char *path, const char *tag, char config_digest[ANSWER_ID],
                                 char words[ANSWER_WORDS])
{
    struct stat status;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (descriptor < 0) {
        snprintf(words, ANSWER_WORDS, "%s", strerrordesc_np(errno));
        return ARCHIVE_MISSING;
    }
    enum archive_answer answer = ARCHIVE_REFUSED;
    if (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
        refuse(words, "it is not a regular file");
    } else {
        answer = search(descriptor, (uint64_t)status.st_size, tag, config_digest, words);
    }
    close(descriptor);
    return answer;
}
