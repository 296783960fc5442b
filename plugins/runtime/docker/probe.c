/* SPDX-License-Identifier: BSD-3-Clause */
/* Is Docker here, which one, and how is it reached: facts for `doctor`. */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "docker.h"

enum { CLIENT_TIMEOUT_MS = 20000 };

struct probe {
    struct docker *docker;
    struct descpipe_call *call;
    struct exchange *exchange;        /* the question that is open, or */
    struct descpipe_process *process; /* the client that runs */
    struct bytes line, errors;
};

static void free_probe(struct probe *probe)
{
    bytes_clear(&probe->line);
    bytes_clear(&probe->errors);
    free(probe);
}

static void fact(struct probe *probe, const char *name, const char *value)
{
    if (value[0] != '\0') {
        probe->docker->host->answer->fact(probe->call, name, value);
    }
}

static void cancelled(void *context)
{
    struct probe *probe = context;
    if (probe->process != NULL) {
        probe->docker->host->process->stop(probe->process);
    } else {
        docker_stop_asking(probe->exchange);
    }
}

/* Takes the probe. */
static void ask(struct probe *probe, const char *path, void (*done)(void *context, const struct docker_reply *reply))
{
    struct docker *docker = probe->docker;
    struct docker_request request = {.method = "GET", .path = path, .done = done, .context = probe};
    probe->exchange = docker_ask(docker, &request);
    if (probe->exchange == NULL) {
        docker_fail_memory(docker, probe->call);
        free_probe(probe);
        return;
    }
    docker->host->call->on_cancel(probe->call, cancelled, probe);
}

static void info_came(void *context, const struct docker_reply *reply)
{
    struct probe *probe = context;
    struct engine_info info;
    if (docker_answered(reply, 200) && answer_read_info(reply->body, reply->length, &info)) {
        fact(probe, "storage-driver", info.storage_driver);
        fact(probe, "cgroup-version", info.cgroup_version);
        fact(probe, "rootless", info.rootless ? "yes" : "no");
        probe->docker->host->call->succeed(probe->call);
    } else {
        docker_fail(probe->docker, probe->call, docker_failure(reply), reply->hint, "%s",
                    reply->words[0] != '\0' ? reply->words : "Docker's answer to /info cannot be read");
    }
    free_probe(probe);
}

static void version_came(void *context, const struct docker_reply *reply)
{
    struct probe *probe = context;
    struct docker *docker = probe->docker;
    struct engine_version version;
    char text[64], path[PATH_MAX];
    if (!docker_answered(reply, 200) || !answer_read_version(reply->body, reply->length, &version)) {
        docker_fail(docker, probe->call, docker_failure(reply), reply->hint, "%s",
                    reply->words[0] != '\0' ? reply->words : "Docker's answer to /version cannot be read");
        free_probe(probe);
        return;
    }
    fact(probe, "version", version.version);
    fact(probe, "address", docker->address.text);
    fact(probe, "system", version.system);
    snprintf(text, sizeof(text), "1.%" PRIu32 " of 1.%" PRIu32, docker->api % 1000, version.api % 1000);
    fact(probe, "api", text);
    if (docker->host->process->find(docker->host, docker->command[0], path, sizeof(path)) != 0) {
        fact(probe, "client", path);
    }
    ask(probe, "/info", info_came);
}

static void line_came(void *context, uint32_t stream, const char *line, uint64_t length)
{
    struct probe *probe = context;
    struct bytes *into = stream == 1 ? &probe->line : &probe->errors;
    if (into->length == 0) {
        bytes_add_line(into, line, (size_t)length, ANSWER_WORDS - 4);
    }
}

static void client_ended(void *context, const struct descpipe_process_end *end)
{
    struct probe *probe = context;
    struct docker *docker = probe->docker;
    if (docker->host->call->cancelled(probe->call)) {
        docker_fail(docker, probe->call, DESCPIPE_FAILED_CANCELLED, NULL, "stopped");
    } else if (end->started && end->exit_code == 0) {
        char *server = probe->line.data != NULL ? strchr(probe->line.data, ' ') : NULL;
        fact(probe, "version", server != NULL ? server + 1 : "");
        if (server != NULL) {
            *server = '\0';
        }
        fact(probe, "client-version", bytes_text(&probe->line));
        fact(probe, "client", docker->command[0]);
        docker->host->call->succeed(probe->call);
    } else {
        const char *words = probe->errors.length > 0 ? bytes_text(&probe->errors)
                            : end->message != NULL   ? end->message
                                                     : "it failed without words";
        docker_fail(docker, probe->call, DESCPIPE_FAILED_CANNOT_ASK,
                    "start Docker, set the option `command`, or use --runtime=native", "the docker client '%.100s': %s",
                    docker->command[0], words);
    }
    free_probe(probe);
}

static void probe_client(struct probe *probe)
{
    struct docker *docker = probe->docker;
    const char *const words[] = {"version", "--format", "{{.Client.Version}} {{.Server.Version}}", NULL};
    struct texts argv = {0}, environment = {0};
    texts_add_all(&argv, docker->command);
    texts_add_all(&argv, words);
    if (!client_environment(docker, &environment) || argv.failed) {
        docker_fail_memory(docker, probe->call);
        free_probe(probe);
    } else {
        struct descpipe_process_request request = {.size = sizeof(request),
                                                   .argv = texts_list(&argv),
                                                   .environment = texts_list(&environment),
                                                   .timeout_ms = CLIENT_TIMEOUT_MS,
                                                   .line = line_came,
                                                   .ended = client_ended,
                                                   .context = probe};
        probe->process = docker->host->process->start(docker->host, &request);
        docker->host->call->on_cancel(probe->call, cancelled, probe);
    }
    texts_clear(&argv);
    texts_clear(&environment);
}

void docker_probe(void *self, struct descpipe_call *call)
{
    struct docker *docker = self;
    struct probe *probe = calloc(1, sizeof(*probe));
    if (probe == NULL) {
        docker_fail_memory(docker, call);
        return;
    }
    probe->docker = docker;
    probe->call = call;
    if (docker->by_client) {
        probe_client(probe);
    } else {
        ask(probe, "/version", version_came);
    }
}
