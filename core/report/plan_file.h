/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plan.json, read stage by stage, so that a plan of 100,000 stages never stands in memory as a whole.
 *
 * How it works: a byte scanner that knows strings and brackets cuts the file into the top-level members and the
 * elements of `stages`; each cut is looked into on its own.
 */
#ifndef DESCPIPE_REPORT_PLAN_FILE_H
#define DESCPIPE_REPORT_PLAN_FILE_H

#include <jansson.h>
#include <stdbool.h>

#include "base/error.h"
#include "base/members.h"

#define PLAN_FILE_ELEMENT_LIMIT (64u << 20) /* bytes of one stage: a hundred thousand member names fit */

struct plan_file_reader {
    void (*member)(void *context, const char *name, const json_t *value); /* top-level, except `stages`; may be NULL */
    void (*stage)(void *context, const struct members *stage);            /* lives until it returns */
    void *context;
};
/* false when the file cannot be read or is not a plan; what came before the fault has been handed over. */
bool plan_file_read(const char *path, const struct plan_file_reader *reader, struct error *error);

#endif
