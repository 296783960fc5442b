/* SPDX-License-Identifier: BSD-3-Clause */
/* A task's output, printed and followed: `descpipe logs`. */
#ifndef DESCPIPE_REPORT_LOGS_H
#define DESCPIPE_REPORT_LOGS_H

#include "report/log_file.h"
#include "report/output.h"

struct logs_request {
    struct run_view *view;
    uint32_t task;
    uint32_t attempt; /* 0: the last one; with follow also those to come */
    bool out, err;    /* which; neither: both */
    bool follow;      /* until the task has ended for good */
    bool stamps;      /* when each line came, as far as it was seen coming */
    bool harmless;    /* for a terminal; else byte for byte */
    int stop;         /* readable: stop following; -1: nothing to watch */
};
/* false with ERROR_INPUT when there is no log (yet) and nothing to wait for. Failures of the output are kept by it. */
bool logs_print(const struct logs_request *request, struct output *output, struct error *error);

#endif
