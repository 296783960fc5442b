/* SPDX-License-Identifier: BSD-3-Clause */
/* Which image a registry's reference meant when it was last fetched here: STORE/names/HEX, a small file of lines. */
#ifndef NATIVE_STORE_NAMES_H
#define NATIVE_STORE_NAMES_H

#include <stdbool.h>

#include "registry/failure.h"

#include "store.h"

struct name {
    char *reference;
    char *platform; /* "" when none was asked for */
    char *config_digest;
    char *manifest_digest;
    char *media_type;
};
void name_clear(struct name *name);
static inline void name_clear_at(struct name *place)
{
    name_clear(place);
}

/* False without a failure: never seen here. */
bool names_find(const struct store *store, const char *reference, const char *platform, struct name *name);
/* Any name of an image: the same config may have been fetched under another one. */
bool names_find_image(const struct store *store, const char *config_digest, struct name *name);
/* In no order, until `visit` says false. It may take the name's texts. */
void names_each(const struct store *store, bool (*visit)(void *context, struct name *name), void *context);
bool names_write(const struct store *store, const struct name *name, struct failure *failure);
/* One file of the folder STORE/names. */
bool name_read(int folder, const char *file, struct name *name);

#endif
