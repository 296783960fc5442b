/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One HTTP request as a registry's client and its token service need it: the answer gathered within bounds or streamed,
 * asked again where that is safe. It knows nothing of logins but to carry one.
 */
#ifndef DESCPIPE_REGISTRY_WIRE_H
#define DESCPIPE_REGISTRY_WIRE_H

#include "registry/client/client.h"
#include "registry/client/retry.h"

#define WIRE_HEADERS_LIMIT 200
#define WIRE_HEADER_BYTES_LIMIT 131072
#define WIRE_ERROR_BYTES 65536       /* of what an answer that is no 2xx says */
#define WIRE_TOTAL_TIMEOUT_MS 120000 /* of requests that move no bulk data */

struct wire_request {
    const struct access *access; /* lives until done */
    const char *method;
    const char *url; /* whole */
    const char *const *headers;
    const struct descpipe_secret *bearer; /* copied */
    bool basic;                           /* with the access's username and password */
    bool stranger;                        /* another origin than the registry: no client certificate goes there */
    const void *body;
    uint64_t body_length;
    int body_descriptor;
    uint64_t body_offset;
    uint64_t answer_limit;
    unsigned flags; /* CLIENT_ */
    struct retry retry;
    const char *what;
    bool (*started)(void *context, const struct client_answer *answer, struct failure *failure);
    bool (*data)(void *context, const void *bytes, size_t length, struct failure *failure);
    /* Whatever the status: `failure` is set only when there was no answer to judge. */
    void (*done)(void *context, const struct client_answer *answer, const struct failure *failure);
    void *context;
};
struct wire;
struct wire *wire_start(const struct wire_request *request, struct failure *failure);
void wire_stop(struct wire *wire); /* `done` still comes, as CANCELLED */

#endif
