/* SPDX-License-Identifier: BSD-3-Clause */
/* links: core-run */
/* What a run has left for the next one, on any bytes whose sum would be right: only files are looked at. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "run/again/up_to_date.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct up_to_date_count count = {.tasks = 0};
    char *lines = memory_copy_bytes((const char *)data, size);
    if (up_to_date_holds(lines, "request", &count) && memcmp(data, "descpipe up to date 1\n", 22) != 0)
        abort();
    memory_free(lines);
    return 0;
}
