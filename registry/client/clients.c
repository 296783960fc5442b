/* SPDX-License-Identifier: BSD-3-Clause */
/* The clients of a plugin, one for each place and person. */
#include "registry/client/clients.h"

#include <stdlib.h>
#include <string.h>

struct registry_clients {
    const struct descpipe_host *host;
    struct registry_client *items[CLIENTS_LIMIT]; /* the most recently used first */
    size_t count;
    bool patience_given;
    uint64_t patience_ms;
};

struct registry_clients *registry_clients_new(const struct descpipe_host *host)
{
    struct registry_clients *clients = calloc(1, sizeof *clients);
    if (clients != NULL)
        clients->host = host;
    return clients;
}

void registry_clients_set_patience(struct registry_clients *clients, uint64_t patience_ms)
{
    clients->patience_given = true;
    clients->patience_ms = patience_ms;
}

void registry_clients_free(struct registry_clients *clients)
{
    if (clients == NULL)
        return;
    for (size_t i = 0; i < clients->count; i++)
        registry_client_release(clients->items[i]);
    free(clients);
}

/* Puts it first. */
static void move_up(struct registry_clients *clients, size_t from, struct registry_client *client)
{
    memmove(&clients->items[1], &clients->items[0], from * sizeof clients->items[0]);
    clients->items[0] = client;
}

struct registry_client *registry_clients_get(struct registry_clients *clients, const char *server,
                                             const struct descpipe_credential *credential, struct failure *failure)
{
    cleanup(access_clear) struct access access = {0};
    if (!access_take(&access, clients->host, server, credential, failure))
        return NULL;
    for (size_t i = 0; i < clients->count; i++)
        if (access_equal(registry_client_access(clients->items[i]), &access)) {
            move_up(clients, i, clients->items[i]);
            registry_client_retain(clients->items[0]);
            return clients->items[0];
        }
    struct registry_client *client = registry_client_new(&access, failure);
    if (client == NULL)
        return NULL;
    if (clients->patience_given)
        registry_client_set_patience(client, clients->patience_ms);
    if (clients->count == CLIENTS_LIMIT)
        registry_client_release(clients->items[--clients->count]);
    move_up(clients, clients->count++, client);
    registry_client_retain(client);
    return client;
}
