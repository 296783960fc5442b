/* SPDX-License-Identifier: BSD-3-Clause */
/* Where the parts of an image are read from: an OCI layout folder, or an archive with the parts as entries. */
#include "source.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "registry/manifest.h"
#include "registry/ownership.h"

#define BLOCK_BYTES (256 * 1024)
#define NAME_LIMIT 4096

struct source_entry {
    char *name;
    char *link;       /* another entry's name, or NULL */
    int64_t position; /* of its header */
};

struct source {
    char *path;
    int descriptor; /* of the folder or of the plain archive */
    bool folder;
    struct source_entry *entries; /* sorted by name */
    size_t count, capacity;
};

struct part {
    struct archive *archive; /* NULL: a file of its own */
    int descriptor;
    bool owns_descriptor;
    char *name;
    /* a window on the source's descriptor, for libarchive */
    int64_t position;
    unsigned char block[BLOCK_BYTES];
};

static inline void reader_close(struct archive *archive)
{
    if (archive != NULL)
        archive_read_free(archive);
}
DEFINE_CLEANUP(struct archive *, reader_close);

static bool fail_archive(const char *path, struct archive *archive, struct failure *failure)
{
    const char *text = archive_error_string(archive);
    return failure_set(failure, DESCPIPE_FAILED_REFUSED, "'%s' is not a readable archive: %s", path,
                       text != NULL ? text : "unknown format");
}

/* Reads at the part's own position, so that readers do not disturb each other. */
static la_ssize_t read_window(struct archive *archive, void *context, const void **block)
{
    struct part *part = context;
    ssize_t got;
    do
        got = pread(part->descriptor, part->block, sizeof part->block, part->position);
    while (got < 0 && errno == EINTR);
    if (got < 0) {
        archive_set_error(archive, errno, "%s", strerror(errno));
        return ARCHIVE_FATAL;
    }
    part->position += got;
    *block = part->block;
    return got;
}

static la_int64_t skip_window(struct archive *archive, void *context, la_int64_t request)
{
    struct part *part = context;
    struct stat status;
    (void)archive;
    if (request <= 0 || fstat(part->descriptor, &status) != 0)
        return 0;
    if (request > status.st_size - part->position) /* a torn archive: let the read come to its end */
        return 0;
    part->position += request;
    return request;
}

static struct archive *open_window(struct part *part, bool compressed, struct failure *failure)
{
    cleanup(reader_close) struct archive *archive = archive_read_new();
    if (archive == NULL) {
        failure_memory(failure);
        return NULL;
    }
    if (compressed) {
        archive_read_support_filter_gzip(archive);
        archive_read_support_filter_zstd(archive);
        archive_read_support_filter_bzip2(archive);
        archive_read_support_filter_xz(archive);
        archive_read_support_format_raw(archive);
        archive_read_support_format_empty(archive);
    } else
        archive_read_support_format_tar(archive);
    archive_read_set_read_callback(archive, read_window);
    archive_read_set_skip_callback(archive, skip_window);
    archive_read_set_callback_data(archive, part);
    if (archive_read_open1(archive) != ARCHIVE_OK) {
        fail_archive(part->name, archive, failure);
        return NULL;
    }
    return steal(&archive);
}

static bool check_inflated(uint64_t total, int descriptor, const char *path, const struct budget *budget,
                           struct failure *failure)
{
    struct statvfs disk;
    if (total > budget->bytes)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "'%s' inflates to more than %llu bytes", path,
                           (unsigned long long)budget->bytes);
    if (budget->stop != NULL && atomic_load(budget->stop))
        return failure_set(failure, DESCPIPE_FAILED_CANCELLED, "reading '%s' was cancelled", path);
    if (fstatvfs(descriptor, &disk) == 0 && (uint64_t)disk.f_bavail * disk.f_frsize < budget->free_bytes)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "no space left to inflate '%s'", path);
    return true;
}

static bool write_all(int descriptor, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t written = write(descriptor, bytes, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        bytes += written;
        length -= (size_t)written;
    }
    return true;
}

/* Puts the inflated bytes of a compressed archive in place of it. */
static bool inflate(struct source *source, struct archive *archive, const char *temporary, const struct budget *budget,
                    struct failure *failure)
{
    cleanup(memory_free) char *block = malloc(BLOCK_BYTES), *name = NULL;
    if (block == NULL || asprintf(&name, "%s/inflated.XXXXXX", temporary) < 0)
        return failure_memory(failure);
    cleanup(descriptor_close) int plain = mkostemp(name, O_CLOEXEC);
    if (plain < 0)
        return failure_system(failure, "cannot make a file in '%s'", temporary);
    unlink(name);
    for (uint64_t total = 0;;) {
        la_ssize_t got = archive_read_data(archive, block, BLOCK_BYTES);
        if (got == 0)
            break;
        if (got < 0)
            return fail_archive(source->path, archive, failure);
        total += (uint64_t)got;
        if (!check_inflated(total, plain, source->path, budget, failure))
            return false;
        if (!write_all(plain, block, (size_t)got))
            return failure_system(failure, "cannot inflate '%s'", source->path);
    }
    descriptor_close(source->descriptor);
    source->descriptor = plain;
    plain = -1;
    return true;
}

static struct part *new_part(int descriptor, const char *name, struct failure *failure)
{
    struct part *part = malloc(sizeof *part);
    if (part != NULL) {
        part->archive = NULL;
        part->descriptor = descriptor;
        part->owns_descriptor = false;
        part->position = 0;
        part->name = strdup(name);
        if (part->name != NULL)
            return part;
        free(part);
    }
    failure_memory(failure);
    return NULL;
}

static bool make_plain(struct source *source, const char *temporary, const struct budget *budget,
                       struct failure *failure)
{
    cleanup(part_close) struct part *window = new_part(source->descriptor, source->path, failure);
    if (window == NULL)
        return false;
    window->archive = open_window(window, true, failure);
    if (window->archive == NULL)
        return false;
    struct archive_entry *entry;
    int result = archive_read_next_header(window->archive, &entry);
    if (result != ARCHIVE_OK && result != ARCHIVE_EOF)
        return fail_archive(source->path, window->archive, failure);
    if (archive_filter_code(window->archive, 0) == ARCHIVE_FILTER_NONE)
        return true;
    return inflate(source, window->archive, temporary, budget, failure);
}

/* "./a//b" → "a/b", "x/../y" → "y"; NULL for a name that leads outside or is too long. */
static char *normal_name(const char *folder, size_t folder_length, const char *name)
{
    if (folder_length + strlen(name) + 2 > NAME_LIMIT)
        return NULL;
    char *joined = calloc(1, folder_length + strlen(name) + 2), *out = calloc(1, folder_length + strlen(name) + 2);
    if (joined == NULL || out == NULL) {
        free(joined);
        free(out);
        return NULL;
    }
    memcpy(joined, folder, folder_length);
    joined[folder_length] = '/';
    memcpy(joined + folder_length + 1, name, strlen(name));
    bool outside = false;
    size_t length = 0;
    for (const char *part = joined; *part != '\0';) {
        size_t size = strcspn(part, "/");
        if (size == 2 && strncmp(part, "..", 2) == 0) {
            outside = outside || length == 0;
            while (length > 0 && out[--length] != '/')
                continue;
        } else if (size > 0 && !(size == 1 && part[0] == '.')) {
            if (length > 0)
                out[length++] = '/';
            memcpy(out + length, part, size);
            length += size;
        }
        out[length] = '\0';
        part += size + (part[size] == '/');
    }
    free(joined);
    if (!outside)
        return out;
    free(out);
    return NULL;
}

/* What a link entry stands for: a symbolic link is told from its own folder, a hard link from the archive's root. */
static char *link_name(struct archive_entry *entry, const char *name)
{
    const char *hard = archive_entry_hardlink(entry), *symbolic = archive_entry_symlink(entry);
    if (hard != NULL)
        return normal_name("", 0, hard);
    if (symbolic == NULL)
        return NULL;
    const char *slash = strrchr(name, '/');
    return normal_name(name, slash != NULL ? (size_t)(slash - name) : 0, symbolic);
}

static bool note_entry(struct source *source, struct archive *archive, struct archive_entry *entry,
                       struct failure *failure)
{
    const char *path = archive_entry_pathname(entry);
    cleanup(memory_free) char *name = path != NULL ? normal_name("", 0, path) : NULL;
    bool is_link = archive_entry_hardlink(entry) != NULL || archive_entry_filetype(entry) == AE_IFLNK;
    if (name == NULL || (!is_link && archive_entry_filetype(entry) != AE_IFREG))
        return true; /* no part of an image has such a name or type */
    if (source->count == SOURCE_ENTRIES_LIMIT)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "'%s' has more than %d entries: it is no image",
                           source->path, SOURCE_ENTRIES_LIMIT);
    if (source->count == source->capacity) {
        size_t capacity = source->capacity == 0 ? 64 : source->capacity * 2;
        struct source_entry *entries = realloc(source->entries, capacity * sizeof *entries);
        if (entries == NULL)
            return failure_memory(failure);
        source->entries = entries;
        source->capacity = capacity;
    }
    char *link = is_link ? link_name(entry, name) : NULL;
    if (is_link && (link == NULL || strcmp(link, name) == 0)) { /* tar writes a file named twice as a link to itself */
        free(link);
        return true;
    }
    source->entries[source->count++] =
        (struct source_entry){.name = steal(&name), .link = link, .position = archive_read_header_position(archive)};
    return true;
}

static int compare_entries(const void *one, const void *other)
{
    const struct source_entry *left = one, *right = other;
    int order = strcmp(left->name, right->name);
    /* Of entries with one name the last one counts. */
    return order != 0 ? order : (left->position < right->position) - (left->position > right->position);
}

static bool note_entries(struct source *source, const struct budget *budget, struct failure *failure)
{
    cleanup(part_close) struct part *window = new_part(source->descriptor, source->path, failure);
    if (window == NULL || (window->archive = open_window(window, false, failure)) == NULL)
        return false;
    for (;;) {
        struct archive_entry *entry;
        int result = archive_read_next_header(window->archive, &entry);
        if (result == ARCHIVE_EOF)
            break;
        if (result != ARCHIVE_OK && result != ARCHIVE_WARN)
            return fail_archive(source->path, window->archive, failure);
        if (budget->stop != NULL && atomic_load(budget->stop))
            return failure_set(failure, DESCPIPE_FAILED_CANCELLED, "reading '%s' was cancelled", source->path);
        if (!note_entry(source, window->archive, entry, failure))
            return false;
    }
    if (source->count > 0)
        qsort(source->entries, source->count, sizeof *source->entries, compare_entries);
    return true;
}

struct source *source_open(const char *path, const char *temporary, const struct budget *budget,
                           struct failure *failure)
{
    struct stat status;
    cleanup(source_close) struct source *source = calloc(1, sizeof *source);
    if (source == NULL || (source->path = strdup(path)) == NULL) {
        if (source != NULL)
            source->descriptor = -1;
        failure_memory(failure);
        return NULL;
    }
    source->descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (source->descriptor < 0 || fstat(source->descriptor, &status) != 0) {
        bool missing = errno == ENOENT;
        failure_system(failure, "cannot read '%s'", path);
        if (missing)
            failure->kind = DESCPIPE_FAILED_NOT_FOUND;
        return NULL;
    }
    source->folder = S_ISDIR(status.st_mode);
    if (!source->folder && !S_ISREG(status.st_mode)) {
        failure_set(failure, DESCPIPE_FAILED_REFUSED, "'%s' is neither a file nor a folder", path);
        return NULL;
    }
    if (!source->folder && (!make_plain(source, temporary, budget, failure) || !note_entries(source, budget, failure)))
        return NULL;
    return steal(&source);
}

void source_close(struct source *source)
{
    if (source == NULL)
        return;
    descriptor_close(source->descriptor);
    for (size_t i = 0; i < source->count; i++) {
        free(source->entries[i].name);
        free(source->entries[i].link);
    }
    free(source->entries);
    free(source->path);
    free(source);
}

const char *source_path(const struct source *source)
{
    return source->path;
}

/* The first entry with the name; links are not followed. */
static const struct source_entry *find_entry(const struct source *source, const char *name)
{
    size_t low = 0, high = source->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(source->entries[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < source->count && strcmp(source->entries[low].name, name) == 0 ? &source->entries[low] : NULL;
}

static const struct source_entry *follow_entry(const struct source *source, const char *name)
{
    const struct source_entry *entry = find_entry(source, name);
    for (int links = 0; entry != NULL && entry->link != NULL; links++)
        entry = links < SOURCE_LINKS_LIMIT ? find_entry(source, entry->link) : NULL;
    return entry;
}

bool source_has(const struct source *source, const char *name)
{
    if (source->folder)
        return faccessat(source->descriptor, name, F_OK, 0) == 0;
    return follow_entry(source, name) != NULL;
}

static struct part *read_file(const struct source *source, const char *name, struct failure *failure)
{
    struct stat status;
    cleanup(descriptor_close) int file = openat(source->descriptor, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0 || fstat(file, &status) != 0) {
        failure_system(failure, "cannot read '%s/%s'", source->path, name);
        return NULL;
    }
    if (!S_ISREG(status.st_mode)) {
        failure_set(failure, DESCPIPE_FAILED_REFUSED, "'%s/%s' is not a file", source->path, name);
        return NULL;
    }
    struct part *part = new_part(file, name, failure);
    if (part != NULL) {
        part->owns_descriptor = true;
        file = -1;
    }
    return part;
}

struct part *source_read(const struct source *source, const char *name, struct failure *failure)
{
    if (source->folder)
        return read_file(source, name, failure);
    const struct source_entry *place = follow_entry(source, name);
    if (place == NULL) {
        failure_set(failure, DESCPIPE_FAILED_REFUSED, "'%s' has no entry '%s'", source->path, name);
        return NULL;
    }
    cleanup(part_close) struct part *part = new_part(source->descriptor, name, failure);
    if (part == NULL)
        return NULL;
    part->position = place->position;
    part->archive = open_window(part, false, failure);
    if (part->archive == NULL)
        return NULL;
    struct archive_entry *entry;
    int result = archive_read_next_header(part->archive, &entry);
    if (result != ARCHIVE_OK && result != ARCHIVE_WARN) {
        fail_archive(source->path, part->archive, failure);
        return NULL;
    }
    return steal(&part);
}

ssize_t part_read(struct part *part, void *bytes, size_t size, struct failure *failure)
{
    if (part->archive != NULL) {
        la_ssize_t got = archive_read_data(part->archive, bytes, size);
        if (got < 0)
            fail_archive(part->name, part->archive, failure);
        return got < 0 ? -1 : got;
    }
    ssize_t got;
    do
        got = read(part->descriptor, bytes, size);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        failure_system(failure, "cannot read '%s'", part->name);
    return got;
}

void part_close(struct part *part)
{
    if (part == NULL)
        return;
    if (part->archive != NULL)
        archive_read_free(part->archive);
    if (part->owns_descriptor)
        close(part->descriptor);
    free(part->name);
    free(part);
}

char *source_read_document(const struct source *source, const char *name, size_t *length, struct failure *failure)
{
    cleanup(part_close) struct part *part = source_read(source, name, failure);
    cleanup(memory_free) char *bytes = part != NULL ? malloc(OCI_DOCUMENT_LIMIT + 2) : NULL;
    if (part == NULL)
        return NULL;
    if (bytes == NULL) {
        failure_memory(failure);
        return NULL;
    }
    for (*length = 0;;) {
        ssize_t got = part_read(part, bytes + *length, OCI_DOCUMENT_LIMIT + 1 - *length, failure);
        if (got < 0)
            return NULL;
        if (got == 0)
            break;
        *length += (size_t)got;
        if (*length > OCI_DOCUMENT_LIMIT) {
            failure_set(failure, DESCPIPE_FAILED_REFUSED, "'%s' in '%s' is larger than %u bytes", name, source->path,
                        OCI_DOCUMENT_LIMIT);
            return NULL;
        }
    }
    bytes[*length] = '\0';
    return steal(&bytes);
}
