/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A runtime that does what the reference of the image says: keeps the rules in some unusual way, or breaks one. Its
 * `prepare` uses one host service each.
 */
#include <descpipe/plugin.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct unruly {
    const struct descpipe_host *host;
};

struct job {
    const struct descpipe_host *host;
    struct descpipe_call *call;
    struct descpipe_timer *timer;
    int ignores;
    int number;
    int pipe[2];
    struct descpipe_watch *watch;
    struct descpipe_process *process;
    struct descpipe_exchange *exchange;
    char text[256];
};

static struct job *job_new(const struct unruly *self, struct descpipe_call *call)
{
    struct job *job = calloc(1, sizeof(*job));
    if (!job)
        abort();
    job->host = self->host;
    job->call = call;
    return job;
}

static void add(struct job *job, const char *text)
{
    size_t used = strlen(job->text);
    snprintf(job->text + used, sizeof(job->text) - used, "%s", text);
}

static void set(struct job *job, const char *text)
{
    job->text[0] = '\0';
    add(job, text);
}

static int32_t unruly_open(const struct descpipe_host *host, void **self, char *message, uint64_t message_size)
{
    struct unruly *unruly = calloc(1, sizeof(*unruly));
    (void)message;
    (void)message_size;
    if (!unruly)
        return 1;
    unruly->host = host;
    *self = unruly;
    return 0;
}

static void unruly_close(void *self)
{
    const struct unruly *unruly = self;
    unruly->host->log->write(unruly->host, DESCPIPE_LOG_DEBUG, "closed");
    free(self);
}

static uint32_t unruly_forms(void *self)
{
    (void)self;
    return DESCPIPE_FORM_COMMAND;
}

static void unruly_probe(void *self, struct descpipe_call *call)
{
    const struct unruly *unruly = self;
    unruly->host->answer->fact(call, "one", "1");
    unruly->host->answer->fact(call, "two", "2");
    unruly->host->call->succeed(call);
}

static void succeed(struct job *job)
{
    struct descpipe_image_identity identity = {
        .size = sizeof(identity), .config_digest = "sha256:1", .handle = job->text};
    job->host->answer->identity(job->call, &identity);
    job->host->call->succeed(job->call);
    free(job);
}

static void succeed_later(void *context)
{
    succeed(context);
}

static void wish_to_fail(void *context)
{
    struct job *job = context;
    job->host->timer->stop(job->timer);
    job->host->call->fail(job->call, DESCPIPE_FAILED_CANCELLED, "stopped as told", 0);
    free(job);
}

static void wish_ignored(void *context)
{
    struct job *job = context;
    job->ignores++;
}

static void finish_again(void *context)
{
    struct job *job = context;
    job->host->call->succeed(job->call);
    job->host->answer->fact(job->call, "late", "fact");
    free(job);
}

static void identify_good(struct job *job, const char *how)
{
    const struct descpipe_host *host = job->host;
    if (strcmp(how, "now") == 0) {
        set(job, "at once");
        succeed(job);
    } else if (strcmp(how, "later") == 0) {
        job->timer = host->timer->start(host, 1, succeed_later, job);
    } else if (strcmp(how, "cancellable") == 0) {
        job->timer = host->timer->start(host, 3600000, succeed_later, job);
        host->call->on_cancel(job->call, wish_to_fail, job);
    } else if (strcmp(how, "too-late-to-cancel") == 0) {
        job->timer = host->timer->start(host, 20, succeed_later, job);
        host->call->on_cancel(job->call, wish_ignored, job);
    } else if (strcmp(how, "progress") == 0) {
        host->call->progress(job->call, 1, 3, "one");
        host->call->progress(job->call, 2, 3, "two");
        job->timer = host->timer->start(host, 1, succeed_later, job);
    } else if (strcmp(how, "progress-now") == 0) {
        host->call->progress(job->call, 3, 3, 0);
        succeed(job);
    } else if (strcmp(how, "fails") == 0) {
        host->call->fail(job->call, DESCPIPE_FAILED_NOT_FOUND, "no such\nimage", "pull it");
        free(job);
    } else {
        host->call->fail(job->call, DESCPIPE_FAILED_REFUSED, "what?", 0);
        free(job);
    }
}

static void identify(void *self, struct descpipe_call *call, const struct descpipe_image *image)
{
    const struct unruly *unruly = self;
    const struct descpipe_host *host = unruly->host;
    const char *how = image->reference;
    struct job *job = job_new(unruly, call);
    struct descpipe_image_identity identity = {.size = sizeof(identity)};
    struct descpipe_form form = {.size = sizeof(form)};
    if (strcmp(how, "never") == 0) {
        free(job);
    } else if (strcmp(how, "twice") == 0) {
        host->answer->identity(call, &identity);
        host->call->succeed(call);
        host->call->succeed(call);
        free(job);
    } else if (strcmp(how, "fails-after-success") == 0) {
        host->answer->identity(call, &identity);
        host->call->succeed(call);
        host->call->fail(call, DESCPIPE_FAILED_REFUSED, "changed my mind", 0);
        free(job);
    } else if (strcmp(how, "answers-after-end") == 0) {
        host->answer->identity(call, &identity);
        host->call->succeed(call);
        host->timer->start(host, 1, finish_again, job);
    } else if (strcmp(how, "wrong-answer") == 0) {
        host->answer->form(call, &form);
        host->call->succeed(call);
        free(job);
    } else if (strcmp(how, "no-answer") == 0) {
        host->call->succeed(call);
        free(job);
    } else if (strcmp(how, "two-answers") == 0) {
        host->answer->identity(call, &identity);
        host->answer->identity(call, &identity);
        host->call->succeed(call);
        free(job);
    } else if (strcmp(how, "small-answer") == 0) {
        identity.size = 12;
        host->answer->identity(call, &identity);
        host->call->succeed(call);
        free(job);
    } else if (strcmp(how, "no-message") == 0) {
        host->call->fail(call, DESCPIPE_FAILED_REFUSED, "", 0);
        free(job);
    } else if (strcmp(how, "new-failure") == 0) {
        host->call->fail(call, 999, "a failure of the future", 0);
        free(job);
    } else {
        identify_good(job, how);
    }
}

/* The services. */

static void tool_line(void *context, uint32_t stream, const char *line, uint64_t length)
{
    struct job *job = context;
    size_t used = strlen(job->text);
    if (used + length + 4 < sizeof(job->text)) {
        job->text[used] = (char)('0' + stream);
        memcpy(job->text + used + 1, line, (size_t)length);
        job->text[used + 1 + length] = ';';
        job->text[used + 2 + length] = '\0';
    }
}

static void tool_ended(void *context, const struct descpipe_process_end *end)
{
    struct job *job = context;
    if (end->started && end->exit_code == 0)
        succeed(job);
    else {
        job->host->call->fail(job->call, DESCPIPE_FAILED_REFUSED, end->message ? end->message : "the tool failed", 0);
        free(job);
    }
}

static void stop_tool(void *context)
{
    struct job *job = context;
    job->host->process->stop(job->process);
}

static void run_tool(struct job *job, const char *const *argv, const char *input)
{
    const char *const environment[] = {"PATH=/usr/bin:/bin", "WORD=there", 0};
    struct descpipe_process_request request = {.size = sizeof(request),
                                               .argv = argv,
                                               .environment = environment,
                                               .input = input,
                                               .input_length = input ? strlen(input) : 0,
                                               .line = tool_line,
                                               .ended = tool_ended,
                                               .context = job};
    job->host->call->on_cancel(job->call, stop_tool, job);
    job->process = job->host->process->start(job->host, &request);
}

static void work_here(void *context)
{
    struct job *job = context;
    job->number = 42;
}

static void work_done(void *context)
{
    struct job *job = context;
    set(job, job->number == 42 ? "worked" : "not worked");
    succeed(job);
}

static void pipe_ready(void *context, uint32_t events)
{
    struct job *job = context;
    ssize_t got = read(job->pipe[0], job->text, sizeof(job->text) - 1);
    if (!(events & DESCPIPE_READABLE) || got < 0)
        set(job, "bad");
    job->host->descriptor->unwatch(job->watch);
    close(job->pipe[0]);
    close(job->pipe[1]);
    succeed(job);
}

static void got_credential(void *context, const struct descpipe_credential *credential, const char *message)
{
    struct job *job = context;
    if (message) {
        job->host->call->fail(job->call, DESCPIPE_FAILED_NEEDS_LOGIN, message, 0);
        free(job);
        return;
    }
    set(job, "anonymous");
    if (credential) {
        set(job, credential->username);
        add(job, ":");
        add(job, job->host->secret->reveal(credential->password, 0));
        add(job, " from ");
        add(job, credential->origin);
    }
    succeed(job);
}

static void http_ended(void *context, const struct descpipe_http_end *end)
{
    struct job *job = context;
    if (end->outcome == DESCPIPE_HTTP_CANNOT_CONNECT)
        job->host->call->fail(job->call, DESCPIPE_FAILED_CANNOT_ASK, "nobody answers", end->message);
    else
        job->host->call->fail(job->call, DESCPIPE_FAILED_UNKNOWN, end->message ? end->message : "?", 0);
    free(job);
}

static void prepare_settings(struct job *job)
{
    const struct descpipe_config_service *config = job->host->config;
    const struct descpipe_settings *settings = job->host->settings;
    const char *word = config->text(settings, "word");
    const struct descpipe_secret *secret = config->secret(settings, "token");
    set(job, word ? word : "(null)");
    add(job, config->integer(settings, "wait") == 90000 ? " 90000" : " ?");
    add(job, config->boolean(settings, "switch") ? " true" : " false");
    add(job, config->given(settings, "word") ? " given" : " default");
    add(job, config->text(settings, "wait") ? " wrong type" : " typed");
    add(job, config->text(settings, "nonsense") ? " nonsense" : " known");
    add(job, secret ? " " : " no secret");
    add(job, secret ? job->host->secret->reveal(secret, 0) : "");
    succeed(job);
}

static void prepare(void *self, struct descpipe_call *call, const struct descpipe_prepare *prepare)
{
    const struct unruly *unruly = self;
    const struct descpipe_host *host = unruly->host;
    const char *what = prepare->image->reference;
    struct job *job = job_new(unruly, call);
    if (strcmp(what, "tool") == 0) {
        const char *const argv[] = {"sh", "-c", "cat; echo out $WORD $PLUGIN_TEST; echo err >&2", 0};
        run_tool(job, argv, "in\n");
    } else if (strcmp(what, "no-tool") == 0) {
        const char *const argv[] = {"descpipe-no-such-tool", 0};
        run_tool(job, argv, 0);
    } else if (strcmp(what, "long-tool") == 0) {
        const char *const argv[] = {"sleep", "3600", 0};
        run_tool(job, argv, 0);
    } else if (strcmp(what, "no-argv") == 0) {
        const char *const argv[] = {0};
        run_tool(job, argv, 0);
    } else if (strcmp(what, "find") == 0) {
        if (!host->process->find(host, "sh", job->text, sizeof(job->text)))
            set(job, "not found");
        if (host->process->find(host, "descpipe-no-such-tool", job->text + 200, 50))
            set(job, "found nonsense");
        if (host->process->find(host, "sh", job->text + 200, 3))
            set(job, "wrote beyond the end");
        succeed(job);
    } else if (strcmp(what, "work") == 0) {
        host->work->run(host, work_here, work_done, job);
    } else if (strcmp(what, "descriptor") == 0) {
        if (pipe(job->pipe) != 0 || write(job->pipe[1], "through", 7) != 7)
            abort();
        job->watch = host->descriptor->watch(host, job->pipe[0], DESCPIPE_READABLE, pipe_ready, job);
    } else if (strcmp(what, "credential") == 0) {
        host->credential->for_image(host, prepare->image, DESCPIPE_PURPOSE_PULL, got_credential, job);
    } else if (strcmp(what, "http") == 0) {
        struct descpipe_http_request request = {.size = sizeof(request),
                                                .method = "GET",
                                                .url = "http://localhost/x",
                                                .unix_socket = "/nowhere/descpipe.sock",
                                                .ended = http_ended,
                                                .context = job};
        job->exchange = host->http->start(host, &request);
    } else if (strcmp(what, "http-without-url") == 0) {
        struct descpipe_http_request request = {
            .size = sizeof(request), .method = "GET", .ended = http_ended, .context = job};
        job->exchange = host->http->start(host, &request);
    } else if (strcmp(what, "leave-open") == 0) {
        /* A tool that only ends when it is stopped, and a timer and a watch nobody takes away. */
        const char *const argv[] = {"sleep", "3600", 0};
        struct job *other = job_new(unruly, call);
        run_tool(other, argv, 0);
        host->timer->start(host, 3600000, succeed_later, job);
        free(job);
    } else if (strcmp(what, "settings") == 0) {
        prepare_settings(job);
    } else {
        host->call->fail(call, DESCPIPE_FAILED_REFUSED, "what?", 0);
        free(job);
    }
}

static void launch(void *self, struct descpipe_call *call, const struct descpipe_stage *stage)
{
    const struct unruly *unruly = self;
    const struct descpipe_host *host = unruly->host;
    struct descpipe_form form = {.size = sizeof(form),
                                 .form = DESCPIPE_FORM_COMMAND,
                                 .argv = stage->command,
                                 .environment = stage->environment,
                                 .directory = "/",
                                 .late_prefix = "LATE_",
                                 .mounts = stage->mounts};
    const char *const none[] = {0};
    if (stage->name && strcmp(stage->name, "no-argv") == 0)
        form.argv = none;
    if (stage->name && strcmp(stage->name, "managed-form") == 0)
        form.form = DESCPIPE_FORM_MANAGED;
    host->answer->form(call, &form);
    host->call->succeed(call);
}

static const struct descpipe_runtime table = {
    .size = sizeof(table),
    .sources = DESCPIPE_SOURCE_REGISTRY,
    .open = unruly_open,
    .close = unruly_close,
    .forms = unruly_forms,
    .probe = unruly_probe,
    .identify = identify,
    .prepare = prepare,
    .launch = launch,
};

static const struct descpipe_option word = {
    .size = sizeof(word), .type = DESCPIPE_OPTION_TEXT, .key = "word", .default_value = "hello", .help = "A word."};
static const struct descpipe_option wait_option = {.size = sizeof(wait_option),
                                                   .type = DESCPIPE_OPTION_DURATION,
                                                   .flags = DESCPIPE_OPTION_RANGED,
                                                   .key = "wait",
                                                   .default_value = "90",
                                                   .help = "How long to wait.",
                                                   .minimum = 0,
                                                   .maximum = 3600000};
static const struct descpipe_option switch_option = {.size = sizeof(switch_option),
                                                     .type = DESCPIPE_OPTION_BOOLEAN,
                                                     .key = "switch",
                                                     .default_value = "true",
                                                     .help = "On or off."};
static const struct descpipe_option token = {
    .size = sizeof(token), .type = DESCPIPE_OPTION_SECRET, .key = "token", .help = "A secret."};
static const struct descpipe_option *const options[] = {&word, &wait_option, &switch_option, &token, 0};

static const struct descpipe_plugin descriptor = {
    .size = sizeof(descriptor),
    .abi_major = DESCPIPE_ABI_MAJOR,
    .abi_minor = DESCPIPE_ABI_MINOR,
    .kind = "runtime",
    .name = "unruly",
    .version = "0.1",
    .summary = "Breaks one rule at a time",
    .author = "descpipe",
    .licence = "BSD-3-Clause",
    .url = "",
    .options = options,
    .operations = &table,
};

const struct descpipe_plugin *descpipe_plugin_v1(void)
{
    return &descriptor;
}
