/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runtime `singularity`: containers by Apptainer, SingularityCE or Singularity, under whichever program name.
 *
 *     sif:FILE, rootfs:FOLDER                      used as they are
 *     oci:, oci-archive:, docker-archive:          converted once into the cache (tool/cache.h), as SIF
 *     a registry's image                           pulled once, by digest, on this machine or on each node
 *
 * `launch` (launch.c) answers one `exec` per attempt; developers' containers are instances over a writable folder
 * (developer.c).
 */
#include "singularity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool/environment.h"

static void singularity_close(void *self)
{
    struct singularity *singularity = self;
    if (singularity != NULL) {
        free(singularity->tool);
        free(singularity->cache);
        free(singularity);
    }
}

/* The one named, or the first of those that may be there. */
static char *find_tool(const struct descpipe_host *host)
{
    static const char *const names[] = {"apptainer", "singularity", NULL};
    char path[4096];
    const char *named = host->config->text(host->settings, "tool");
    if (named != NULL && named[0] != '\0')
        return host->process->find(host, named, path, sizeof path) != 0 ? strdup(path) : NULL;
    for (size_t i = 0; names[i] != NULL; i++)
        if (host->process->find(host, names[i], path, sizeof path) != 0)
            return strdup(path);
    return NULL;
}

static int32_t singularity_open(const struct descpipe_host *host, void **self, char *message, uint64_t message_size)
{
    const char *cache = host->config->text(host->settings, "cache");
    struct singularity *singularity = calloc(1, sizeof *singularity);
    if (cache == NULL)
        cache = host->cache_folder;
    if (singularity != NULL) {
        singularity->host = host;
        singularity->tool = find_tool(host);
        singularity->cache = cache != NULL ? strdup(cache) : NULL;
        singularity->temporary = host->config->text(host->settings, "temporary");
        singularity->pull_on_node = strcmp(host->config->text(host->settings, "pull"), "node") == 0;
        singularity->verify = host->config->boolean(host->settings, "verify") != 0;
        singularity->pull_timeout_ms = (uint64_t)host->config->integer(host->settings, "pull-timeout");
    }
    if (singularity == NULL || (cache != NULL && singularity->cache == NULL)) {
        snprintf(message, message_size, "out of memory");
        singularity_close(singularity);
        return 1;
    }
    *self = singularity;
    return 0;
}

static uint32_t singularity_forms(void *self)
{
    (void)self;
    return DESCPIPE_FORM_COMMAND;
}

const char *singularity_prefix(const struct singularity *singularity)
{
    if (singularity->version.known)
        return singularity->version.flavour == FLAVOUR_APPTAINER ? "APPTAINER" : "SINGULARITY";
    const char *name = singularity->tool != NULL ? strrchr(singularity->tool, '/') : NULL;
    return name != NULL && strcmp(name, "/singularity") == 0 ? "SINGULARITY" : "APPTAINER";
}

void singularity_environment(const struct singularity *singularity, struct arguments *environment)
{
    const char *prefix = singularity_prefix(singularity);
    const char *temporary = singularity->temporary;
    environment_add_basics(environment);
    /* The site's own word, then the machine's; never as TMPDIR, which the stage could see. */
    if (temporary == NULL)
        temporary = secure_getenv(strcmp(prefix, "APPTAINER") == 0 ? "APPTAINER_TMPDIR" : "SINGULARITY_TMPDIR");
    if (temporary == NULL)
        temporary = secure_getenv("TMPDIR");
    if (temporary != NULL)
        arguments_add(environment, arguments_format(environment, "%s_TMPDIR=%s", prefix, temporary));
}

static const struct descpipe_runtime singularity_operations = {
    .size = sizeof singularity_operations,
    .capabilities = DESCPIPE_RUNTIME_GPUS | DESCPIPE_RUNTIME_NO_NETWORK | DESCPIPE_RUNTIME_SINGLE_FILES |
                    DESCPIPE_RUNTIME_READ_ONLY | DESCPIPE_RUNTIME_CALLER_UID | DESCPIPE_RUNTIME_PINS_DIGEST |
                    DESCPIPE_RUNTIME_RANKS_OUTSIDE | DESCPIPE_RUNTIME_ISOLATES_PATHS,
    .sources = DESCPIPE_SOURCE_REGISTRY | DESCPIPE_SOURCE_DOCKER_ARCHIVE | DESCPIPE_SOURCE_OCI_ARCHIVE |
               DESCPIPE_SOURCE_OCI_LAYOUT | DESCPIPE_SOURCE_ROOTFS | DESCPIPE_SOURCE_SIF,
    .open = singularity_open,
    .close = singularity_close,
    .forms = singularity_forms,
    .probe = singularity_probe,
    .identify = singularity_identify,
    .prepare = singularity_prepare,
    .launch = singularity_launch,
    .shell = singularity_shell,
    .exec = singularity_exec,
    .stop = singularity_stop,
    .release = singularity_release,
    .commit = singularity_commit,
    .changes = singularity_changes,
    .copy_out = singularity_copy_out,
};

static const char *const pull_choices[] = {"login", "node", NULL};
static const char *const gpu_choices[] = {"nvidia", "amd", NULL};

static const struct descpipe_option tool_option = {
    .size = sizeof(struct descpipe_option),
    .type = DESCPIPE_OPTION_TEXT,
    .key = "tool",
    .help = "The program: a name looked for on PATH, or an absolute path; by default apptainer, else singularity.",
};
static const struct descpipe_option cache_option = {
    .size = sizeof(struct descpipe_option),
    .type = DESCPIPE_OPTION_PATH,
    .key = "cache",
    .help = "The folder that keeps converted images; by default the user's cache folder. Nodes must see it, unless "
            "they pull.",
};
static const struct descpipe_option temporary_option = {
    .size = sizeof(struct descpipe_option),
    .type = DESCPIPE_OPTION_PATH,
    .key = "temporary",
    .help = "The folder in which images are unpacked while they are converted, best on a local disk.",
};
static const struct descpipe_option pull_option = {
    .size = sizeof(struct descpipe_option),
    .type = DESCPIPE_OPTION_CHOICE,
    .key = "pull",
    .default_value = "login",
    .help = "Who fetches images of registries: the machine where descpipe runs, or each node, for images that need no "
            "login.",
    .choices = pull_choices,
};
static const struct descpipe_option pull_timeout_option = {
    .size = sizeof(struct descpipe_option),
    .type = DESCPIPE_OPTION_DURATION,
    .flags = DESCPIPE_OPTION_RANGED,
    .key = "pull-timeout",
    .default_value = "2h",
    .help = "How long fetching and converting one image may take.",
    .minimum = 1000,
    .maximum = INT64_C(7) * 24 * 3600 * 1000,
};
static const struct descpipe_option verify_option = {
    .size = sizeof(struct descpipe_option),
    .type = DESCPIPE_OPTION_BOOLEAN,
    .key = "verify",
    .default_value = "false",
    .help =
        "Read a cached image again and compare its checksum whenever a run or a plan looks for it; its size is always "
        "compared.",
};
static const struct descpipe_option gpu_option = {
    .size = sizeof(struct descpipe_option),
    .type = DESCPIPE_OPTION_CHOICE,
    .key = "gpu",
    .default_value = "nvidia",
    .help = "Whose libraries a stage with GPUs gets from the machine: --nv or --rocm.",
    .choices = gpu_choices,
};
static const struct descpipe_option binds_option = {
    .size = sizeof(struct descpipe_option),
    .type = DESCPIPE_OPTION_LIST,
    .flags = DESCPIPE_OPTION_PER_STAGE,
    .key = "mpi-binds",
    .help = "Folders that ranks started outside need to reach their launcher, for example its socket folder.",
};
static const struct descpipe_option *const singularity_options[] = {
    &tool_option,   &cache_option, &temporary_option, &pull_option, &pull_timeout_option,
    &verify_option, &gpu_option,   &binds_option,     NULL};

static const struct descpipe_plugin singularity_plugin = {
    .size = sizeof singularity_plugin,
    .abi_major = DESCPIPE_ABI_MAJOR,
    .abi_minor = DESCPIPE_ABI_MINOR,
    .kind = "runtime",
    .name = "singularity",
    .version = DESCPIPE_PLUGIN_VERSION,
    .summary = "containers by Apptainer or Singularity, from SIF files that are made once",
    .author = "the descpipe authors",
    .licence = "BSD-3-Clause",
    .url = "",
    .options = singularity_options,
    .operations = &singularity_operations,
};

const struct descpipe_plugin *descpipe_plugin_v1(void)
{
    return &singularity_plugin;
}
