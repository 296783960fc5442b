/* SPDX-License-Identifier: BSD-3-Clause */
/* `descpipe cancel`: asks a run to stop, by a file in its folder, from any machine that sees it. */
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "command/chosen_run.h"
#include "command/command.h"
#include "run/machine.h"
#include "run/run_folder.h"

static const struct argument_positional positionals[] = {
    {.name = "RUN", .completion = COMPLETE_FILE, .help = "as for 'descpipe status'"},
    {.name = NULL},
};

static int run_cancel(struct invocation *invocation)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(run_view_free) struct run_view *view = chosen_run_open(command_word(invocation, 0), 0, &error);
    if (view == NULL)
        return command_fail(&error);
    const char *name = view->run != NULL ? view->run : view->folder;
    if (view->end_state != NULL) {
        error_set(&error, ERROR_INPUT, "run %s has ended already: %s", name, view->end_state);
        return command_fail(&error);
    }
    if (view->abandoned) {
        error_set(&error, ERROR_INPUT, "run %s is stopped: no descpipe follows it any more", name);
        return command_fail(&error);
    }
    struct machine machine;
    machine_read(&machine);
    const struct passwd *user = getpwuid(getuid());
    cleanup(memory_free) char *who = memory_format("%s@%s\n", user != NULL ? user->pw_name : "somebody", machine.host);
    cleanup(memory_free) char *path = path_join(view->folder, RUN_CANCEL_FILE);
    if (!file_write(path, who, strlen(who), 0600, &error))
        return command_fail(&error);
    log_notice("run %s was asked to stop; 'descpipe status %s' shows how far it is", name, name);
    return 0;
}

const struct command command_cancel = {
    .name = "cancel",
    .summary = "ask a run to stop",
    .description = "What runs is ended, nothing new is started. Returns at once.",
    .examples = "  descpipe cancel 20261121-06",
    .positionals = positionals,
    .run = run_cancel,
};
