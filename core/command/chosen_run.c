/* SPDX-License-Identifier: BSD-3-Clause */
/* Opens the run a word means. */
#include "command/chosen_run.h"

#include "run/run_folder.h"

struct run_view *chosen_run_open(const char *word, unsigned options, struct error *error)
{
    cleanup(memory_free) char *folder = NULL;
    if (!run_find(word, &folder, error))
        return NULL;
    struct run_view *view = run_view_open(folder, options, error);
    if (view == NULL)
        return NULL;
    run_view_read(view, 0, NULL, NULL);
    run_view_look_alive(view);
    return view;
}
