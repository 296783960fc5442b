/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Docker Hub's limit on pulls, as its headers tell it: "ratelimit-limit: 100;w=21600", "ratelimit-remaining:
 * 76;w=21600", "docker-ratelimit-source: 192.0.2.1" (an address: anonymous; else an account's id).
 *
 * Source: "Docker Hub usage and limits", the section on how to see one's own.
 */
#ifndef DESCPIPE_DOCKERHUB_LIMIT_H
#define DESCPIPE_DOCKERHUB_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pull_limit {
    bool known;
    uint64_t limit, remaining;
    uint64_t window_s;
    bool by_address; /* counted for everybody behind one address, not for an account */
    char source[64]; /* "" when it is not told */
};

/* "100;w=21600" → 100 and 21600. False when it is no such thing. */
bool pull_limit_read_value(const char *value, uint64_t *count, uint64_t *window_s);
/* `headers`: name, value, name, value ..., NULL. `anonymous` is what we asked as. */
void pull_limit_read(const char *const *headers, bool anonymous, struct pull_limit *limit);
/* "100 pulls in 6 h for this address (192.0.2.1), 0 left". */
void pull_limit_describe(const struct pull_limit *limit, char *text, size_t size);

#endif
