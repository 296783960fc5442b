/* SPDX-License-Identifier: BSD-3-Clause */
/* Files and folders the careful way: bounded reads, atomic writes, no following of links where it matters. */
#ifndef DESCPIPE_BASE_FILE_H
#define DESCPIPE_BASE_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/text.h"

void descriptor_close(int descriptor); /* fine on -1; keeps errno */
static inline void descriptor_close_at(int *place) { descriptor_close(*place); } /* cleanup(descriptor_close) int fd = -1; */

/* Opens a regular file for reading without ever waiting for it (FIFO, device); folders and devices are refused by
 * name. -1 with the error; `status` (may be NULL) is what fstat said. */
int file_open(const char *path, struct stat *status, struct error *error);
/* Reads a regular file of at most `limit` bytes; a larger one, a folder or a device is refused by name.
 * Appended to `into`, which is unchanged on failure. */
bool file_read(const char *path, uint64_t limit, struct text *into, struct error *error);
/* A file without a name (a temporary one where there is none such), fsync, link or rename, fsync of the folder. `mode` is cut by
 * the umask. A link at `path` is replaced. */
bool file_write(const char *path, const void *bytes, size_t length, mode_t mode, struct error *error);
/* The same without waiting for the disk: for what is made again when power was lost. */
bool file_write_unsynced(const char *path, const void *bytes, size_t length, mode_t mode, struct error *error);
/* As file_write, for what is too much to be in memory at once: `next` appends the next piece, and is false when there is none
 * any more. */
struct file_pieces {
    bool (*next)(void *context, struct text *piece);
    void *context;
};
bool file_write_pieces(const char *path, struct file_pieces pieces, mode_t mode, struct error *error);
bool file_exists(const char *path); /* follows links */
/* mkdir -p; existing folders are fine. */
bool folder_make(const char *path, mode_t mode, struct error *error);
/* Removes a tree without following links and without leaving `path`'s file system; a missing path is fine. */
bool folder_remove(const char *path, struct error *error);
/* fsync of a folder, after names in it came or went. */
bool folder_sync(const char *path, struct error *error);
/* Writes all of it, whatever the kernel takes at a time. */
bool descriptor_write(int descriptor, const void *bytes, size_t length, struct error *error);
enum file_placing {
    FILE_MAY_LINK = 1 << 0, /* a hard link will do: else, and where none can be made, a copy of its own */
    FILE_SYNCED = 1 << 1    /* a copy's bytes are on disk before it gets its name; else power loss may take it */
};
/* Hard link, else reflink, else copy (temp + rename; mode and mtime kept). Replaces `to` atomically. Regular files
 * only, a symbolic link at `from` is refused. folder_sync is the caller's, once for many. `placing`: of enum
 * file_placing. *how (may be NULL) is "link", "reflink" or "copy". */
bool file_place(const char *from, const char *to, unsigned placing, const char **how, struct error *error);
/* The same for a whole tree of regular files and folders; symbolic links inside are copied as links, anything else refused,
 * as is a tree deeper than FOLDER_DEPTH_LIMIT. An old `to` stays until the new tree is complete. */
#define FOLDER_DEPTH_LIMIT 100
enum folder_links {
    FOLDER_LINKS_KEPT,  /* wherever they lead */
    FOLDER_LINKS_INSIDE /* one that leads out of the folder, or may, is refused: absolute, or ".." past its top or after a name */
};
bool folder_place(const char *from, const char *to, unsigned placing, enum folder_links links, struct error *error);

/* The step below file_place, for trees: names relative to open folders; `shown` is the path that messages name. */
struct file_at {
    int folder;
    const char *name;
    const char *shown;
};
bool file_place_at(struct file_at from, struct file_at to, unsigned placing, const char **how, struct error *error);

/* A name nobody else has, for a file or folder that will be renamed: ".descpipe-0123456789abcdef.tmp". */
#define FILE_TEMPORARY_NAME 32
void file_temporary_name(char name[FILE_TEMPORARY_NAME]);
/* Removes what somebody who was killed left under such names in this folder; a missing folder is fine. */
void folder_remove_temporaries(const char *path);

#endif
