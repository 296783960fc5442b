/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The patterns of a .dockerignore: which paths of a build context are left out.
 *
 * Each line is a pattern of path components with `*`, `?`, `[...]` and `**` (any number of components); it fits a path
 * and everything below it; `!` takes back what earlier lines left out; the last line that fits decides. A pattern is
 * followed through a path in one pass, so that no pattern can take long. Source: Docker's documentation of
 * .dockerignore; Go's path/filepath.Match.
 */
#ifndef DESCPIPE_DOCKER_IGNORE_H
#define DESCPIPE_DOCKER_IGNORE_H

#include <stdbool.h>
#include <stddef.h>

enum { IGNORE_FILE_LIMIT = 1 << 20, IGNORE_PATTERNS_LIMIT = 10000, IGNORE_TOKENS_LIMIT = 1024 };

struct ignore_pattern;
struct ignore {
    struct ignore_pattern *patterns;
    size_t count;
    bool takes_back; /* there is a `!` */
};

/* False when there is no memory, a pattern is no pattern, or there are too many; `words` says which line. */
bool ignore_read(const char *text, size_t length, struct ignore *ignore, char *words, size_t words_size);
/* `path` is relative, without "./", with '/' between its components. */
bool ignore_matches(const struct ignore *ignore, const char *path);
void ignore_clear(struct ignore *ignore);

#endif
