/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runtime `native`: containers by bubblewrap over an unpacked image, without a daemon and without root.
 *
 *     rootfs:FOLDER                          the folder, as it is
 *     oci:, oci-archive:, docker-archive:    unpacked once into the store (store/store.h)
 *     HOST/NAME:TAG                          fetched from its registry into the store (pull.h)
 *
 * `launch` (launch.h) answers one bubblewrap argv per attempt; developers' containers are kept by a first process that
 * starts commands for others (developer.c).
 */
#include "native.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "registry/client/clients.h"
#include "registry/failure.h"
#include "registry/ownership.h"

#include "launch.h"
#include "store/environment.h"
#include "store/store.h"

struct held {
    struct held *next;
    int lock;
    char digest[72];
};

void native_hold(struct native *native, const struct store *store, const char *config_digest)
{
    for (const struct held *held = native->held; held != NULL; held = held->next)
        if (strcmp(held->digest, config_digest) == 0)
            return;
    struct held *held = calloc(1, sizeof *held);
    int lock = held != NULL ? store_hold_image(store, config_digest) : -1;
    if (lock < 0) {
        free(held);
        return;
    }
    held->lock = lock;
    snprintf(held->digest, sizeof held->digest, "%s", config_digest);
    held->next = native->held;
    native->held = held;
}

static void release_held(struct native *native)
{
    while (native->held != NULL) {
        struct held *held = native->held;
        native->held = held->next;
        close(held->lock);
        free(held);
    }
}

static void native_close(void *self)
{
    struct native *native = self;
    if (native != NULL) {
        release_held(native);
        registry_clients_free(native->clients);
        free(native->tool);
        free(native->init);
        free(native->store);
        free(native);
    }
}

/* native-init lies beside this plugin's own file. */
static char *find_init(void)
{
    Dl_info place;
    cleanup(memory_free) char *own = NULL;
    char *init = NULL;
    static const char here = 0;
    if (dladdr(&here, &place) == 0 || (own = realpath(place.dli_fname, NULL)) == NULL)
        return NULL;
    return asprintf(&init, "%.*s/native-init", (int)(strrchr(own, '/') - own), own) < 0 ? NULL : init;
}

static int32_t native_open(const struct descpipe_host *host, void **self, char *message, uint64_t message_size)
{
    const char *tool = host->config->text(host->settings, "tool");
    const char *store = host->config->text(host->settings, "store");
    char path[4096];
    struct native *native = calloc(1, sizeof *native);
    if (native != NULL) {
        native->host = host;
        native->init = find_init();
        native->layer_bytes = (uint64_t)host->config->integer(host->settings, "layer-limit");
        native->keep_layers = host->config->boolean(host->settings, "keep-layers") != 0;
        native->clients = registry_clients_new(host);
        if (native->clients != NULL)
            registry_clients_set_patience(native->clients,
                                          (uint64_t)host->config->integer(host->settings, "limit-wait"));
        if (store == NULL)
            store = host->cache_folder;
        native->store = store != NULL ? strdup(store) : NULL;
        if (host->process->find(host, tool != NULL ? tool : "bwrap", path, sizeof path) != 0)
            native->tool = strdup(path);
    }
    bool short_of_memory =
        native == NULL || native->clients == NULL || (store != NULL && native->store == NULL) || native->init == NULL;
    if (short_of_memory || access(native->init, X_OK) != 0) {
        if (short_of_memory)
            snprintf(message, message_size, "out of memory");
        else
            snprintf(message, message_size, "'%s' is missing: the installation is not complete", native->init);
        native_close(native);
        return 1;
    }
    *self = native;
    return 0;
}

bool native_has_store(const struct native *native, struct descpipe_call *call)
{
    if (native->store != NULL)
        return true;
    native->host->call->fail(call, DESCPIPE_FAILED_UNSUPPORTED,
                             "runtime 'native' has no folder to keep unpacked images in: this account's cache folder "
                             "cannot be made",
                             "let XDG_CACHE_HOME name a folder that you may write, or name one with the option "
                             "'store'");
    return false;
}

static uint32_t native_forms(void *self)
{
    (void)self;
    return DESCPIPE_FORM_COMMAND;
}

bool native_wants_network(const struct native *native, const struct descpipe_stage *stage)
{
    const struct descpipe_config_service *config = native->host->config;
    if ((stage->flags & DESCPIPE_STAGE_NO_NETWORK) != 0)
        return false;
    if (stage->settings != NULL && config->given(stage->settings, "network"))
        return config->boolean(stage->settings, "network") != 0;
    return config->boolean(native->host->settings, "network") != 0;
}

bool native_is_of_store(const struct native *native, const char *handle)
{
    size_t length = strlen(native->store);
    return handle != NULL && strncmp(handle, native->store, length) == 0 &&
           strncmp(handle + length, "/images/", 8) == 0;
}

void native_launch(void *self, struct descpipe_call *call, const struct descpipe_stage *stage)
{
    static const char *const nothing[] = {NULL};
    struct native *native = self;
    const struct descpipe_host *host = native->host;
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    cleanup(arguments_clear) struct arguments arguments = ARGUMENTS_INIT;
    cleanup(arguments_clear) struct arguments environment = ARGUMENTS_INIT;
    if (native->tool == NULL) {
        host->call->fail(call, DESCPIPE_FAILED_UNSUPPORTED, "bubblewrap (bwrap) is not on this machine",
                         NATIVE_TOOL_HINT);
        return;
    }
    if (!native_has_store(native, call))
        return;
    const char *accounts = arguments_format(&environment, "%s/accounts", native->store);
    struct launch launch = {.tool = native->tool,
                            .init = native->init,
                            .accounts_folder = accounts,
                            .network = native_wants_network(native, stage),
                            .stage = stage};
    cleanup(memory_free) char *image = NULL;
    if (native_is_of_store(native, stage->image_handle))
        image = environment_read(stage->image_handle, &launch.image_environment_length, &failure);
    launch.image_environment = image;
    if (failure.kind != 0 || !launch_write(&launch, &arguments, &environment, &failure)) {
        failure_finish(&failure, host, call);
        return;
    }
    struct descpipe_form form = {.size = sizeof form,
                                 .form = DESCPIPE_FORM_COMMAND,
                                 .argv = arguments.words,
                                 .environment = environment.count > 0 ? environment.words : nothing,
                                 .directory = "/",
                                 .late_prefix = ""};
    host->answer->form(call, &form);
    host->call->succeed(call);
}

/* Without LIMITS: memory and cpus are not enforced. A rootless bubblewrap could do it by a control group only, and an
 * ordinary session has none that it may divide (that takes a delegated one, by a session manager that is often not
 * there); limits of address space would end stages that map much and use little. A stage that the kernel ends for want
 * of memory is told as such all the same (core/run/here/memory_watch.h). */
static const struct descpipe_runtime native_operations = {
    .size = sizeof native_operations,
    .capabilities = DESCPIPE_RUNTIME_NO_NETWORK | DESCPIPE_RUNTIME_SINGLE_FILES | DESCPIPE_RUNTIME_READ_ONLY |
                    DESCPIPE_RUNTIME_CALLER_UID | DESCPIPE_RUNTIME_PINS_DIGEST | DESCPIPE_RUNTIME_RANKS_OUTSIDE |
                    DESCPIPE_RUNTIME_ISOLATES_PATHS,
    .sources = DESCPIPE_SOURCE_REGISTRY | DESCPIPE_SOURCE_ROOTFS | DESCPIPE_SOURCE_OCI_LAYOUT |
               DESCPIPE_SOURCE_OCI_ARCHIVE | DESCPIPE_SOURCE_DOCKER_ARCHIVE,
    .open = native_open,
    .close = native_close,
    .forms = native_forms,
    .probe = native_probe,
    .identify = native_identify,
    .prepare = native_prepare,
    .launch = native_launch,
    .shell = native_shell,
    .exec = native_exec,
    .stop = native_stop,
    .release = native_release,
    .commit = native_commit,
    .changes = native_changes,
    .copy_out = native_copy_out,
    .push = native_push,
    .prune = native_prune,
};

static const struct descpipe_option option_tool = {
    .size = sizeof option_tool,
    .type = DESCPIPE_OPTION_TEXT,
    .key = "tool",
    .default_value = "bwrap",
    .help = "The bubblewrap program: a name looked for on PATH, or an absolute path.",
};

static const struct descpipe_option option_store = {
    .size = sizeof option_store,
    .type = DESCPIPE_OPTION_PATH,
    .key = "store",
    .help = "The folder that keeps unpacked images, on a local disk; by default the user's cache folder.",
};

static const struct descpipe_option option_network = {
    .size = sizeof option_network,
    .type = DESCPIPE_OPTION_BOOLEAN,
    .flags = DESCPIPE_OPTION_PER_STAGE,
    .key = "network",
    .default_value = "true",
    .help = "Whether stages share the machine's network; without it they see only a loopback of their own.",
};

static const struct descpipe_option option_layer_limit = {
    .size = sizeof option_layer_limit,
    .type = DESCPIPE_OPTION_BYTES,
    .flags = DESCPIPE_OPTION_RANGED,
    .key = "layer-limit",
    .default_value = "200GiB",
    .help = "The most that one layer of an image may unpack to; a larger one is refused.",
    .minimum = 1,
    .maximum = INT64_MAX,
};

static const struct descpipe_option option_limit_wait = {
    .size = sizeof option_limit_wait,
    .type = DESCPIPE_OPTION_DURATION,
    .flags = DESCPIPE_OPTION_RANGED,
    .key = "limit-wait",
    .default_value = "2m",
    .help = "How long a pull may wait, in all, for a registry that limits how often it is asked and says until when; "
            "0s: it fails at once.",
    .minimum = 0,
    .maximum = INT64_C(7) * 24 * 3600 * 1000,
};

static const struct descpipe_option option_keep_layers = {
    .size = sizeof option_keep_layers,
    .type = DESCPIPE_OPTION_BOOLEAN,
    .key = "keep-layers",
    .default_value = "true",
    .help = "Whether fetched layers stay beside their unpacked files, so that the image can be pushed again from here.",
};

static const struct descpipe_option *const native_options[] = {
    &option_tool, &option_store, &option_network, &option_layer_limit, &option_keep_layers, &option_limit_wait, NULL};

static const struct descpipe_plugin native_plugin = {
    .size = sizeof native_plugin,
    .abi_major = DESCPIPE_ABI_MAJOR,
    .abi_minor = DESCPIPE_ABI_MINOR,
    .kind = "runtime",
    .name = "native",
    .version = DESCPIPE_PLUGIN_VERSION,
    .summary = "rootless containers by bubblewrap over an unpacked image, with no daemon",
    .author = "the descpipe authors",
    .licence = "BSD-3-Clause",
    .url = "",
    .options = native_options,
    .operations = &native_operations,
};

const struct descpipe_plugin *descpipe_plugin_v1(void)
{
    return &native_plugin;
}
