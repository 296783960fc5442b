/* SPDX-License-Identifier: BSD-3-Clause */
/* SHA-256 by libcrypto, and random bytes by the kernel. */
#include "base/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/file.h"

struct digest {
    EVP_MD_CTX *context;
    EVP_MD *algorithm; /* fetched once: EVP_sha256() looks its implementation up at every start */
};

static _Noreturn void cannot_compute(void)
{
    static const char line[] = "descpipe: error: libcrypto cannot compute SHA-256; is it installed completely?\n";
    ssize_t written = write(STDERR_FILENO, line, sizeof line - 1);
    (void)written;
    _exit(6);
}

struct digest *digest_new(void)
{
    struct digest *digest = memory_allocate(sizeof *digest);
    digest->context = EVP_MD_CTX_new();
    digest->algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (digest->context == NULL || digest->algorithm == NULL)
        cannot_compute();
    digest_start(digest);
    return digest;
}

void digest_free(struct digest *digest)
{
    if (digest == NULL)
        return;
    EVP_MD_CTX_free(digest->context);
    EVP_MD_free(digest->algorithm);
    free(digest);
}

void digest_start(struct digest *digest)
{
    if (EVP_DigestInit_ex2(digest->context, digest->algorithm, NULL) != 1)
        cannot_compute();
}

void digest_add(struct digest *digest, const void *bytes, size_t length)
{
    if (length > 0 && EVP_DigestUpdate(digest->context, bytes, length) != 1)
        cannot_compute();
}

void digest_end(struct digest *digest, uint8_t result[DIGEST_BYTES])
{
    unsigned length = DIGEST_BYTES;
    if (EVP_DigestFinal_ex(digest->context, result, &length) != 1)
        cannot_compute();
}

void digest_of(const void *bytes, size_t length, uint8_t result[DIGEST_BYTES])
{
    cleanup(digest_free) struct digest *digest = digest_new();
    digest_add(digest, bytes, length);
    digest_end(digest, result);
}

void digest_to_text(const uint8_t digest[DIGEST_BYTES], char text[DIGEST_TEXT])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < DIGEST_BYTES; i++) {
        text[2 * i] = digits[digest[i] >> 4];
        text[2 * i + 1] = digits[digest[i] & 15];
    }
    text[DIGEST_TEXT - 1] = '\0';
}

bool digest_of_file(const char *path, char text[DIGEST_TEXT], struct error *error)
{
    cleanup(descriptor_close) int descriptor = file_open(path, NULL, error);
    if (descriptor < 0)
        return false;
    enum { PIECE = 128 * 1024 };
    cleanup(memory_free) unsigned char *piece = memory_resize(NULL, PIECE);
    cleanup(digest_free) struct digest *digest = digest_new();
    for (;;) {
        ssize_t got = read(descriptor, piece, PIECE);
        if (got == 0)
            break;
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_system(error, "cannot read '%s'", path);
        digest_add(digest, piece, (size_t)got);
    }
    uint8_t result[DIGEST_BYTES];
    digest_end(digest, result);
    digest_to_text(result, text);
    return true;
}

bool digest_is_text(const char *text)
{
    size_t length = strspn(text, "0123456789abcdef");
    return length == DIGEST_TEXT - 1 && text[length] == '\0';
}

bool random_bytes(void *bytes, size_t length)
{
    unsigned char *place = bytes;
    while (length > 0) {
        ssize_t got = getrandom(place, length, 0);
        if (got < 0 && errno != EINTR) {
            static const char line[] = "descpipe: error: the kernel gives no random bytes\n";
            ssize_t written = write(STDERR_FILENO, line, sizeof line - 1);
            (void)written;
            _exit(6);
        }
        if (got > 0) {
            place += got;
            length -= (size_t)got;
        }
    }
    return true;
}
