/* SPDX-License-Identifier: BSD-3-Clause */
/* The smallest host a runtime plugin can be driven with. */
#include "fake_host.h"

#include <check.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* What waits to be run by the pump. One host is open at a time in a test program. */
static struct pending {
    struct pending *next;
    struct descpipe_process_request request; /* argv owned */
    char **argv;
    void (*work)(void *context);
    void (*done)(void *context);
    void *context;
    bool stopped;
} * pending_first;

static struct fake_host *opened;

static char **copy_list(const char *const *list)
{
    size_t count = 0;
    while (list != NULL && list[count] != NULL)
        count++;
    char **copy = calloc(count + 1, sizeof *copy);
    for (size_t i = 0; i < count; i++)
        copy[i] = strdup(list[i]);
    return copy;
}

static void free_list(char **list)
{
    for (size_t i = 0; list != NULL && list[i] != NULL; i++)
        free(list[i]);
    free((void *)list);
}

static char *copy_text(const char *text)
{
    return text != NULL ? strdup(text) : NULL;
}

static void write_log(const struct descpipe_host *host, uint32_t level, const char *message)
{
    (void)host;
    (void)level;
    free(opened->last_log);
    opened->last_log = strdup(message);
}

static const char *find_value(const struct descpipe_settings *settings, const char *key, bool *given)
{
    *given = false;
    for (size_t i = 0; settings->items != NULL && settings->items[i].key != NULL; i++)
        if (strcmp(settings->items[i].key, key) == 0) {
            *given = true;
            return settings->items[i].value;
        }
    for (size_t i = 0; settings->options[i] != NULL; i++)
        if (strcmp(settings->options[i]->key, key) == 0)
            return settings->options[i]->default_value;
    ck_abort_msg("the plugin asks for option '%s', which is not in its table", key);
    return NULL;
}

static int32_t config_given(const struct descpipe_settings *settings, const char *key)
{
    bool given;
    find_value(settings, key, &given);
    return given;
}

static const char *config_text(const struct descpipe_settings *settings, const char *key)
{
    bool given;
    return find_value(settings, key, &given);
}

static int64_t config_integer(const struct descpipe_settings *settings, const char *key)
{
    const char *value = config_text(settings, key);
    char *end = NULL;
    if (value == NULL)
        return 0;
    int64_t number = strtoll(value, &end, 10);
    return strcmp(end, "GiB") == 0 ? number << 30 : number;
}

static int32_t config_boolean(const struct descpipe_settings *settings, const char *key)
{
    const char *value = config_text(settings, key);
    return value != NULL && strcmp(value, "true") == 0;
}

static void call_succeed(struct descpipe_call *call)
{
    call->finished++;
    call->succeeded = true;
}

static void call_fail(struct descpipe_call *call, uint32_t failure, const char *message, const char *hint)
{
    call->finished++;
    call->failure = failure;
    call->message = strdup(message);
    call->hint = copy_text(hint);
}

static int32_t call_cancelled(const struct descpipe_call *call)
{
    return call->cancel_wished;
}

static void call_on_cancel(struct descpipe_call *call, void (*wish)(void *context), void *context)
{
    call->wish = wish;
    call->wish_context = context;
}

static void call_progress(struct descpipe_call *call, uint64_t done, uint64_t total, const char *text)
{
    (void)call;
    (void)done;
    (void)total;
    (void)text;
}

static void answer_fact(struct descpipe_call *call, const char *name, const char *value)
{
    ck_assert_uint_lt(call->facts_count, 32);
    call->facts[call->facts_count++] = (struct fake_fact){strdup(name), strdup(value)};
}

static void answer_identity(struct descpipe_call *call, const struct descpipe_image_identity *identity)
{
    ck_assert(!call->has_identity);
    call->has_identity = true;
    call->identity = *identity;
    call->identity.config_digest = copy_text(identity->config_digest);
    call->identity.manifest_digest = copy_text(identity->manifest_digest);
    call->identity.media_type = copy_text(identity->media_type);
    call->identity.platform = copy_text(identity->platform);
    call->identity.handle = copy_text(identity->handle);
}

static void answer_form(struct descpipe_call *call, const struct descpipe_form *form)
{
    ck_assert(!call->has_form);
    ck_assert_uint_eq(form->form, DESCPIPE_FORM_COMMAND);
    call->has_form = true;
    call->argv = copy_list(form->argv);
    call->environment = copy_list(form->environment);
    call->directory = copy_text(form->directory);
    call->late_prefix = copy_text(form->late_prefix);
}

static struct pending *append_pending(void)
{
    struct pending *pending = calloc(1, sizeof *pending);
    struct pending **place = &pending_first;
    while (*place != NULL)
        place = &(*place)->next;
    *place = pending;
    return pending;
}

static struct descpipe_process *process_start(const struct descpipe_host *host,
                                              const struct descpipe_process_request *request)
{
    (void)host;
    struct pending *pending = append_pending();
    pending->request = *request;
    pending->argv = copy_list(request->argv);
    return (struct descpipe_process *)pending;
}

static void process_stop(struct descpipe_process *process)
{
    ((struct pending *)process)->stopped = true;
}

static int32_t process_find(const struct descpipe_host *host, const char *name, char *path, uint64_t path_size)
{
    (void)host;
    static const char *const folders[] = {"/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin"};
    if (strchr(name, '/') != NULL) {
        snprintf(path, path_size, "%s", name);
        return access(name, X_OK) == 0;
    }
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        snprintf(path, path_size, "%s/%s", folders[i], name);
        if (access(path, X_OK) == 0)
            return 1;
    }
    return 0;
}

static void work_run(const struct descpipe_host *host, void (*work)(void *context), void (*done)(void *context),
                     void *context)
{
    (void)host;
    struct pending *pending = append_pending();
    pending->work = work;
    pending->done = done;
    pending->context = context;
}

static struct descpipe_timer *timer_start(const struct descpipe_host *host, uint64_t delay_ms,
                                          void (*fired)(void *context), void *context)
{
    ck_assert_uint_gt(delay_ms, 0);
    work_run(host, NULL, fired, context);
    return NULL;
}

static const struct descpipe_log_service log_service = {.size = sizeof log_service, .write = write_log};
static const struct descpipe_config_service config_service = {.size = sizeof config_service,
                                                              .given = config_given,
                                                              .text = config_text,
                                                              .integer = config_integer,
                                                              .boolean = config_boolean};
static const struct descpipe_call_service call_service = {.size = sizeof call_service,
                                                          .succeed = call_succeed,
                                                          .fail = call_fail,
                                                          .cancelled = call_cancelled,
                                                          .on_cancel = call_on_cancel,
                                                          .progress = call_progress};
static const struct descpipe_answer_service answer_service = {
    .size = sizeof answer_service, .fact = answer_fact, .identity = answer_identity, .form = answer_form};
static const struct descpipe_process_service process_service = {
    .size = sizeof process_service, .start = process_start, .stop = process_stop, .find = process_find};
static const struct descpipe_work_service work_service = {.size = sizeof work_service, .run = work_run};
static const struct descpipe_timer_service timer_service = {.size = sizeof timer_service, .start = timer_start};

void fake_host_open(struct fake_host *fake, const char *file, const char *cache_folder,
                    const struct fake_setting *settings)
{
    *fake = (struct fake_host){.settings = {.items = settings}};
    char path[4096];
    snprintf(path, sizeof path, "%s/plugins-built/%s", BUILD_FOLDER, file);
    fake->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    ck_assert_msg(fake->library != NULL, "%s", dlerror());
    const struct descpipe_plugin *(*entry)(void);
    void *symbol = dlsym(fake->library, DESCPIPE_ENTRY_SYMBOL);
    ck_assert_ptr_nonnull(symbol);
    memcpy(&entry, &symbol, sizeof entry); /* ISO C has no cast from one to the other */
    fake->plugin = entry();
    fake->runtime = fake->plugin->operations;
    fake->settings.options = fake->plugin->options;
    fake->host = (struct descpipe_host){.size = sizeof fake->host,
                                        .abi_major = DESCPIPE_ABI_MAJOR,
                                        .abi_minor = DESCPIPE_ABI_MINOR,
                                        .program_version = "0",
                                        .cache_folder = cache_folder,
                                        .settings = &fake->settings,
                                        .log = &log_service,
                                        .config = &config_service,
                                        .call = &call_service,
                                        .answer = &answer_service,
                                        .process = &process_service,
                                        .work = &work_service,
                                        .timer = &timer_service};
    opened = fake;
    char message[512] = "";
    ck_assert_msg(fake->runtime->open(&fake->host, &fake->self, message, sizeof message) == 0, "%s", message);
}

void fake_host_close(struct fake_host *fake)
{
    ck_assert_ptr_null(pending_first);
    fake->runtime->close(fake->self);
    free(fake->last_log);
    opened = NULL;
}

static char *const own_environment[] = {(char[]){"PATH=/usr/local/bin:/usr/bin:/bin"}, NULL};

static void run_process(struct pending *pending)
{
    struct fake_run *run = calloc(1, sizeof *run);
    struct descpipe_process_end end = {.size = sizeof end, .started = 1};
    if (!pending->stopped)
        fake_run(run, pending->argv, own_environment, "/");
    end.exit_code = pending->stopped ? -1 : run->exit_code;
    end.signal = pending->stopped ? SIGTERM : run->signal;
    for (char *line = run->output; *line != '\0' && pending->request.line != NULL;) {
        size_t length = strcspn(line, "\n");
        pending->request.line(pending->request.context, 1, line, length);
        line += length + (line[length] == '\n');
    }
    pending->request.ended(pending->request.context, &end);
    free(run);
}

void fake_host_step(struct fake_host *fake)
{
    struct pending *pending = pending_first;
    (void)fake;
    ck_assert_ptr_nonnull(pending);
    pending_first = pending->next;
    if (pending->argv != NULL)
        run_process(pending);
    else {
        if (pending->work != NULL)
            pending->work(pending->context);
        pending->done(pending->context);
    }
    free_list(pending->argv);
    free(pending);
}

void fake_host_pump(struct fake_host *fake)
{
    while (pending_first != NULL)
        fake_host_step(fake);
}

void fake_call_clear(struct descpipe_call *call)
{
    free(call->message);
    free(call->hint);
    for (size_t i = 0; i < call->facts_count; i++) {
        free(call->facts[i].name);
        free(call->facts[i].value);
    }
    const char *texts[] = {call->identity.config_digest, call->identity.manifest_digest, call->identity.media_type,
                           call->identity.platform, call->identity.handle};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        free((void *)(uintptr_t)texts[i]);
    free_list(call->argv);
    free_list(call->environment);
    free(call->directory);
    free(call->late_prefix);
    *call = (struct descpipe_call){0};
}

const char *fake_call_fact(const struct descpipe_call *call, const char *name)
{
    for (size_t i = 0; i < call->facts_count; i++)
        if (strcmp(call->facts[i].name, name) == 0)
            return call->facts[i].value;
    return NULL;
}

void fake_run(struct fake_run *run, char *const *argv, char *const *environment, const char *directory)
{
    *run = (struct fake_run){.exit_code = -1};
    int pipe_ends[2];
    ck_assert_int_eq(pipe2(pipe_ends, O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pipe_ends[1], 1);
    posix_spawn_file_actions_adddup2(&actions, pipe_ends[1], 2);
    posix_spawn_file_actions_addchdir_np(&actions, directory);
    pid_t child;
    ck_assert_int_eq(posix_spawnp(&child, argv[0], &actions, NULL, argv, environment), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(pipe_ends[1]);
    size_t length = 0;
    for (;;) {
        char buffer[4096];
        ssize_t got = read(pipe_ends[0], buffer, sizeof buffer);
        if (got <= 0)
            break;
        size_t kept = sizeof run->output - 1 - length;
        kept = (size_t)got < kept ? (size_t)got : kept;
        memcpy(run->output + length, buffer, kept);
        length += kept;
    }
    close(pipe_ends[0]);
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    run->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    run->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}
