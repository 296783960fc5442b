/* SPDX-License-Identifier: BSD-3-Clause */
/* Growing bytes, lists of texts and the ways a text is written for Docker. Every function says when memory is short. */
#ifndef DESCPIPE_DOCKER_BYTES_H
#define DESCPIPE_DOCKER_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes {
    char *data; /* NULL while empty, else followed by a NUL */
    size_t length, capacity;
    bool failed; /* memory was short: what was appended is not complete */
};

bool bytes_add(struct bytes *bytes, const void *data, size_t length);
bool bytes_add_text(struct bytes *bytes, const char *text);
bool bytes_format(struct bytes *bytes, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* For a path or a query of a URL; `keep` are bytes left alone besides letters, digits and "-._~". */
bool bytes_add_escaped(struct bytes *bytes, const char *text, const char *keep);
/* base64url with padding, as X-Registry-Auth wants it. */
bool bytes_add_base64url(struct bytes *bytes, const void *data, size_t length);
/* One line for a person: control characters become spaces, at most `limit` bytes, cut between characters. */
bool bytes_add_line(struct bytes *bytes, const char *text, size_t length, size_t limit);
const char *bytes_text(const struct bytes *bytes); /* never NULL */
void bytes_clear(struct bytes *bytes);
void bytes_wipe(struct bytes *bytes); /* overwrites, then clears */

/* A list of owned texts that ends with NULL. */
struct texts {
    char **items;
    size_t count, capacity;
    bool failed;
};
bool texts_add(struct texts *texts, const char *text);
bool texts_format(struct texts *texts, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool texts_add_all(struct texts *texts, const char *const *more);
const char *const *texts_list(const struct texts *texts); /* never NULL; valid until the list changes */
void texts_clear(struct texts *texts);

#endif
