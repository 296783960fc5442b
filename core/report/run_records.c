/* SPDX-License-Identifier: BSD-3-Clause */
/* The files that a run leaves for other tools. */
#include "report/run_records.h"

#include "base/file.h"
#include "base/log.h"
#include "base/path.h"

static void write_one(const struct run_view *view, const char *name, const struct text *content)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(memory_free) char *path = path_join(view->folder, name);
    if (!file_write(path, text_bytes(content), content->length, 0666, &error))
        log_warning("%s", error.message);
}

void run_records_write(const char *run_folder, const char *version)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(run_view_free) struct run_view *view = run_view_open(run_folder, 0, &error);
    if (view != NULL)
        run_view_read(view, 0, NULL, NULL);
    cleanup(decided_free) struct decided *decided = view != NULL ? decided_read(run_folder, &error) : NULL;
    cleanup(text_clear) struct text trace = TEXT_INIT, provenance = TEXT_INIT;
    if (decided == NULL || !provenance_append(view, decided, version, &provenance, &error)) {
        log_warning("the records of the run cannot be written: %s", error.message);
        return;
    }
    trace_append(view, decided, &trace);
    write_one(view, TRACE_FILE, &trace);
    write_one(view, PROVENANCE_FILE, &provenance);
}
