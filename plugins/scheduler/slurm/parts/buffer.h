/* SPDX-License-Identifier: BSD-3-Clause */
/* Growing text and lists of texts for a plugin, which has no library of the host to lean on. */
#ifndef DESCPIPE_SLURM_BUFFER_H
#define DESCPIPE_SLURM_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

/* Starts as {0}. After a failed addition (no memory) `failed` stays set, so that it need be tested only once. */
struct buffer {
    char *data; /* ends with NUL, or NULL while nothing was added */
    size_t length, capacity;
    bool failed;
};

void buffer_add(struct buffer *buffer, const void *data, size_t length);
void buffer_add_text(struct buffer *buffer, const char *text);
void buffer_format(struct buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* One word of a POSIX shell, whatever `text` holds. */
void buffer_add_quoted(struct buffer *buffer, const char *text);
const char *buffer_text(const struct buffer *buffer); /* never NULL; borrowed */
void buffer_clear(struct buffer *buffer);

/* A list of owned texts that ends with NULL: an argv. Starts as {0}. */
struct arguments {
    char **items;
    size_t count, capacity;
    bool failed;
};

void arguments_add(struct arguments *arguments, const char *text);
void arguments_format(struct arguments *arguments, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *const *arguments_list(const struct arguments *arguments); /* never NULL */
void arguments_clear(struct arguments *arguments);

#endif
