/* SPDX-License-Identifier: BSD-3-Clause */
/* The site policy from any bytes: a policy or problems, never anything else. links: core-plugin */
#include <stdlib.h>

#include "plugin/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup(problems_clear) struct problems problems = {0};
    cleanup(policy_free) struct policy *policy = policy_new();
    bool good = policy_parse(policy, (const char *)data, size, "fuzz.yaml", &problems);
    if (good != (problems.errors == 0))
        abort();
    for (size_t i = 0; i < policy->plugins.count; i++) {
        const struct policy_plugin *plugin = &policy->plugins.items[i];
        if (policy_plugin_find(policy, plugin->identity) != plugin)
            abort();
        policy_allows(policy, plugin->identity);
    }
    return 0;
}
