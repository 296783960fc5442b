/* SPDX-License-Identifier: BSD-3-Clause */
/* Is the tool here, which one is it, and what does this machine let it do? Facts for `doctor`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool/run.h"

#include "singularity.h"

struct probe {
    struct singularity *singularity;
    struct descpipe_call *call;
    struct descpipe_process *process;
};

static void fail_probe(struct probe *probe, const char *message, const char *hint)
{
    const struct descpipe_call_service *call = probe->singularity->host->call;
    if (call->cancelled(probe->call))
        call->fail(probe->call, DESCPIPE_FAILED_CANCELLED, "the probe was cancelled", NULL);
    else
        call->fail(probe->call, DESCPIPE_FAILED_UNSUPPORTED, message, hint);
    free(probe);
}

/* A number in a file of the kernel, or -1. */
static long kernel_number(const char *path)
{
    long number = -1;
    char line[64];
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return -1;
    if (fgets(line, sizeof line, file) != NULL)
        number = strtol(line, NULL, 10);
    fclose(file);
    return number;
}

static bool user_namespaces_work(void)
{
    return kernel_number("/proc/sys/kernel/unprivileged_userns_clone") != 0 &&
           kernel_number("/proc/sys/user/max_user_namespaces") != 0;
}

static void version_ended(void *context, const struct tool_end *end)
{
    struct probe *probe = context;
    struct singularity *singularity = probe->singularity;
    const struct descpipe_answer_service *answer = singularity->host->answer;
    char message[TOOL_LINE_LIMIT + 256];
    struct version version = {0};
    probe->process = NULL;
    if (!end->good || !version_parse(end->output, &version) || !version_is_enough(&version)) {
        snprintf(message, sizeof message, "'%.500s' cannot be used: %s", singularity->tool,
                 version.known ? "it is older than Apptainer 1.0 or Singularity 3.7"
                 : end->good   ? "it does not say a version"
                               : end->words);
        fail_probe(probe, message, SINGULARITY_TOOL_HINT);
        return;
    }
    singularity->version = version;
    answer->fact(probe->call, "version", version.text);
    answer->fact(probe->call, "user namespaces",
                 user_namespaces_work() ? "allowed" : "not allowed: the tool must be set-user-id");
    answer->fact(probe->call, "paths with ':' and ','", version_has_mount(&version) ? "yes" : "no");
    answer->fact(probe->call, "who pulls", singularity->pull_on_node ? "each node" : "this machine");
    if (singularity->cache != NULL)
        answer->fact(probe->call, "cache", singularity->cache);
    singularity->host->call->succeed(probe->call);
    free(probe);
}

static void cancel_wished(void *context)
{
    struct probe *probe = context;
    if (probe->process != NULL)
        probe->singularity->host->process->stop(probe->process);
}

void singularity_probe(void *self, struct descpipe_call *call)
{
    struct singularity *singularity = self;
    const struct descpipe_host *host = singularity->host;
    if (singularity->tool == NULL) {
        host->call->fail(call, DESCPIPE_FAILED_UNSUPPORTED, SINGULARITY_TOOL_MESSAGE, SINGULARITY_TOOL_HINT);
        return;
    }
    struct probe *probe = calloc(1, sizeof *probe);
    if (probe == NULL) {
        host->call->fail(call, DESCPIPE_FAILED_LATER, "out of memory", NULL);
        return;
    }
    *probe = (struct probe){.singularity = singularity, .call = call};
    host->answer->fact(call, "tool", singularity->tool);
    const char *const argv[] = {singularity->tool, "--version", NULL};
    const struct tool_request request = {.argv = argv, .done = version_ended, .context = probe};
    probe->process = tool_run(host, &request);
    if (probe->process == NULL)
        fail_probe(probe, "out of memory", NULL);
    else
        host->call->on_cancel(call, cancel_wished, probe);
}
