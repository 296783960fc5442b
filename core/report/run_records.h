/* SPDX-License-Identifier: BSD-3-Clause */
/* What is written into a run folder from its journal when the run is over: trace.tsv and provenance.json. */
#ifndef DESCPIPE_REPORT_RUN_RECORDS_H
#define DESCPIPE_REPORT_RUN_RECORDS_H

#include "report/decided.h"
#include "report/run_view.h"

#define TRACE_FILE "trace.tsv"
#define PROVENANCE_FILE "provenance.json"

/* Both files, replaced in one step each; what cannot be written is a warning. */
void run_records_write(const char *run_folder, const char *version);

/* A table with the columns of Nextflow's trace file, which many tools read: one line per task, "-" for what is not
 * known. */
void trace_append(const struct run_view *view, const struct decided *decided, struct text *out);
/* What ran: who, where, plugins and images by digest, each task's key, command, files with their digests. No secrets.
 */
bool provenance_append(const struct run_view *view, const struct decided *decided, const char *version,
                       struct text *out, struct error *error);

#endif
