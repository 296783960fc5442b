/* SPDX-License-Identifier: BSD-3-Clause */
/* SHA-256, by libcrypto. The only file that includes openssl is digest.c. */
#ifndef DESCPIPE_BASE_DIGEST_H
#define DESCPIPE_BASE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define DIGEST_BYTES 32
#define DIGEST_TEXT 65 /* 64 hex digits and NUL */

struct digest; /* a running computation */
struct digest *digest_new(void);
void digest_free(struct digest *digest);
DEFINE_CLEANUP(struct digest *, digest_free);
void digest_start(struct digest *digest); /* again; cheap */
void digest_add(struct digest *digest, const void *bytes, size_t length);
void digest_end(struct digest *digest, uint8_t result[DIGEST_BYTES]);

void digest_of(const void *bytes, size_t length, uint8_t result[DIGEST_BYTES]);
void digest_to_text(const uint8_t digest[DIGEST_BYTES], char text[DIGEST_TEXT]);
bool digest_of_file(const char *path, char text[DIGEST_TEXT], struct error *error);
/* True for 64 lower-case hex digits. */
bool digest_is_text(const char *text);
bool random_bytes(void *bytes, size_t length); /* from the kernel; aborts the program when it cannot */

#endif
