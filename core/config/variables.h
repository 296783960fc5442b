/* SPDX-License-Identifier: BSD-3-Clause */
/* ${VAR}, ${VAR:-default} and $$ in the texts of a document. */
#ifndef DESCPIPE_CONFIG_VARIABLES_H
#define DESCPIPE_CONFIG_VARIABLES_H

#include "base/text.h"

/* Appends the text with its variables replaced. ${each.KEY} is left for the stage's members, and so is $${each.KEY},
 * which stage_expand turns into the words ${each.KEY}. A dollar before anything but '{' and '$' stands for itself.
 * false: `problem` says why (no value of any variable in it), `hint` may be set, `at` is the offset in `text` of the
 * '$'. */
struct variables_problem {
    struct text message;
    const char *hint;
    size_t at;
};
bool variables_replace(const char *text, size_t length, struct text *out, struct variables_problem *problem);

#endif
