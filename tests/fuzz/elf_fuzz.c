/* SPDX-License-Identifier: BSD-3-Clause */
/* The reader of shared objects on any bytes: facts or a reason, nothing outside is read. links: core-plugin */
#include <stdlib.h>

#include "plugin/elf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup(elf_clear) struct elf_facts facts = {0};
    cleanup(error_clear) struct error error = ERROR_INIT;
    if (!elf_parse(data, size, &facts, &error) && (!error.message || facts.needed.count || facts.search.count))
        abort();
    return 0;
}
