/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an image is and how it becomes a SIF: `identify` and `prepare`.
 *
 * The tool's version is asked for first, once: later launches, which may not wait, depend on it.
 */
#include "singularity.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "registry/ownership.h"

#include "tool/access.h"
#include "tool/cache.h"
#include "tool/environment.h"
#include "tool/judge.h"
#include "tool/node_image.h"
#include "tool/run.h"

#define SIF_NAME "image.sif"
#define SIF_MAGIC_OFFSET 32 /* after the line that makes it executable; SIF specification, "Global header" */
#define SIF_MAGIC "SIF_MAGIC"

struct looking {
    struct singularity *singularity;
    struct descpipe_call *call;
    const struct descpipe_image *image; /* lives until the call is finished */
    bool prepare;
    bool on_node; /* each node pulls a registry's image itself */
    bool waiting_for_login;
    struct descpipe_process *process;
    atomic_bool stop;
    struct image_facts facts;
    char *path;
    struct failure failure;
    struct descpipe_image own; /* of a file that was made here */
    char *reference;
};

static void looking_free(struct looking *looking)
{
    image_facts_clear(&looking->facts);
    failure_clear(&looking->failure);
    free(looking->path);
    free(looking->reference);
    free(looking);
}

static void finish_failed(struct looking *looking, uint32_t kind, const char *message, const char *hint)
{
    looking->singularity->host->call->fail(looking->call, kind, message, hint);
    looking_free(looking);
}

/* "repository:tag" of an archive or layout that holds several images. */
static const char *tagged(struct arguments *texts, const char *transport, const struct conversion_step *step)
{
    const char *tag = step->image->tag;
    return arguments_format(texts, "%s:%s%s%s", transport, step->source, tag != NULL ? ":" : "",
                            tag != NULL ? tag : "");
}

static const char *tool_source(const struct conversion_step *step)
{
    switch (step->image->source) {
    case DESCPIPE_SOURCE_DOCKER_ARCHIVE:
        return tagged(step->argv, "docker-archive", step);
    case DESCPIPE_SOURCE_OCI_ARCHIVE:
        return tagged(step->argv, "oci-archive", step);
    case DESCPIPE_SOURCE_OCI_LAYOUT:
        return tagged(step->argv, "oci", step);
    default:
        return arguments_format(step->argv, "docker://%s", step->source);
    }
}

/* Logins and ways go by the environment: an argv is seen by everybody on the machine. */
static bool add_access(const struct singularity *singularity, const struct conversion_step *step,
                       struct failure *failure)
{
    const struct descpipe_credential *credential = step->credential;
    const struct descpipe_secret_service *secret = singularity->host->secret;
    const char *prefix = singularity_prefix(singularity);
    struct arguments *environment = step->environment;
    if (credential == NULL)
        return true;
    if ((credential->access & DESCPIPE_ACCESS_UNVERIFIED_TLS) != 0 || credential->client_certificate != NULL)
        return failure_set(failure, DESCPIPE_FAILED_UNSUPPORTED,
                           "%s cannot be told of client certificates or to trust any certificate", singularity->tool) &&
               failure_hint(failure, "name the registry's CA with 'ca-file', or pull with another runtime");
    if (credential->username == NULL && credential->password != NULL)
        return failure_set(failure, DESCPIPE_FAILED_UNSUPPORTED, "%s takes a name and a password, not a bare token",
                           singularity->tool);
    if (credential->username != NULL) {
        const char *password = credential->password != NULL ? secret->reveal(credential->password, NULL) : "";
        arguments_add(environment,
                      arguments_format(environment, "%s_DOCKER_USERNAME=%s", prefix, credential->username));
        arguments_add(environment, arguments_format(environment, "%s_DOCKER_PASSWORD=%s", prefix, password));
    }
    if ((credential->access & DESCPIPE_ACCESS_PLAIN_HTTP) != 0)
        arguments_add(environment, arguments_format(environment, "%s_NOHTTPS=true", prefix));
    if (credential->ca_file != NULL) /* Go's own word for it */
        arguments_add(environment, arguments_format(environment, "SSL_CERT_FILE=%s", credential->ca_file));
    return true;
}

/* One command makes the file. */
static bool write_step(void *runtime, const struct conversion_step *step, struct failure *failure)
{
    const struct singularity *singularity = runtime;
    if (step->number > 0)
        return true;
    bool registry = step->image->source == DESCPIPE_SOURCE_REGISTRY;
    arguments_add(step->argv, singularity->tool);
    arguments_add(step->argv, registry ? "pull" : "build");
    arguments_add(step->argv, "--disable-cache"); /* two processes that share the tool's own have torn it before */
    arguments_add(step->argv, SIF_NAME);
    arguments_add(step->argv, tool_source(step));
    singularity_environment(singularity, step->environment);
    environment_add_proxy(step->environment, step->credential != NULL ? step->credential->proxy : NULL);
    return add_access(singularity, step, failure);
}

static uint32_t judge(const char *errors, const char **hint)
{
    static const struct complaint own[] = {
        {"denied:", "log in to the registry with an account that may read it", DESCPIPE_FAILED_NEEDS_LOGIN},
        {"no space left", "free some room, or name other folders with the options 'cache' and 'temporary'",
         DESCPIPE_FAILED_REFUSED},
    };
    return judge_complaint(errors, own, sizeof own / sizeof own[0], hint);
}

static const struct converter sif_converter = {
    .payload = SIF_NAME, .tool = "singularity", .step = write_step, .judge = judge};

static void convert(struct looking *looking)
{
    struct singularity *singularity = looking->singularity;
    const struct conversion_request request = {.host = singularity->host,
                                               .call = looking->call,
                                               .image = looking->image,
                                               .converter = &sif_converter,
                                               .runtime = singularity,
                                               .cache = singularity->cache,
                                               .only_look = !looking->prepare,
                                               .verify = singularity->verify,
                                               .timeout_ms = singularity->pull_timeout_ms};
    looking_free(looking);
    conversion_start(&request);
}

/* On a helper thread: a SIF is known by its content. */
static void read_sif(void *context)
{
    struct looking *looking = context;
    char magic[sizeof SIF_MAGIC - 1] = {0}, digest[72];
    cleanup(descriptor_close) int file = open(looking->path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        failure_system(&looking->failure, "image '%s'", looking->image->reference);
    } else if (pread(file, magic, sizeof magic, SIF_MAGIC_OFFSET) != (ssize_t)sizeof magic ||
               memcmp(magic, SIF_MAGIC, sizeof magic) != 0) {
        failure_set(&looking->failure, DESCPIPE_FAILED_REFUSED, "image '%s' is not a SIF file",
                    looking->image->reference);
    } else if (cache_file_digest(looking->path, &looking->stop, digest, &looking->failure)) {
        looking->facts.config_digest = strdup(digest);
        looking->facts.media_type = strdup("application/vnd.sylabs.sif.layer.v1.sif");
    }
}

static void sif_was_read(void *context)
{
    struct looking *looking = context;
    const struct descpipe_host *host = looking->singularity->host;
    if (looking->failure.kind != 0)
        failure_finish(&looking->failure, host, looking->call);
    else
        image_facts_answer(&looking->facts, host, looking->call, looking->path, true);
    looking_free(looking);
}

/* What is used as it is: a SIF, or a folder, which anybody may change and so has no digest. */
static void take_as_it_is(struct looking *looking)
{
    const struct descpipe_image *image = looking->image;
    const struct descpipe_host *host = looking->singularity->host;
    bool folder = image->source == DESCPIPE_SOURCE_ROOTFS;
    struct stat status;
    char message[1024];
    looking->path = image->path != NULL ? realpath(image->path, NULL) : NULL;
    if (looking->path == NULL || stat(looking->path, &status) != 0) {
        int number = image->path != NULL ? errno : ENOENT;
        snprintf(message, sizeof message, "image '%.500s': %s", image->reference, strerror(number));
        finish_failed(looking, number == ENOENT ? DESCPIPE_FAILED_NOT_FOUND : DESCPIPE_FAILED_REFUSED, message, NULL);
    } else if (folder ? !S_ISDIR(status.st_mode) : !S_ISREG(status.st_mode)) {
        snprintf(message, sizeof message, "image '%.500s' is not a %s", image->reference, folder ? "folder" : "file");
        finish_failed(looking, DESCPIPE_FAILED_REFUSED, message, NULL);
    } else if (folder) {
        image_facts_answer(&looking->facts, host, looking->call, looking->path, true);
        looking_free(looking);
    } else {
        host->work->run(host, read_sif, sif_was_read, looking);
    }
}

/* On a node it is the form's `setup` that pulls (launch.c); the handle says what. */
static void answer_node(struct looking *looking, const struct descpipe_credential *credential)
{
    const struct descpipe_image *image = looking->image;
    cleanup(memory_free) char *pinned = conversion_pull_reference(image);
    cleanup(memory_free) char *reference =
        pinned != NULL ? access_reference(pinned, credential, &looking->failure) : NULL;
    bool plain = credential != NULL && (credential->access & DESCPIPE_ACCESS_PLAIN_HTTP) != 0;
    const struct node_image node = {
        .how = plain ? NODE_IMAGE_PULL_PLAIN : NODE_IMAGE_PULL, .image = reference, .source = reference};
    cleanup(memory_free) char *handle = reference != NULL ? node_image_handle(&node) : NULL;
    if (handle == NULL && looking->failure.kind == 0)
        failure_memory(&looking->failure);
    if (looking->failure.kind == 0 && image_facts_pins(&looking->facts, image, &looking->failure))
        image_facts_answer(&looking->facts, looking->singularity->host, looking->call, handle, false);
    else
        failure_finish(&looking->failure, looking->singularity->host, looking->call);
    looking_free(looking);
}

static void got_access(void *context, const struct descpipe_credential *credential, const char *message)
{
    struct looking *looking = context;
    looking->waiting_for_login = false;
    if (looking->call == NULL)
        looking_free(looking); /* the call was cancelled and has ended meanwhile */
    else if (message != NULL)
        finish_failed(looking, DESCPIPE_FAILED_NEEDS_LOGIN, message, NULL);
    else
        answer_node(looking, credential);
}

static void ask_for_access(struct looking *looking)
{
    const struct descpipe_host *host = looking->singularity->host;
    looking->waiting_for_login = true;
    host->credential->for_image(host, looking->image, DESCPIPE_PURPOSE_PULL, got_access, looking);
}

static void take_image(struct looking *looking)
{
    struct singularity *singularity = looking->singularity;
    uint32_t source = looking->image->source;
    if (source == DESCPIPE_SOURCE_ROOTFS || source == DESCPIPE_SOURCE_SIF)
        take_as_it_is(looking);
    else if (source == DESCPIPE_SOURCE_REGISTRY && looking->on_node)
        ask_for_access(looking);
    else if (source != DESCPIPE_SOURCE_REGISTRY && !image_is_archive(looking->image))
        finish_failed(looking, DESCPIPE_FAILED_UNSUPPORTED, "runtime 'singularity' cannot use such an image",
                      "it takes a registry's image, docker-archive:, oci:, oci-archive:, sif: and rootfs:");
    else if (singularity->cache == NULL)
        finish_failed(
            looking, DESCPIPE_FAILED_UNSUPPORTED,
            "runtime 'singularity' has no folder to keep images in: this account's cache folder cannot be made",
            "name one with the option 'cache'");
    else
        convert(looking);
}

static void version_ended(void *context, const struct tool_end *end)
{
    struct looking *looking = context;
    struct singularity *singularity = looking->singularity;
    char message[TOOL_LINE_LIMIT + 256];
    looking->process = NULL;
    if (atomic_load(&looking->stop)) {
        finish_failed(looking, DESCPIPE_FAILED_CANCELLED, "cancelled", NULL);
    } else if (!end->good || !version_parse(end->output, &singularity->version)) {
        snprintf(message, sizeof message, "'%.500s --version' failed: %s", singularity->tool,
                 end->good ? "it does not say a version" : end->words);
        finish_failed(looking, DESCPIPE_FAILED_UNSUPPORTED, message, SINGULARITY_TOOL_HINT);
    } else if (!version_is_enough(&singularity->version)) {
        snprintf(message, sizeof message, "'%.500s' is too old: %s", singularity->tool, singularity->version.text);
        finish_failed(looking, DESCPIPE_FAILED_UNSUPPORTED, message,
                      "descpipe needs Apptainer 1.0, or SingularityCE or Singularity 3.7");
    } else {
        take_image(looking);
    }
}

static void cancel_wished(void *context)
{
    struct looking *looking = context;
    atomic_store(&looking->stop, true);
    if (looking->process != NULL) {
        looking->singularity->host->process->stop(looking->process);
    } else if (looking->waiting_for_login) {
        looking->singularity->host->call->fail(looking->call, DESCPIPE_FAILED_CANCELLED,
                                               "cancelled while the login was asked for", NULL);
        looking->call = NULL;
    }
}

static void start(struct singularity *singularity, struct descpipe_call *call, const struct descpipe_image *image,
                  bool prepare, bool on_node)
{
    const struct descpipe_host *host = singularity->host;
    if (prepare && singularity->tool == NULL) {
        host->call->fail(call, DESCPIPE_FAILED_UNSUPPORTED, SINGULARITY_TOOL_MESSAGE, SINGULARITY_TOOL_HINT);
        return;
    }
    struct looking *looking = calloc(1, sizeof *looking);
    if (looking == NULL) {
        host->call->fail(call, DESCPIPE_FAILED_LATER, "out of memory", NULL);
        return;
    }
    *looking = (struct looking){
        .singularity = singularity, .call = call, .image = image, .prepare = prepare, .on_node = on_node};
    host->call->on_cancel(call, cancel_wished, looking);
    if (singularity->version.known || singularity->tool == NULL) {
        take_image(looking);
        return;
    }
    const char *const argv[] = {singularity->tool, "--version", NULL};
    const struct tool_request request = {.argv = argv, .done = version_ended, .context = looking};
    looking->process = tool_run(host, &request);
    if (looking->process == NULL)
        finish_failed(looking, DESCPIPE_FAILED_LATER, "out of memory", NULL);
}

void singularity_identify(void *self, struct descpipe_call *call, const struct descpipe_image *image)
{
    start(self, call, image, false, false);
}

void singularity_prepare(void *self, struct descpipe_call *call, const struct descpipe_prepare *prepare)
{
    const struct singularity *singularity = self;
    start(self, call, prepare->image, true, singularity->pull_on_node && prepare->where == DESCPIPE_PREPARE_PER_NODE);
}

void singularity_identify_made(struct singularity *singularity, struct descpipe_call *call, const char *reference)
{
    const struct descpipe_host *host = singularity->host;
    struct looking *looking = calloc(1, sizeof *looking);
    char *copy = looking != NULL ? strdup(reference) : NULL;
    if (copy == NULL) {
        free(looking);
        host->call->fail(call, DESCPIPE_FAILED_LATER, "out of memory", NULL);
        return;
    }
    looking->singularity = singularity;
    looking->call = call;
    looking->reference = copy;
    looking->own = (struct descpipe_image){
        .size = sizeof looking->own, .source = DESCPIPE_SOURCE_SIF, .reference = copy, .path = copy + strlen("sif:")};
    looking->image = &looking->own;
    take_as_it_is(looking);
}
