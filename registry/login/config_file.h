/* SPDX-License-Identifier: BSD-3-Clause */
/* Docker's config file as a file: read whole, changed by a new one in its place. */
#ifndef DESCPIPE_REGISTRY_CONFIG_FILE_H
#define DESCPIPE_REGISTRY_CONFIG_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "registry/failure.h"

/* Owned, with a NUL added, to be wiped; NULL with no failure: there is no file. */
char *config_file_read(const char *path, size_t *length, struct failure *failure);

struct config_change {
    const char *path;
    const char *server;
    bool erase;
    bool kept_elsewhere;  /* a helper has the secret: only the host is noted */
    const char *username; /* NULL: a bearer token; "<token>": an identity token */
    const char *password;
};
/* Adds, replaces or takes away one host's entry; the rest stays. For a helper thread: it takes a lock and syncs.
 * *found: there was an entry. */
bool config_file_change(const struct config_change *change, bool *found, struct failure *failure);

#endif
