/* SPDX-License-Identifier: BSD-3-Clause */
/* The SHA-256 of a file or a whole folder, read at most once as long as it stays as it is. */
#ifndef DESCPIPE_CACHE_FILE_DIGEST_H
#define DESCPIPE_CACHE_FILE_DIGEST_H

#include "cache/store.h"

/* What is remembered of the file that `path` leads to, without reading it; of a folder only within this process. False:
 * nothing is known, or it cannot be looked at. */
bool file_digest_known(struct cache_store *store, const char *path, struct file_stamp *stamp, bool *is_folder,
                       char sha256[DIGEST_TEXT]);

/* Reads what is not known. A folder's digest is over the names, kinds and digests of all that is in it. `fresh` says
 * that nobody else writes to it, so that even a file of this moment is what its stamp says. Without a store (NULL) all
 * is read and nothing kept. For helper threads. */
bool file_digest(struct cache_store *store, const char *path, bool fresh, char sha256[DIGEST_TEXT],
                 struct error *error);

/* Bytes and time of a file or folder as struct cache_output has them, from looking at it alone. Links are not followed.
 */
bool file_digest_look(const char *path, uint64_t *bytes, int64_t *modified_ns, struct error *error);

#endif
