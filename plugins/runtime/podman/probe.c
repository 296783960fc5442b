/* SPDX-License-Identifier: BSD-3-Clause */
/* Is Podman here, which one, and can it make containers for this account? Facts for `doctor`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool/run.h"

#include "podman.h"

#define INFO_FORMAT                                                                                                    \
    "{{.Version.Version}}\n{{.Store.GraphDriverName}}\n{{.Store.GraphRoot}}\n{{.Host.CgroupsVersion}}\n"               \
    "{{.Host.OCIRuntime.Name}}"

struct probe {
    struct podman *podman;
    struct descpipe_call *call;
    struct descpipe_process *process;
    struct arguments argv, environment;
};

static void probe_free(struct probe *probe)
{
    arguments_clear(&probe->argv);
    arguments_clear(&probe->environment);
    free(probe);
}

static void info_ended(void *context, const struct tool_end *end)
{
    static const char *const names[] = {"version", "storage driver", "storage", "cgroup version", "OCI runtime"};
    struct probe *probe = context;
    const struct descpipe_host *host = probe->podman->host;
    char message[TOOL_LINE_LIMIT + 256], line[1024];
    probe->process = NULL;
    if (host->call->cancelled(probe->call)) {
        host->call->fail(probe->call, DESCPIPE_FAILED_CANCELLED, "the probe was cancelled", NULL);
    } else if (!end->good) {
        snprintf(message, sizeof message, "'%.500s info' failed: %s", probe->podman->tool, end->words);
        host->call->fail(
            probe->call, DESCPIPE_FAILED_UNSUPPORTED, message,
            "does `podman info` work for this account? Without root it needs sub-uids and user namespaces");
    } else {
        const char *place = end->output;
        for (size_t i = 0; i < sizeof names / sizeof names[0] && *place != '\0'; i++) {
            size_t length = strcspn(place, "\n");
            snprintf(line, sizeof line, "%.*s", (int)length, place);
            host->answer->fact(probe->call, names[i], line);
            place += length + (place[length] == '\n');
        }
        host->answer->fact(probe->call, "images of jobs",
                           probe->podman->hpc ? "squashed where every node sees them" : "got by each node");
        host->answer->fact(probe->call, "rootless", geteuid() == 0 ? "no" : "yes");
        host->answer->fact(probe->call, "limits", probe->podman->limits ? "enforced" : "not enforced");
        host->call->succeed(probe->call);
    }
    probe_free(probe);
}

static void cancel_wished(void *context)
{
    struct probe *probe = context;
    if (probe->process != NULL)
        probe->podman->host->process->stop(probe->process);
}

void podman_probe(void *self, struct descpipe_call *call)
{
    static const char *const words[] = {"info", "--format", INFO_FORMAT, NULL};
    struct podman *podman = self;
    const struct descpipe_host *host = podman->host;
    if (podman->tool == NULL) {
        host->call->fail(call, DESCPIPE_FAILED_UNSUPPORTED, PODMAN_TOOL_MESSAGE, PODMAN_TOOL_HINT);
        return;
    }
    struct probe *probe = calloc(1, sizeof *probe);
    if (probe == NULL) {
        host->call->fail(call, DESCPIPE_FAILED_LATER, "out of memory", NULL);
        return;
    }
    *probe = (struct probe){.podman = podman, .call = call};
    host->answer->fact(call, "tool", podman->tool);
    podman_begin(podman, &probe->argv);
    arguments_add_list(&probe->argv, words);
    podman_environment(podman, &probe->environment);
    const struct tool_request request = {
        .argv = probe->argv.words, .environment = probe->environment.words, .done = info_ended, .context = probe};
    probe->process = probe->argv.failed || probe->environment.failed ? NULL : tool_run(host, &request);
    if (probe->process == NULL) {
        host->call->fail(call, DESCPIPE_FAILED_LATER, "out of memory", NULL);
        probe_free(probe);
    } else {
        host->call->on_cancel(call, cancel_wished, probe);
    }
}
