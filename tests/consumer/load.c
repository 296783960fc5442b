/* SPDX-License-Identifier: BSD-3-Clause */
/* Loads runtime-hello.so through the real loader, probes it, launches a stage, executes what it answered, runs the kit
 * on it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "io/process.h"
#include "plugin/conformance.h"

static int failures;

static void expect(bool good, const char *what)
{
    printf("%s %s\n", good ? "ok      " : "bad     ", what);
    failures += !good;
}

struct run {
    struct loop *loop;
    bool probed, launched, ended;
    char output[200];
};

static void probed(void *context, const struct call_result *result)
{
    struct run *run = context;
    run->probed = true;
    expect(result->ok && result->facts_count == 2, "probe says tool and version");
    if (!result->ok)
        printf("         %s\n", result->message);
}

static void line(void *context, int stream, const char *bytes, size_t length)
{
    struct run *run = context;
    if (stream == 1)
        snprintf(run->output, sizeof(run->output), "%.*s", (int)length, bytes);
}

static void ended(void *context, const struct tool_end *end)
{
    struct run *run = context;
    expect(end->started && end->exit_code == 0, "the launched command runs");
    run->ended = true;
}

static void launched(void *context, const struct call_result *result)
{
    struct run *run = context;
    expect(result->ok, "launch answers a form");
    run->launched = true;
    if (result->ok)
        tool_start(run->loop, &(struct tool_request){.argv = result->form->argv,
                                                     .environment = result->form->environment,
                                                     .directory = result->form->directory,
                                                     .line = line,
                                                     .ended = ended,
                                                     .context = run});
}

static bool not_probed(void *context)
{
    return !((const struct run *)context)->probed;
}

static bool not_ended(void *context)
{
    return !((const struct run *)context)->ended;
}

static void drive(struct plugin_instance *instance, struct run *run)
{
    static const char *const command[] = {"sh", "-c", "echo \"$WORD and '$HOME'\"", NULL};
    static const char *const environment[] = {"PATH=/usr/bin:/bin", "WORD=exactly this", NULL};
    struct descpipe_stage stage = {
        .size = sizeof(stage), .name = "stage", .command = command, .environment = environment, .directory = "/"};
    runtime_probe(instance, (struct call_options){.done = probed, .context = run});
    loop_run(run->loop, not_probed, run);
    runtime_launch(instance, &stage, (struct call_options){.done = launched, .context = run});
    expect(run->launched, "launch ends at once");
    loop_run(run->loop, not_ended, run);
    expect(strcmp(run->output, "exactly this and ''") == 0, "the stage sees exactly its environment");
}

static bool load(const char *path)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(memory_free) char *folder = path_folder(path);
    const char *const folders[] = {folder, NULL};
    cleanup(policy_free) struct policy *policy = policy_new();
    struct plugin_search search = {.plugin_dirs = folders, .system_folder = "/nowhere"};
    cleanup(plugin_catalogue_free) struct plugin_catalogue *catalogue = plugin_catalogue_new(&search, policy, &error);
    cleanup(loop_free) struct loop *loop = loop_new(&error);
    struct plugin_host *host = catalogue && loop ? plugin_host_new(loop, catalogue, &error) : NULL;
    struct plugin_instance *instance = host ? plugin_open(host, "runtime", "hello", NULL, &error) : NULL;
    expect(instance != NULL, "the loader takes it");
    if (instance)
        drive(instance, &(struct run){.loop = loop});
    else
        printf("         %s\n", error.message);
    plugin_host_free(host);

    cleanup(text_clear) struct text page = TEXT_INIT;
    bool ran = false;
    bool good = conformance_check(&(struct conformance_request){.loop = loop, .path = path}, &page, &ran, &error);
    expect(ran && good, "it conforms");
    if (!good)
        printf("%s\n", ran ? text_bytes(&page) : error.message);
    return failures == 0;
}

int main(int count, char **arguments)
{
    if (count == 3 && strcmp(arguments[1], CONFORMANCE_ARGUMENT) == 0)
        return conformance_child_main(arguments[2]);
    return count == 2 && load(arguments[1]) ? EXIT_SUCCESS : EXIT_FAILURE;
}
