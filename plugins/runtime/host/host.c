/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runtime `host`: runs a stage's command straight on this machine, with no container and no image.
 *
 * How it works: `launch` answers the stage's own command, environment and folder. There are no mounts, so the
 * capability table lacks ISOLATES_PATHS and the planner hands the stage the machine's own paths. A stage that needs
 * more (a mount at another place, no network) is refused here too, never quietly run with less. It is the hot path
 * of runs with very many small tasks: nothing is allocated or copied here.
 */
#include <descpipe/plugin.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#define MESSAGE_LIMIT 1024

struct host_runtime {
    const struct descpipe_host *host;
};

static int32_t host_open(const struct descpipe_host *host, void **self, char *message, uint64_t message_size)
{
    struct host_runtime *runtime = calloc(1, sizeof *runtime);
    if (runtime == NULL) {
        snprintf(message, message_size, "out of memory");
        return 1;
    }
    runtime->host = host;
    *self = runtime;
    return 0;
}

static void host_close(void *self)
{
    free(self);
}

static uint32_t host_forms(void *self)
{
    (void)self;
    return DESCPIPE_FORM_COMMAND;
}

static void host_probe(void *self, struct descpipe_call *call)
{
    const struct descpipe_host *host = ((struct host_runtime *)self)->host;
    struct utsname machine;
    if (uname(&machine) == 0) {
        host->answer->fact(call, "machine", machine.machine);
        host->answer->fact(call, "version", machine.release);
    }
    host->answer->fact(call, "container", "none: stages run as ordinary processes of this machine");
    host->call->succeed(call);
}

static void answer_no_image(struct host_runtime *runtime, struct descpipe_call *call,
                            const struct descpipe_image *image)
{
    const struct descpipe_host *host = runtime->host;
    if (image->source != DESCPIPE_SOURCE_NONE && image->reference != NULL) {
        char line[MESSAGE_LIMIT];
        snprintf(line, sizeof line, "no image is used: runtime 'host' runs stages without '%s'", image->reference);
        host->log->write(host, DESCPIPE_LOG_NOTICE, line);
    }
    struct descpipe_image_identity identity = {.size = sizeof identity, .present = 1};
    host->answer->identity(call, &identity);
    host->call->succeed(call);
}

static void host_identify(void *self, struct descpipe_call *call, const struct descpipe_image *image)
{
    answer_no_image(self, call, image);
}

static void host_prepare(void *self, struct descpipe_call *call, const struct descpipe_prepare *prepare)
{
    struct host_runtime *runtime = self;
    struct descpipe_image_identity identity = {.size = sizeof identity, .present = 1};
    (void)prepare; /* `identify` has told about the image already */
    runtime->host->answer->identity(call, &identity);
    runtime->host->call->succeed(call);
}

/* The first mount that this machine does not show at its target already, or NULL. */
static const struct descpipe_mount *mount_elsewhere(const struct descpipe_stage *stage)
{
    for (size_t i = 0; stage->mounts != NULL && stage->mounts[i] != NULL; i++) {
        const struct descpipe_mount *mount = stage->mounts[i];
        if ((mount->flags & DESCPIPE_MOUNT_SCRATCH) != 0 || strcmp(mount->source, mount->target) != 0)
            return mount;
    }
    return NULL;
}

static void host_launch(void *self, struct descpipe_call *call, const struct descpipe_stage *stage)
{
    const struct descpipe_host *host = ((struct host_runtime *)self)->host;
    const struct descpipe_mount *mount = mount_elsewhere(stage);
    if (mount != NULL) {
        char line[MESSAGE_LIMIT];
        snprintf(line, sizeof line, "stage '%s' needs a mount at '%s', and without a container there are none",
                 stage->name, mount->target);
        host->call->fail(call, DESCPIPE_FAILED_UNSUPPORTED, line, "choose a runtime with containers, e.g. native");
        return;
    }
    if ((stage->flags & DESCPIPE_STAGE_NO_NETWORK) != 0) {
        char line[MESSAGE_LIMIT];
        snprintf(line, sizeof line, "stage '%s' must not reach the network, and runtime 'host' cannot take it away",
                 stage->name);
        host->call->fail(call, DESCPIPE_FAILED_UNSUPPORTED, line, "choose a runtime with containers, e.g. native");
        return;
    }
    struct descpipe_form form = {.size = sizeof form,
                                 .form = DESCPIPE_FORM_COMMAND,
                                 .argv = stage->command,
                                 .environment = stage->environment,
                                 .directory = stage->directory != NULL ? stage->directory : stage->host_directory,
                                 .late_prefix = ""};
    host->answer->form(call, &form);
    host->call->succeed(call);
}

static const struct descpipe_runtime host_operations = {
    .size = sizeof host_operations,
    /* The machine's own devices, and of them those that CUDA_VISIBLE_DEVICES names. */
    .capabilities = DESCPIPE_RUNTIME_GPUS | DESCPIPE_RUNTIME_CALLER_UID | DESCPIPE_RUNTIME_RANKS_OUTSIDE,
    /* Any image is accepted and none is used, so that one pipeline file runs with and without containers. */
    .sources = DESCPIPE_SOURCE_REGISTRY | DESCPIPE_SOURCE_DOCKER_ARCHIVE | DESCPIPE_SOURCE_OCI_ARCHIVE |
               DESCPIPE_SOURCE_OCI_LAYOUT | DESCPIPE_SOURCE_ROOTFS | DESCPIPE_SOURCE_SIF | DESCPIPE_SOURCE_NONE,
    .open = host_open,
    .close = host_close,
    .forms = host_forms,
    .probe = host_probe,
    .identify = host_identify,
    .prepare = host_prepare,
    .launch = host_launch,
};

static const struct descpipe_option *const host_options[] = {NULL};

static const struct descpipe_plugin host_plugin = {
    .size = sizeof host_plugin,
    .abi_major = DESCPIPE_ABI_MAJOR,
    .abi_minor = DESCPIPE_ABI_MINOR,
    .kind = "runtime",
    .name = "host",
    .version = DESCPIPE_PLUGIN_VERSION,
    .summary = "no container: the command runs as an ordinary process of this machine",
    .author = "the descpipe authors",
    .licence = "BSD-3-Clause",
    .url = "",
    .options = host_options,
    .operations = &host_operations,
};

const struct descpipe_plugin *descpipe_plugin_v1(void)
{
    return &host_plugin;
}
