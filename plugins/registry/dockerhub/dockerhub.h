/* SPDX-License-Identifier: BSD-3-Clause */
/* One configured Docker Hub. */
#ifndef DESCPIPE_DOCKERHUB_DOCKERHUB_H
#define DESCPIPE_DOCKERHUB_DOCKERHUB_H

#include "inquiry/inquiry.h"
#include "inquiry/name.h"

#define HUB_HOST "docker.io"
#define HUB_ENDPOINT "https://registry-1.docker.io"

struct dockerhub {
    struct inquirer inquirer; /* first */
    struct name_rule rule;
};

/* ask.c. Asking for the limit costs no pull. */
void dockerhub_probe(void *self, struct descpipe_call *call);
/* For the inquirer: when the limit is reached, finds out which it is and says so. */
void dockerhub_resolve_failed(void *self, struct descpipe_call *call, const struct failure *failure);

#endif
