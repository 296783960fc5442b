/* SPDX-License-Identifier: BSD-3-Clause */
/* A credential helper: docker-credential-NAME get, store or erase. What it is told and what it says go through pipes.
 * Source: docker/docker-credential-helpers, "Development". */
#ifndef DESCPIPE_REGISTRY_HELPER_H
#define DESCPIPE_REGISTRY_HELPER_H

#include <stdbool.h>
#include <stddef.h>

#include "registry/failure.h"

struct helper_request {
    const struct descpipe_host *host;
    const char *name;   /* of docker-credential-NAME, checked */
    const char *action; /* "get", "store", "erase" */
    const char *input;
    size_t input_length;
    /* Exactly once, never before the start has returned. `output` is wiped afterwards. A helper that knows nothing of
     * the server is NOT_FOUND. */
    void (*done)(void *context, const char *output, size_t length, const struct failure *failure);
    void *context;
};
bool helper_start(const struct helper_request *request, struct failure *failure);

#endif
