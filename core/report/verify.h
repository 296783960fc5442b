/* SPDX-License-Identifier: BSD-3-Clause */
/* Is a run still what its journal says: the chain of the journal, its records, and every file by its content. */
#ifndef DESCPIPE_REPORT_VERIFY_H
#define DESCPIPE_REPORT_VERIFY_H

#include "report/run_view.h"

struct verified { /* how much was found to be as it was */
    uint64_t records, outputs, inputs, plugins;
    uint64_t removed; /* outputs that the run itself removed: `keep: final` */
    uint64_t cached;  /* tasks whose results are another run's: verify that one */
};
/* False with ERROR_DIFFERS and the first thing that differs, in this order: journal, provenance.json, outputs, what was
 * read, plugins. An output that a later run has replaced is looked for in its attempt's own folder. */
bool verify_run(const struct run_view *view, const char *version, struct verified *verified, struct error *error);

#endif
