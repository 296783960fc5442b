/* SPDX-License-Identifier: BSD-3-Clause */
/* Any bytes as headers of a registry: challenges, dates of limits, bodies of errors. links: descpipe-oci */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "registry/client/challenge.h"
#include "registry/client/explain.h"
#include "registry/client/retry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    cleanup(challenges_clear) struct challenges challenges = {0};
    cleanup(memory_free) char *text = strndup((const char *)data, size);
    if (text == NULL)
        return 0;
    const char *const headers[] = {"RateLimit-Reset", text, NULL};
    retry_after_ms(text, 1700000000000);
    retry_limit_ends_at_ms(headers, 1700000000000);
    free(explain_body((const char *)data, size));
    for (int i = 0; i < 2; i++)
        if (challenges_add(&challenges, text, &failure)) {
            struct challenge copy;
            const struct challenge *chosen = challenges_choose(&challenges);
            if (chosen != NULL && challenge_copy(&copy, chosen, &failure))
                challenge_clear(&copy);
        }
    return 0;
}
