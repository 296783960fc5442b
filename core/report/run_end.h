/* SPDX-License-Identifier: BSD-3-Clause */
/* What `run` says at the end: the table, where the results are, and what to type next when something failed. */
#ifndef DESCPIPE_REPORT_RUN_END_H
#define DESCPIPE_REPORT_RUN_END_H

#include "report/run_view.h"
#include "report/terminal.h"

struct run_end_style {
    const struct terminal *terminal;
    bool quiet; /* only what failed */
    int64_t now_ms;
};
void run_end_print(const struct run_view *view, const struct run_end_style *style, struct text *out);

#endif
