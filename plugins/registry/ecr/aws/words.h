/* SPDX-License-Identifier: BSD-3-Clause */
/* Texts taken apart and put together for AWS: a command line into its words, a form into its body. */
#ifndef DESCPIPE_ECR_WORDS_H
#define DESCPIPE_ECR_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#include "registry/failure.h"

enum { WORDS_LIMIT = 256 };

/* Takes a command line apart as a POSIX shell takes quotes and backslashes, and does nothing else that a shell does:
 * no variables, no patterns, no pipes. A list that ends with NULL, freed with words_free; NULL with a failure. */
char **words_split(const char *line, struct failure *failure);
void words_free(char **words);
static inline void words_free_at(char ***place)
{
    words_free(*place);
}

/* "a=1&b=%2F" of name, value pairs that end with NULL; a pair whose value is NULL is left out. The caller frees it, and
 * wipes it first when it holds a secret. NULL: no memory. */
char *words_form(const char *const *pairs);

/* An id of a role's session: letters, digits and "-", from `text`; at most 64 bytes. The caller frees it. */
char *words_session(const char *text);

#endif
