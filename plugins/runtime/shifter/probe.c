/* SPDX-License-Identifier: BSD-3-Clause */
/* Is Shifter here, and does the site's image gateway answer? Facts for `doctor`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool/environment.h"
#include "tool/run.h"

#include "shifter.h"

struct probe {
    struct shifter *shifter;
    struct descpipe_call *call;
    struct descpipe_process *process;
    struct arguments environment;
};

static void images_ended(void *context, const struct tool_end *end)
{
    struct probe *probe = context;
    const struct descpipe_host *host = probe->shifter->host;
    probe->process = NULL;
    if (host->call->cancelled(probe->call)) {
        host->call->fail(probe->call, DESCPIPE_FAILED_CANCELLED, "the probe was cancelled", NULL);
    } else if (!end->started || strstr(end->output, "failed to contact the image gateway") != NULL) {
        host->call->fail(probe->call, DESCPIPE_FAILED_UNSUPPORTED, "the site's image gateway does not answer",
                         "ask the site; `shifterimg images` is the question");
    } else {
        host->answer->fact(probe->call, "image gateway", "answers");
        host->answer->fact(probe->call, "pins", "by the gateway's id: Shifter pulls tags only");
        host->answer->fact(probe->call, "mounts", "folders only, not below /etc, /var, /opt/udiImage");
        host->call->succeed(probe->call);
    }
    arguments_clear(&probe->environment);
    free(probe);
}

static void cancel_wished(void *context)
{
    struct probe *probe = context;
    if (probe->process != NULL)
        probe->shifter->host->process->stop(probe->process);
}

void shifter_probe(void *self, struct descpipe_call *call)
{
    struct shifter *shifter = self;
    const struct descpipe_host *host = shifter->host;
    if (shifter->run == NULL || shifter->images == NULL) {
        host->call->fail(call, DESCPIPE_FAILED_UNSUPPORTED, SHIFTER_TOOL_MESSAGE, SHIFTER_TOOL_HINT);
        return;
    }
    if (geteuid() == 0) {
        host->call->fail(call, DESCPIPE_FAILED_UNSUPPORTED, "Shifter runs nothing as root", "use an ordinary account");
        return;
    }
    struct probe *probe = calloc(1, sizeof *probe);
    if (probe == NULL) {
        host->call->fail(call, DESCPIPE_FAILED_LATER, "out of memory", NULL);
        return;
    }
    *probe = (struct probe){.shifter = shifter, .call = call};
    environment_add_basics(&probe->environment);
    host->answer->fact(call, "tool", shifter->run);
    const char *const argv[] = {shifter->images, "images", NULL};
    const struct tool_request request = {
        .argv = argv, .environment = probe->environment.words, .done = images_ended, .context = probe};
    probe->process = probe->environment.failed ? NULL : tool_run(host, &request);
    if (probe->process == NULL) {
        host->call->fail(call, DESCPIPE_FAILED_LATER, "out of memory", NULL);
        arguments_clear(&probe->environment);
        free(probe);
    } else {
        host->call->on_cancel(call, cancel_wished, probe);
    }
}
