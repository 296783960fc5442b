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

/* A person's login, to be tried and kept. */
struct descpipe_login {
    uint32_t size;
    uint32_t reserved;
    const char *host;                       /* with its port */
    const char *username;                   /* NULL with a bearer token */
    const struct descpipe_secret *password; /* or the token; NULL, with username: nothing was typed yet, see `login` */
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
    /* Answers credential, or nothing for anonymous over verified https. Asked at the moment of use. */
    void (*credentials)(void *self, struct descpipe_call *call, const struct descpipe_lookup *lookup);
    void (*probe)(void *self, struct descpipe_call *call);
    /* Optional. */
    void (*ensure_repository)(void *self, struct descpipe_call *call, const struct descpipe_lookup *lookup);
    void (*list_tags)(void *self, struct descpipe_call *call, const struct descpipe_lookup *lookup); /* answers text, one tag each */
    /* Tries it on the host, then keeps it where `credentials` finds it again. Answers text: where. Asked first without a
     * password, before a person types one: it fails with UNSUPPORTED when none is ever typed for this host, else with
     * NEEDS_LOGIN. */
    void (*login)(void *self, struct descpipe_call *call, const struct descpipe_login *login);
    void (*logout)(void *self, struct descpipe_call *call, const char *host); /* NOT_FOUND when there was none */
};

#endif
