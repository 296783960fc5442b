/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a Dockerfile is made from: its FROM and ARG lines, and the images that COPY and RUN take files of. Nothing of it
 * is executed.
 *
 * Follows the Dockerfile reference: the escape directive, continued lines, comments between them, here-documents, ARG
 * before the first FROM, and of the shell's expansions $NAME, ${NAME}, ${NAME:-word} and ${NAME:+word}.
 */
#ifndef DESCPIPE_PIPELINE_DOCKERFILE_H
#define DESCPIPE_PIPELINE_DOCKERFILE_H

#include "base/error.h"
#include "base/list.h"

#define DOCKERFILE_BYTES_LIMIT (1u << 20)
#define DOCKERFILE_IMAGES_LIMIT 1000 /* FROM lines, and likewise the others */

struct dockerfile {
    struct words defaults;  /* "NAME=value" or "NAME": ARG before the first FROM, in their order */
    struct words arguments; /* the names of every ARG line, each once */
    struct words images;    /* of FROM lines, as written */
    struct words stages;    /* what each is called with AS, "" when it has no name */
    struct words copied;    /* --from=IMAGE of COPY, from=IMAGE of RUN --mount, as written */
};
/* Owned; NULL when the folder has none of Dockerfile and dockerfile. */
char *dockerfile_find(const char *folder);
bool dockerfile_parse(const char *bytes, size_t length, const char *path, struct dockerfile *dockerfile,
                      struct error *error);
bool dockerfile_read(const char *path, struct dockerfile *dockerfile, struct error *error);
void dockerfile_clear(struct dockerfile *dockerfile);
static inline void dockerfile_clear_at(struct dockerfile *place)
{
    dockerfile_clear(place);
}

/* Every image it needs that is none of its own stages and not `scratch`, each once, in order. `arguments`: "NAME=value"
 * as given to the build; names that no ARG line declares mean nothing. */
void dockerfile_bases(const struct dockerfile *dockerfile, const char *const *arguments, struct words *bases);
bool dockerfile_declares(const struct dockerfile *dockerfile, const char *argument);

#endif
