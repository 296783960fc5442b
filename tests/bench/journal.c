/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The journal's records: written and flushed one by one, the worst case, and read back with their chain checked, beside
 * a bare write of as many bytes. bench-journal [--records=100000] [--rounds=15]
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "measure.h"
#include "run/journal/journal.h"

struct work {
    char *folder, *written;
    size_t records;
    size_t line; /* bytes of one record */
};

static void append(struct journal *journal, size_t job)
{
    struct text *text = journal_begin(journal, "ended");
    text_append(text, ",\"job\":");
    text_append_unsigned(text, job);
    text_append(text, ",\"exit\":0,\"evidence\":[{\"witness\":\"wait\",\"exit\":0}],\"started_at\":1795276433486,"
                      "\"finished_at\":1795276433518");
    journal_end(journal);
}

static void write_bare(void *context)
{
    const struct work *work = context;
    cleanup(memory_free) char *path = memory_format("%s/bare", work->folder);
    cleanup(memory_free) char *line = memory_allocate(work->line);
    cleanup(descriptor_close) int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    for (size_t i = 0; i < work->records; i++)
        if (write(file, line, work->line) != (ssize_t)work->line)
            _exit(1);
}

static void write_journal(void *context)
{
    const struct work *work = context;
    cleanup(memory_free) char *folder = memory_format("%s/run", work->folder);
    struct journal *journal = journal_open(folder, 1, "bench", NULL);
    for (size_t i = 0; journal != NULL && i < work->records; i++) {
        append(journal, i + 1);
        if (!journal_flush(journal, false, NULL))
            _exit(1);
    }
    if (journal == NULL)
        _exit(1);
    journal_close(journal);
}

static void read_journal(void *context)
{
    const struct work *work = context;
    struct journal_reader *reader = journal_reader_open(work->written, NULL);
    struct journal_record record;
    size_t count = 0;
    while (reader != NULL && journal_reader_next(reader, &record))
        count++;
    if (count != work->records + 1) /* and the writer's own */
        _exit(1);
    journal_reader_close(reader);
}

static void fresh_bare(void *context)
{
    const struct work *work = context;
    cleanup(memory_free) char *path = memory_format("%s/bare", work->folder);
    unlink(path);
}

static void fresh_run(void *context)
{
    const struct work *work = context;
    cleanup(memory_free) char *folder = memory_format("%s/run", work->folder);
    folder_remove(folder, NULL);
    if (mkdir(folder, 0700) != 0)
        exit(1);
}

/* What read_journal reads, and how long its records are. */
static void write_once(struct work *work)
{
    fresh_run(work);
    write_journal(work);
    cleanup(memory_free) char *folder = memory_format("%s/run", work->folder);
    cleanup(memory_free) char *path = memory_format("%s/%s", work->written, JOURNAL_FILE);
    struct stat status;
    if (rename(folder, work->written) != 0 || stat(path, &status) != 0)
        exit(1);
    work->line = (size_t)status.st_size / work->records;
}

int main(int count, char **arguments)
{
    struct work work = {.folder = measure_folder(), .records = measure_argument(count, arguments, "--records", 100000)};
    size_t rounds = measure_argument(count, arguments, "--rounds", 15);
    rounds = rounds == 0 ? 1 : rounds > ROUNDS_LIMIT ? ROUNDS_LIMIT : rounds;
    work.records = work.records > 0 ? work.records : 1;
    work.written = memory_format("%s/written", work.folder);
    write_once(&work);
    struct contestant contestants[] = {
        {.name = "bare write of each", .run = write_bare, .context = &work, .before = fresh_bare},
        {.name = "journal, a flush for each", .run = write_journal, .context = &work, .before = fresh_run},
        {.name = "reading it back", .run = read_journal, .context = &work},
    };
    measure_rounds(contestants, 3, rounds);
    cleanup(memory_free) char *title = memory_format("%zu records of %zu bytes", work.records, work.line);
    measure_print(title, contestants, 3, rounds, work.records);
    memory_free(work.written);
    measure_folder_remove(work.folder);
    return 0;
}
