/* SPDX-License-Identifier: BSD-3-Clause */
/* links: core-cache */
/* A result that somebody else of a group has written, on any bytes: only what it says of plain names is made, and only
 * where it was asked for. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/path.h"
#include "cache/shared.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define KEY "00000000000000000000000000000000000000000000000000000000000000aa"
#define CONTENT "a" /* what one file of the folder holds, under the name of its digest */
#define DIGEST "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"

static char folder[] = "/tmp/shared-cache-fuzz-XXXXXX";
static char *result_path, *to;

static void write_below(const char *name, const void *bytes, size_t length)
{
    cleanup(memory_free) char *path = path_join(folder, name), *parent = path_folder(path);
    if (!folder_make(parent, 0777, NULL) || !file_write_unsynced(path, bytes, length, 0644, NULL))
        abort();
}

static void remove_folder(void)
{
    folder_remove(folder, NULL);
    memory_free(result_path);
    memory_free(to);
}

static void make_folder(void)
{
    if (result_path != NULL)
        return;
    if (mkdtemp(folder) == NULL)
        abort();
    result_path = path_join(folder, "results/00/" KEY);
    to = path_join(folder, "taken/here");
    cleanup(memory_free) char *parent = path_join(folder, "taken");
    if (!folder_make(parent, 0777, NULL) || atexit(remove_folder) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    make_folder();
    write_below("content/ca/" DIGEST, CONTENT, 1);
    write_below("results/00/" KEY, data, size);
    cleanup(arena_free) struct arena *arena = arena_new();
    cleanup(text_clear) struct text why = TEXT_INIT;
    struct cache_result result;
    struct stat status;
    bool taken = shared_cache_take(folder, KEY, to, arena, &result, &why);
    if (taken != (stat(to, &status) == 0) || (!taken && access(result_path, F_OK) == 0) || (!taken && why.length == 0))
        abort();
    for (size_t i = 0; taken && i < result.outputs_count; i++) {
        cleanup(memory_free) char *made = path_join(to, result.outputs[i].name);
        if (!path_is_component(result.outputs[i].name) || !text_equal(result.outputs[i].sha256, DIGEST) ||
            lstat(made, &status) != 0 || status.st_size != 1)
            abort();
    }
    folder_remove(to, NULL);
    return 0;
}
