/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The child of the conformance kit.
 *
 * How it works: the file is read, loaded and judged as always, except that distrust is only reported. Then in each mood
 * two instances are opened and every operation is called on one of them: left alone with a short deadline, and
 * cancelled at once. A call may fail as it likes; it must end, once, with the answers that its operation may give, and
 * after cancel within the grace. At last instances are closed with calls open.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/path.h"
#include "io/secret.h"
#include "plugin/abi.h"
#include "plugin/call.h"
#include "plugin/conformance.h"
#include "plugin/identity.h"
#include "plugin/pretence.h"

#define CALL_PATIENCE_MS 200 /* then the host cancels */

struct child {
    int output; /* the parent reads here; the plugin's own prints go to standard error */
    struct loop *loop;
    struct plugin_host *host;
    struct module *module;
    struct settings *settings;
    char *check;        /* running, or NULL */
    struct text faults; /* of the running check */
    int null;
};

/* One line for the parent. */
static void tell(const struct child *child, const char *verb, const char *name, const char *message)
{
    cleanup(text_clear) struct text line = TEXT_INIT;
    text_format(&line, "%s\t", verb);
    text_append_printable(&line, name, 500);
    if (message) {
        text_append(&line, "\t");
        text_append_printable(&line, message, 2000);
    }
    text_append(&line, "\n");
    descriptor_write(child->output, line.bytes, line.length, NULL);
}

static void begin(struct child *child, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void begin(struct child *child, const char *format, ...)
{
    struct text name = TEXT_INIT;
    va_list arguments;
    va_start(arguments, format);
    text_format_list(&name, format, arguments);
    va_end(arguments);
    memory_free(child->check);
    child->check = text_take(&name);
    text_reset(&child->faults);
    tell(child, "begin", child->check, NULL);
}

/* `problem` NULL: good, unless the plugin broke a rule meanwhile. */
static void finish(struct child *child, const char *problem)
{
    const char *fault = child->faults.length ? text_bytes(&child->faults) : NULL;
    tell(child, problem || fault ? "bad" : "ok", child->check, problem ? problem : fault);
}

static void note_fault(void *context, const struct plugin_instance *instance, const char *message)
{
    struct child *child = context;
    (void)instance;
    if (child->faults.length < 1000)
        text_format(&child->faults, "%s%s", child->faults.length ? "; " : "", message);
}

/* Functions that stop the whole program, start others behind the host's back or change what belongs to all. */
static const char *const forbidden[] = {
    "system",       "popen",    "fork",          "vfork",     "_Fork",     "clone",           "posix_spawn",
    "posix_spawnp", "execv",    "execve",        "execvp",    "execvpe",   "execl",           "execlp",
    "execle",       "fexecve",  "sleep",         "usleep",    "nanosleep", "clock_nanosleep", "pause",
    "setenv",       "unsetenv", "putenv",        "clearenv",  "exit",      "_exit",           "_Exit",
    "quick_exit",   "abort",    "atexit",        "signal",    "sigaction", "sigprocmask",     "pthread_sigmask",
    "raise",        "kill",     "alarm",         "setitimer", "wait",      "waitpid",         "waitid",
    "chdir",        "fchdir",   "umask",         "setlocale", "setuid",    "setgid",          "seteuid",
    "daemon",       "longjmp",  "__longjmp_chk", "dlopen",    NULL};

static void check_imports(struct child *child, const char *path)
{
    cleanup(elf_clear) struct elf_facts facts = {0};
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(text_clear) struct text found = TEXT_INIT;
    begin(child, "imports nothing forbidden");
    if (!elf_read(path, &facts, &error)) {
        finish(child, error.message);
        return;
    }
    for (size_t i = 0; i < facts.imports.count; i++) {
        for (size_t j = 0; forbidden[j]; j++) {
            if (strcmp(facts.imports.items[i], forbidden[j]) == 0)
                text_format(&found, "%s%s", found.length ? ", " : "it calls ", forbidden[j]);
        }
    }
    finish(child, found.length ? text_bytes(&found) : NULL);
}

static struct descpipe_image image = {.size = sizeof(image), .platform = "linux/amd64"}; /* see choose_image */

/* An image of a source that the runtime takes; it is nowhere to be found, except for this machine's own root. */
static void choose_image(const struct descpipe_runtime *runtime)
{
    static const struct descpipe_image choices[] = {
        {.source = DESCPIPE_SOURCE_REGISTRY, .reference = "example/none:1.0"},
        {.source = DESCPIPE_SOURCE_OCI_ARCHIVE, .reference = "oci-archive:/nowhere/a.tar", .path = "/nowhere/a.tar"},
        {.source = DESCPIPE_SOURCE_DOCKER_ARCHIVE,
         .reference = "docker-archive:/nowhere/a.tar",
         .path = "/nowhere/a.tar"},
        {.source = DESCPIPE_SOURCE_OCI_LAYOUT, .reference = "oci:/nowhere/layout", .path = "/nowhere/layout"},
        {.source = DESCPIPE_SOURCE_ROOTFS, .reference = "rootfs:/", .path = "/"},
        {.source = DESCPIPE_SOURCE_SIF, .reference = "sif:/nowhere/a.sif", .path = "/nowhere/a.sif"},
        {.source = DESCPIPE_SOURCE_NONE, .reference = ""}};
    for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++) {
        if (runtime->sources & choices[i].source) {
            image.source = choices[i].source;
            image.reference = choices[i].reference;
            image.path = choices[i].path;
            return;
        }
    }
}

static bool check_load(struct child *child, const char *path)
{
    cleanup(memory_free) char *kind = NULL;
    cleanup(memory_free) char *name = NULL;
    cleanup(error_clear) struct error error = ERROR_INIT;
    begin(child, "is named KIND-NAME.so");
    if (!identity_from_file(path_name(path), &kind, &name)) {
        finish(child, "KIND is registry, runtime or scheduler, NAME is lower case");
        return false;
    }
    finish(child, NULL);
    check_imports(child, path);
    begin(child, "loads, and its descriptor is in order");
    child->module = host_module_of_file(
        child->host,
        &(struct module_request){
            .kind = kind, .name = name, .path = path, .trust = &child->host->trust, .report_trust_only = true},
        &error);
    if (!child->module) {
        finish(child, error.message);
        return false;
    }
    finish(child, NULL);
    const struct descpipe_plugin *plugin = child->module->descriptor;
    cleanup(memory_free) char *identity = memory_format("%s/%s %s", plugin->kind, plugin->name, plugin->version);
    tell(child, "fact", "plugin", identity);
    tell(child, "fact", "path", child->module->path);
    tell(child, "fact", "sha256", child->module->sha256);
    tell(child, child->module->distrust ? "note" : "ok", "is trusted where it lies", child->module->distrust);
    return true;
}

/* Some value for every option that must be given. */
static const char *sample_value(const struct descpipe_option *option)
{
    switch (option->type) {
    case DESCPIPE_OPTION_CHOICE:
        return option->choices[0];
    case DESCPIPE_OPTION_BOOLEAN:
        return "true";
    case DESCPIPE_OPTION_PATH:
        return "/";
    case DESCPIPE_OPTION_INTEGER:
    case DESCPIPE_OPTION_DURATION:
    case DESCPIPE_OPTION_BYTES:
        return "1";
    default:
        return "sample";
    }
}

static void make_settings(struct child *child)
{
    const struct descpipe_option *const *options = child->module->descriptor->options;
    cleanup(problems_clear) struct problems problems = {0};
    child->settings = settings_new(options, "conformance");
    for (size_t i = 0; options && options[i]; i++) {
        if (!(options[i]->flags & DESCPIPE_OPTION_REQUIRED))
            continue;
        cleanup(memory_free) char *minimum = NULL;
        const char *value = sample_value(options[i]);
        if (options[i]->flags & DESCPIPE_OPTION_RANGED) {
            const char *unit = options[i]->type == DESCPIPE_OPTION_DURATION ? "ms" : "";
            minimum = memory_format("%" PRId64 "%s", options[i]->minimum, unit);
            value = minimum;
        }
        settings_set_text(child->settings, options[i]->key, value, (struct place){0}, LAYER_COMMAND, &problems);
    }
    settings_finish(child->settings, (struct place){0}, "/", &problems);
}

static struct plugin_instance *open_one(struct child *child, struct error *error)
{
    return instance_open(child->host, child->module, child->settings, error);
}

/* Calls. */

struct awaited {
    unsigned times;
    bool done;
    bool lacks; /* the plugin has no such operation */
};

static void call_done(void *context, const struct call_result *result)
{
    struct awaited *awaited = context;
    awaited->done = true;
    awaited->times++;
    awaited->lacks =
        result->failure == DESCPIPE_FAILED_UNSUPPORTED && text_equal(result->message, CALL_LACKS_OPERATION);
}

static bool not_done(void *context)
{
    return !((const struct awaited *)context)->done;
}

static const char *const command[] = {"true", "an argument with 'quotes' and \"more\"", NULL};
static const char *const environment[] = {"PATH=/usr/bin:/bin", "A=b c", NULL};
static const char *const late_names[] = {"DESC_RANK", NULL};
static const char *const late_values[] = {"DESC_RANK=0", NULL};
static const struct descpipe_mount mount_one = {
    .size = sizeof(mount_one), .flags = DESCPIPE_MOUNT_READ_ONLY, .source = "/tmp", .target = "/opt/input"};
static const struct descpipe_mount mount_two = {
    .size = sizeof(mount_two), .flags = DESCPIPE_MOUNT_SCRATCH, .target = "/tmp/scratch"};
static const struct descpipe_mount *const mounts[] = {&mount_one, &mount_two, NULL};
static const struct descpipe_resources resources = {
    .size = sizeof(resources), .nodes = 1, .ranks_per_node = 1, .cpus_per_rank = 1, .memory_per_node = 1u << 30};
static const struct descpipe_prepare prepare = {.size = sizeof(prepare), .image = &image};
static const struct descpipe_stage stage = {.size = sizeof(stage),
                                            .uid = 1000,
                                            .gid = 1000,
                                            .umask_bits = 022,
                                            .run = "20261121-0001",
                                            .name = "stage",
                                            .attempt = 1,
                                            .token = "20261121-0001-1",
                                            .image = &image,
                                            .image_handle = "sha256:0000",
                                            .command = command,
                                            .environment = environment,
                                            .late_names = late_names,
                                            .mounts = mounts,
                                            .directory = "/",
                                            .host_directory = "/tmp",
                                            .resources = &resources,
                                            .late_environment = late_values};
static const struct descpipe_container container = {.size = sizeof(container), .token = "20261121-0001-1"};
static const struct descpipe_stop stop = {.size = sizeof(stop), .container = &container, .grace_ms = 10};
static const struct descpipe_lookup lookup = {.size = sizeof(lookup),
                                              .purpose = DESCPIPE_PURPOSE_PULL,
                                              .reference = "localhost/example/none:1.0",
                                              .platform = "linux/amd64"};
static const struct descpipe_form form = {
    .size = sizeof(form), .form = DESCPIPE_FORM_COMMAND, .argv = command, .environment = environment, .directory = "/"};
static const struct descpipe_job job = {.size = sizeof(job),
                                        .job = 1,
                                        .order = 1,
                                        .attempt = 1,
                                        .stage = "stage",
                                        .group = "stage",
                                        .resources = &resources,
                                        .form = &form,
                                        .script = "/nowhere/job.sh",
                                        .output_path = "/nowhere/out",
                                        .error_path = "/nowhere/err"};
static const struct descpipe_job *const jobs[] = {&job};
static const struct descpipe_submission submission = {.size = sizeof(submission),
                                                      .count = 1,
                                                      .token = "20261121-0001-1",
                                                      .run = "20261121-0001",
                                                      .folder = "/nowhere",
                                                      .jobs = jobs};
static const uint64_t job_numbers[] = {1, 999};
static struct descpipe_push push = {.size = sizeof(push), .image = &image, .target = &image};
static const char *const built[] = {"localhost/example/none:1.0", NULL};
static struct descpipe_build build = {
    .size = sizeof(build), .folder = "/nowhere", .file = "/nowhere/Dockerfile", .references = built};
static const struct descpipe_prune prune = {.size = sizeof(prune), .flags = DESCPIPE_PRUNE_ONLY_SAY};
static struct descpipe_login login = {.size = sizeof(login), .host = "localhost:5000", .username = "nobody"};
static struct descpipe_logs logs = {.size = sizeof(logs), .container = &container};

enum {
    STEP_AT_ONCE = 1, /* must end inside the operation */
    STEP_MANAGED = 2  /* only where `start` is there */
};
struct step {
    const char *kind, *name;
    struct plugin_call *(*call)(struct plugin_instance *instance, struct call_options options);
    unsigned flags;
};

#define STEP(function, ...)                                                                                            \
    static struct plugin_call *step_##function(struct plugin_instance *instance, struct call_options options)          \
    {                                                                                                                  \
        return function(instance, __VA_ARGS__);                                                                        \
    }
STEP(runtime_probe, options)
STEP(runtime_identify, &image, options)
STEP(runtime_prepare, &prepare, options)
STEP(runtime_launch, &stage, options)
STEP(runtime_start, &stage, options)
STEP(runtime_observe, &container, options)
STEP(runtime_logs, &logs, options)
STEP(runtime_inspect, &container, options)
STEP(runtime_stop, &stop, options)
STEP(runtime_find, "20261121-0001", options)
STEP(runtime_release, &container, options)
STEP(runtime_changes, &container, options)
STEP(runtime_build, &build, options)
STEP(runtime_push, &push, options)
STEP(runtime_prune, &prune, options)
STEP(registry_probe, options)
STEP(registry_normalize, "example/none:1.0", options)
STEP(registry_resolve, &lookup, options)
STEP(registry_credentials, &lookup, options)
STEP(registry_ensure_repository, &lookup, options)
STEP(registry_list_tags, &lookup, options)
STEP(registry_login, &login, options)
STEP(registry_logout, "localhost:5000", options)
STEP(scheduler_probe, options)
STEP(scheduler_paths, "/tmp", options)
STEP(scheduler_submit, &submission, options)
STEP(scheduler_observe, options)
STEP(scheduler_find, "20261121-0001", options)
STEP(scheduler_cancel, job_numbers, 2, options)
STEP(scheduler_release, "20261121-0001-1", options)
STEP(scheduler_logs, 1, logs.output_descriptor, false, options)
STEP(scheduler_queue_estimate, &job, options)
STEP(scheduler_render, &submission, options)

static bool step_is_deaf[40]; /* did not end when told to: asking again would cost the grace each time */
static const struct step steps[] = {
    {"runtime", "probe", step_runtime_probe, 0},
    {"runtime", "identify", step_runtime_identify, 0},
    {"runtime", "prepare", step_runtime_prepare, 0},
    {"runtime", "launch", step_runtime_launch, STEP_AT_ONCE},
    {"runtime", "start", step_runtime_start, STEP_MANAGED},
    {"runtime", "observe", step_runtime_observe, STEP_MANAGED},
    {"runtime", "logs", step_runtime_logs, STEP_MANAGED},
    {"runtime", "inspect", step_runtime_inspect, STEP_MANAGED},
    {"runtime", "stop", step_runtime_stop, STEP_MANAGED},
    {"runtime", "find", step_runtime_find, STEP_MANAGED},
    {"runtime", "release", step_runtime_release, STEP_MANAGED},
    {"runtime", "changes", step_runtime_changes, 0},
    {"runtime", "build", step_runtime_build, 0},
    {"runtime", "push", step_runtime_push, 0},
    {"runtime", "prune", step_runtime_prune, 0},
    {"registry", "probe", step_registry_probe, 0},
    {"registry", "normalize", step_registry_normalize, 0},
    {"registry", "resolve", step_registry_resolve, 0},
    {"registry", "credentials", step_registry_credentials, 0},
    {"registry", "ensure_repository", step_registry_ensure_repository, 0},
    {"registry", "list_tags", step_registry_list_tags, 0},
    {"registry", "login", step_registry_login, 0},
    {"registry", "logout", step_registry_logout, 0},
    {"scheduler", "probe", step_scheduler_probe, 0},
    {"scheduler", "paths", step_scheduler_paths, 0},
    {"scheduler", "observe", step_scheduler_observe, 0},
    {"scheduler", "submit", step_scheduler_submit, 0},
    {"scheduler", "find", step_scheduler_find, 0},
    {"scheduler", "cancel", step_scheduler_cancel, 0},
    {"scheduler", "release", step_scheduler_release, 0},
    {"scheduler", "logs", step_scheduler_logs, 0},
    {"scheduler", "queue_estimate", step_scheduler_queue_estimate, 0},
    {"scheduler", "render", step_scheduler_render, STEP_AT_ONCE},
};

_Static_assert(sizeof(steps) / sizeof(steps[0]) <= sizeof(step_is_deaf), "one for each");

static bool step_applies(const struct child *child, const struct step *step)
{
    const struct descpipe_plugin *plugin = child->module->descriptor;
    if (strcmp(step->kind, plugin->kind) != 0)
        return false;
    const struct descpipe_runtime *runtime = (step->flags & STEP_MANAGED) ? plugin->operations : NULL;
    return !runtime || runtime->start;
}

static const struct step *step_probe(const struct child *child)
{
    const struct step *step = steps;
    while (strcmp(step->kind, child->module->kind) != 0 || strcmp(step->name, "probe") != 0)
        step++; /* each kind has one */
    return step;
}

/* It is no call: pure and quick. */
static void check_accepts(struct child *child, struct plugin_instance *instance, enum mood mood)
{
    static const char *const references[] = {"localhost/example/none:1.0", "nowhere.invalid/a@sha256:00", "a", ""};
    bool same = true;
    if (strcmp(child->module->kind, "registry") != 0)
        return;
    begin(child, "accepts says the same twice (%s)", mood_name(mood));
    for (size_t i = 0; i < sizeof(references) / sizeof(references[0]); i++)
        same = registry_accepts(instance, references[i]) == registry_accepts(instance, references[i]) && same;
    finish(child, same ? NULL : "it does not say the same twice");
}

enum manner { LEFT_ALONE, CANCELLED_AT_ONCE };

static void check_step(struct child *child, struct plugin_instance *instance, const struct step *step,
                       enum manner manner)
{
    bool *deaf = &step_is_deaf[step - steps];
    if (*deaf) {
        tell(child, "skipped", child->check, "it did not end before when told to");
        return;
    }
    struct awaited awaited = {0};
    struct call_options options = {.deadline_ms = CALL_PATIENCE_MS, .done = call_done, .context = &awaited};
    struct plugin_call *call = step->call(instance, options);
    if (call && manner == CANCELLED_AT_ONCE)
        call_cancel(call);
    bool at_once = awaited.done;
    loop_run(child->loop, not_done, &awaited);
    *deaf = strstr(text_bytes(&child->faults), "did not finish within") != NULL;
    if (at_once && awaited.lacks) {
        tell(child, "skipped", child->check, "the plugin has no such operation");
        return;
    }
    finish(child, awaited.times != 1                         ? "it did not end exactly once"
                  : (step->flags & STEP_AT_ONCE) && !at_once ? "it did not end before the operation returned"
                                                             : NULL);
}

static void check_operations(struct child *child, enum mood mood)
{
    static const char *const manners[] = {"", ", cancelled at once"};
    cleanup(error_clear) struct error error = ERROR_INIT;
    pretence_set(mood);
    begin(child, "opens twice (%s)", mood_name(mood));
    struct plugin_instance *one = open_one(child, &error);
    struct plugin_instance *two = one ? open_one(child, &error) : NULL;
    finish(child, two ? NULL : error.message);
    if (two)
        check_accepts(child, one, mood);
    for (size_t i = 0; two && i < 2 * sizeof(steps) / sizeof(steps[0]); i++) {
        const struct step *step = &steps[i / 2];
        if (!step_applies(child, step))
            continue;
        begin(child, "%s%s (%s)", step->name, manners[i % 2], mood_name(mood));
        check_step(child, i % 2 ? two : one, step, (enum manner)(i % 2));
    }
    if (pretence_stages_end(NULL)) {
        begin(child, "hears that the stages it started have ended (%s)", mood_name(mood));
        loop_run(child->loop, pretence_stages_end, NULL);
        finish(child, NULL);
    }
    begin(child, "one instance works after the other is closed (%s)", mood_name(mood));
    plugin_close(one);
    if (two)
        check_step(child, two, step_probe(child), LEFT_ALONE);
    else
        finish(child, "it could not be opened twice");
    plugin_close(two);
}

/* All operations at a time, none waited for. */
static void check_close(struct child *child)
{
    enum { STEPS = sizeof(steps) / sizeof(steps[0]) };
    static struct awaited awaited[STEPS];
    cleanup(error_clear) struct error error = ERROR_INIT;
    size_t begun = 0, ended = 0;
    pretence_set(MOOD_SILENT);
    begin(child, "closes with calls open");
    struct plugin_instance *instance = open_one(child, &error);
    if (!instance) {
        finish(child, error.message);
        return;
    }
    for (size_t i = 0; i < STEPS; i++) {
        if (!step_applies(child, &steps[i]))
            continue;
        begun++;
        steps[i].call(instance,
                      (struct call_options){.deadline_ms = INT64_MAX, .done = call_done, .context = &awaited[i]});
    }
    plugin_close(instance);
    for (size_t i = 0; i < STEPS; i++)
        ended += awaited[i].times;
    finish(child, ended == begun ? NULL : "a call did not end exactly once");
}

static bool check_open_once(struct child *child)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    pretence_set(MOOD_ABSENT);
    begin(child, "opens where nothing is there");
    struct plugin_instance *instance = open_one(child, &error);
    if (!instance) {
        tell(child, "note", child->check, error.message);
        return false;
    }
    plugin_close(instance);
    finish(child, NULL);
    return true;
}

static void run_checks(struct child *child, const char *path)
{
    if (!check_load(child, path))
        return;
    make_settings(child);
    if (strcmp(child->module->kind, "runtime") == 0)
        choose_image(child->module->descriptor->operations);
    bool opens = check_open_once(child);
    for (enum mood mood = MOOD_ABSENT; mood < MOOD_COUNT; mood++) {
        if (mood == MOOD_ABSENT && !opens) {
            tell(child, "skipped", "operations (nothing is there)", "it does not open then");
            continue;
        }
        check_operations(child, mood);
    }
    check_close(child);
}

int conformance_child_main(const char *path)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    struct child child = {.output = fcntl(1, F_DUPFD_CLOEXEC, 10)};
    char folder[] = "/tmp/descpipe-conformance-XXXXXX";
    if (child.output < 0 || dup2(2, 1) < 0 || !mkdtemp(folder))
        return 6;
    cleanup(policy_free) struct policy *policy = policy_new();
    struct plugin_search search = {.system_folder = folder};
    cleanup(plugin_catalogue_free) struct plugin_catalogue *catalogue = plugin_catalogue_new(&search, policy, &error);
    child.loop = loop_new(&error);
    child.host = child.loop && catalogue ? plugin_host_new(child.loop, catalogue, &error) : NULL;
    child.null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (!child.host || child.null < 0) {
        fprintf(stderr, "cannot check the plugin: %s\n", error.message ? error.message : "no /dev/null");
        return 6;
    }
    logs.output_descriptor = logs.error_descriptor = build.log_descriptor = child.null;
    struct descpipe_secret *password = secret_make("pretended", 9);
    login.password = password;
    memory_free(child.host->cache_root);
    child.host->cache_root = memory_copy_text(folder);
    child.host->fault = note_fault;
    child.host->fault_context = &child;
    child.host->install = pretence_install;
    struct plugin_callbacks callbacks = pretence_callbacks(child.host);
    plugin_host_set_callbacks(child.host, &callbacks);

    run_checks(&child, path);
    begin(&child, "everything it opened has ended");
    plugin_host_free(child.host);
    finish(&child, NULL);
    loop_free(child.loop);
    secret_release(password);
    settings_free(child.settings);
    memory_free(child.check);
    text_clear(&child.faults);
    descriptor_close(child.null);
    descriptor_close(child.output);
    folder_remove(folder, NULL);
    return 0;
}
