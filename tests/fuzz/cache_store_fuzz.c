/* SPDX-License-Identifier: BSD-3-Clause */
/* links: core-cache */
/* What a working folder remembers, on any bytes: nothing unsound is taken, and what is kept after it is found again. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/path.h"
#include "cache/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define KEY "00000000000000000000000000000000000000000000000000000000000000aa"
#define OTHER "946af0af23c6da78ce25f567489868411b56d6579642e6ed98a43217178f2b9e"

static char folder[64];

static bool keep_all(void *context, const char *run)
{
    (void)context;
    return run[0] != 'x';
}

static void ask(struct cache_store *store, struct arena *arena)
{
    static const struct file_stamp stamp = {.device = 1, .inode = 2, .bytes = 3, .modified_ns = 4};
    struct cache_result result;
    char sha256[DIGEST_TEXT];
    cache_store_digest(store, &stamp, sha256);
    if (cache_store_result(store, OTHER, arena, &result))
        for (size_t i = 0; i < result.outputs_count; i++)
            if (!path_is_component(result.outputs[i].name) || !digest_is_text(result.outputs[i].sha256))
                abort();
    cache_store_latest(store, "first", NULL, NULL, arena, &result);
    cache_store_latest(store, "first", "g", "20261128-124934-dttd20", arena, &result);
}

static void keep_and_find(struct cache_store *store, struct arena *arena)
{
    static const struct file_stamp stamp = {.device = 5, .inode = 6, .bytes = 7, .modified_ns = 8};
    const struct cache_output output = {.name = "a.txt", .bytes = 1, .modified_ns = 1795870174408977295, .sha256 = KEY};
    const struct cache_result result = {
        .key = KEY, .run = "r", .stage = "first", .attempt = 1, .outputs = &output, .outputs_count = 1};
    struct cache_result found;
    char sha256[DIGEST_TEXT];
    cache_store_keep_result(store, &result);
    cache_store_keep_digest(store, &stamp, KEY, true);
    if (!cache_store_flush(store, NULL) || !cache_store_result(store, KEY, arena, &found) || found.outputs_count != 1 ||
        found.outputs[0].modified_ns != output.modified_ns || !cache_store_digest(store, &stamp, sha256))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (folder[0] == '\0')
        snprintf(folder, sizeof folder, "/tmp/cache-fuzz-XXXXXX");
    if (strstr(folder, "XXXXXX") != NULL && mkdtemp(folder) == NULL)
        abort();
    cleanup(memory_free) char *path = path_join(folder, CACHE_FILE);
    cleanup(arena_free) struct arena *arena = arena_new();
    if (!file_write(path, data, size, 0600, NULL))
        abort();
    for (int round = 0; round < 2; round++) { /* the second reads what the first has kept */
        struct cache_store *store = cache_store_open(folder, true, NULL);
        if (store == NULL)
            abort();
        ask(store, arena);
        keep_and_find(store, arena);
        if (!cache_store_compact(store, keep_all, NULL, NULL))
            abort();
        cache_store_free(store);
    }
    folder_remove(folder, NULL);
    folder[0] = '\0';
    return 0;
}
