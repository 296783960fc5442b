/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as a layer: unpacked, laid over a root twice (so that its whiteouts meet its own files), given mount
 * points. Whatever the bytes are, nothing beside the folders meant for it may change. links: native-store
 */
#include <fcntl.h>
#include <fts.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugins/runtime/native/store/assemble.h"
#include "plugins/runtime/native/store/layer.h"
#include "plugins/runtime/native/store/tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char work[64], layer_folder[80], root_folder[80];

static void remove_work(void)
{
    struct failure failure = FAILURE_INIT;
    tree_remove(AT_FDCWD, work, &failure);
    failure_clear(&failure);
}

static void enter_work(void)
{
    if (work[0] != '\0')
        return;
    snprintf(work, sizeof work, "/tmp/descpipe-layer-fuzz-XXXXXX");
    char outside[96];
    if (mkdtemp(work) == NULL)
        abort();
    snprintf(layer_folder, sizeof layer_folder, "%s/layer", work);
    snprintf(root_folder, sizeof root_folder, "%s/root", work);
    snprintf(outside, sizeof outside, "%s/outside", work);
    if (mkdir(outside, 0755) != 0)
        abort();
    snprintf(outside, sizeof outside, "%s/outside/below", work);
    if (mkdir(outside, 0755) != 0)
        abort();
    atexit(remove_work);
}

struct reading {
    const uint8_t *data;
    size_t left;
};

static ssize_t read_input(void *context, void *bytes, size_t size, struct failure *failure)
{
    struct reading *reading = context;
    (void)failure;
    size = size < reading->left ? size : reading->left;
    memcpy(bytes, reading->data, size);
    reading->data += size;
    reading->left -= size;
    return (ssize_t)size;
}

static void drop(const char *name)
{
    struct failure failure = FAILURE_INIT;
    if (!tree_remove(AT_FDCWD, name, &failure))
        abort();
    failure_clear(&failure);
}

/* Counts what lies in the work folder beside what the layer may write. */
static unsigned count_outside(void)
{
    char *const roots[] = {work, NULL};
    unsigned count = 0;
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    for (FTSENT *entry; (entry = fts_read(walk)) != NULL;) {
        if (entry->fts_level == 1 && (strcmp(entry->fts_name, "layer") == 0 || strcmp(entry->fts_name, "root") == 0))
            fts_set(walk, entry, FTS_SKIP);
        else if (entry->fts_info != FTS_DP)
            count++;
    }
    fts_close(walk);
    return count;
}

/* Makes the headers' checksums true, without which hardly any changed byte would get past the first of them. */
static void repair_checksums(uint8_t *bytes, size_t size)
{
    for (size_t at = 0; at + 512 <= size;) {
        uint8_t *header = bytes + at;
        unsigned sum = 0;
        uint64_t length = 0;
        memset(header + 148, ' ', 8);
        for (size_t i = 0; i < 512; i++)
            sum += header[i];
        if (sum == 8 * ' ') { /* the end */
            memset(header + 148, 0, 8);
            return;
        }
        char digits[8];
        snprintf(digits, sizeof digits, "%06o", sum & 0777777);
        memcpy(header + 148, digits, 7);
        for (size_t i = 124; i < 135 && header[i] >= '0' && header[i] <= '7'; i++)
            length = length * 8 + (uint64_t)(header[i] - '0');
        at += 512 + (size_t)((length + 511) / 512 * 512);
    }
}

static int unpack_and_assemble(const uint8_t *data, size_t size)
{
    static const struct budget budget = {.entries = 200, .bytes = 1 << 20};
    struct failure failure = FAILURE_INIT;
    struct layer_result result;
    enter_work();
    if (mkdir(layer_folder, 0700) != 0 || mkdir(root_folder, 0755) != 0)
        abort();
    int folder = open(layer_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct reading reading = {.data = data, .left = size};
    struct layer_request request = {
        .read = read_input, .context = &reading, .folder = folder, .budget = &budget, .keep_owner = geteuid() == 0};
    bool unpacked = layer_unpack(&request, &result, &failure);
    close(folder);
    if (unpacked != (failure.kind == 0))
        abort();
    if (unpacked && assemble_layer(layer_folder, root_folder, request.keep_owner, &failure) &&
        assemble_layer(layer_folder, root_folder, request.keep_owner, &failure))
        assemble_mount_points(root_folder, &failure);
    failure_clear(&failure);
    if (count_outside() != 3) /* the folder itself, outside and outside/below */
        abort();
    drop(layer_folder);
    drop(root_folder);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool plain = size >= 512 && data[0] != 0x1f;
    uint8_t *repaired = malloc(size + 1);
    if (repaired == NULL)
        abort();
    memcpy(repaired, data, size);
    if (plain)
        repair_checksums(repaired, size);
    unpack_and_assemble(repaired, size);
    free(repaired);
    return 0;
}
