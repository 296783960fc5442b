/* SPDX-License-Identifier: BSD-3-Clause */
/* What is known of an image: read from a file or a layout, kept beside what was made of it, told to the host. */
#ifndef RUNTIME_TOOL_FACTS_H
#define RUNTIME_TOOL_FACTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

#include <descpipe/host.h>

#include "registry/failure.h"

struct image_facts {
    char *config_digest; /* each owned or NULL */
    char *manifest_digest;
    char *media_type;
    char *platform;
    uint64_t stored_bytes;
    int64_t created_at_ms;
};

void image_facts_clear(struct image_facts *facts);
static inline void image_facts_clear_at(struct image_facts *place)
{
    image_facts_clear(place);
}

/* Is it a kind of image that image_facts_read can read? */
bool image_is_archive(const struct descpipe_image *image);
/* Of a docker-archive, an OCI archive or an OCI layout, every digest checked. For a helper thread. `temporary` is a
 * folder for what must be inflated. */
bool image_facts_read(struct image_facts *facts, const struct descpipe_image *image, const char *temporary,
                      const atomic_bool *stop, struct failure *failure);
/* What the plan says of it already: its pins. */
bool image_facts_pins(struct image_facts *facts, const struct descpipe_image *image, struct failure *failure);

/* As lines "name value"; unknown names are left alone when read. */
void image_facts_write(const struct image_facts *facts, FILE *file);
bool image_facts_take_line(struct image_facts *facts, const char *line, struct failure *failure);

/* Answers identity and ends the call. `handle` may be NULL. */
void image_facts_answer(const struct image_facts *facts, const struct descpipe_host *host, struct descpipe_call *call,
                        const char *handle, bool present);

/* "sha256:..." and its 64 digits; false for anything else. */
bool image_digest_valid(const char *digest);
/* The digest in a reference, "...@sha256:...", or NULL. */
const char *image_reference_digest(const char *reference);
/* The whole reference without its tag and digest, owned; NULL when memory is short. */
char *image_reference_name(const char *reference);

#endif
