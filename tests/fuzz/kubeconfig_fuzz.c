/* SPDX-License-Identifier: BSD-3-Clause */
/* kubeconfig files. links: scheduler-cluster */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "cluster/kubeconfig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* Two files, as KUBECONFIG may name them: what comes before and after a line "---8<---". */
    static const char mark[] = "\n---8<---\n";
    const char *text = (const char *)data;
    const char *cut = memmem(text, size, mark, sizeof(mark) - 1);
    struct kubeconfig_file files[2] = {
        {.path = "/home/me/.kube/config", .text = text, .length = cut ? (size_t)(cut - text) : size}};
    size_t count = 1;
    if (cut != NULL) {
        size_t rest = (size_t)(cut - text) + sizeof(mark) - 1;
        files[count++] = (struct kubeconfig_file){.path = "other", .text = text + rest, .length = size - rest};
    }
    struct kubeconfig config;
    char words[KUBECONFIG_WORDS] = "";
    if (!kubeconfig_read(files, count, NULL, &config, words) && words[0] == '\0') {
        __builtin_trap(); /* a refusal says why */
    }
    kubeconfig_clear(&config);
    if (kubeconfig_read(files, count, "x", &config, words) && config.server == NULL) {
        __builtin_trap();
    }
    kubeconfig_clear(&config);
    return 0;
}
