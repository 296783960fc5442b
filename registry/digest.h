/* SPDX-License-Identifier: BSD-3-Clause */
/* sha256 digests of bytes in memory and of what a file holds so far; `oci_digest_valid` is in manifest.h. */
#ifndef DESCPIPE_REGISTRY_DIGEST_H
#define DESCPIPE_REGISTRY_DIGEST_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "registry/failure.h"

#define DIGEST_SIZE 72 /* "sha256:", 64 hexadecimal digits and NUL */

/* "sha256:..." of bytes. False: libcrypto failed, which is a lack of memory. */
bool digest_of_bytes(const void *bytes, size_t length, char digest[DIGEST_SIZE]);

/* A hash that follows a growing file. Everything may run on a helper thread. */
struct digest_file {
    EVP_MD_CTX *hash;
    uint64_t hashed; /* bytes from the file's start */
};
bool digest_file_begin(struct digest_file *file, struct failure *failure);
/* Reads on from what is hashed to `until`; the file holds that much. */
bool digest_file_advance(struct digest_file *file, int descriptor, uint64_t until, struct failure *failure);
bool digest_file_end(struct digest_file *file, char digest[DIGEST_SIZE], struct failure *failure);
void digest_file_clear(struct digest_file *file);

#endif
