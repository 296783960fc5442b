/* SPDX-License-Identifier: BSD-3-Clause */
/* clang-format off */
/*
 * Where a run lives: WORKING/.descpipe/runs/ID, how it is named, laid out and found again.
 *
 *     plan.json  journal.jsonl  keeper.log  lease  cancel (somebody asks to cancel)  failed (which stage, detached)
 *     request.json (the command line that began it, for `resume`; it may hold what nobody else shall read: mode 0600)
 *     logs/NNN/STAGE[.MEMBER].ATTEMPT.{out,err}    NNN: the stage's number / 256
 *     attempts/NNN/STAGE[.MEMBER].ATTEMPT/         the private output folder
 *     attempts/none-N  attempts/empty[-N]          empty, for stages that declare no outputs; no inputs or configs
 */
/* clang-format on */
#ifndef DESCPIPE_RUN_JOURNAL_RUN_FOLDER_H
#define DESCPIPE_RUN_JOURNAL_RUN_FOLDER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/text.h"

/* 20261121-063012-k3f9m2: UTC, the millisecond in two letters, then chance; sorts by time, legal in tokens, which have
 * room for 24 and a serial. */
#define RUN_ID_LENGTH 22
#define RUN_CANCEL_FILE "cancel"
#define RUN_REQUEST_FILE "request.json"
#define RUN_RESERVE_FILE "reserve" /* room on the disk, while the run goes on */
#define RUN_FAILED_FILE "failed" /* of a detached run: a stage failed, and nothing else shall begin */
#define RUN_STAGES_PER_FOLDER 256

struct run_folder {
    char id[RUN_ID_LENGTH + 1];
    char *path;     /* absolute */
    char *working;  /* absolute */
    char *descpipe; /* WORKING/.descpipe */
};

/* Makes WORKING (when it is missing) and WORKING/.descpipe/runs; needed before the working folder's lease. */
bool run_folder_prepare(const char *working, struct error *error);
/* Makes a folder with a new id, mode 0700, or 0750 when the group may read it. */
bool run_folder_make(const char *working, bool group_readable, struct run_folder *folder, struct error *error);
void run_folder_clear(struct run_folder *folder);
static inline void run_folder_clear_at(struct run_folder *place)
{
    run_folder_clear(place);
}
bool run_id_is_valid(const char *id);

/* "STAGE[.MEMBER].ATTEMPT", appended; member NULL or "": none. */
void run_attempt_name(struct text *text, const char *stage, const char *member, uint64_t attempt);

/* The index of runs: one small file per run under `state_home`/descpipe/runs, at most RUN_INDEX_LIMIT. A convenience:
 * failing to write it is nothing but a warning, and it can be lost. */
#define RUN_INDEX_LIMIT 1000
struct run_index_entry {
    char *id, *folder, *pipeline, *started_in; /* absolute paths */
};
void run_index_entry_clear(struct run_index_entry *entry);
char *run_index_folder(void); /* $XDG_STATE_HOME/descpipe/runs, ~/.local/state/...; NULL when there is no home */
bool run_index_add(const char *index, const struct run_index_entry *entry, struct error *error);
/* Every entry whose run folder is still there, newest first; the caller clears each and frees the list. */
size_t run_index_read(const char *index, struct run_index_entry **entries);
/* The folder of the newest run of this pipeline that was started there, among at most `looks` entries; owned, or NULL. */
char *run_index_latest(const char *index, const char *pipeline, const char *started_in, size_t looks);

/* Finds a run by id, unique prefix, run folder, working folder or pipeline file; NULL: the latest started from the
 * current folder. Looks in the index, then in the working folders below the current folder. *folder is owned by the
 * caller. */
bool run_find(const char *what, char **folder, struct error *error);

#endif
