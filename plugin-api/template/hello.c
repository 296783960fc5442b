/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A runtime to start from: no container, only `env COMMAND` on this machine, with exactly the stage's environment. It
 * accepts stages without an image.
 */
#include <descpipe/plugin.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef HELLO_VERSION
#define HELLO_VERSION "1.0.0"
#endif

/* Everything that is remembered between calls. One for each `open`; no writable statics. */
struct hello {
    const struct descpipe_host *host; /* stays valid until close */
    char env[1024];                   /* absolute path of env(1), found by `open` */
};

/* One probe in progress. */
struct probe {
    struct hello *hello;
    struct descpipe_call *call;
    struct descpipe_process *process;
    char version[256];
};

static int32_t hello_open(const struct descpipe_host *host, void **self, char *message, uint64_t message_size)
{
    const char *greeting = host->config->text(host->settings, "greeting");
    struct hello *hello = calloc(1, sizeof(*hello));

    if (hello == NULL) {
        snprintf(message, (size_t)message_size, "out of memory");
        return 1;
    }
    hello->host = host;
    /* Whether the tool is there is `probe`'s business: opening must work everywhere, so that a person can ask. */
    if (!host->process->find(host, "env", hello->env, sizeof(hello->env)))
        hello->env[0] = '\0';
    host->log->write(host, DESCPIPE_LOG_DEBUG, greeting != NULL ? greeting : "hello");
    *self = hello;
    return 0;
}

static void hello_close(void *self)
{
    free(self);
}

static uint32_t hello_forms(void *self)
{
    (void)self;
    return DESCPIPE_FORM_COMMAND;
}

static void probe_line(void *context, uint32_t stream, const char *line, uint64_t length)
{
    struct probe *probe = context;

    if (stream == 1 && probe->version[0] == '\0')
        snprintf(probe->version, sizeof(probe->version), "%.*s", (int)(length < 200 ? length : 200), line);
}

/* The tool has ended, and so does the call: exactly once, whatever happened. */
static void probe_ended(void *context, const struct descpipe_process_end *end)
{
    struct probe *probe = context;
    const struct descpipe_host *host = probe->hello->host;

    if (host->call->cancelled(probe->call)) {
        host->call->fail(probe->call, DESCPIPE_FAILED_CANCELLED, "cancelled", NULL);
    } else if (!end->started) {
        host->call->fail(probe->call, DESCPIPE_FAILED_CANNOT_ASK, "env cannot be started", end->message);
    } else if (end->exit_code != 0) {
        host->call->fail(probe->call, DESCPIPE_FAILED_REFUSED, "env --version fails", NULL);
    } else {
        host->answer->fact(probe->call, "tool", probe->hello->env);
        host->answer->fact(probe->call, "version", probe->version[0] ? probe->version : "unknown");
        host->call->succeed(probe->call);
    }
    free(probe);
}

/* The host wishes an end: stop the tool; its end then ends the call. */
static void probe_cancel(void *context)
{
    struct probe *probe = context;

    probe->hello->host->process->stop(probe->process);
}

static void hello_probe(void *self, struct descpipe_call *call)
{
    struct hello *hello = self;
    const struct descpipe_host *host = hello->host;
    const char *argv[] = {NULL, "--version", NULL};
    struct descpipe_process_request request = {0};
    struct probe *probe;

    if (hello->env[0] == '\0') {
        host->call->fail(call, DESCPIPE_FAILED_CANNOT_ASK, "'env' is not on PATH", "install coreutils");
        return;
    }
    probe = calloc(1, sizeof(*probe));
    if (probe == NULL) {
        host->call->fail(call, DESCPIPE_FAILED_LATER, "out of memory", NULL);
        return;
    }
    probe->hello = hello;
    probe->call = call;
    argv[0] = hello->env;
    request.size = sizeof(request);
    request.argv = argv;
    request.timeout_ms = 10000;
    request.output_limit = 65536;
    request.line = probe_line;
    request.ended = probe_ended;
    request.context = probe;
    probe->process = host->process->start(host, &request); /* `ended` comes later, never from inside start */
    host->call->on_cancel(call, probe_cancel, probe);
}

/* There is no image: its identity is the machine's own. */
static void answer_identity(struct hello *hello, struct descpipe_call *call)
{
    struct descpipe_image_identity identity = {0};

    identity.size = sizeof(identity);
    identity.present = 1;
    identity.handle = "this machine";
    hello->host->answer->identity(call, &identity);
    hello->host->call->succeed(call);
}

static void hello_identify(void *self, struct descpipe_call *call, const struct descpipe_image *image)
{
    (void)image;
    answer_identity(self, call);
}

static void hello_prepare(void *self, struct descpipe_call *call, const struct descpipe_prepare *prepare)
{
    (void)prepare;
    answer_identity(self, call);
}

/* The host starts argv with exactly the environment of the form, plus the values that only the starting machine knows
 * (late_names), each under late_prefix and its name. There is nothing between us and the stage, so the prefix is empty.
 */
static void hello_launch(void *self, struct descpipe_call *call, const struct descpipe_stage *stage)
{
    struct hello *hello = self;
    const struct descpipe_host *host = hello->host;
    struct descpipe_form form = {0};
    const char **argv;
    size_t words = 0, i;

    while (stage->command[words] != NULL)
        words++;
    if (words == 0 || strchr(stage->command[0], '=') != NULL) {
        host->call->fail(call, DESCPIPE_FAILED_REFUSED, "env takes a command with '=' in its name for a variable",
                         "rename the command");
        return;
    }
    argv = calloc(words + 2, sizeof(*argv));
    if (argv == NULL) {
        host->call->fail(call, DESCPIPE_FAILED_LATER, "out of memory", NULL);
        return;
    }
    argv[0] = hello->env[0] ? hello->env : "env";
    for (i = 0; i < words; i++)
        argv[i + 1] = stage->command[i];
    form.size = sizeof(form);
    form.form = DESCPIPE_FORM_COMMAND;
    form.argv = argv;
    form.environment = stage->environment;
    form.directory = stage->directory;
    form.late_prefix = "";
    host->answer->form(call, &form); /* copied before it returns */
    host->call->succeed(call);
    free(argv);
}

static const struct descpipe_runtime operations = {
    .size = sizeof(struct descpipe_runtime),
    .capabilities = DESCPIPE_RUNTIME_CALLER_UID,
    .sources = DESCPIPE_SOURCE_NONE,
    .open = hello_open,
    .close = hello_close,
    .forms = hello_forms,
    .probe = hello_probe,
    .identify = hello_identify,
    .prepare = hello_prepare,
    .launch = hello_launch,
};

static const struct descpipe_option greeting = {
    .size = sizeof(struct descpipe_option),
    .type = DESCPIPE_OPTION_TEXT,
    .key = "greeting",
    .default_value = "hello",
    .help = "What to write to the log when the runtime is opened.",
};

static const struct descpipe_option *const options[] = {&greeting, NULL};

static const struct descpipe_plugin plugin = {
    .size = sizeof(struct descpipe_plugin),
    .abi_major = DESCPIPE_ABI_MAJOR,
    .abi_minor = DESCPIPE_ABI_MINOR,
    .needs_minor = 0,
    .kind = "runtime",
    .name = "hello",
    .version = HELLO_VERSION,
    .summary = "Runs a stage on this machine with exactly its own environment",
    .author = "you",
    .licence = "BSD-3-Clause",
    .url = "",
    .options = options,
    .operations = &operations,
};

const struct descpipe_plugin *descpipe_plugin_v1(void)
{
    return &plugin;
}
