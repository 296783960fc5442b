/* SPDX-License-Identifier: BSD-3-Clause */
/* links: core-run */
/* What a run had done, from a journal whose chain is good and whose records are any: a line is a kind, a blank and
 * members as they stand. */
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/path.h"
#include "run/journal/history.h"
#include "run/journal/journal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TASKS = 3, KIND_LIMIT = 32 };

static void write_line(struct journal *journal, const char *line, size_t length)
{
    char kind[KIND_LIMIT];
    size_t word = 0;
    while (word < length && word + 1 < sizeof kind && islower((unsigned char)line[word]))
        word++;
    memcpy(kind, line, word);
    kind[word] = '\0';
    if (word == 0)
        return;
    text_append_bytes(journal_begin(journal, kind), line + word, length - word);
    journal_end(journal);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char folder[] = "/tmp/history-fuzz-XXXXXX";
    if (mkdtemp(folder) == NULL)
        abort();
    struct journal *journal = journal_open(folder, 1, "fuzz", NULL);
    const char *bytes = (const char *)data;
    if (journal == NULL)
        abort();
    for (size_t at = 0; at < size;) {
        const char *end = memchr(bytes + at, '\n', size - at);
        size_t length = end != NULL ? (size_t)(end - bytes) - at : size - at;
        write_line(journal, bytes + at, length);
        at += length + 1;
    }
    journal_close(journal);
    struct history *history = history_read(folder, TASKS, NULL);
    for (uint32_t i = 0; history != NULL && i < TASKS; i++)
        if (history->tasks[i].writer > 0 && history->tasks[i].writer >= history->writers.count)
            abort();
    history_free(history);
    folder_remove(folder, NULL);
    return 0;
}
