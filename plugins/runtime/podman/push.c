/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sends an image of Podman's storage to a registry: `push`.
 *
 * How it works: `podman push` compresses and sends what the registry lacks, with a login file that lives while it runs,
 * and writes the digest of the manifest that it made into a file beside that.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "registry/ownership.h"

#include "tool/access.h"
#include "tool/environment.h"
#include "tool/facts.h"
#include "tool/run.h"

#include "podman.h"

#define DIGEST_FILE "digest"

struct push {
    struct podman *podman;
    struct descpipe_call *call;         /* NULL once it ended while a login was awaited */
    const struct descpipe_push *wanted; /* lives until the call is finished */
    bool stopped;
    char *source; /* what Podman calls it: its id, or a reference */
    struct access_files files;
    struct descpipe_process *process;
    struct arguments argv, environment;
    struct failure failure;
};

static void push_free(struct push *push)
{
    arguments_clear(&push->argv);
    arguments_clear(&push->environment);
    failure_clear(&push->failure);
    access_files_remove(&push->files);
    free(push->source);
    free(push);
}

static void finish_failure(struct push *push)
{
    failure_finish(&push->failure, push->podman->host, push->call);
    push_free(push);
}

static void finish_failed(struct push *push, uint32_t kind, const char *hint, const char *words)
{
    failure_set(&push->failure, kind, "pushing '%.300s': %s", push->wanted->target->reference, words);
    if (hint != NULL)
        failure_hint(&push->failure, "%s", hint);
    finish_failure(push);
}

/* "" when Podman wrote none. */
static void read_digest(const struct push *push, char digest[80])
{
    char path[4096];
    snprintf(path, sizeof path, "%s/" DIGEST_FILE, push->files.folder);
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t got = file >= 0 ? read(file, digest, 79) : -1;
    if (file >= 0)
        close(file);
    digest[got > 0 ? got : 0] = '\0';
    digest[strcspn(digest, " \n")] = '\0';
}

static void sent(void *context, const struct tool_end *end)
{
    struct push *push = context;
    const struct descpipe_host *host = push->podman->host;
    const char *hint = NULL;
    char digest[80] = "";
    push->process = NULL;
    if (push->stopped) {
        finish_failed(push, DESCPIPE_FAILED_CANCELLED, NULL, "cancelled");
        return;
    }
    if (!end->good) {
        uint32_t kind = podman_judge(end->errors, &hint);
        const char *refusal = strstr(end->words, "unauthorized: "); /* behind all that Podman was about to do */
        finish_failed(push, kind, hint, refusal != NULL ? refusal : end->words);
        return;
    }
    read_digest(push, digest);
    const struct descpipe_image_identity identity = {.size = sizeof identity,
                                                     .present = 1,
                                                     .config_digest =
                                                         image_digest_valid(push->source) ? push->source : NULL,
                                                     .manifest_digest = image_digest_valid(digest) ? digest : NULL};
    host->answer->identity(push->call, &identity);
    host->call->succeed(push->call);
    push_free(push);
}

static void send(struct push *push, const struct descpipe_credential *credential)
{
    struct podman *podman = push->podman;
    const char *parent = podman->cache != NULL ? podman->cache : "/tmp";
    const char *target = push->wanted->target->reference;
    cleanup(memory_free) char *reference = access_reference(target, credential, &push->failure);
    if (reference == NULL ||
        !access_files_make(&push->files, podman->host, parent, reference, credential, &push->failure) ||
        (push->files.folder == NULL && !access_folder_make(&push->files, parent, &push->failure))) {
        finish_failure(push);
        return;
    }
    podman_begin(podman, &push->argv);
    podman_environment(podman, &push->environment);
    environment_add_proxy(&push->environment, credential != NULL ? credential->proxy : NULL);
    arguments_add(&push->argv, "push");
    arguments_add(&push->argv, "--quiet");
    arguments_add(&push->argv, "--digestfile");
    arguments_add(&push->argv, DIGEST_FILE);
    podman_add_access(&push->argv, &push->files, credential);
    arguments_add(&push->argv, push->source);
    arguments_add(&push->argv, arguments_format(&push->argv, "docker://%s", reference));
    const struct tool_request request = {.argv = push->argv.words,
                                         .environment = push->environment.words,
                                         .directory = push->files.folder,
                                         .timeout_ms = podman->pull_timeout_ms,
                                         .done = sent,
                                         .context = push};
    push->process = push->argv.failed || push->environment.failed ? NULL : tool_run(podman->host, &request);
    if (push->process == NULL)
        finish_failed(push, DESCPIPE_FAILED_LATER, NULL, "out of memory");
}

static void got_login(void *context, const struct descpipe_credential *credential, const char *message)
{
    struct push *push = context;
    if (push->call == NULL)
        push_free(push);
    else if (message != NULL)
        finish_failed(push, DESCPIPE_FAILED_NEEDS_LOGIN, NULL, message);
    else
        send(push, credential);
}

static void cancel_wished(void *context)
{
    struct push *push = context;
    const struct descpipe_host *host = push->podman->host;
    push->stopped = true;
    if (push->process != NULL) {
        host->process->stop(push->process);
        return;
    }
    struct descpipe_call *call = push->call;
    push->call = NULL;
    host->call->fail(call, DESCPIPE_FAILED_CANCELLED, "cancelled while the login was asked for", NULL);
}

void podman_push(void *self, struct descpipe_call *call, const struct descpipe_push *wanted)
{
    struct podman *podman = self;
    const struct descpipe_host *host = podman->host;
    const char *source = wanted->image_handle != NULL ? wanted->image_handle : wanted->image->reference;
    if (wanted->image->source != DESCPIPE_SOURCE_REGISTRY) {
        host->call->fail(call, DESCPIPE_FAILED_UNSUPPORTED, "runtime 'podman' pushes only what has a registry's name",
                         "runtime native pushes archives and layouts");
        return;
    }
    if (podman->tool == NULL) {
        host->call->fail(call, DESCPIPE_FAILED_UNSUPPORTED, PODMAN_TOOL_MESSAGE, PODMAN_TOOL_HINT);
        return;
    }
    struct push *push = calloc(1, sizeof *push);
    if (push == NULL || (push->source = strdup(source)) == NULL) {
        free(push);
        host->call->fail(call, DESCPIPE_FAILED_LATER, "out of memory", NULL);
        return;
    }
    push->podman = podman;
    push->call = call;
    push->wanted = wanted;
    host->call->on_cancel(call, cancel_wished, push);
    host->credential->for_image(host, wanted->target, DESCPIPE_PURPOSE_PUSH, got_login, push);
}
