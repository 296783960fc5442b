/* SPDX-License-Identifier: BSD-3-Clause */
/* The files that a run leaves for other tools. */
#include "report/run_records.h"

#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "report/run_reader.h"

bool run_records_read(struct run_records *records, const char *run_folder, bool own, struct error *error)
{
    *records = (struct run_records){.view = run_view_open(run_folder, 0, error)};
    if (records->view != NULL)
        records->reader = journal_reader_open(run_folder, error);
    if (records->reader == NULL)
        return false;
    if (own)
        journal_reader_trust(records->reader);
    records->decided = decided_new(records->reader);
    records->sources = provenance_new(records->reader);
    records->passing = arena_new();
    struct journal_record record;
    while (journal_reader_next(records->reader, &record)) {
        run_reader_apply((struct run_reader *)records->view, &record);
        decided_apply(records->decided, &record);
        provenance_apply(records->sources, &record);
    }
    return true;
}

void run_records_clear(struct run_records *records)
{
    run_view_free(records->view);
    decided_free(records->decided);
    provenance_free(records->sources);
    journal_reader_close(records->reader);
    if (records->passing != NULL)
        arena_free(records->passing);
}

static void write_one(const struct run_records *records, const char *name, const char *version,
                      bool (*next)(void *context, struct text *piece))
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(memory_free) char *path = path_join(records->view->folder, name);
    struct records_writing writing = {.records = records, .version = version};
    if (!file_write_pieces(path, (struct file_pieces){next, &writing}, 0666, &error))
        log_warning("%s", error.message);
}

void run_records_write(const char *run_folder, bool own, const char *version)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(run_records_clear) struct run_records records = {.view = NULL};
    if (!run_records_read(&records, run_folder, own, &error)) {
        log_warning("the records of the run cannot be written: %s", error.message);
        return;
    }
    write_one(&records, TRACE_FILE, version, trace_next);
    write_one(&records, PROVENANCE_FILE, version, provenance_next);
}
