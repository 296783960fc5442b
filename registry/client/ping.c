/* SPDX-License-Identifier: BSD-3-Clause */
/* Is it a registry, and does it take this login? Source: OCI distribution specification 1.1, "Determining support". */
#include <stdio.h>
#include <stdlib.h>

#include "registry/client/client.h"

struct ping {
    void (*done)(void *context, const struct failure *failure);
    void *context;
};

static void on_answer(void *context, const struct client_answer *answer, const struct failure *failure)
{
    (void)answer;
    struct ping *ping = context;
    ping->done(ping->context, failure);
    free(ping);
}

bool registry_client_ping(struct registry_client *client, void (*done)(void *context, const struct failure *failure),
                          void *context, struct failure *failure)
{
    cleanup(memory_free) char *what = NULL;
    struct ping *ping = malloc(sizeof *ping);
    if (ping == NULL || asprintf(&what, "registry '%s'", registry_client_access(client)->server) < 0) {
        what = NULL;
        free(ping);
        return failure_memory(failure);
    }
    *ping = (struct ping){.done = done, .context = context};
    const struct client_request request = {
        .method = "GET", .path = "/v2/", .what = what, .done = on_answer, .context = ping};
    if (registry_client_send(client, &request, failure) != NULL)
        return true;
    free(ping);
    return false;
}
