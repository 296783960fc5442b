/* SPDX-License-Identifier: BSD-3-Clause */
/* In the engine's process, with the working folder's lease still its own. */
#include "command/runs/run_over.h"

#include "base/log.h"
#include "base/path.h"
#include "command/runs/old_runs.h"
#include "report/run_records.h"
#include "report/status.h"

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
    run_records_write(ended->folder, ended->own, ended->version);
    if (ended->succeeded && ended->pipeline->keep == KEEP_RUNS)
        let_go(ended);
}

const char *run_describe(const char *run_folder, bool stages, struct text *json)
{
    static const char *const states[] = {"succeeded", "failed", "cancelled"};
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(run_view_free) struct run_view *view = run_view_open(run_folder, 0, &error);
    if (view == NULL) {
        log_warning("on-exit: %s", error.message);
        return "unknown";
    }
    run_view_read(view, 0, NULL, NULL);
    status_append_json(view, stages, json);
    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        if (text_equal(run_view_state(view), states[i]))
            return states[i];
    return "unknown";
}
