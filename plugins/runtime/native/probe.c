/* SPDX-License-Identifier: BSD-3-Clause */
/* Does bubblewrap work here? Its version, then a container with every namespace that stages need. */
#include "native.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROBE_LINE_LIMIT 512
#define PROBE_TIMEOUT_MS 10000

struct probe {
    struct native *native;
    struct descpipe_call *call;
    struct descpipe_process *process;
    char line[PROBE_LINE_LIMIT]; /* the first line of the tool that runs */
};

static void keep_first_line(void *context, uint32_t stream, const char *line, uint64_t length)
{
    struct probe *probe = context;
    (void)stream;
    if (probe->line[0] != '\0')
        return;
    size_t kept = length < sizeof probe->line - 1 ? (size_t)length : sizeof probe->line - 1;
    memcpy(probe->line, line, kept);
    probe->line[kept] = '\0';
}

static void run_tool(struct probe *probe, const char *const *argv,
                     void (*ended)(void *context, const struct descpipe_process_end *end))
{
    const struct descpipe_host *host = probe->native->host;
    probe->line[0] = '\0';
    struct descpipe_process_request request = {.size = sizeof request,
                                               .argv = argv,
                                               .timeout_ms = PROBE_TIMEOUT_MS,
                                               .line = keep_first_line,
                                               .ended = ended,
                                               .context = probe};
    probe->process = host->process->start(host, &request);
}

static void stop_tool(void *context)
{
    struct probe *probe = context;
    probe->native->host->process->stop(probe->process);
}

static void fail_probe(struct probe *probe, const char *message, const char *hint)
{
    const struct descpipe_call_service *call = probe->native->host->call;
    if (call->cancelled(probe->call))
        call->fail(probe->call, DESCPIPE_FAILED_CANCELLED, "the probe was cancelled", NULL);
    else
        call->fail(probe->call, DESCPIPE_FAILED_UNSUPPORTED, message, hint);
    free(probe);
}

static void container_ended(void *context, const struct descpipe_process_end *end)
{
    struct probe *probe = context;
    const struct descpipe_host *host = probe->native->host;
    if (end->started && end->exit_code == 0) {
        host->answer->fact(probe->call, "user namespaces", geteuid() == 0 ? "not needed by root" : "work");
        host->answer->fact(probe->call, "rootless", geteuid() == 0 ? "no: stages run as root, like the caller" : "yes");
        host->answer->fact(probe->call, "store", probe->native->store);
        host->call->succeed(probe->call);
        free(probe);
        return;
    }
    char message[PROBE_LINE_LIMIT + 128];
    snprintf(message, sizeof message, "'%s' cannot make a container here: %s", probe->native->tool,
             end->timed_out           ? "no answer in 10 s"
             : probe->line[0] != '\0' ? probe->line
             : end->message != NULL   ? end->message
                                      : "it ended without a word");
    fail_probe(
        probe, message,
        "allow user namespaces: sysctl kernel.unprivileged_userns_clone=1 and user.max_user_namespaces above 0, on "
        "Ubuntu kernel.apparmor_restrict_unprivileged_userns=0; inside a container its seccomp profile must "
        "allow them");
}

static void version_ended(void *context, const struct descpipe_process_end *end)
{
    struct probe *probe = context;
    struct native *native = probe->native;
    if (!end->started || end->exit_code != 0 || native->host->call->cancelled(probe->call)) {
        char message[PROBE_LINE_LIMIT + 128];
        snprintf(message, sizeof message, "'%s --version' failed: %s", native->tool,
                 probe->line[0] != '\0' ? probe->line
                 : end->message != NULL ? end->message
                                        : "it ended without a word");
        fail_probe(probe, message, NATIVE_TOOL_HINT);
        return;
    }
    const char *version = strncmp(probe->line, "bubblewrap ", 11) == 0 ? probe->line + 11 : probe->line;
    native->host->answer->fact(probe->call, "version", version);
    const char *const argv[] = {native->tool,
                                "--ro-bind",
                                "/",
                                "/",
                                "--unshare-pid",
                                "--unshare-ipc",
                                "--unshare-uts",
                                "--unshare-net",
                                "--proc",
                                "/proc",
                                "--dev",
                                "/dev",
                                "--",
                                "/bin/true",
                                NULL};
    run_tool(probe, argv, container_ended);
}

void native_probe(void *self, struct descpipe_call *call)
{
    struct native *native = self;
    const struct descpipe_host *host = native->host;
    if (native->tool == NULL) {
        host->call->fail(call, DESCPIPE_FAILED_UNSUPPORTED, "bubblewrap (bwrap) is not on this machine",
                         NATIVE_TOOL_HINT);
        return;
    }
    if (!native_has_store(native, call))
        return;
    struct probe *probe = calloc(1, sizeof *probe);
    if (probe == NULL) {
        host->call->fail(call, DESCPIPE_FAILED_LATER, "out of memory", NULL);
        return;
    }
    probe->native = native;
    probe->call = call;
    host->answer->fact(call, "tool", native->tool);
    const char *const argv[] = {native->tool, "--version", NULL};
    run_tool(probe, argv, version_ended);
    host->call->on_cancel(call, stop_tool, probe);
}
