/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How the host of a registry is reached: by the options, and by the certificates that Docker keeps for it.
 *
 * Plain http is spoken when the option says so, and to this machine itself when nothing (no CA, no `plain-http: false`)
 * speaks for TLS: a registry on loopback has no public certificate.
 */
#ifndef DESCPIPE_INQUIRY_PLACE_H
#define DESCPIPE_INQUIRY_PLACE_H

#include <stdbool.h>

#include "registry/failure.h"

struct place {
    uint32_t access; /* DESCPIPE_ACCESS_ */
    char *endpoint;  /* each may be NULL */
    char *ca_file, *client_certificate, *client_key;
    char *proxy; /* "": none */
};

/* `server` as references name it. `ours`: the options about hosts hold for it. */
bool place_find(struct place *place, const struct descpipe_host *host, const char *server, bool ours,
                struct failure *failure);
void place_clear(struct place *place);
static inline void place_clear_at(struct place *place)
{
    place_clear(place);
}
/* An anonymous credential with these facts; its texts are the place's. */
struct descpipe_credential place_credential(const struct place *place);

#endif
