/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Blobs of the store: whole and checked under blobs/sha256, or half and locked under partial.
 *
 * A blob is fetched by whoever holds `locks/blob-HEX`; what an ended process left of it is gone on with. It gets its
 * place by a rename, after a sync.
 */
#ifndef NATIVE_STORE_BLOBS_H
#define NATIVE_STORE_BLOBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "registry/failure.h"

#include "budget.h"
#include "source.h"
#include "store.h"

/* The folder blobs/sha256, owned: also where resolving keeps documents. NULL when memory runs out. */
char *blobs_folder(const struct store *store);
bool blobs_have(const struct store *store, const char *digest);
/* For reading; -1 with errno. */
int blobs_open(const struct store *store, const char *digest);

/* One that is being fetched. */
struct blob_file {
    int descriptor; /* read and write; -1: none */
    int lock;
    char digest[72];
};
#define BLOB_FILE_INIT ((struct blob_file){.descriptor = -1, .lock = -1})
/* True: the file is ours until it is closed, or (descriptor -1) the blob is there by now. False with no failure and
 * *busy: somebody else is fetching it. */
bool blob_file_begin(struct blob_file *file, const struct store *store, const char *digest, bool *busy,
                     struct failure *failure);
/* The caller has checked the digest. For a helper thread: it syncs. Closes. */
bool blob_file_finish(struct blob_file *file, const struct store *store, struct failure *failure);
void blob_file_close(struct blob_file *file); /* what is in it stays for the next one */
bool blobs_remove(const struct store *store, const char *digest, struct failure *failure);

/* Is there room for so many bytes more? */
bool blobs_check_room(const struct store *store, uint64_t bytes, struct failure *failure);

/* Puts a part of an archive among the blobs; `digest` is compared. For a helper thread. False with no failure and *busy
 * as above. */
bool blobs_import(const struct store *store, const struct source *source, const char *name, const char *digest,
                  const struct budget *budget, bool *busy, struct failure *failure);
/* The same for a layer without compression, of which only the DIFF_ID is known: compressed (gzip), then named by what
 * it became. `digest` is filled, and *bytes. Remembered under compressed/HEX, so that it is done once. */
bool blobs_compress(const struct store *store, const struct source *source, const char *name, const char *diff_id,
                    const struct budget *budget, char digest[72], uint64_t *bytes, struct failure *failure);

/* For the store's own files. */
#define BLOBS_PATH_BYTES 640
void blobs_name_place(char path[BLOBS_PATH_BYTES], const struct store *store, const char *folder, const char *digest);
bool blobs_write(int descriptor, const char *bytes, size_t length); /* false with errno */
bool blobs_digest(int descriptor, char digest[72], uint64_t *bytes, struct failure *failure);

#endif
