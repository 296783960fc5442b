/* SPDX-License-Identifier: BSD-3-Clause */
/* links: core-run */
/* What a keeper has noted, on any bytes, which come in two pieces. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/path.h"
#include "run/journal/keeper_log.h"
#include "run/keeper.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char folder[] = "/tmp/keeper-fuzz-XXXXXX";
    struct keeper_log log;
    if (mkdtemp(folder) == NULL)
        abort();
    cleanup(memory_free) char *path = path_join(folder, KEEPER_LOG);
    keeper_log_open(&log, folder);
    FILE *file = fopen(path, "ae");
    if (file == NULL)
        abort();
    for (size_t half = 0; half < 2; half++) {
        size_t from = half * (size / 2), length = half == 0 ? size / 2 : size - size / 2;
        if (fwrite(data + from, 1, length, file) != length || fflush(file) != 0)
            abort();
        keeper_log_read(&log);
    }
    (void)fclose(file);
    for (size_t i = 0; i < log.children.count; i++)
        if (keeper_log_child(&log, log.children.items[i].job) == NULL)
            abort();
    for (size_t i = 0; i < log.ends.count; i++)
        if (keeper_log_end(&log, log.ends.items[i].job) == NULL)
            abort();
    keeper_log_clear(&log);
    folder_remove(folder, NULL);
    return 0;
}
