/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The smallest runtime there is, and by one definition each every way in which a plugin can be refused. CMakeLists.txt
 * lists the variants; without definitions it is a good plugin.
 */
#include <descpipe/plugin.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef TINY_NAME
#define TINY_NAME "tiny"
#endif
#ifndef TINY_KIND
#define TINY_KIND "runtime"
#endif
#ifndef TINY_ENTRY
#define TINY_ENTRY descpipe_plugin_v1
#endif
#ifndef TINY_MAJOR
#define TINY_MAJOR DESCPIPE_ABI_MAJOR
#endif
#ifndef TINY_MINOR
#define TINY_MINOR DESCPIPE_ABI_MINOR
#endif
#ifndef TINY_NEEDS
#define TINY_NEEDS 0
#endif
#ifndef TINY_DESCRIPTOR_SIZE
#define TINY_DESCRIPTOR_SIZE sizeof(struct descpipe_plugin)
#endif
#ifndef TINY_TABLE_SIZE
#define TINY_TABLE_SIZE sizeof(struct descpipe_runtime)
#endif
#ifndef TINY_LAUNCH
#define TINY_LAUNCH tiny_launch
#endif
#ifndef TINY_FORMS
#define TINY_FORMS DESCPIPE_FORM_COMMAND
#endif
#ifndef TINY_SECOND_KEY
#define TINY_SECOND_KEY "second"
#endif

#ifdef TINY_CALLS_NOWHERE
extern void descpipe_test_nowhere(void);
#endif
#ifdef TINY_CALLS_GONE
extern int descpipe_test_gone(void);
#endif

static int32_t tiny_open(const struct descpipe_host *host, void **self, char *message, uint64_t message_size)
{
#ifdef TINY_OPEN_FAILS
    snprintf(message, (size_t)message_size, "%s", TINY_OPEN_FAILS);
    (void)host;
    (void)self;
    return 1;
#else
    (void)message;
    (void)message_size;
    /* All state is the host's table: enough for a plugin that keeps none of its own. */
    memcpy(self, &host, sizeof(host));
    return 0;
#endif
}

static void tiny_close(void *self)
{
    (void)self;
#ifdef TINY_CALLS_NOWHERE
    descpipe_test_nowhere();
#endif
#ifdef TINY_CALLS_GONE
    descpipe_test_gone();
#endif
}

static uint32_t tiny_forms(void *self)
{
    (void)self;
    return TINY_FORMS;
}

static void tiny_probe(void *self, struct descpipe_call *call)
{
    const struct descpipe_host *host = self;
    host->answer->fact(call, "version", "1.2.3");
    host->call->succeed(call);
}

static void answer_identity(const struct descpipe_host *host, struct descpipe_call *call)
{
    struct descpipe_image_identity identity = {.size = sizeof(identity), .present = 1, .handle = "image-1"};
    host->answer->identity(call, &identity);
    host->call->succeed(call);
}

static void tiny_identify(void *self, struct descpipe_call *call, const struct descpipe_image *image)
{
    (void)image;
    answer_identity(self, call);
}

/* Where the conformance kit looks for faults. */
static void tiny_prepare(void *self, struct descpipe_call *call, const struct descpipe_prepare *prepare)
{
    (void)prepare;
#if defined(TINY_FORBIDDEN)
    setenv("TINY", "1", 1);
#elif defined(TINY_CRASHES)
    raise(SIGKILL); /* the sanitizers take SIGSEGV for themselves */
    ;
#elif defined(TINY_EXITS)
    _exit(3);
#elif defined(TINY_ENDS_TWICE)
    answer_identity(self, call);
#elif defined(TINY_ANSWERS_WRONG)
    const struct descpipe_host *host = self;
    host->answer->text(call, "text");
#elif defined(TINY_DEAF)
    (void)self;
    (void)call;
    return;
#endif
    answer_identity(self, call);
}

#ifndef TINY_WITHOUT_LAUNCH
static void tiny_launch(void *self, struct descpipe_call *call, const struct descpipe_stage *stage)
{
#ifdef TINY_LAUNCHES_LATE
    (void)self;
    (void)call;
    (void)stage;
#else
    const struct descpipe_host *host = self;
    struct descpipe_form form = {.size = sizeof(form),
                                 .form = DESCPIPE_FORM_COMMAND,
                                 .argv = stage->command,
                                 .environment = stage->environment,
                                 .directory = stage->directory};
    host->answer->form(call, &form);
    host->call->succeed(call);
#endif
}
#endif

static const struct descpipe_runtime table = {
    .size = TINY_TABLE_SIZE,
    .sources = DESCPIPE_SOURCE_NONE,
    .open = tiny_open,
    .close = tiny_close,
    .forms = tiny_forms,
    .probe = tiny_probe,
    .identify = tiny_identify,
    .prepare = tiny_prepare,
    .launch = TINY_LAUNCH,
};

static const struct descpipe_option first_option = {.size = sizeof(first_option),
                                                    .type = DESCPIPE_OPTION_TEXT,
                                                    .key = "first",
                                                    .default_value = "one",
                                                    .help = "The first of two options."};
static const struct descpipe_option second_option = {.size = sizeof(second_option),
                                                     .type = DESCPIPE_OPTION_DURATION,
                                                     .key = TINY_SECOND_KEY,
                                                     .help = "The second of two options."};
static const struct descpipe_option *const options[] = {&first_option, &second_option, 0};

static const struct descpipe_plugin descriptor = {
    .size = TINY_DESCRIPTOR_SIZE,
    .abi_major = TINY_MAJOR,
    .abi_minor = TINY_MINOR,
    .needs_minor = TINY_NEEDS,
    .kind = TINY_KIND,
    .name = TINY_NAME,
    .version = "0.1",
    .summary = "A plugin for tests",
    .author = "descpipe",
    .licence = "BSD-3-Clause",
    .url = "",
    .options = options,
    .operations = &table,
};

DESCPIPE_EXPORT const struct descpipe_plugin *TINY_ENTRY(void);
DESCPIPE_EXPORT const struct descpipe_plugin *TINY_ENTRY(void)
{
#ifdef TINY_NO_DESCRIPTOR
    (void)descriptor;
    return 0;
#else
    return &descriptor;
#endif
}
