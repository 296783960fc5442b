/* SPDX-License-Identifier: BSD-3-Clause */
/* The images that a Dockerfile builds on: whose logins the Engine may need. */
#ifndef DESCPIPE_DOCKER_DOCKERFILE_H
#define DESCPIPE_DOCKER_DOCKERFILE_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/bytes.h"

enum { DOCKERFILE_LIMIT = 1 << 20, DOCKERFILE_BASES_LIMIT = 32 };

/* The images behind FROM, each once, without `scratch` and without stages of the file itself. `arguments` are
 * "NAME=value" and go before the defaults of ARG lines. What cannot be understood is left out: the Engine says what is
 * wrong with a Dockerfile. False only when there is no memory. */
bool dockerfile_bases(const char *text, size_t length, const char *const *arguments, struct texts *bases);

#endif
