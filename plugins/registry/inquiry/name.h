/* SPDX-License-Identifier: BSD-3-Clause */
/* The name that a pipeline uses → the full reference at a facility's registry. */
#ifndef DESCPIPE_INQUIRY_NAME_H
#define DESCPIPE_INQUIRY_NAME_H

#include <stdbool.h>

#include "registry/reference.h"

struct name_rule {
    const char *host;    /* where names without a host go; NULL: they are refused */
    const char *project; /* takes the place of the owner (all but the last component), or NULL */
    bool owned_only;     /* `project` leaves names without an owner alone */
    const char *prefix;  /* comes before everything, or NULL */
};

/* A name with a host keeps it and all else. A name without tag and digest gets `latest`. */
bool name_place(struct reference *reference, const char *name, const struct name_rule *rule, struct failure *failure);
/* The host of a reference is this one. */
bool name_has_host(const char *reference, const char *host);

#endif
