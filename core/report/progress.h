/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Several pieces of work side by side, as `pull`, `push` and `build` show them: a live block on a terminal, plain lines
 * elsewhere, JSON lines when asked.
 *
 * JSON, one object a line: {"event":"started","name","action"}, {"event":"progress","name","done","total"} (bytes, at
 * most one a second and piece), {"event":"output","name","line"}, {"event":"ended","name","ok","message"}.
 */
#ifndef DESCPIPE_REPORT_PROGRESS_H
#define DESCPIPE_REPORT_PROGRESS_H

#include <stdint.h>

#include "base/text.h"
#include "report/terminal.h"

#define PROGRESS_INTERVAL_MS 100 /* draw not more often */

enum progress_mode { PROGRESS_PLAIN, PROGRESS_LIVE, PROGRESS_JSON };

struct progress;
/* The terminal outlives it. What is said goes to `out` at once, the block with progress_draw. */
struct progress *progress_new(const struct terminal *terminal, enum progress_mode mode, bool quiet, struct text *out);
void progress_free(struct progress *progress);
DEFINE_CLEANUP(struct progress *, progress_free);

/* Pieces are numbered from 0 in the order in which they are added. */
size_t progress_add(struct progress *progress, const char *name);
void progress_start(struct progress *progress, size_t piece, const char *action, int64_t now_ms); /* "pulling" */
/* total 0: not known; `text` may be NULL. */
void progress_step(struct progress *progress, size_t piece, uint64_t done, uint64_t total, const char *text,
                   int64_t now_ms);
/* A line of a piece's own output: the last one is in the block; elsewhere each is a line. */
void progress_output(struct progress *progress, size_t piece, const char *line);
/* `message`: how it went, "pulled, 12 MiB". */
void progress_end(struct progress *progress, size_t piece, bool ok, const char *message, int64_t now_ms);
/* A line of nobody's, above the block. */
void progress_say(struct progress *progress, const char *line);
void progress_draw(struct progress *progress, int64_t now_ms); /* PROGRESS_LIVE */
void progress_leave(struct progress *progress);                /* takes the block away */

#endif
