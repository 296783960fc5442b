/* SPDX-License-Identifier: BSD-3-Clause */
/* The body of POST /containers/create for one attempt. */
#ifndef DESCPIPE_DOCKER_CREATE_H
#define DESCPIPE_DOCKER_CREATE_H

#include <descpipe/types.h>

#include "engine/answer.h"
#include "engine/bytes.h"

struct create_options {
    const char *network;
    bool caller_user; /* else the image's own */
    bool init;
};

/* What the root of a stage may still do, the same in every runtime; ends with NULL. */
extern const char *const create_rights[];

/* The body holds secrets (late_environment): wipe it. False when something cannot be said to Docker; `words` says what.
 */
bool create_write(const struct descpipe_stage *stage, const struct create_options *options, struct bytes *body,
                  char words[ANSWER_WORDS]);

#endif
