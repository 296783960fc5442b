/* SPDX-License-Identifier: BSD-3-Clause */
/* What a tool complained of when it could not pull an image, in the words of the libraries that such tools share. */
#ifndef RUNTIME_TOOL_JUDGE_H
#define RUNTIME_TOOL_JUDGE_H

#include <stddef.h>
#include <stdint.h>

struct complaint {
    const char *words; /* in upper or lower case */
    const char *hint;
    uint32_t kind; /* DESCPIPE_FAILED_ */
};

/* The kind of failure, of the tool's `own` words first. *hint stays when there is none. */
uint32_t judge_complaint(const char *errors, const struct complaint *own, size_t count, const char **hint);

#endif
