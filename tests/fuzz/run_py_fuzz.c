/* SPDX-License-Identifier: BSD-3-Clause */
/* Any bytes as a run.py. links: core-pipeline */
#include <stdint.h>

#include "pipeline/run_py.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup(run_py_clear) struct run_py run_py = {0};
    cleanup(problems_clear) struct problems problems = {0};
    run_py_parse((const char *)data, size, "run.py", &run_py, &problems);
    return 0;
}
