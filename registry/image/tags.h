/* SPDX-License-Identifier: BSD-3-Clause */
/* The tags of a repository, page by page. Source: OCI distribution specification 1.1, "Listing tags". */
#ifndef DESCPIPE_REGISTRY_TAGS_H
#define DESCPIPE_REGISTRY_TAGS_H

#include "registry/client/client.h"

#define TAGS_LIMIT 100000
#define TAGS_PAGE 1000
#define TAGS_PAGES_LIMIT 1000

struct tags_request {
    struct registry_client *client; /* retained until done */
    const char *repository;         /* copied */
    size_t limit;                   /* tags; 0: TAGS_LIMIT. There may be more than are told */
    /* Exactly once, never before the start has returned; `tags` is borrowed and NULL when it failed. */
    void (*done)(void *context, const char *const *tags, size_t count, const struct failure *failure);
    void *context;
};
struct tags;
/* NULL with a failure when it could not begin; then `done` does not come. */
struct tags *tags_start(const struct tags_request *request, struct failure *failure);
void tags_stop(struct tags *tags); /* `done` still comes, as CANCELLED */

/* Those most like `wanted`, the nearest first: "'1.0', '1.1'". Owned; NULL: none is near, or memory ran out. */
char *tags_nearest(const char *const *tags, size_t count, const char *wanted, size_t most);

#endif
