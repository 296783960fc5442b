/* SPDX-License-Identifier: BSD-3-Clause */
/* clang-format off */
/*
 * What a working folder remembers of its runs: WORKING/.descpipe/cache.jsonl, append-only, one writer (the holder of the
 * working folder's lease), any number of readers without a lock. There is no file per task.
 *
 *     {"sum":"16 hex","file":"DEVICE-INODE-BYTES-MODIFIED_NS","sha256":"64 hex"}       a file that was read once
 *     {"sum":"16 hex","result":"KEY","run","stage","member"?,"attempt","folder"?,"outputs":[{"name","bytes","modified","sha256"}]}
 *
 * `sum` is the beginning of the SHA-256 of what follows it in the line, up to its end. A line that is torn, damaged or
 * not understood is as good as none: the worst that can happen is that something is computed again. Of lines about the
 * same file or key the last one counts. Every function may be called from any thread.
 */
/* clang-format on */
#ifndef DESCPIPE_CACHE_STORE_H
#define DESCPIPE_CACHE_STORE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "base/error.h"
#include "base/memory.h"

#define CACHE_FILE "cache.jsonl"
#define CACHE_BYTES_LIMIT (UINT64_C(1) << 30)      /* of the whole file */
#define CACHE_LINE_LIMIT ((size_t)8 * 1024 * 1024) /* a longer result is not remembered */

struct file_stamp { /* as long as it stays, the content is taken to stay */
    uint64_t device, inode, bytes;
    int64_t modified_ns;
};
struct file_stamp file_stamp_of(const struct stat *status);
bool file_stamp_equal(const struct file_stamp *one, const struct file_stamp *other);

struct cache_output {
    const char *name;    /* in the attempt's folder: TAG.SUFFIX */
    uint64_t bytes;      /* of a folder: of all its files */
    int64_t modified_ns; /* of a folder: stands for the sizes and times of all that is in it */
    char sha256[DIGEST_TEXT];
};

struct cache_result { /* of a task that succeeded */
    char key[DIGEST_TEXT];
    const char *run, *stage, *member; /* member NULL: none */
    const char *folder;               /* the attempt's own, below WORKING/.descpipe; NULL: it has no outputs */
    uint64_t attempt;
    const struct cache_output *outputs;
    size_t outputs_count;
};

struct cache_store;
/* `folder` is WORKING/.descpipe. A missing file is an empty one. Only whoever `writes` may keep anything. */
struct cache_store *cache_store_open(const char *folder, bool writes, struct error *error);
void cache_store_free(struct cache_store *store); /* does not flush */
DEFINE_CLEANUP(struct cache_store *, cache_store_free);

bool cache_store_digest(struct cache_store *store, const struct file_stamp *stamp, char sha256[DIGEST_TEXT]);
/* Not `lasting`: for this process alone. */
void cache_store_keep_digest(struct cache_store *store, const struct file_stamp *stamp, const char *sha256,
                             bool lasting);

/* A file that is not there and need not be, with the digest that it had: for this process alone. */
void cache_store_keep_gone(struct cache_store *store, const char *path, const char *sha256);
bool cache_store_gone(struct cache_store *store, const char *path, char sha256[DIGEST_TEXT]);

/* Texts and outputs are put into `arena`. */
bool cache_store_result(struct cache_store *store, const char *key, struct arena *arena, struct cache_result *result);
void cache_store_keep_result(struct cache_store *store, const struct cache_result *result);
/* The last result of this task by a run before `run` (NULL: by any run that was known when this was asked first);
 * looks through the whole file. */
bool cache_store_latest(struct cache_store *store, const char *stage, const char *member, const char *run,
                        struct arena *arena, struct cache_result *result);

/* Hands what is new to the kernel. Failure keeps it: try again, or let it be. */
bool cache_store_flush(struct cache_store *store, struct error *error);
/* Bytes of the lines that do not count, which cache_store_compact would leave out. */
uint64_t cache_store_surplus(struct cache_store *store, bool (*kept)(void *context, const char *run), void *context);
/* Writes the file anew with the lines that count and whose run is `kept`; only for the writer. */
bool cache_store_compact(struct cache_store *store, bool (*kept)(void *context, const char *run), void *context,
                         struct error *error);

#endif
