/* SPDX-License-Identifier: BSD-3-Clause */
/* In the engine's process, with the working folder's lease still its own. */
#include "command/runs/run_over.h"

#include "base/log.h"
#include "base/path.h"
#include "command/runs/old_runs.h"
#include "report/run_records.h"

static void let_go(const struct run_ended *ended)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(memory_free) char *descpipe = path_join(ended->pipeline->working, ".descpipe");
    cleanup(old_runs_clear) struct old_runs runs = {.items = {.items = NULL}};
    const struct old_runs_request request = {.descpipe = descpipe, .keep = ended->pipeline->keep_runs};
    if (!old_runs_find(&request, &runs, &error) || !old_runs_remove(&runs, &error))
        log_warning("what runs before this one left is still there ('keep'): %s", error.message);
}

void run_over(const struct run_ended *ended)
{
    run_records_write(ended->folder, ended->version);
    if (ended->succeeded && ended->pipeline->keep == KEEP_RUNS)
        let_go(ended);
}
