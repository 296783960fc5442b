/* SPDX-License-Identifier: BSD-3-Clause */
/* The files a task wrote its output to, and lines of them made fit for a terminal. */
#ifndef DESCPIPE_REPORT_LOG_FILE_H
#define DESCPIPE_REPORT_LOG_FILE_H

#include "report/run_view.h"

enum log_stream { LOG_STREAM_OUT = 0, LOG_STREAM_ERR, LOG_STREAMS };
const char *log_stream_name(enum log_stream stream); /* "stdout", "stderr" */

/* logs/NNN/STAGE[.MEMBER].ATTEMPT.{out,err} of the run folder; owned; NULL when there is no such file (yet). */
char *log_file_find(const struct run_view *view, uint32_t task, uint32_t attempt, enum log_stream stream);

/* One line as a person may see it: escape sequences dropped, tabs as blanks, of what a carriage return overwrote only
 * the last, other control characters as \xNN, cut to `limit` bytes. Appended, without a newline. */
void log_line_append(const char *bytes, size_t length, size_t limit, struct text *out);
/* The last line of a file that says something, harmless; nothing is appended when there is none. */
void log_file_last_line(const char *path, size_t limit, struct text *out);
/* The last `lines` lines, harmless, each with `indent` before and a newline after. Returns how many. */
size_t log_file_tail(const char *path, size_t lines, const char *indent, struct text *out);

#endif
