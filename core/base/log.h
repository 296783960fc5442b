/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages of the program to standard error (or where log_to says), one line each: "descpipe: warning: ...". */
#ifndef DESCPIPE_BASE_LOG_H
#define DESCPIPE_BASE_LOG_H

#include "base/error.h"

enum log_level { LOG_LEVEL_ERROR = 1, LOG_LEVEL_WARNING, LOG_LEVEL_NOTICE, LOG_LEVEL_DEBUG };

void log_set_level(enum log_level level); /* default LOG_LEVEL_NOTICE */
void log_to(int descriptor);              /* default 2; not owned */
void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...) log_write(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)
/* The error with its place and hint, as users see it. */
void log_error(const struct error *error);

#endif
