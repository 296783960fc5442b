/* SPDX-License-Identifier: BSD-3-Clause */
/* Any bytes as a Dockerfile. links: core-pipeline */
#include <stdint.h>

#include "pipeline/dockerfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const arguments[] = {"user=joezuntz", "base=${user}", NULL};
    cleanup(dockerfile_clear) struct dockerfile dockerfile = {0};
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(words_clear) struct words bases = {0};
    cleanup(memory_free) char *text = memory_copy_bytes(data, size);
    if (dockerfile_parse(text, size, "Dockerfile", &dockerfile, &error))
        dockerfile_bases(&dockerfile, arguments, &bases);
    return 0;
}
