/* SPDX-License-Identifier: BSD-3-Clause */
/* Names placed into a registry. */
#include "inquiry/name.h"

#include <string.h>

static bool replace_owner(struct reference *reference, struct failure *failure)
{
    const char *last = strrchr(reference->repository, '/');
    char *base = strdup(last != NULL ? last + 1 : reference->repository);
    if (base == NULL)
        return failure_memory(failure);
    free(reference->repository);
    reference->repository = base;
    return true;
}

static bool place(struct reference *reference, const struct name_rule *rule, struct failure *failure)
{
    if (rule->host == NULL) {
        failure_set(failure, DESCPIPE_FAILED_REFUSED, "the name '%s' has no host, and this registry has none either",
                    reference->repository);
        return failure_hint(failure, "set the registry's option `host`, or name the image HOST/OWNER/NAME:TAG");
    }
    bool moves = rule->project != NULL && (!rule->owned_only || strchr(reference->repository, '/') != NULL);
    if (moves &&
        (!replace_owner(reference, failure) || !reference_set_place(reference, rule->host, rule->project, failure)))
        return false;
    return reference_set_place(reference, rule->host, rule->prefix, failure);
}

bool name_place(struct reference *reference, const char *name, const struct name_rule *rule, struct failure *failure)
{
    if (!reference_read(reference, name, failure))
        return false;
    if (reference->host == NULL && !place(reference, rule, failure))
        return false;
    if (reference->tag != NULL || reference->digest != NULL)
        return true;
    reference->tag = strdup(REFERENCE_DEFAULT_TAG);
    return reference->tag != NULL ? true : failure_memory(failure);
}

bool name_has_host(const char *reference, const char *host)
{
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    cleanup(reference_clear) struct reference read = {0};
    return reference_read(&read, reference, &failure) && read.host != NULL && strcmp(read.host, host) == 0;
}
