/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Problems of an input: all of them at once, each `file:line:column: level: message` with a hint. Kept in
 * the order found, printed sorted by file, line and column. At most PROBLEMS_LIMIT are kept; the rest are counted.
 */
#ifndef DESCPIPE_BASE_PROBLEM_H
#define DESCPIPE_BASE_PROBLEM_H

#include <stddef.h>
#include <stdio.h>

#include "base/error.h"
#include "base/text.h"

enum problem_level { PROBLEM_ERROR = 1, PROBLEM_WARNING, PROBLEM_NOTE };

#define PROBLEMS_LIMIT 1000

struct problem {
    enum problem_level level;
    uint32_t line, column; /* 0: the file as a whole */
    char *file;            /* owned, NULL: no file (command line, environment) */
    char *message;
    char *hint;            /* or NULL */
};

struct problems {
    struct problem *items;
    size_t count, capacity;
    size_t errors, warnings, notes; /* counted even past the limit */
};

struct place { /* where in an input file; borrowed */
    const char *file;
    uint32_t line, column;
};

void problems_clear(struct problems *problems);
static inline void problems_clear_at(struct problems *place) { problems_clear(place); }
/* hint may be NULL. */
void problem_add(struct problems *problems, enum problem_level level, struct place place, const char *hint,
                 const char *format, ...) __attribute__((format(printf, 5, 6)));
void problem_from_error(struct problems *problems, const struct error *error);
void problems_sort(struct problems *problems);
const char *problem_level_name(enum problem_level level); /* "error", "warning", "note" */
/* Human text, one or two lines each ("  hint: ..."), appended. */
void problems_print(const struct problems *problems, struct text *out);
/* {level, file, line, column, message, hint}, without a newline, appended. */
void problem_append_json(const struct problem *problem, struct text *out);
/* {"problems": [{level, file, line, column, message, hint}]} as docs/cli says, appended. */
void problems_print_json(const struct problems *problems, struct text *out);

#endif
