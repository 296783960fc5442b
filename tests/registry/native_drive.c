/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Asks runtime native, in the real plugin host, for one thing; for shell tests and benchmarks.
 *
 *     native_drive STORE prepare REFERENCE
 *     native_drive STORE push oci:FOLDER|oci-archive:FILE|docker-archive:FILE|REFERENCE TARGET
 *
 * Prints the digests of config and manifest. Registries are asked by plain http.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/memory.h"
#include "base/problem.h"
#include "config/settings.h"
#include "plugin/instance.h"

struct drive {
    struct loop *loop;
    bool done, ok;
};

static void give_credential(void *context, const struct descpipe_image *image, uint32_t purpose,
                            void (*got)(void *plugin, const struct descpipe_credential *credential,
                                        const char *message),
                            void *plugin)
{
    (void)context;
    (void)image;
    (void)purpose;
    const struct descpipe_credential credential = {.size = sizeof credential, .access = DESCPIPE_ACCESS_PLAIN_HTTP};
    got(plugin, &credential, NULL);
}

static void done(void *context, const struct call_result *result)
{
    struct drive *drive = context;
    drive->done = true;
    drive->ok = result->ok;
    if (result->ok)
        printf("%s %s\n", result->identity->config_digest, result->identity->manifest_digest);
    else
        fprintf(stderr, "%s\n", result->message);
}

static struct descpipe_image image_of(char *text)
{
    static const struct {
        const char *prefix;
        uint32_t source;
    } kinds[] = {{"oci:", DESCPIPE_SOURCE_OCI_LAYOUT},
                 {"oci-archive:", DESCPIPE_SOURCE_OCI_ARCHIVE},
                 {"docker-archive:", DESCPIPE_SOURCE_DOCKER_ARCHIVE}};
    struct descpipe_image image = {.size = sizeof image,
                                   .source = DESCPIPE_SOURCE_REGISTRY,
                                   .reference = text,
                                   .platform = "linux/amd64",
                                   .pull = DESCPIPE_PULL_MISSING};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strncmp(text, kinds[i].prefix, strlen(kinds[i].prefix)) == 0) {
            image.source = kinds[i].source;
            image.path = text + strlen(kinds[i].prefix);
        }
    return image;
}

static bool not_done(void *context)
{
    return !((const struct drive *)context)->done;
}

static int stop_with(const struct error *error)
{
    fprintf(stderr, "native_drive: %s\n", error->message);
    return 2;
}

int main(int argc, char **argv)
{
    static const char *const folders[] = {BUILD_FOLDER "/plugins-built", NULL};
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(problems_clear) struct problems problems = {0};
    struct plugin_search search = {.plugin_dirs = folders, .system_folder = "/nowhere"};
    struct drive drive = {0};
    bool push = argc == 5 && strcmp(argv[2], "push") == 0;
    if (!push && !(argc == 4 && strcmp(argv[2], "prepare") == 0)) {
        fprintf(stderr, "usage: native_drive STORE prepare REFERENCE | push IMAGE TARGET\n");
        return 2;
    }
    struct policy *policy = policy_new();
    struct plugin_catalogue *catalogue = plugin_catalogue_new(&search, policy, &error);
    drive.loop = loop_new(&error);
    struct plugin_host *host =
        catalogue != NULL && drive.loop != NULL ? plugin_host_new(drive.loop, catalogue, &error) : NULL;
    if (host == NULL)
        return stop_with(&error);
    struct plugin_callbacks callbacks = {.context = &drive, .credential = give_credential};
    plugin_host_set_callbacks(host, &callbacks);
    const struct descpipe_plugin *descriptor = plugin_descriptor(host, "runtime", "native", &error);
    if (descriptor == NULL)
        return stop_with(&error);
    struct settings *settings = settings_new(descriptor->options, "runtime/native");
    settings_set_text(settings, "store", argv[1], (struct place){.file = "test"}, LAYER_COMMAND, &problems);
    settings_finish(settings, (struct place){.file = "test"}, "/", &problems);
    struct plugin_instance *instance = plugin_open(host, "runtime", "native", settings, &error);
    if (instance == NULL)
        return stop_with(&error);
    struct descpipe_image image = image_of(argv[3]), target = push ? image_of(argv[4]) : image;
    const struct descpipe_prepare prepare = {.size = sizeof prepare, .image = &image};
    const struct descpipe_push pushing = {.size = sizeof pushing, .image = &image, .target = &target};
    const struct call_options options = {.deadline_ms = 600000, .done = done, .context = &drive};
    if (push)
        runtime_push(instance, &pushing, options);
    else
        runtime_prepare(instance, &prepare, options);
    if (!drive.done)
        loop_run(drive.loop, not_done, &drive);
    plugin_close(instance);
    plugin_host_free(host);
    settings_free(settings);
    plugin_catalogue_free(catalogue);
    policy_free(policy);
    loop_free(drive.loop);
    return drive.ok ? 0 : 1;
}
