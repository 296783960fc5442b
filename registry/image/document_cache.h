/* SPDX-License-Identifier: BSD-3-Clause */
/* Small documents by their digest in a folder: FOLDER/HEX, as in `blobs/sha256` of an image layout. What is read is checked, so a damaged file is as good
 * as none; writing is by rename, and a failure to write costs nothing but the next download. */
#ifndef DESCPIPE_REGISTRY_DOCUMENT_CACHE_H
#define DESCPIPE_REGISTRY_DOCUMENT_CACHE_H

#include <stdbool.h>
#include <stddef.h>

/* Owned, with a NUL added; NULL: not there. */
char *document_cache_read(const char *folder, const char *digest, size_t *length);
void document_cache_write(const char *folder, const char *digest, const char *bytes, size_t length);

#endif
