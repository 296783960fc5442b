/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writes into the journal of a run that no engine follows any more: what was done about it from outside.
 *
 * It holds the run's lease from open to close, so that nobody else writes meanwhile.
 */
#ifndef DESCPIPE_RUN_CLOSING_H
#define DESCPIPE_RUN_CLOSING_H

#include <stdbool.h>
#include <stdint.h>

#include <descpipe/types.h>

#include "base/error.h"

struct closing;
/* NULL with the error when somebody else writes it. `version` is the program's, `by` who asks for its end (NULL: nobody
 * does). */
struct closing *closing_open(const char *run_folder, const char *version, const char *by, struct error *error);

struct closing_attempt {
    uint64_t job;
    const char *stage, *member; /* member NULL: none */
    uint64_t attempt;
    int64_t started_at_ms;
    const char *why; /* it was cancelled; NULL: because its engine was gone */
};
/* An attempt that was ended from outside: its end with the evidence (NULL: none was to be had), and the verdict
 * CANCELLED. On the disk when this returns true: only then may the last witness go. */
bool closing_cancelled(struct closing *closing, const struct closing_attempt *attempt,
                       const struct descpipe_ending *evidence, struct error *error);
/* An attempt that ended by itself. */
struct closing_end {
    const char *verdict, *reason;
    int32_t exit_code;      /* -1: not known */
    const char *evidence;   /* a JSON array, or NULL */
    int64_t finished_at_ms; /* 0: not known */
};
bool closing_ended(struct closing *closing, const struct closing_attempt *attempt, const struct closing_end *end,
                   struct error *error);
/* One that never began: "cancelled" or "skipped". */
bool closing_never_began(struct closing *closing, const struct closing_attempt *attempt, const char *state,
                         const char *reason, struct error *error);
/* The run is over, and all before this is on the disk. */
bool closing_ends(struct closing *closing, const char *state, struct error *error);
void closing_close(struct closing *closing); /* NULL is fine */
DEFINE_CLEANUP(struct closing *, closing_close);

#endif
