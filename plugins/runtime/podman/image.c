/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an image is and how it gets into Podman's storage: `identify` and `prepare`.
 *
 * How it works: an archive is read on a helper thread, so that its config digest, which is Podman's image id, is known.
 * Then Podman is asked whether it has the image (by the pinned id, else by name); when it has not, it pulls or loads it
 * and is asked again. Podman itself sees to it that two fetches of the same do not hurt each other.
 *
 * Where stages run on other machines each node gets the image by the form's `setup` (tool/node_image.h); podman-hpc has
 * storage that all nodes see, into which the image is put here.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "registry/ownership.h"

#include "tool/access.h"
#include "tool/cache.h"
#include "tool/conversion.h"
#include "tool/environment.h"
#include "tool/facts.h"
#include "tool/judge.h"
#include "tool/node_image.h"
#include "tool/run.h"

#include "podman.h"

#define INSPECT_FORMAT "{{.Id}} {{.Digest}} {{.Os}}/{{.Architecture}} {{.Size}}"
#define LINK_NAME "descpipe-image" /* Podman then knows a layout as localhost/descpipe-image */

struct fetch {
    struct podman *podman;
    struct descpipe_call *call;         /* NULL once it ended while a login was awaited */
    const struct descpipe_image *image; /* lives until the call is finished */
    bool prepare, fetched, waiting_for_login;
    bool per_node; /* each node gets it: only its name is made */
    bool squash;   /* podman-hpc, for nodes: not done yet */
    atomic_bool stop;
    struct image_facts facts;
    char *pinned; /* the reference with what pins it, or NULL for a file */
    char *target; /* what Podman is asked for: an id or a reference */
    struct access_files files;
    struct descpipe_process *process;
    struct arguments argv, environment;
    struct failure failure;
};

static void fetch_free(struct fetch *fetch)
{
    image_facts_clear(&fetch->facts);
    arguments_clear(&fetch->argv);
    arguments_clear(&fetch->environment);
    failure_clear(&fetch->failure);
    access_files_remove(&fetch->files);
    free(fetch->pinned);
    free(fetch->target);
    free(fetch);
}

static void finish_failure(struct fetch *fetch)
{
    failure_finish(&fetch->failure, fetch->podman->host, fetch->call);
    fetch_free(fetch);
}

static void finish_failed(struct fetch *fetch, uint32_t kind, const char *hint, const char *words)
{
    failure_set(&fetch->failure, kind, "image '%.300s': %s", fetch->image->reference, words);
    if (hint != NULL)
        failure_hint(&fetch->failure, "%s", hint);
    finish_failure(fetch);
}

static void finish_done(struct fetch *fetch, bool present)
{
    image_facts_answer(&fetch->facts, fetch->podman->host, fetch->call, present ? fetch->target : NULL, present);
    fetch_free(fetch);
}

static void run(struct fetch *fetch, uint64_t timeout_ms, void (*done)(void *context, const struct tool_end *end))
{
    const struct tool_request request = {.argv = fetch->argv.words,
                                         .environment = fetch->environment.words,
                                         .directory = fetch->files.folder,
                                         .timeout_ms = timeout_ms,
                                         .done = done,
                                         .context = fetch};
    fetch->process = fetch->argv.failed || fetch->environment.failed ? NULL : tool_run(fetch->podman->host, &request);
    if (fetch->process == NULL)
        finish_failed(fetch, DESCPIPE_FAILED_LATER, NULL, "out of memory");
}

static void begin_command(struct fetch *fetch)
{
    arguments_clear(&fetch->argv);
    arguments_clear(&fetch->environment);
    podman_begin(fetch->podman, &fetch->argv);
    podman_environment(fetch->podman, &fetch->environment);
}

static bool is_cancelled(const struct fetch *fetch)
{
    return atomic_load(&fetch->stop);
}

/* "ID DIGEST OS/MACHINE SIZE" of an image that Podman has. */
static bool read_inspection(struct fetch *fetch, const char *output, char words[TOOL_LINE_LIMIT])
{
    char id[80] = "sha256:", digest[80], platform[64];
    const char *given = fetch->image->config_digest != NULL ? fetch->image->config_digest : fetch->facts.config_digest;
    size_t at = strcspn(output, " ");
    if (at != 64) {
        snprintf(words, TOOL_LINE_LIMIT, "podman's answer cannot be read: %.100s", output);
        return false;
    }
    memcpy(id + 7, output, 64);
    id[71] = '\0';
    output += at + 1;
    snprintf(digest, sizeof digest, "%.*s", (int)strcspn(output, " "), output);
    output += strcspn(output, " ");
    output += *output == ' ';
    snprintf(platform, sizeof platform, "%.*s", (int)strcspn(output, " "), output);
    output += strcspn(output, " ");
    if (given != NULL && strcmp(given, id) != 0) {
        snprintf(words, TOOL_LINE_LIMIT, "Podman has %.72s under that name, but the plan pins %.72s", id, given);
        return false;
    }
    /* Podman makes a manifest of its own for what no registry gave it. */
    bool from_registry = fetch->image->source == DESCPIPE_SOURCE_REGISTRY && image_digest_valid(digest);
    const char *manifest = fetch->image->manifest_digest != NULL ? fetch->image->manifest_digest
                           : from_registry                       ? digest
                                                                 : NULL;
    const struct descpipe_image pins = {
        .size = sizeof pins, .config_digest = id, .manifest_digest = manifest, .platform = platform};
    free(fetch->target);
    fetch->target = strdup(id);
    fetch->facts.stored_bytes = strtoull(output, NULL, 10);
    if (fetch->target != NULL && image_facts_pins(&fetch->facts, &pins, &fetch->failure))
        return true;
    snprintf(words, TOOL_LINE_LIMIT, "out of memory");
    return false;
}

/* Its exit status is 0 whatever came of it; what it had to say of a failure it said as an error. */
static void squashed(void *context, const struct tool_end *end)
{
    struct fetch *fetch = context;
    fetch->process = NULL;
    if (is_cancelled(fetch))
        finish_failed(fetch, DESCPIPE_FAILED_CANCELLED, NULL, "cancelled");
    else if (!end->good || strstr(end->errors, "ERROR") != NULL)
        finish_failed(fetch, DESCPIPE_FAILED_REFUSED, "does `podman-hpc migrate` work, and is there room in $SCRATCH?",
                      end->words);
    else
        finish_done(fetch, true);
}

/* By its id, without "sha256:", as migrate2scratch.py looks for it. Nothing is done twice. */
static void squash(struct fetch *fetch)
{
    begin_command(fetch);
    arguments_add(&fetch->argv, "migrate");
    arguments_add(&fetch->argv, fetch->target + strlen("sha256:"));
    run(fetch, fetch->podman->pull_timeout_ms, squashed);
}

static void found(struct fetch *fetch)
{
    if (fetch->squash)
        squash(fetch);
    else
        finish_done(fetch, true);
}

static void get_it(struct fetch *fetch);

static void looked(void *context, const struct tool_end *end)
{
    struct fetch *fetch = context;
    char words[TOOL_LINE_LIMIT];
    bool registry = fetch->image->source == DESCPIPE_SOURCE_REGISTRY;
    fetch->process = NULL;
    if (is_cancelled(fetch))
        finish_failed(fetch, DESCPIPE_FAILED_CANCELLED, NULL, "cancelled");
    else if (!end->started)
        finish_failed(fetch, DESCPIPE_FAILED_UNSUPPORTED, PODMAN_TOOL_HINT, end->words);
    else if (end->good && read_inspection(fetch, end->output, words))
        found(fetch);
    else if (end->good)
        finish_failed(fetch, DESCPIPE_FAILED_REFUSED, "plan again to pin what is there now, or pin by digest", words);
    else if (strstr(end->errors, "o such image") == NULL && strstr(end->errors, "not known") == NULL)
        finish_failed(fetch, DESCPIPE_FAILED_REFUSED, NULL,
                      end->words); /* storage that cannot be opened, for example */
    else if (fetch->fetched)
        finish_failed(fetch, DESCPIPE_FAILED_REFUSED, NULL, "Podman fetched something, but not this image");
    else if (fetch->prepare)
        get_it(fetch);
    else if (registry)
        finish_failed(fetch, DESCPIPE_FAILED_NOT_FOUND, NULL, "it is not in Podman");
    else
        finish_done(fetch, false);
}

static void ask(struct fetch *fetch)
{
    static const char *const inspect[] = {"image", "inspect", "--format", INSPECT_FORMAT, NULL};
    begin_command(fetch);
    arguments_add_list(&fetch->argv, inspect);
    arguments_add(&fetch->argv, fetch->target);
    run(fetch, 0, looked);
}

uint32_t podman_judge(const char *errors, const char **hint)
{
    static const struct complaint own[] = {
        {"access to the resource is denied", "log in with an account that may read it", DESCPIPE_FAILED_NEEDS_LOGIN},
        {"short-name", "name the registry's host too", DESCPIPE_FAILED_NOT_FOUND},
        {"no space left", "free some room where Podman keeps images", DESCPIPE_FAILED_REFUSED},
        {"insufficient UIDs or GIDs", "give the account sub-uids in /etc/subuid and /etc/subgid",
         DESCPIPE_FAILED_REFUSED},
    };
    return judge_complaint(errors, own, sizeof own / sizeof own[0], hint);
}

static void fetch_ended(void *context, const struct tool_end *end)
{
    struct fetch *fetch = context;
    const char *hint = NULL;
    fetch->process = NULL;
    access_files_remove(&fetch->files);
    if (is_cancelled(fetch)) {
        finish_failed(fetch, DESCPIPE_FAILED_CANCELLED, NULL, "cancelled");
    } else if (!end->good) {
        uint32_t kind = podman_judge(end->errors, &hint);
        finish_failed(fetch, kind, hint, end->words);
    } else {
        fetch->fetched = true;
        ask(fetch);
    }
}

void podman_add_access(struct arguments *argv, const struct access_files *files,
                       const struct descpipe_credential *credential)
{
    if (credential != NULL && (credential->access & (DESCPIPE_ACCESS_PLAIN_HTTP | DESCPIPE_ACCESS_UNVERIFIED_TLS)) != 0)
        arguments_add(argv, "--tls-verify=false"); /* to Podman: no TLS is fine too */
    if (files->login != NULL) {
        arguments_add(argv, "--authfile");
        arguments_add(argv, files->login);
    }
    if (files->certificates != NULL) {
        arguments_add(argv, "--cert-dir");
        arguments_add(argv, files->certificates);
    }
}

static void pull(struct fetch *fetch, const struct descpipe_credential *credential)
{
    struct podman *podman = fetch->podman;
    const char *parent = podman->cache != NULL ? podman->cache : "/tmp";
    cleanup(memory_free) char *reference = access_reference(fetch->pinned, credential, &fetch->failure);
    if (reference == NULL ||
        !access_files_make(&fetch->files, podman->host, parent, reference, credential, &fetch->failure)) {
        finish_failure(fetch);
        return;
    }
    begin_command(fetch);
    environment_add_proxy(&fetch->environment, credential != NULL ? credential->proxy : NULL);
    arguments_add(&fetch->argv, "pull");
    arguments_add(&fetch->argv, "--quiet");
    podman_add_access(&fetch->argv, &fetch->files, credential);
    arguments_add(&fetch->argv, arguments_format(&fetch->argv, "%s%s", podman->hpc ? "" : "docker://", reference));
    if (fetch->image->config_digest == NULL) { /* then it is known by the name that it was pulled by */
        free(fetch->target);
        fetch->target = steal(&reference);
    }
    run(fetch, podman->pull_timeout_ms, fetch_ended);
}

/* Each node gets the image by the form's `setup`; the handle says what. */
static void answer_node(struct fetch *fetch, const struct descpipe_credential *credential)
{
    const struct descpipe_image *image = fetch->image;
    bool registry = image->source == DESCPIPE_SOURCE_REGISTRY;
    uint32_t plain = DESCPIPE_ACCESS_PLAIN_HTTP | DESCPIPE_ACCESS_UNVERIFIED_TLS;
    cleanup(memory_free) char *reference =
        registry ? access_reference(fetch->pinned, credential, &fetch->failure) : NULL;
    if (fetch->failure.kind != 0 || !image_facts_pins(&fetch->facts, image, &fetch->failure)) {
        finish_failure(fetch);
        return;
    }
    const struct node_image node = {.how = !registry ? NODE_IMAGE_LOAD
                                           : credential != NULL && (credential->access & plain) != 0
                                               ? NODE_IMAGE_PULL_PLAIN
                                               : NODE_IMAGE_PULL,
                                    .image = image->config_digest != NULL ? image->config_digest : reference,
                                    .source = registry ? reference : image->path};
    cleanup(memory_free) char *handle = node_image_handle(&node);
    if (handle == NULL) {
        finish_failed(fetch, DESCPIPE_FAILED_LATER, NULL, "out of memory");
        return;
    }
    image_facts_answer(&fetch->facts, fetch->podman->host, fetch->call, handle, false);
    fetch_free(fetch);
}

static void got_login(void *context, const struct descpipe_credential *credential, const char *message)
{
    struct fetch *fetch = context;
    fetch->waiting_for_login = false;
    if (fetch->call == NULL)
        fetch_free(fetch);
    else if (message != NULL)
        finish_failed(fetch, DESCPIPE_FAILED_NEEDS_LOGIN, NULL, message);
    else if (fetch->per_node)
        answer_node(fetch, credential);
    else
        pull(fetch, credential);
}

/* Podman takes a path with ':' apart and makes a name of a layout's: it gets a link, beside which it runs. */
static bool link_image(struct fetch *fetch)
{
    const char *parent = fetch->podman->cache != NULL ? fetch->podman->cache : "/tmp";
    cleanup(memory_free) char *link = NULL;
    if (!access_folder_make(&fetch->files, parent, &fetch->failure))
        return false;
    if (asprintf(&link, "%s/" LINK_NAME, fetch->files.folder) < 0) {
        link = NULL;
        return failure_memory(&fetch->failure);
    }
    return symlink(fetch->image->path, link) == 0 || failure_system(&fetch->failure, "cannot make '%s'", link);
}

static void load(struct fetch *fetch)
{
    const struct descpipe_image *image = fetch->image;
    begin_command(fetch);
    if (!link_image(fetch)) {
        finish_failure(fetch);
        return;
    }
    if (image->source == DESCPIPE_SOURCE_OCI_LAYOUT) {
        arguments_add(&fetch->argv, "pull");
        arguments_add(&fetch->argv, "--quiet");
        arguments_add(&fetch->argv,
                      arguments_format(&fetch->argv, "oci:" LINK_NAME "%s%s", image->tag != NULL ? ":" : "",
                                       image->tag != NULL ? image->tag : ""));
    } else {
        arguments_add(&fetch->argv, "load");
        arguments_add(&fetch->argv, "--quiet");
        arguments_add(&fetch->argv, "--input");
        arguments_add(&fetch->argv, LINK_NAME);
    }
    run(fetch, fetch->podman->pull_timeout_ms, fetch_ended);
}

static void get_it(struct fetch *fetch)
{
    const struct descpipe_host *host = fetch->podman->host;
    if (fetch->image->source != DESCPIPE_SOURCE_REGISTRY) {
        load(fetch);
    } else if (fetch->image->pull == DESCPIPE_PULL_NEVER) {
        finish_failed(fetch, DESCPIPE_FAILED_NOT_FOUND, "get it with `podman pull`, or say `pull: missing`",
                      "it is not in Podman, and `pull: never` forbids to fetch it");
    } else {
        fetch->waiting_for_login = true;
        host->credential->for_image(host, fetch->image, DESCPIPE_PURPOSE_PULL, got_login, fetch);
    }
}

/* On a helper thread. */
static void read_archive(void *context)
{
    struct fetch *fetch = context;
    const char *temporary = fetch->podman->cache != NULL ? fetch->podman->cache : "/tmp";
    if (image_facts_read(&fetch->facts, fetch->image, temporary, &fetch->stop, &fetch->failure) &&
        (fetch->target = strdup(fetch->facts.config_digest)) == NULL)
        failure_memory(&fetch->failure);
}

static void archive_was_read(void *context)
{
    struct fetch *fetch = context;
    if (fetch->failure.kind != 0)
        finish_failure(fetch);
    else if (is_cancelled(fetch))
        finish_failed(fetch, DESCPIPE_FAILED_CANCELLED, NULL, "cancelled");
    else if (fetch->podman->tool == NULL)
        finish_done(fetch, false); /* what it is can be said without Podman */
    else
        ask(fetch);
}

static void take_reference(struct fetch *fetch)
{
    const struct descpipe_image *image = fetch->image;
    fetch->pinned = conversion_pull_reference(image);
    fetch->target = image->config_digest != NULL ? strdup(image->config_digest)
                    : fetch->pinned != NULL      ? strdup(fetch->pinned)
                                                 : NULL;
    if (fetch->pinned == NULL || fetch->target == NULL)
        finish_failed(fetch, DESCPIPE_FAILED_LATER, NULL, "out of memory");
    else if (fetch->prepare && image->pull == DESCPIPE_PULL_ALWAYS && image->config_digest == NULL)
        get_it(fetch);
    else
        ask(fetch);
}

static void cancel_wished(void *context)
{
    struct fetch *fetch = context;
    const struct descpipe_host *host = fetch->podman->host;
    atomic_store(&fetch->stop, true);
    if (fetch->process != NULL) {
        host->process->stop(fetch->process);
    } else if (fetch->waiting_for_login) {
        host->call->fail(fetch->call, DESCPIPE_FAILED_CANCELLED, "cancelled while the login was asked for", NULL);
        fetch->call = NULL;
    }
}

/* NULL: the call has failed. */
static struct fetch *fetch_new(struct podman *podman, struct descpipe_call *call, const struct descpipe_image *image)
{
    const struct descpipe_host *host = podman->host;
    struct fetch *fetch = calloc(1, sizeof *fetch);
    if (fetch == NULL) {
        host->call->fail(call, DESCPIPE_FAILED_LATER, "out of memory", NULL);
        return NULL;
    }
    *fetch = (struct fetch){.podman = podman, .call = call, .image = image};
    host->call->on_cancel(call, cancel_wished, fetch);
    return fetch;
}

static void start(struct podman *podman, struct descpipe_call *call, const struct descpipe_image *image, bool prepare,
                  bool for_nodes)
{
    const struct descpipe_host *host = podman->host;
    bool registry = image->source == DESCPIPE_SOURCE_REGISTRY;
    if (!registry && !image_is_archive(image)) {
        host->call->fail(call, DESCPIPE_FAILED_UNSUPPORTED, "runtime 'podman' cannot use such an image",
                         "it takes a registry's image, docker-archive:, oci: and oci-archive:");
        return;
    }
    if (podman->tool == NULL && (prepare || registry)) {
        host->call->fail(call, DESCPIPE_FAILED_UNSUPPORTED, PODMAN_TOOL_MESSAGE, PODMAN_TOOL_HINT);
        return;
    }
    struct fetch *fetch = fetch_new(podman, call, image);
    if (fetch == NULL)
        return;
    fetch->prepare = prepare;
    fetch->squash = for_nodes;
    if (registry)
        take_reference(fetch);
    else
        host->work->run(host, read_archive, archive_was_read, fetch);
}

static void prepare_per_node(struct podman *podman, struct descpipe_call *call, const struct descpipe_image *image)
{
    const struct descpipe_host *host = podman->host;
    bool registry = image->source == DESCPIPE_SOURCE_REGISTRY;
    bool archive = image->source == DESCPIPE_SOURCE_DOCKER_ARCHIVE || image->source == DESCPIPE_SOURCE_OCI_ARCHIVE;
    if (!registry && (!archive || !image_digest_valid(image->config_digest) || image->path == NULL)) {
        host->call->fail(call, DESCPIPE_FAILED_UNSUPPORTED, "nodes can pull from a registry or load an archive",
                         "push it to a registry, or save it as an archive that the nodes see");
        return;
    }
    struct fetch *fetch = fetch_new(podman, call, image);
    if (fetch == NULL)
        return;
    fetch->per_node = true;
    if (!registry) {
        answer_node(fetch, NULL);
    } else if ((fetch->pinned = conversion_pull_reference(image)) == NULL) {
        finish_failed(fetch, DESCPIPE_FAILED_LATER, NULL, "out of memory");
    } else {
        fetch->waiting_for_login = true;
        host->credential->for_image(host, image, DESCPIPE_PURPOSE_PULL, got_login, fetch);
    }
}

void podman_identify(void *self, struct descpipe_call *call, const struct descpipe_image *image)
{
    start(self, call, image, false, false);
}

void podman_prepare(void *self, struct descpipe_call *call, const struct descpipe_prepare *prepare)
{
    struct podman *podman = self;
    bool for_nodes = prepare->where == DESCPIPE_PREPARE_PER_NODE;
    if (for_nodes && !podman->hpc)
        prepare_per_node(podman, call, prepare->image);
    else
        start(podman, call, prepare->image, true, for_nodes);
}
