/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The operations of a registry plugin that ask the registry: the login is found first, then one question goes out as
 * that person.
 *
 * How it works: a plugin fills a `struct inquirer` with how it finds logins and places; each operation is an object of
 * its own until its call has ended. A call that is cancelled ends at once; what cannot be stopped ends later, unheard.
 */
#ifndef DESCPIPE_INQUIRY_INQUIRY_H
#define DESCPIPE_INQUIRY_INQUIRY_H

#include <descpipe/plugin.h>

#include "inquiry/place.h"
#include "registry/client/clients.h"
#include "registry/failure.h"
#include "registry/reference.h"

/* `credential` is never NULL without a failure; borrowed. */
typedef void inquiry_found(void *context, const struct descpipe_credential *credential, const struct failure *failure);

struct inquirer {
    const struct descpipe_host *host;
    struct registry_clients *clients;
    void *self;
    /* Calls `found` exactly once, perhaps before it returns. */
    void (*find_login)(void *self, const struct reference *reference, uint32_t purpose, inquiry_found *found,
                       void *context);
    bool (*find_place)(void *self, const char *server, struct place *place, struct failure *failure);
    /* May be NULL. Takes over a call of resolve that failed, to say more: it must end it. The failure is borrowed. */
    void (*resolve_failed)(void *self, struct descpipe_call *call, const struct failure *failure);
};

bool inquirer_open(struct inquirer *inquirer, struct failure *failure); /* after host, self and the functions are set */
void inquirer_close(struct inquirer *inquirer);

void inquiry_resolve(struct inquirer *inquirer, struct descpipe_call *call, const struct descpipe_lookup *lookup);
void inquiry_list_tags(struct inquirer *inquirer, struct descpipe_call *call, const struct descpipe_lookup *lookup);
void inquiry_credentials(struct inquirer *inquirer, struct descpipe_call *call, const struct descpipe_lookup *lookup);
void inquiry_login(struct inquirer *inquirer, struct descpipe_call *call, const struct descpipe_login *login);
void inquiry_logout(struct inquirer *inquirer, struct descpipe_call *call, const char *server);
/* Facts: "host", "reached" or why not, "login" and where it was found. NULL: no host is configured. */
void inquiry_probe(struct inquirer *inquirer, struct descpipe_call *call, const char *server);

/* For find_login of plugins whose logins are people's: finds place and login and answers `found`. */
void inquiry_find_login(struct inquirer *inquirer, const char *server, bool ours, inquiry_found *found, void *context);

#endif
