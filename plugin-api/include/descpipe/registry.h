/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A registry knows where images live: which reference a name means, which digest it has, and whose
 * login opens it. It is loaded only when an image first needs it.
 */
#ifndef DESCPIPE_REGISTRY_H
#define DESCPIPE_REGISTRY_H

#include <descpipe/host.h>
#include <descpipe/types.h>

enum {
    DESCPIPE_REGISTRY_CREATES = 1u << 0, /* repositories must be made before a push */
    DESCPIPE_REGISTRY_EXPIRES = 1u << 1  /* its logins end; ask late, renew */
};

struct descpipe_lookup {
    uint32_t size;
    uint32_t purpose;      /* DESCPIPE_PURPOSE_, for credentials */
    const char *reference; /* normalized */
    const char *platform;
};

struct descpipe_registry {
    uint32_t size;
    uint32_t capabilities;

    int32_t (*open)(const struct descpipe_host *host, void **self, char *message, uint64_t message_size);
    void (*close)(void *self);

    /* Pure: 1 when a reference with a host belongs to this registry. */
    int32_t (*accepts)(void *self, const char *reference);
    /* The name a pipeline uses → the full reference of this facility. Answers reference. */
    void (*normalize)(void *self, struct descpipe_call *call, const char *name);
    /* Answers identity. */
    void (*resolve)(void *self, struct descpipe_call *call, const struct descpipe_lookup *lookup);
    /* Answers credential, or nothing for anonymous. */
    void (*credentials)(void *self, struct descpipe_call *call, const struct descpipe_lookup *lookup);
    void (*probe)(void *self, struct descpipe_call *call);
    /* Optional. */
    void (*ensure_repository)(void *self, struct descpipe_call *call, const struct descpipe_lookup *lookup);
    void (*list_tags)(void *self, struct descpipe_call *call, const struct descpipe_lookup *lookup); /* answers text, one tag each */
};

#endif
