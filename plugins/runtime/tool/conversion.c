/* SPDX-License-Identifier: BSD-3-Clause */
/* `identify` and `prepare` of a runtime whose tool converts images; conversion.h tells how. */
#include "tool/conversion.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "registry/ownership.h"

#include "tool/access.h"
#include "tool/cache.h"
#include "tool/run.h"

#define BUSY_RETRY_MS 200

struct conversion {
    struct conversion_request request;
    atomic_bool stop;
    struct cache_place place;
    struct cache_making making;
    struct image_facts facts;
    char *reference; /* what is pulled, of a registry */
    char *payload;   /* where it is, once it is there */
    bool busy, waiting_for_login;
    unsigned step;
    struct descpipe_process *process;
    struct arguments argv, environment;
    struct failure failure;
};

static void conversion_free(struct conversion *conversion)
{
    cache_end(&conversion->making);
    image_facts_clear(&conversion->facts);
    arguments_clear(&conversion->argv);
    arguments_clear(&conversion->environment);
    failure_clear(&conversion->failure);
    free(conversion->reference);
    free(conversion->payload);
    free(conversion);
}

static void finish(struct conversion *conversion)
{
    const struct conversion_request *request = &conversion->request;
    if (conversion->failure.kind != 0)
        failure_finish(&conversion->failure, request->host, request->call);
    else
        image_facts_answer(&conversion->facts, request->host, request->call, conversion->payload,
                           conversion->payload != NULL);
    conversion_free(conversion);
}

static void finish_failed(struct conversion *conversion, uint32_t kind, const char *hint, const char *words)
{
    failure_set(&conversion->failure, kind, "image '%.300s': %s", conversion->request.image->reference, words);
    if (hint != NULL)
        failure_hint(&conversion->failure, "%s", hint);
    finish(conversion);
}

char *conversion_pull_reference(const struct descpipe_image *image)
{
    const char *digest =
        image_digest_valid(image->manifest_digest) ? image->manifest_digest : image_reference_digest(image->reference);
    if (digest == NULL)
        return strdup(image->reference);
    cleanup(memory_free) char *name = image_reference_name(image->reference);
    char *reference = NULL;
    return name == NULL || asprintf(&reference, "%s@%s", name, digest) < 0 ? NULL : reference;
}

static bool name_registry_image(struct conversion *conversion, const struct descpipe_image *image)
{
    conversion->reference = conversion_pull_reference(image);
    if (conversion->reference == NULL)
        return failure_memory(&conversion->failure);
    const char *digest = image_reference_digest(conversion->reference);
    return image_facts_pins(&conversion->facts, image, &conversion->failure) &&
           cache_key(digest != NULL ? "manifest" : "name", digest != NULL ? digest : conversion->reference,
                     image->platform, conversion->place.key, &conversion->failure);
}

static bool name_archive(struct conversion *conversion, const struct descpipe_image *image)
{
    char temporary[4096];
    snprintf(temporary, sizeof temporary, "%s/temporary", conversion->request.cache);
    return image_facts_read(&conversion->facts, image, temporary, &conversion->stop, &conversion->failure) &&
           cache_key("config", conversion->facts.config_digest, NULL, conversion->place.key, &conversion->failure);
}

static bool is_wanted_anew(const struct conversion *conversion)
{
    const struct descpipe_image *image = conversion->request.image;
    return image->source == DESCPIPE_SOURCE_REGISTRY && image->pull == DESCPIPE_PULL_ALWAYS &&
           !conversion->request.only_look && image_reference_digest(conversion->reference) == NULL;
}

static char *source_link(const struct conversion *conversion)
{
    char *link = NULL;
    return asprintf(&link, "%s/" CONVERSION_SOURCE, conversion->making.folder) < 0 ? NULL : link;
}

/* On a helper thread. */
static void look(void *context)
{
    struct conversion *conversion = context;
    const struct conversion_request *request = &conversion->request;
    struct failure *failure = &conversion->failure;
    if (atomic_load(&conversion->stop)) {
        failure_set(failure, DESCPIPE_FAILED_CANCELLED, "image '%s': cancelled", request->image->reference);
        return;
    }
    if (conversion->place.key[0] == '\0' &&
        (!cache_open(request->cache, failure) ||
         !(request->image->source == DESCPIPE_SOURCE_REGISTRY ? name_registry_image(conversion, request->image)
                                                              : name_archive(conversion, request->image))))
        return;
    if (!is_wanted_anew(conversion))
        conversion->payload =
            cache_find(&conversion->place, request->verify, &conversion->stop, &conversion->facts, failure);
    bool never = request->image->source == DESCPIPE_SOURCE_REGISTRY && request->image->pull == DESCPIPE_PULL_NEVER;
    if (conversion->payload != NULL || failure->kind != 0 || request->only_look || never)
        return;
    conversion->busy = !cache_begin(&conversion->place, &conversion->making, failure) && failure->kind == 0;
    if (conversion->busy || failure->kind != 0 || is_wanted_anew(conversion))
        return;
    /* Another may have made it between the look and the lock. */
    conversion->payload =
        cache_find(&conversion->place, request->verify, &conversion->stop, &conversion->facts, failure);
}

/* On a helper thread. What the tool was given does not stay. */
static void commit(void *context)
{
    struct conversion *conversion = context;
    cleanup(memory_free) char *link = source_link(conversion);
    if (link != NULL)
        unlink(link);
    conversion->payload = cache_commit(&conversion->place, &conversion->making, &conversion->facts, &conversion->stop,
                                       &conversion->failure);
}

static void committed(void *context)
{
    finish(context);
}

static void take_step(struct conversion *conversion, const struct descpipe_credential *credential);

static void ask_for_login(struct conversion *conversion);

static void command_ended(void *context, const struct tool_end *end)
{
    struct conversion *conversion = context;
    const struct converter *converter = conversion->request.converter;
    const char *hint = NULL;
    conversion->process = NULL;
    if (atomic_load(&conversion->stop)) {
        finish_failed(conversion, DESCPIPE_FAILED_CANCELLED, NULL, "cancelled");
    } else if (!end->good) {
        uint32_t kind = end->started ? converter->judge(end->errors, &hint) : (uint32_t)DESCPIPE_FAILED_UNSUPPORTED;
        cleanup(memory_free) char *words = NULL;
        if (asprintf(&words, "%s: %s", converter->tool, end->words) < 0)
            words = NULL;
        finish_failed(conversion, kind, hint, words != NULL ? words : end->words);
    } else {
        conversion->step++;
        ask_for_login(conversion);
    }
}

static void progressed(void *context, const char *line)
{
    struct conversion *conversion = context;
    conversion->request.host->call->progress(conversion->request.call, 0, 0, line);
}

static void run_command(struct conversion *conversion)
{
    const struct conversion_request *request = &conversion->request;
    static const char *const nothing[] = {NULL};
    const struct tool_request tool = {.argv = conversion->argv.words,
                                      .environment =
                                          conversion->environment.count > 0 ? conversion->environment.words : nothing,
                                      .directory = conversion->making.folder,
                                      .timeout_ms = request->timeout_ms,
                                      .progress = progressed,
                                      .done = command_ended,
                                      .context = conversion};
    conversion->process = tool_run(request->host, &tool);
    if (conversion->process == NULL)
        finish_failed(conversion, DESCPIPE_FAILED_LATER, NULL, "out of memory");
}

static void take_step(struct conversion *conversion, const struct descpipe_credential *credential)
{
    const struct conversion_request *request = &conversion->request;
    arguments_clear(&conversion->argv);
    arguments_clear(&conversion->environment);
    cleanup(memory_free) char *reference = NULL;
    if (conversion->reference != NULL &&
        (reference = access_reference(conversion->reference, credential, &conversion->failure)) == NULL) {
        finish(conversion);
        return;
    }
    const struct conversion_step step = {.image = request->image,
                                         .number = conversion->step,
                                         .source = reference != NULL ? reference : CONVERSION_SOURCE,
                                         .credential = credential,
                                         .folder = conversion->making.folder,
                                         .argv = &conversion->argv,
                                         .environment = &conversion->environment};
    if (!request->converter->step(request->runtime, &step, &conversion->failure)) {
        finish(conversion);
    } else if (conversion->argv.failed || conversion->environment.failed) {
        failure_memory(&conversion->failure);
        finish(conversion);
    } else if (conversion->argv.count == 0) {
        request->host->work->run(request->host, commit, committed, conversion);
    } else {
        run_command(conversion);
    }
}

static void got_login(void *context, const struct descpipe_credential *credential, const char *message)
{
    struct conversion *conversion = context;
    conversion->waiting_for_login = false;
    if (conversion->request.call == NULL)
        conversion_free(conversion); /* the call was cancelled and has ended meanwhile */
    else if (message != NULL)
        finish_failed(conversion, DESCPIPE_FAILED_NEEDS_LOGIN, NULL, message);
    else
        take_step(conversion, credential);
}

static void ask_for_login(struct conversion *conversion)
{
    const struct conversion_request *request = &conversion->request;
    if (conversion->reference == NULL) {
        take_step(conversion, NULL);
        return;
    }
    conversion->waiting_for_login = true;
    request->host->credential->for_image(request->host, request->image, DESCPIPE_PURPOSE_PULL, got_login, conversion);
}

static bool link_source(struct conversion *conversion)
{
    cleanup(memory_free) char *link = source_link(conversion);
    if (link == NULL)
        return failure_memory(&conversion->failure);
    return symlink(conversion->request.image->path, link) == 0 ||
           failure_system(&conversion->failure, "cannot make '%s'", link);
}

static void try_again(void *context);

static void looked(void *context)
{
    struct conversion *conversion = context;
    const struct conversion_request *request = &conversion->request;
    bool registry = request->image->source == DESCPIPE_SOURCE_REGISTRY;
    if (atomic_load(&conversion->stop)) { /* while it was looked for: nobody would tell again */
        finish_failed(conversion, DESCPIPE_FAILED_CANCELLED, NULL, "cancelled");
    } else if (conversion->busy) {
        request->host->call->progress(request->call, 0, 0, "another process is making it");
        request->host->timer->start(request->host, BUSY_RETRY_MS, try_again, conversion);
    } else if (conversion->failure.kind != 0 || conversion->payload != NULL || (request->only_look && !registry)) {
        finish(conversion);
    } else if (request->only_look) {
        finish_failed(conversion, DESCPIPE_FAILED_NOT_FOUND, NULL, "it is not on this machine");
    } else if (conversion->making.folder == NULL) {
        finish_failed(conversion, DESCPIPE_FAILED_NOT_FOUND, "say `pull: missing`",
                      "it is not on this machine, and `pull: never` forbids to fetch it");
    } else if (!registry && !link_source(conversion)) {
        finish(conversion);
    } else {
        ask_for_login(conversion);
    }
}

static void try_again(void *context)
{
    struct conversion *conversion = context;
    conversion->busy = false;
    conversion->request.host->work->run(conversion->request.host, look, looked, conversion);
}

static void cancel_wished(void *context)
{
    struct conversion *conversion = context;
    const struct conversion_request *request = &conversion->request;
    atomic_store(&conversion->stop, true);
    if (conversion->process != NULL) {
        request->host->process->stop(conversion->process);
    } else if (conversion->waiting_for_login) {
        request->host->call->fail(request->call, DESCPIPE_FAILED_CANCELLED, "cancelled while the login was asked for",
                                  NULL);
        conversion->request.call = NULL;
    }
}

void conversion_start(const struct conversion_request *request)
{
    const struct descpipe_host *host = request->host;
    struct conversion *conversion = calloc(1, sizeof *conversion);
    if (conversion == NULL) {
        host->call->fail(request->call, DESCPIPE_FAILED_LATER, "out of memory", NULL);
        return;
    }
    conversion->request = *request;
    conversion->making = CACHE_MAKING_INIT;
    conversion->place = (struct cache_place){.folder = request->cache, .payload = request->converter->payload};
    host->call->on_cancel(request->call, cancel_wished, conversion);
    host->work->run(host, look, looked, conversion);
}
