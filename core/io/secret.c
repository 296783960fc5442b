/* SPDX-License-Identifier: BSD-3-Clause */
/* Secrets, each on pages of its own: a lock, a dump mark and wiping work on whole pages. */
#include "io/secret.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct descpipe_secret {
    uint64_t length;
    size_t mapped;
    char bytes[];
};

struct descpipe_secret *secret_make(const void *bytes, uint64_t length)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (length > SIZE_MAX - sizeof(struct descpipe_secret) - 1 - page)
        memory_exhausted();
    size_t mapped = (sizeof(struct descpipe_secret) + (size_t)length + 1 + page - 1) / page * page;
    struct descpipe_secret *secret = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (secret == MAP_FAILED)
        memory_exhausted();
    /* Both only lessen the ways of a leak; a small RLIMIT_MEMLOCK is no reason to refuse the work. */
    (void)mlock(secret, mapped);
    (void)madvise(secret, mapped, MADV_DONTDUMP);
    secret->length = length;
    secret->mapped = mapped;
    if (length > 0)
        memcpy(secret->bytes, bytes, (size_t)length);
    secret->bytes[length] = '\0';
    return secret;
}

const char *secret_reveal(const struct descpipe_secret *secret, uint64_t *length)
{
    if (length != NULL)
        *length = secret->length;
    return secret->bytes;
}

void secret_release(struct descpipe_secret *secret)
{
    if (secret == NULL)
        return;
    size_t mapped = secret->mapped;
    explicit_bzero(secret, mapped);
    munmap(secret, mapped);
}

struct descpipe_secret *secret_copy(const struct descpipe_secret *secret)
{
    return secret != NULL ? secret_make(secret->bytes, secret->length) : NULL;
}
