/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests to one registry as one person.
 *
 *     registry_client_new → registry_client_send (any number at once) → done, once for each → registry_client_release
 *
 * How it works: the first answer 401 says how the registry wants to be asked (challenge.h); that is remembered, and
 * tokens (token.h) are kept by scope until shortly before they expire, so later requests carry one at once. A request
 * that was refused with a token is asked once more with a new one. Requests over the limit of open ones wait in
 * their order. Broken connections, 408, 429 and 5xx are asked again after a pause that doubles, or that the server
 * names (Retry-After); not when the answer may have been lost of a request that must not be repeated.
 *
 * Redirects are followed by the host's http service, which gives no login to another host. Everything runs on the main
 * thread; `done` never comes before `send` has returned.
 */
#ifndef DESCPIPE_REGISTRY_CLIENT_H
#define DESCPIPE_REGISTRY_CLIENT_H

#include "registry/client/access.h"
#include "registry/failure.h"

#define CLIENT_OPEN_LIMIT 8 /* requests of one client on the wire */
#define CLIENT_EXPECTED_LIMIT 4
#define CLIENT_ANSWER_LIMIT (4u << 20) /* bytes, when a request names no limit */

struct registry_client;
/* The access is copied. NULL with a failure. */
struct registry_client *registry_client_new(const struct access *access, struct failure *failure);
void registry_client_retain(struct registry_client *client);
/* The last release ends it; requests that are still open keep it alive. NULL is fine. */
void registry_client_release(struct registry_client *client);
DEFINE_CLEANUP(struct registry_client *, registry_client_release);
const struct access *registry_client_access(const struct registry_client *client);
/* Waits at most so long in all for a server that says when to come again, instead of failing; 2 minutes at first. */
void registry_client_set_patience(struct registry_client *client, uint64_t patience_ms);
uint64_t registry_client_patience(const struct registry_client *client);
void registry_client_set_tries(struct registry_client *client, unsigned tries); /* of one request; 5 at first */

struct client_answer {
    int status;
    const char *url;  /* the last one, after redirects */
    const char *body; /* ends with NUL as well; "" when it went to `data` */
    size_t body_length;
    const char *const *headers; /* name, value, name, value ..., NULL */
};
/* The first of that name, in any case; NULL: none. */
const char *client_answer_header(const struct client_answer *answer, const char *name);

enum {
    CLIENT_ONCE = 1u << 0,     /* not asked again when its answer is lost: the caller finds out what was done */
    CLIENT_NO_RETRY = 1u << 1, /* the caller repeats by itself (blobs, which go on where they were cut) */
    CLIENT_LARGE = 1u << 2     /* moves bulk data: no deadline for the whole, only for silence */
};

struct client_request {
    const char *method;
    const char *path;       /* "/v2/..." below the endpoint, or the whole URL that an answer of this server gave */
    const char *repository; /* what a token must open; NULL: nothing */
    const char *actions;    /* "pull" or "pull,push" */
    const char *mount_from; /* another repository whose blobs are read, or NULL */
    const char *const *headers;
    const void *body; /* copied; or */
    uint64_t body_length;
    int body_descriptor; /* body_length bytes from body_offset; 0: none. Open until `done` */
    uint64_t body_offset;
    uint64_t answer_limit;               /* bytes; 0: CLIENT_ANSWER_LIMIT */
    unsigned flags;                      /* CLIENT_ */
    int expected[CLIENT_EXPECTED_LIMIT]; /* statuses other than 2xx that are answers, not failures */
    const char *what;                    /* for messages: "manifest of 'host/name:tag'"; copied */
    /* Both or none: a 2xx answer is streamed. `started` may refuse it (false, with a failure). */
    bool (*started)(void *context, const struct client_answer *answer, struct failure *failure);
    bool (*data)(void *context, const void *bytes, size_t length, struct failure *failure);
    /* Exactly once, last. `failure` NULL: a 2xx or an expected status. Both are borrowed. */
    void (*done)(void *context, const struct client_answer *answer, const struct failure *failure);
    void *context;
};
struct client_exchange;
/* NULL with a failure when it could not even begin; then `done` does not come. Copies what it needs. */
struct client_exchange *registry_client_send(struct registry_client *client, const struct client_request *request,
                                             struct failure *failure);
/* `done` still comes, as CANCELLED. NULL is fine. */
void client_exchange_stop(struct client_exchange *exchange);

/* Is it a registry, and does it take this login? Asks /v2/, and the token service when the registry wants a token. */
bool registry_client_ping(struct registry_client *client, void (*done)(void *context, const struct failure *failure),
                          void *context, struct failure *failure);

#endif
