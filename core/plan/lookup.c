/* SPDX-License-Identifier: BSD-3-Clause */
/* Asks registries and runtimes about one image. */
#include "plan/lookup.h"

#include <string.h>

#include "pipeline/image_name.h"

struct lookup {
    struct lookup_request request;
    struct plan_image *image;
    const struct lock_entry *locked; /* or NULL */
    struct descpipe_lookup question;
    char *elsewhere; /* the digest of another image that this machine has under the name; or NULL */
    char *warning;
    bool asked_registry, asked_mirror, asked_unpinned, silent;
    struct error error;
};

static void ask_runtime(struct lookup *lookup, const char *reference);
static void ask_registry(struct lookup *lookup);

const char *lookup_platform(void)
{
#if defined(__x86_64__)
    return "linux/amd64";
#elif defined(__aarch64__)
    return "linux/arm64";
#elif defined(__powerpc64__)
    return "linux/ppc64le";
#else
    return "linux";
#endif
}

static void finish(struct lookup *lookup)
{
    const struct lookup_end end = {.ok = lookup->error.kind == ERROR_NONE,
                                   .error = &lookup->error,
                                   .silent = lookup->silent,
                                   .warning = lookup->warning,
                                   .warning_hint = "'descpipe images PIPELINE --lock' accepts what it means now"};
    lookup->request.done(lookup->request.context, &end);
    error_clear(&lookup->error);
    memory_free(lookup->warning);
    memory_free(lookup->elsewhere);
    memory_free(lookup);
}

static void replace(char **place, const char *text)
{
    char *copy = memory_copy_text(text);
    memory_free(*place);
    *place = copy;
}

/* The message without "image 'REFERENCE': " before it, which plugins may say. */
static const char *without_name(const char *message, const char *reference)
{
    size_t length = reference != NULL ? strlen(reference) : 0;
    bool named = length > 0 && strncmp(message, "image '", 7) == 0 && strncmp(message + 7, reference, length) == 0 &&
                 strncmp(message + 7 + length, "': ", 3) == 0;
    return named ? message + 7 + length + 3 : message;
}

/* "image 'x:1': MESSAGE", in the pipeline's own words. */
static void fail(struct lookup *lookup, enum error_kind kind, const char *message, const char *hint)
{
    const struct plan_image *image = lookup->image;
    bool mirrored = kind == ERROR_NETWORK && image->name != NULL && !text_equal(image->name, image->place);
    message = without_name(without_name(without_name(message, image->place), image->name), image->reference);
    error_set(&lookup->error, kind, "image '%s'%s%s%s: %s", image->reference, mirrored ? ", asked of its mirror '" : "",
              mirrored ? image->place : "", mirrored ? "'" : "", message);
    if (hint != NULL)
        error_hint(&lookup->error, "%s", hint);
    finish(lookup);
}

static void pin(struct plan_image *image, const char *config_digest, const char *manifest_digest)
{
    if (config_digest != NULL)
        replace(&image->config_digest, config_digest);
    if (manifest_digest != NULL)
        replace(&image->manifest_digest, manifest_digest);
    image->image.config_digest = image->config_digest;
    image->image.manifest_digest = image->manifest_digest;
}

/* Whether what was answered is the locked one; true also when neither digest can be compared. */
static bool is_locked_one(const struct lock_entry *locked, const struct descpipe_image_identity *identity)
{
    if (locked == NULL)
        return true;
    if (locked->config_digest != NULL && identity->config_digest != NULL)
        return text_equal(locked->config_digest, identity->config_digest);
    if (locked->manifest_digest != NULL && identity->manifest_digest != NULL)
        return text_equal(locked->manifest_digest, identity->manifest_digest);
    return true;
}

/* A call that has ended at once, and perhaps the lookup with it, leaves the place alone. */
static void keep_call(struct plugin_call **place, struct plugin_call *call)
{
    if (place != NULL && call != NULL)
        *place = call;
}

static void forget_call(struct lookup *lookup)
{
    if (lookup->request.call != NULL)
        *lookup->request.call = NULL;
}

/* Pods: the cluster fetches the image, and what this machine has does not matter. */

static bool is_for_pods(const struct lookup *lookup)
{
    return lookup->request.backend->form == DESCPIPE_FORM_POD;
}

static void finish_for_pods(struct lookup *lookup)
{
    if (lookup->image->place != NULL)
        lookup->image->image.reference = lookup->image->place;
    finish(lookup);
}

/* The runtime. */

static void take_identity(struct plan_image *image, const struct descpipe_image_identity *identity)
{
    pin(image, identity->config_digest, identity->manifest_digest);
    if (identity->platform != NULL)
        replace(&image->platform, identity->platform);
    if (identity->handle != NULL)
        replace(&image->handle, identity->handle);
    if (identity->stored_bytes != 0 && image->bytes == 0)
        image->bytes = identity->stored_bytes;
    if (identity->created_at_ms != 0 && image->created_at_ms == 0)
        image->created_at_ms = identity->created_at_ms;
}

/* Known to be what the registry has now. */
static bool is_current(const struct plan_image *image, const struct descpipe_image_identity *identity)
{
    if (image->config_digest != NULL && identity->config_digest != NULL)
        return text_equal(image->config_digest, identity->config_digest);
    return image->manifest_digest != NULL && text_equal(image->manifest_digest, identity->manifest_digest);
}

static void say_not_here(struct lookup *lookup, const struct call_result *result)
{
    bool never = lookup->image->image.pull == DESCPIPE_PULL_NEVER;
    fail(lookup, ERROR_INPUT, result->message,
         never && result->hint == NULL ? "build or pull it first, or remove 'pull: never'" : result->hint);
}

/* Nobody can give the locked one. What the machine has instead is asked first, to be named. */
static void lack_locked(struct lookup *lookup)
{
    struct plan_image *image = lookup->image;
    if (lookup->elsewhere == NULL && !lookup->asked_unpinned) {
        lookup->asked_unpinned = true;
        image->image.config_digest = image->image.manifest_digest = NULL;
        ask_runtime(lookup, image->name != NULL ? image->name : image->reference);
        return;
    }
    const struct lock_entry *locked = lookup->locked;
    const char *digest = locked->config_digest != NULL ? locked->config_digest : locked->manifest_digest;
    error_set(&lookup->error, ERROR_INPUT, "image '%s': %s has %s, this machine has %s", lookup->image->reference,
              lookup->request.lock->path, digest, lookup->elsewhere != NULL ? lookup->elsewhere : "none of it");
    error_hint(&lookup->error, lookup->elsewhere != NULL
                                   ? "'descpipe images PIPELINE --lock' accepts the one that is here"
                                   : "build or load it again: no registry had it when it was locked");
    finish(lookup);
}

/* This machine does not have it, or has another one under its name. */
static void not_here(struct lookup *lookup, const struct call_result *result)
{
    struct plan_image *image = lookup->image;
    bool fetched = image->image.source == DESCPIPE_SOURCE_REGISTRY && image->image.pull != DESCPIPE_PULL_NEVER;
    if (image->place != NULL && !lookup->asked_mirror && !text_equal(image->name, image->place)) {
        lookup->asked_mirror = true;
        ask_runtime(lookup, image->place);
    } else if (lookup->locked != NULL && (lookup->locked->manifest_digest == NULL || !fetched)) {
        lack_locked(lookup);
    } else if (!fetched) {
        say_not_here(lookup, result);
    } else if (image->registry != NULL && !lookup->asked_registry) {
        ask_registry(lookup);
    } else {
        if (image->place != NULL)
            image->image.reference = image->place;
        finish(lookup); /* fetched before its first stage */
    }
}

static void runtime_answered(void *context, const struct call_result *result)
{
    struct lookup *lookup = context;
    struct plan_image *image = lookup->image;
    const struct descpipe_image_identity *identity = result->identity;
    bool registry = image->image.source == DESCPIPE_SOURCE_REGISTRY;
    forget_call(lookup);
    if (!result->ok && registry && result->failure != DESCPIPE_FAILED_NOT_FOUND) {
        call_error(lookup->request.backend->runtime, "identify", result, &lookup->error);
        finish(lookup);
    } else if (!result->ok && !registry) {
        say_not_here(lookup, result);
    } else if (!result->ok) {
        not_here(lookup, result);
    } else if (!is_locked_one(lookup->locked, identity)) {
        replace(&lookup->elsewhere, identity->config_digest);
        not_here(lookup, result);
    } else {
        image->here = identity->present != 0;
        image->prepared = image->here && (lookup->asked_registry ? is_current(image, identity)
                                                                 : image->image.pull != DESCPIPE_PULL_ALWAYS);
        if (!lookup->asked_registry || image->prepared)
            take_identity(image, identity);
        if (registry && !image->here && image->config_digest == NULL && image->registry != NULL &&
            !lookup->asked_registry)
            ask_registry(lookup);
        else
            finish(lookup);
    }
}

static void ask_runtime(struct lookup *lookup, const char *reference)
{
    lookup->image->image.reference = reference;
    struct plugin_call **place = lookup->request.call;
    keep_call(place, runtime_identify(lookup->request.backend->runtime, &lookup->image->image,
                                      (struct call_options){.done = runtime_answered, .context = lookup}));
}

/* The registry. */

static bool runtime_takes_digests(const struct lookup *lookup)
{
    const struct plugin_instance *runtime = lookup->request.backend->runtime;
    return runtime == NULL || (plugin_runtime(runtime)->capabilities & DESCPIPE_RUNTIME_PINS_DIGEST) != 0;
}

/* The tag is not what was locked: said by name, and never taken. False: it cannot be helped. */
static bool keep_locked(struct lookup *lookup, const struct descpipe_image_identity *identity)
{
    const struct lock_entry *locked = lookup->locked;
    bool manifests = locked->manifest_digest != NULL && identity->manifest_digest != NULL;
    const char *before = manifests ? locked->manifest_digest : locked->config_digest;
    const char *now = manifests ? identity->manifest_digest : identity->config_digest;
    lookup->warning = memory_format("the tag of image '%s' has moved: %s has %s, %s has %s", lookup->image->reference,
                                    lookup->request.lock->path, before, registry_name(lookup->image->registry), now);
    if (locked->manifest_digest != NULL && runtime_takes_digests(lookup))
        return true;
    error_set(&lookup->error, ERROR_INPUT, "%s", lookup->warning);
    error_hint(&lookup->error, "'descpipe images PIPELINE --lock' accepts what it means now");
    memory_free(steal(&lookup->warning));
    return false;
}

static void registry_answered(void *context, const struct call_result *result)
{
    struct lookup *lookup = context;
    struct plan_image *image = lookup->image;
    const struct descpipe_image_identity *identity = result->identity;
    forget_call(lookup);
    lookup->asked_registry = true;
    if (!result->ok) {
        enum error_kind kind = result->plugin_fault                           ? ERROR_PLUGIN
                               : result->failure == DESCPIPE_FAILED_CANCELLED ? ERROR_INTERRUPTED
                                                                              : ERROR_NETWORK;
        lookup->silent = result->failure == DESCPIPE_FAILED_CANNOT_ASK && !result->plugin_fault;
        fail(lookup, kind, result->message, result->hint);
        return;
    }
    image->image.reference = image->place;
    if (is_locked_one(lookup->locked, identity)) {
        pin(image, identity->config_digest, identity->manifest_digest);
        if (identity->platform != NULL)
            replace(&image->platform, identity->platform);
        image->bytes = identity->stored_bytes;
        image->created_at_ms = identity->created_at_ms;
    } else if (!keep_locked(lookup, identity)) {
        finish(lookup);
        return;
    }
    image->in_registry = true;
    lookup->asked_mirror = true;
    bool first = image->image.pull == DESCPIPE_PULL_ALWAYS || lookup->request.extent == LOOKUP_REGISTRY;
    if (first && lookup->request.backend->runtime != NULL && !is_for_pods(lookup))
        ask_runtime(lookup, image->place);
    else
        finish(lookup);
}

static void ask_registry(struct lookup *lookup)
{
    const struct plan_image *image = lookup->image;
    lookup->question = (struct descpipe_lookup){.size = sizeof lookup->question,
                                                .purpose = DESCPIPE_PURPOSE_PULL,
                                                .reference = image->place,
                                                .platform = image->image.platform};
    struct plugin_call **place = lookup->request.call;
    keep_call(place,
              registry_resolve(image->registry, &lookup->question,
                               (struct call_options){
                                   .deadline_ms = REGISTRY_DEADLINE_MS, .done = registry_answered, .context = lookup}));
}

/* The name. */

static void named(struct lookup *lookup)
{
    const struct lookup_request *request = &lookup->request;
    struct plan_image *image = lookup->image;
    bool pods = is_for_pods(lookup), known = pods && image->image.pull != DESCPIPE_PULL_ALWAYS &&
                                             lookup->locked != NULL && lookup->locked->manifest_digest != NULL;
    bool first = (pods && !known) || image->image.pull == DESCPIPE_PULL_ALWAYS || request->extent == LOOKUP_REGISTRY;
    if (request->extent == LOOKUP_NAME)
        finish(lookup);
    else if (first && image->registry != NULL)
        ask_registry(lookup);
    else if (pods)
        finish_for_pods(lookup);
    else
        ask_runtime(lookup, image->name != NULL ? image->name : image->reference);
}

static void take_lock(struct lookup *lookup)
{
    if (lookup->request.extent == LOOKUP_NAME)
        return;
    struct plan_image *image = lookup->image;
    lookup->locked = image_lock_find(lookup->request.lock, image->name != NULL ? image->name : image->reference,
                                     image->image.platform);
    if (lookup->locked == NULL)
        return;
    pin(image, lookup->locked->config_digest, lookup->locked->manifest_digest);
    image->bytes = lookup->locked->bytes;
    image->locked = true;
}

/* Who serves a reference with a host. Of several instances of one plugin the backend's own, which has its options. */
static struct plugin_instance *server_of(struct lookup *lookup, const char *reference)
{
    struct plugin_instance *own = lookup->request.backend->registry;
    struct plugin_instance *instance = registries_for(lookup->request.registries, reference, &lookup->error);
    bool same = instance != NULL && own != NULL && text_equal(registry_name(instance), registry_name(own));
    return same && registry_accepts(own, reference) ? own : instance;
}

static void normalized(void *context, const struct call_result *result)
{
    struct lookup *lookup = context;
    struct plan_image *image = lookup->image;
    forget_call(lookup);
    if (!result->ok) {
        fail(lookup, result->plugin_fault ? ERROR_PLUGIN : ERROR_NETWORK, result->message, result->hint);
        return;
    }
    replace(&image->name, result->reference);
    memory_free(image->place);
    image->place = config_layers_mirror(registries_layers(lookup->request.registries), image->name);
    image->registry = image->home;
    registries_remember(lookup->request.registries, image->name, image->home);
    if (image->place == NULL) {
        image->place = memory_copy_text(image->name);
    } else {
        image->registry = server_of(lookup, image->place);
        if (lookup->error.kind != ERROR_NONE) {
            finish(lookup);
            return;
        }
        if (image->registry != NULL)
            registries_remember(lookup->request.registries, image->place, image->registry);
    }
    image->image.reference = image->name;
    take_lock(lookup);
    named(lookup);
}

void lookup_start(const struct lookup_request *request)
{
    struct lookup *lookup = memory_allocate(sizeof *lookup);
    *lookup = (struct lookup){.request = *request, .image = request->image};
    struct plan_image *image = lookup->image;
    image->image.reference = image->reference;
    image->image.path = image->path;
    image->image.tag = image->tag;
    image->image.platform = lookup_platform();
    if (image->name != NULL) { /* from an earlier lookup */
        take_lock(lookup);
        named(lookup);
        return;
    }
    if (image->image.source == DESCPIPE_SOURCE_REGISTRY && request->registries != NULL) {
        cleanup(memory_free) char *host = image_host(image->reference);
        image->home = host == NULL ? request->backend->registry : server_of(lookup, image->reference);
        if (lookup->error.kind != ERROR_NONE) {
            finish(lookup);
            return;
        }
        if (image->home != NULL) {
            registry_normalize(
                image->home, image->reference,
                (struct call_options){.deadline_ms = REGISTRY_DEADLINE_MS, .done = normalized, .context = lookup});
            return;
        }
    }
    take_lock(lookup);
    named(lookup);
}
