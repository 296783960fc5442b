/* SPDX-License-Identifier: BSD-3-Clause */
/* A runtime whose containers exist on paper: each is out of memory that has less than 96 MiB, and says what it had. One
 * with exactly 97 MiB is never told of by `inspect`, until the host takes its question back. */
#include <descpipe/plugin.h>

#include <stdio.h>
#include <string.h>

static uint64_t memory; /* of the container started last: the test runs one at a time */

static int32_t oom_open(const struct descpipe_host *host, void **self, char *message, uint64_t message_size)
{
    (void)message;
    (void)message_size;
    memcpy(self, &host, sizeof(host));
    return 0;
}

static void oom_close(void *self)
{
    (void)self;
}

static uint32_t oom_forms(void *self)
{
    (void)self;
    return DESCPIPE_FORM_MANAGED;
}

static void done(void *self, struct descpipe_call *call)
{
    const struct descpipe_host *host = self;
    host->call->succeed(call);
}

static void identity(void *self, struct descpipe_call *call)
{
    const struct descpipe_host *host = self;
    const struct descpipe_image_identity it = {.size = sizeof(it), .present = 1, .handle = "image"};
    host->answer->identity(call, &it);
    host->call->succeed(call);
}

static void oom_identify(void *self, struct descpipe_call *call, const struct descpipe_image *image)
{
    (void)image;
    identity(self, call);
}

static void oom_prepare(void *self, struct descpipe_call *call, const struct descpipe_prepare *prepare)
{
    (void)prepare;
    identity(self, call);
}

static void oom_launch(void *self, struct descpipe_call *call, const struct descpipe_stage *stage)
{
    const struct descpipe_host *host = self;
    (void)stage;
    host->call->fail(call, DESCPIPE_FAILED_UNSUPPORTED, "it has no command", 0);
}

static void oom_start(void *self, struct descpipe_call *call, const struct descpipe_stage *stage)
{
    const struct descpipe_host *host = self;
    memory = stage->resources->memory_per_node;
    host->answer->native_id(call, 0, "container");
    host->call->succeed(call);
}

static void ending(void *self, struct descpipe_call *call)
{
    const struct descpipe_host *host = self;
    int enough = memory >= 96u << 20;
    char reason[64];
    snprintf(reason, sizeof(reason), "it had %llu MiB", (unsigned long long)(memory >> 20));
    const struct descpipe_ending it = {.size = sizeof(it),
                                       .flags = DESCPIPE_ENDED_EXITED | (enough ? 0u : DESCPIPE_ENDED_OUT_OF_MEMORY),
                                       .exit_code = enough ? 0 : 137,
                                       .witness = "oom",
                                       .reason = reason};
    host->answer->ending(call, &it);
    host->call->succeed(call);
}

static void oom_observe(void *self, struct descpipe_call *call, const struct descpipe_container *container)
{
    (void)container;
    ending(self, call);
}

static const struct descpipe_host *asked_by;
static void taken_back(void *context)
{
    struct descpipe_call *call = context;
    asked_by->call->fail(call, DESCPIPE_FAILED_CANCELLED, "taken back", 0);
}

static void oom_inspect(void *self, struct descpipe_call *call, const struct descpipe_container *container)
{
    (void)container;
    asked_by = self;
    if (memory == 97u << 20) {
        asked_by->call->on_cancel(call, taken_back, call);
    } else {
        ending(self, call);
    }
}

static void oom_logs(void *self, struct descpipe_call *call, const struct descpipe_logs *logs)
{
    (void)logs;
    done(self, call);
}

static void oom_stop(void *self, struct descpipe_call *call, const struct descpipe_stop *stop)
{
    (void)stop;
    done(self, call);
}

static void oom_find(void *self, struct descpipe_call *call, const char *run)
{
    (void)run;
    done(self, call);
}

static void oom_release(void *self, struct descpipe_call *call, const struct descpipe_container *container)
{
    (void)container;
    done(self, call);
}

static const struct descpipe_runtime table = {
    .size = sizeof(table),
    .capabilities = DESCPIPE_RUNTIME_ISOLATES_PATHS | DESCPIPE_RUNTIME_READ_ONLY,
    .sources = DESCPIPE_SOURCE_NONE,
    .open = oom_open,
    .close = oom_close,
    .forms = oom_forms,
    .probe = done,
    .identify = oom_identify,
    .prepare = oom_prepare,
    .launch = oom_launch,
    .start = oom_start,
    .observe = oom_observe,
    .logs = oom_logs,
    .inspect = oom_inspect,
    .stop = oom_stop,
    .find = oom_find,
    .release = oom_release,
};

static const struct descpipe_plugin descriptor = {
    .size = sizeof(descriptor),
    .abi_major = DESCPIPE_ABI_MAJOR,
    .abi_minor = DESCPIPE_ABI_MINOR,
    .kind = "runtime",
    .name = "oom",
    .version = "0.1",
    .summary = "A plugin for tests",
    .author = "descpipe",
    .licence = "BSD-3-Clause",
    .url = "",
    .operations = &table,
};

DESCPIPE_EXPORT const struct descpipe_plugin *descpipe_plugin_v1(void);
DESCPIPE_EXPORT const struct descpipe_plugin *descpipe_plugin_v1(void)
{
    return &descriptor;
}
