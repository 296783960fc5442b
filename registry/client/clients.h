/* SPDX-License-Identifier: BSD-3-Clause */
/* The clients of a plugin, one for each place and person, so that tokens and limits are shared by all that is asked
 * there. */
#ifndef DESCPIPE_REGISTRY_CLIENTS_H
#define DESCPIPE_REGISTRY_CLIENTS_H

#include "registry/client/client.h"

#define CLIENTS_LIMIT 32 /* kept; the least recently used goes first */

struct registry_clients;
struct registry_clients *registry_clients_new(const struct descpipe_host *host);
/* Of all that are made from now on; see registry_client_set_patience. */
void registry_clients_set_patience(struct registry_clients *clients, uint64_t patience_ms);
void registry_clients_free(struct registry_clients *clients);
/* A client that the caller must release. NULL with a failure. */
struct registry_client *registry_clients_get(struct registry_clients *clients, const char *server,
                                             const struct descpipe_credential *credential, struct failure *failure);

#endif
