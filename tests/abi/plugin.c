/* SPDX-License-Identifier: BSD-3-Clause */
/* A runtime that uses newer members where its headers and its host have them; compiled against each header set. */
#include <descpipe/plugin.h>

#ifndef NEEDS_MINOR
#define NEEDS_MINOR 0
#endif

static int32_t plugin_open(const struct descpipe_host *host, void **self, char *message, uint64_t message_size)
{
    (void)message;
    (void)message_size;
    *self = (void *)(uintptr_t)host;
    return 0;
}

static void plugin_close(void *self)
{
    (void)self;
}

static uint32_t plugin_forms(void *self)
{
    (void)self;
    return DESCPIPE_FORM_COMMAND;
}

static void plugin_probe(void *self, struct descpipe_call *call)
{
    const struct descpipe_host *host = self;
    host->call->succeed(call);
}

static void plugin_identify(void *self, struct descpipe_call *call, const struct descpipe_image *image)
{
    (void)image;
    plugin_probe(self, call);
}

static void plugin_prepare(void *self, struct descpipe_call *call, const struct descpipe_prepare *prepare)
{
    (void)prepare;
    plugin_probe(self, call);
}

static void plugin_launch(void *self, struct descpipe_call *call, const struct descpipe_stage *stage)
{
    const struct descpipe_host *host = self;
    const char *argv[] = {stage->name, "no newer host", "no newer stage", 0};
    struct descpipe_form form = {.size = sizeof(form), .form = DESCPIPE_FORM_COMMAND, .argv = argv};
#if DESCPIPE_ABI_MINOR >= 7
    if (DESCPIPE_HAS(host, struct descpipe_host, newer_name))
        argv[1] = host->newer_name;
    if (DESCPIPE_HAS(stage, struct descpipe_stage, newer_hint))
        argv[2] = stage->newer_hint;
    form.newer_text = "newer text";
#endif
    host->answer->form(call, &form);
    host->call->succeed(call);
}

#if DESCPIPE_ABI_MINOR >= 7
static uint32_t plugin_newer(void *self)
{
    (void)self;
    return 77;
}
#endif

static const struct descpipe_runtime table = {
    .size = sizeof(table),
    .sources = DESCPIPE_SOURCE_NONE,
    .open = plugin_open,
    .close = plugin_close,
    .forms = plugin_forms,
    .probe = plugin_probe,
    .identify = plugin_identify,
    .prepare = plugin_prepare,
    .launch = plugin_launch,
#if DESCPIPE_ABI_MINOR >= 7
    .newer_answer = plugin_newer,
#endif
};

static const struct descpipe_plugin descriptor = {
    .size = sizeof(descriptor),
    .abi_major = DESCPIPE_ABI_MAJOR,
    .abi_minor = DESCPIPE_ABI_MINOR,
    .needs_minor = NEEDS_MINOR,
    .kind = "runtime",
    .name = "abi",
    .version = "1",
    .summary = "Built with the headers of some version",
    .operations = &table,
#if DESCPIPE_ABI_MINOR >= 7
    .newer_homepage = "somewhere",
#endif
};

const struct descpipe_plugin *descpipe_plugin_v1(void)
{
    return &descriptor;
}
