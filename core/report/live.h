/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The live view of a run on a terminal: one block at the bottom with a line per running stage, above it a line for each
 * stage that ended, which scrolls away as ordinary text.
 */
#ifndef DESCPIPE_REPORT_LIVE_H
#define DESCPIPE_REPORT_LIVE_H

#include "report/run_view.h"
#include "report/terminal.h"

#define LIVE_INTERVAL_MS 100 /* not more often */

struct live;
/* The terminal outlives it. Until it has a view it shows the phase only. */
struct live *live_new(const struct terminal *terminal);
void live_set_view(struct live *live, struct run_view *view); /* outlives it */
void live_free(struct live *live);
DEFINE_CLEANUP(struct live *, live_free);
/* For run_view_read: notes what happened; draws nothing. */
void live_change(void *live, const struct run_view *view, const struct run_change *change);
/* A line of our own above the block (a notice), without newline. */
void live_say(struct live *live, const char *line);
/* Shown in the last line until the run has begun: "resolving images". */
void live_set_phase(struct live *live, const char *phase);
/* The next frame, appended: to be written with one call. */
void live_draw(struct live *live, int64_t now_ms, struct text *out);
/* Takes the block away and leaves the cursor where ordinary text goes on. */
void live_end(struct live *live, struct text *out);

#endif
