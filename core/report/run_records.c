/* SPDX-License-Identifier: BSD-3-Clause */
/* The files that a run leaves for other tools. */
#include "report/run_records.h"

#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "report/run_reader.h"

static void write_one(const struct run_view *view, const char *name, const struct text *content)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(memory_free) char *path = path_join(view->folder, name);
    if (!file_write(path, text_bytes(content), content->length, 0666, &error))
        log_warning("%s", error.message);
}

bool run_records_read(struct run_records *records, const char *run_folder, struct error *error)
{
    cleanup(run_view_free) struct run_view *view = run_view_open(run_folder, 0, error);
    cleanup(journal_reader_close) struct journal_reader *reader =
        view != NULL ? journal_reader_open(run_folder, error) : NULL;
    struct journal_record record;
    if (reader == NULL)
        return false;
    *records = (struct run_records){.decided = decided_new(), .sources = provenance_new()};
    while (journal_reader_next(reader, &record)) {
        run_reader_apply((struct run_reader *)view, &record);
        decided_apply(records->decided, &record);
        provenance_apply(records->sources, &record);
    }
    records->view = steal(&view);
    return true;
}

void run_records_clear(struct run_records *records)
{
    run_view_free(records->view);
    decided_free(records->decided);
    provenance_free(records->sources);
}

void run_records_write(const char *run_folder, const char *version)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(run_records_clear) struct run_records records = {.view = NULL};
    cleanup(text_clear) struct text trace = TEXT_INIT, provenance = TEXT_INIT;
    if (!run_records_read(&records, run_folder, &error)) {
        log_warning("the records of the run cannot be written: %s", error.message);
        return;
    }
    trace_append(records.view, records.decided, &trace);
    write_one(records.view, TRACE_FILE, &trace);
    provenance_append(records.sources, records.view, records.decided, version, &provenance);
    write_one(records.view, PROVENANCE_FILE, &provenance);
}
