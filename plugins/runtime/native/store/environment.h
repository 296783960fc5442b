/* SPDX-License-Identifier: BSD-3-Clause */
/* The environment that an image's author set, kept beside its unpacked root: IMAGE/environment, each "NAME=value" ended
 * by NUL. */
#ifndef NATIVE_STORE_ENVIRONMENT_H
#define NATIVE_STORE_ENVIRONMENT_H

#include <stdbool.h>
#include <stddef.h>

#include "registry/failure.h"

#define ENVIRONMENT_LIMIT ((size_t)1024 * 1024) /* bytes; what is over it could not be executed anyway */

bool environment_write(const char *image_folder, char *const *variables, size_t count, struct failure *failure);
/* Of an image by its root folder, owned. NULL with no failure when it has none. */
char *environment_read(const char *root, size_t *length, struct failure *failure);

#endif
