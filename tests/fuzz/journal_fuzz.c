/* SPDX-License-Identifier: BSD-3-Clause */
/* links: core-run */
/* The journal's reader, verify, and a writer that continues, on any bytes: no crash, no endless loop, and what a writer
 * adds is always found again. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "run/journal/journal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[64];
static char file[96];

static void make_folder(void)
{
    snprintf(folder, sizeof folder, "/tmp/journal-fuzz-XXXXXX");
    if (mkdtemp(folder) == NULL)
        abort();
    snprintf(file, sizeof file, "%s/%s", folder, JOURNAL_FILE);
}

static void put(const uint8_t *data, size_t size)
{
    int descriptor = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (descriptor < 0 || write(descriptor, data, size) != (ssize_t)size)
        abort();
    close(descriptor);
}

/* The records a reader finds; it must come to an end, and again when asked again. */
static size_t read_all(uint64_t *epoch)
{
    struct journal_reader *reader = journal_reader_open(folder, NULL);
    struct journal_record record;
    size_t count = 0;
    *epoch = 0;
    while (journal_reader_next(reader, &record)) {
        if (strlen(record.line) != record.length || record.length >= JOURNAL_LINE_LIMIT)
            abort();
        *epoch = record.epoch;
        count++;
    }
    if (journal_reader_next(reader, &record))
        abort();
    journal_reader_close(reader);
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    make_folder();
    put(data, size);
    uint64_t epoch, again;
    size_t before = read_all(&epoch);
    journal_verify(folder, NULL, NULL);
    struct journal *journal = epoch < UINT64_MAX / 2 ? journal_open(folder, epoch + 1, "fuzz", NULL) : NULL;
    if (journal != NULL) {
        journal_begin(journal, "end");
        journal_end(journal);
        journal_close(journal);
        if (read_all(&again) != before + 2 || again != epoch + 1)
            abort();
    }
    unlink(file);
    rmdir(folder);
    return 0;
}
