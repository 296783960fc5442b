/* SPDX-License-Identifier: BSD-3-Clause */
/* What is written into a run folder from its journal when the run is over: trace.tsv and provenance.json. */
#ifndef DESCPIPE_REPORT_RUN_RECORDS_H
#define DESCPIPE_REPORT_RUN_RECORDS_H

#include "report/decided.h"
#include "report/run_view.h"

#define TRACE_FILE "trace.tsv"
#define PROVENANCE_FILE "provenance.json"

struct run_records { /* all that they are made from */
    struct journal_reader *reader;
    struct run_view *view;
    struct decided *decided;
    struct provenance *sources;
    struct arena *passing; /* of one task at a time */
};
/* One reading of the plan and of the journal; of `own` one all was written by this process (journal_reader_trust). */
bool run_records_read(struct run_records *records, const char *run_folder, bool own, struct error *error);
void run_records_clear(struct run_records *records);
static inline void run_records_clear_at(struct run_records *place)
{
    run_records_clear(place);
}

/* What is in the two files, a piece at a time, for all of it may be more than there is memory: struct file_pieces of
 * base/file.h with a `context` of this. */
enum { RECORDS_PIECE = 64 * 1024 }; /* bytes; one task more at most */
struct records_writing {
    const struct run_records *records;
    const char *version;
    uint32_t task; /* the next one */
    bool begun, ended;
};

/* Both files, replaced in one step each; what cannot be written is a warning. */
void run_records_write(const char *run_folder, bool own, const char *version);

/* A table with the columns of Nextflow's trace file, which many tools read: one line per task, "-" for what is not
 * known. */
bool trace_next(void *context, struct text *piece);

/* What ran: who, where, plugins and images by digest, each task's key, command, files with their digests. No secrets.
 */
struct provenance;
struct journal_record;
struct provenance *provenance_new(const struct journal_reader *reader);                 /* which lives longer */
void provenance_apply(struct provenance *sources, const struct journal_record *record); /* the next of the journal */
bool provenance_next(void *context, struct text *piece);
void provenance_free(struct provenance *sources);

#endif
