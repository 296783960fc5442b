/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What happens in a run, one line per event: for people whose output is no terminal, and as JSON for programs.
 *
 * The JSON lines of `descpipe run --json` are not the journal's: they are stable, members may be added, never renamed.
 * What each holds stands in event_documentation, which `descpipe run --help` prints.
 */
#ifndef DESCPIPE_REPORT_EVENTS_H
#define DESCPIPE_REPORT_EVENTS_H

#include "report/run_view.h"

extern const char event_documentation[];      /* lines of at most 80 columns, the last without a newline */
const char *event_name(enum run_event event); /* as in "event" */

/* One line with its newline, appended. */
void event_append_json(const struct run_view *view, const struct run_change *change, struct text *out);
/* Likewise, of a problem that was found before the run began or that ended it: `problem` as problem_append_json wrote
 * it.
 */
void event_append_problem_json(int64_t at_ms, const char *problem, struct text *out);
/* Of a request that has nothing to do: which run has its results. */
struct event_up_to_date {
    const char *run_folder;
    uint64_t stages, tasks;
};
void event_append_up_to_date_json(int64_t at_ms, const struct event_up_to_date *known, struct text *out);
void event_append_up_to_date(const struct event_up_to_date *known, struct text *out);
/* One line for people: "06:30:00 [3/12] tomography: OK, 12.3 s ...". `quiet`: only what failed and the end. */
void event_append_plain(const struct run_view *view, const struct run_change *change, bool quiet, struct text *out);
/* What cannot be asked, or that it answers again: of a RUN_EVENT_BLIND. */
void event_append_blind(const struct run_change *change, struct text *out);
/* "input shear is fetched from https://..." of a RUN_EVENT_INPUT. */
void event_append_input(const struct run_change *change, struct text *out);

#endif
