/* SPDX-License-Identifier: BSD-3-Clause */
/* links: docker-engine
 * A .dockerignore with the paths that are asked for behind a line "---"; the same bytes as a Dockerfile and as a
 * stream. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/answer.h"
#include "engine/dockerfile.h"
#include "engine/ignore.h"
#include "engine/lines.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void match(const char *text, size_t size)
{
    static const char mark[] = "\n---\n";
    const char *between = size > 0 ? memmem(text, size, mark, sizeof(mark) - 1) : NULL;
    size_t first = between != NULL ? (size_t)(between - text) : size;
    struct ignore ignore = {0};
    char words[256] = "";
    if (!ignore_read(text, first, &ignore, words, sizeof(words)) && words[0] == '\0') {
        __builtin_trap();
    }
    char *path =
        strndup(between != NULL ? between + sizeof(mark) - 1 : "a/b/c", between != NULL ? size - first - 5 : 5);
    if (path != NULL && strlen(path) < 4096) {
        ignore_matches(&ignore, path);
    }
    free(path);
    ignore_clear(&ignore);
}

static void read_line(void *context, const char *text, size_t length)
{
    struct work_line line;
    (void)context;
    if (answer_read_work_line(text, length, &line)) {
        free(line.output);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const arguments[] = {"a=1", "owner=joe", NULL};
    const char *text = (const char *)data;
    struct texts bases = {0};
    struct lines lines = {0};
    match(text, size);
    if (dockerfile_bases(size > 0 ? text : "", size, arguments, &bases) && bases.count > DOCKERFILE_BASES_LIMIT) {
        __builtin_trap();
    }
    texts_clear(&bases);
    lines_add(&lines, text, size, read_line, NULL);
    lines_end(&lines, read_line, NULL);
    lines_clear(&lines);
    return 0;
}
