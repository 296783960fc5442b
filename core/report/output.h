/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What goes to standard output: buffered, written in large pieces, and a failure is noticed once and kept, so that a
 * full disk or a closed pipe never looks like success.
 */
#ifndef DESCPIPE_REPORT_OUTPUT_H
#define DESCPIPE_REPORT_OUTPUT_H

#include <stdbool.h>

#include "base/error.h"
#include "base/text.h"

struct output {
    int descriptor;   /* -1: the text is kept */
    struct text text; /* append here */
    int failure;      /* errno of the first failed write, 0: none; nothing is written after it */
};
void output_open(struct output *output, int descriptor);
void output_clear(struct output *output); /* frees, does not write */
static inline void output_clear_at(struct output *place)
{
    output_clear(place);
}
/* Between two things that belong together: writes when there is much. */
void output_ease(struct output *output);
void output_flush(struct output *output);
/* Flushes and says how all of it went. A closed pipe fails with an empty message: whoever reads has had enough. */
bool output_finish(struct output *output, struct error *error);

#endif
