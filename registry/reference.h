/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * References: [HOST[:PORT]/]REPOSITORY[:TAG][@sha256:HEX], by Docker's rules.
 *
 * The first component is a host when it holds a dot or a colon, is "localhost", has an upper-case letter or is an IPv6
 * address in brackets; all else is a repository. What names without a host mean is for a registry plugin to say
 * (reference_set_place) or for Docker's own defaults (reference_use_docker_defaults).
 *
 * Source: distribution/reference (reference.go, normalize.go); OCI distribution specification 1.1, "Pulling manifests".
 */
#ifndef DESCPIPE_REGISTRY_REFERENCE_H
#define DESCPIPE_REGISTRY_REFERENCE_H

#include <stdbool.h>
#include <stddef.h>

#include "registry/failure.h"
#include "registry/ownership.h"

#define REFERENCE_LIMIT 1024           /* bytes of a whole text */
#define REFERENCE_REPOSITORY_LIMIT 255 /* bytes */
#define REFERENCE_TAG_LIMIT 128        /* bytes */
#define REFERENCE_DEFAULT_TAG "latest"

struct reference {
    char *host;       /* "docker.io", "localhost:5000", "[::1]:5000", in lower case; NULL: the text named none */
    char *repository; /* "library/busybox" */
    char *tag;        /* or NULL */
    char *digest;     /* "sha256:...", or NULL; it decides when there is a tag too */
};

/* Adds nothing that the text does not say. REFUSED tells which part is wrong. */
bool reference_read(struct reference *reference, const char *text, struct failure *failure);
void reference_clear(struct reference *reference);
static inline void reference_clear_at(struct reference *place)
{
    reference_clear(place);
}
bool reference_copy(struct reference *to, const struct reference *from, struct failure *failure);

/* No host: docker.io. docker.io (or index.docker.io) and one component: library/ in front. Neither tag nor digest:
 * latest. */
bool reference_use_docker_defaults(struct reference *reference, struct failure *failure);
/* Gives another host and, in front of the repository, `prefix` ("hub", "" or NULL: none): for names without a host and
 * for mirrors. The outcome is checked like a text. */
bool reference_set_place(struct reference *reference, const char *host, const char *prefix, struct failure *failure);

/* The whole text, owned; NULL with a failure when memory runs out. */
char *reference_text(const struct reference *reference, struct failure *failure);
/* HOST/REPOSITORY, owned. */
char *reference_name(const struct reference *reference, struct failure *failure);
/* What the manifest is asked by: the digest, else the tag, else "latest". Borrowed. */
const char *reference_object(const struct reference *reference);

/* "host", "host:port", "[v6]:port" by the grammar. */
bool reference_host_valid(const char *host);
bool reference_tag_valid(const char *tag);
bool reference_repository_valid(const char *repository);
/* localhost, 127.0.0.0/8 or [::1], with or without a port: where plain http is allowed. */
bool reference_host_is_loopback(const char *host);

#endif
