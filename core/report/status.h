/* SPDX-License-Identifier: BSD-3-Clause */
/* A run's state for people (a table) and for programs (the stable JSON of the command line's contract). */
#ifndef DESCPIPE_REPORT_STATUS_H
#define DESCPIPE_REPORT_STATUS_H

#include "report/output.h"
#include "report/run_view.h"

struct status_style {
    unsigned width; /* of the terminal; 0: lines as long as they get */
    bool color;
    size_t rows; /* at most so many stages, what failed first; 0: all */
    int64_t now_ms;
};

/* Two lines about the run, then the table of stages. */
void status_print(const struct run_view *view, const struct status_style *style, struct text *out);
/* Only the lines, only the table: the end of `run` shows them too. */
void status_print_headline(const struct run_view *view, const struct status_style *style, struct text *out);
void status_print_stages(const struct run_view *view, const struct status_style *style, struct text *out);
/* "12 succeeded, 1 failed, 3 planned", appended; "nothing" for an empty run. */
void status_print_counts(const uint32_t counts[TASK_STATES], struct text *out);
/* {run, state, ..., stages: [{name, state, verdict, attempt, job, host, started, finished, evidence, members: [...]}]}
 */
/* The same into a text; without `stages` only what the run has of its own. */
void status_append_json(const struct run_view *view, bool stages, struct text *out);
void status_write_json(const struct run_view *view, struct output *output);

/* The escape sequence a state is shown in, "" for none. */
const char *status_color(enum task_state state);

#endif
