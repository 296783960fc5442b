/* SPDX-License-Identifier: BSD-3-Clause */
/* Complaints of tools that pull images; judge.h. */
#include "tool/judge.h"

#include <string.h>

#include <descpipe/types.h>

/* Of registries (OCI distribution specification, "Error Codes"), and of the network as C and Go put it. */
static const struct complaint shared[] = {
    {"unauthorized", "log in to the registry: descpipe login", DESCPIPE_FAILED_NEEDS_LOGIN},
    {"authentication required", "log in to the registry: descpipe login", DESCPIPE_FAILED_NEEDS_LOGIN},
    {"toomanyrequests", "the registry limits how often one may ask; wait, or log in", DESCPIPE_FAILED_LATER},
    {"manifest unknown", "check the image's name and tag", DESCPIPE_FAILED_NOT_FOUND},
    {"name unknown", "check the image's name", DESCPIPE_FAILED_NOT_FOUND},
    {"connection refused", "is the registry's address right, and can this machine reach it?",
     DESCPIPE_FAILED_CANNOT_ASK},
    {"no such host", "is the registry's address right, and can this machine reach it?", DESCPIPE_FAILED_CANNOT_ASK},
    {"name or service not known", "is the registry's address right, and can this machine reach it?",
     DESCPIPE_FAILED_CANNOT_ASK},
    {"i/o timeout", "can this machine reach the registry?", DESCPIPE_FAILED_CANNOT_ASK},
};

static const struct complaint *find(const char *errors, const struct complaint *known, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcasestr(errors, known[i].words) != NULL)
            return &known[i];
    return NULL;
}

uint32_t judge_complaint(const char *errors, const struct complaint *own, size_t count, const char **hint)
{
    const struct complaint *found = find(errors, own, count);
    if (found == NULL)
        found = find(errors, shared, sizeof shared / sizeof shared[0]);
    if (found == NULL)
        return DESCPIPE_FAILED_REFUSED;
    *hint = found->hint;
    return found->kind;
}
