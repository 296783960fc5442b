/* SPDX-License-Identifier: BSD-3-Clause */
/* Bytes that must not leak: kept out of core dumps and swap where the system allows, wiped on release. This is
 * the plugin interface's struct descpipe_secret. */
#ifndef DESCPIPE_IO_SECRET_H
#define DESCPIPE_IO_SECRET_H

#include <descpipe/types.h>

#include "base/error.h"

struct descpipe_secret *secret_make(const void *bytes, uint64_t length);
const char *secret_reveal(const struct descpipe_secret *secret, uint64_t *length); /* length may be NULL */
void secret_release(struct descpipe_secret *secret);                               /* NULL is fine */
DEFINE_CLEANUP(struct descpipe_secret *, secret_release);
struct descpipe_secret *secret_copy(const struct descpipe_secret *secret);

#endif
