/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * WWW-Authenticate: what a registry wants before it answers. One header may hold several challenges, and there may be
 * several headers.
 *
 * Sources: RFC 9110 sections 11.2, 11.3 and 11.6.1; RFC 6750 section 3; distribution's token authentication.
 */
#ifndef DESCPIPE_REGISTRY_CHALLENGE_H
#define DESCPIPE_REGISTRY_CHALLENGE_H

#include <stdbool.h>
#include <stddef.h>

#include "registry/failure.h"
#include "registry/ownership.h"

#define CHALLENGE_HEADER_LIMIT 16384 /* bytes of one header */
#define CHALLENGES_LIMIT 16
#define CHALLENGE_PARAMETERS_LIMIT 32

enum challenge_scheme { CHALLENGE_OTHER, CHALLENGE_BASIC, CHALLENGE_BEARER };

struct challenge {
    enum challenge_scheme scheme;
    char *name;  /* the scheme as it was written */
    char *realm; /* Bearer: the token service's URL. Each of these is NULL when it was not said */
    char *service;
    char *scope;
    char *error; /* "invalid_token", "insufficient_scope" */
};
struct challenges {
    struct challenge items[CHALLENGES_LIMIT];
    size_t count;
};

/* Adds those of one header value. REFUSED: it does not follow the grammar; nothing was added. */
bool challenges_add(struct challenges *challenges, const char *header, struct failure *failure);
void challenges_clear(struct challenges *challenges);
static inline void challenges_clear_at(struct challenges *place)
{
    challenges_clear(place);
}
/* The one to answer: Bearer with a realm before Basic. NULL: none that we know. */
const struct challenge *challenges_choose(const struct challenges *challenges);
bool challenge_copy(struct challenge *to, const struct challenge *from, struct failure *failure);
void challenge_clear(struct challenge *challenge);

#endif
