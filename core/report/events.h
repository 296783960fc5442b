/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What happens in a run, one line per event: for people whose output is no terminal, and as JSON for programs.
 *
 * The JSON lines of `descpipe run --json` are not the journal's: they are stable, members may be added, never renamed.
 * Every line has "event" and "at" (when, as 2026-11-21T06:30:00.123Z). Events of a task also have "stage", "member"
 * (null for a stage without members), "attempt" and "job" (null before the first).
 *
 *     run-started      run, pipeline, folder, host, tasks
 *     run-resumed      run, folder, host
 *     image            image, failure           (null: it is ready)
 *     task-submitted   native
 *     task-started     host, native
 *     task-retried     verdict, reason, retry_reason, retry_at
 *     task-ended       state, verdict, reason, exit, signal, wall_ms, cpu_ms, peak_memory, host
 *     task-state       state, reason            (queued, cached, skipped, cancelled: no job ended)
 *     cancel-requested by
 *     run-ended        run, state, folder, wall_ms, counts {state: tasks}
 */
#ifndef DESCPIPE_REPORT_EVENTS_H
#define DESCPIPE_REPORT_EVENTS_H

#include "report/run_view.h"

/* One line with its newline, appended. */
void event_append_json(const struct run_view *view, const struct run_change *change, struct text *out);
/* One line for people: "06:30:00 [3/12] tomography: OK, 12.3 s ...". `quiet`: only what failed and the end. */
void event_append_plain(const struct run_view *view, const struct run_change *change, bool quiet, struct text *out);

#endif
