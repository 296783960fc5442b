/* SPDX-License-Identifier: BSD-3-Clause */
/* sha256 digests of bytes in memory and of what a file holds so far. */
#include "registry/digest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "registry/ownership.h"

#define BLOCK_BYTES (256 * 1024)

static void write_digest(const unsigned char bytes[32], char digest[DIGEST_SIZE])
{
    snprintf(digest, 8, "sha256:");
    for (size_t i = 0; i < 32; i++)
        snprintf(digest + 7 + 2 * i, 3, "%02x", bytes[i]);
}

bool digest_of_bytes(const void *bytes, size_t length, char digest[DIGEST_SIZE])
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned hash_length = 0;
    if (EVP_Digest(bytes, length, hash, &hash_length, EVP_sha256(), NULL) != 1)
        return false;
    write_digest(hash, digest);
    return true;
}

bool digest_file_begin(struct digest_file *file, struct failure *failure)
{
    digest_file_clear(file);
    file->hash = EVP_MD_CTX_new();
    if (file->hash == NULL || EVP_DigestInit_ex(file->hash, EVP_sha256(), NULL) != 1)
        return failure_memory(failure);
    return true;
}

bool digest_file_advance(struct digest_file *file, int descriptor, uint64_t until, struct failure *failure)
{
    cleanup(memory_free) unsigned char *block = malloc(BLOCK_BYTES);
    if (block == NULL)
        return failure_memory(failure);
    while (file->hashed < until) {
        uint64_t left = until - file->hashed;
        ssize_t got = pread(descriptor, block, left < BLOCK_BYTES ? (size_t)left : BLOCK_BYTES, (off_t)file->hashed);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return failure_system(failure, "cannot read back what was received");
        if (got == 0)
            return failure_set(failure, DESCPIPE_FAILED_REFUSED, "what was received became shorter meanwhile");
        if (EVP_DigestUpdate(file->hash, block, (size_t)got) != 1)
            return failure_memory(failure);
        file->hashed += (uint64_t)got;
    }
    return true;
}

bool digest_file_end(struct digest_file *file, char digest[DIGEST_SIZE], struct failure *failure)
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    if (EVP_DigestFinal_ex(file->hash, hash, &length) != 1 || length != 32)
        return failure_memory(failure);
    write_digest(hash, digest);
    return true;
}

void digest_file_clear(struct digest_file *file)
{
    EVP_MD_CTX_free(file->hash);
    *file = (struct digest_file){0};
}
