/* SPDX-License-Identifier: BSD-3-Clause */
/* Is Charliecloud here, and which one? Facts for `doctor`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool/run.h"

#include "charliecloud.h"

struct probe {
    struct charliecloud *charliecloud;
    struct descpipe_call *call;
    struct descpipe_process *process;
};

static void version_ended(void *context, const struct tool_end *end)
{
    struct probe *probe = context;
    const struct charliecloud *charliecloud = probe->charliecloud;
    const struct descpipe_host *host = charliecloud->host;
    char line[TOOL_LINE_LIMIT + 256];
    probe->process = NULL;
    if (host->call->cancelled(probe->call)) {
        host->call->fail(probe->call, DESCPIPE_FAILED_CANCELLED, "the probe was cancelled", NULL);
    } else if (!end->good) {
        snprintf(line, sizeof line, "'%.500s --version' failed: %s", charliecloud->run, end->words);
        host->call->fail(probe->call, DESCPIPE_FAILED_UNSUPPORTED, line, CHARLIECLOUD_TOOL_HINT);
    } else {
        const char *said = end->output[0] != '\0' ? end->output : end->errors; /* 0.31 says it on standard error */
        snprintf(line, sizeof line, "%.*s", (int)strcspn(said, "\r\n"), said);
        host->answer->fact(probe->call, "version", line);
        host->answer->fact(probe->call, "pulls",
                           charliecloud->image != NULL && charliecloud->convert != NULL
                               ? "with ch-image"
                               : "no: ch-image or ch-convert is missing");
        host->answer->fact(probe->call, "inputs", "copies: there is no read-only bind");
        if (charliecloud->cache != NULL)
            host->answer->fact(probe->call, "cache", charliecloud->cache);
        host->call->succeed(probe->call);
    }
    free(probe);
}

static void cancel_wished(void *context)
{
    struct probe *probe = context;
    if (probe->process != NULL)
        probe->charliecloud->host->process->stop(probe->process);
}

void charliecloud_probe(void *self, struct descpipe_call *call)
{
    static const char *const environment[] = {"USER=descpipe", "PATH=/usr/bin:/bin", NULL};
    struct charliecloud *charliecloud = self;
    const struct descpipe_host *host = charliecloud->host;
    if (charliecloud->run == NULL) {
        host->call->fail(call, DESCPIPE_FAILED_UNSUPPORTED, "ch-run is not on this machine", CHARLIECLOUD_TOOL_HINT);
        return;
    }
    struct probe *probe = calloc(1, sizeof *probe);
    if (probe == NULL) {
        host->call->fail(call, DESCPIPE_FAILED_LATER, "out of memory", NULL);
        return;
    }
    *probe = (struct probe){.charliecloud = charliecloud, .call = call};
    host->answer->fact(call, "tool", charliecloud->run);
    const char *const argv[] = {charliecloud->run, "--version", NULL};
    const struct tool_request request = {
        .argv = argv, .environment = environment, .done = version_ended, .context = probe};
    probe->process = tool_run(host, &request);
    if (probe->process == NULL) {
        host->call->fail(call, DESCPIPE_FAILED_LATER, "out of memory", NULL);
        free(probe);
    } else {
        host->call->on_cancel(call, cancel_wished, probe);
    }
}
