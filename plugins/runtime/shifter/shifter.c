/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runtime `shifter`: containers by Shifter, as NERSC and others have it.
 *
 * How it works: an image gateway of the site pulls images and keeps them where every node sees them; `shifterimg` asks
 * it (image.c). A stage is a `shifter` command (launch.c). What is said here of Shifter comes from its documentation
 * (shifter.readthedocs.io, the sources' doc/ folder) and, where that is silent, from its sources
 * (github.com/NERSC/shifter, release 18.03); each fact names its place.
 */
#include "shifter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "site/site_limits.h"

static void shifter_close(void *self)
{
    struct shifter *shifter = self;
    if (shifter != NULL) {
        free(shifter->run);
        free(shifter->images);
        free(shifter);
    }
}

static char *find_program(const struct descpipe_host *host, const char *name)
{
    char path[4096], named[4096];
    const char *folder = host->config->text(host->settings, "folder");
    if (folder != NULL)
        snprintf(named, sizeof named, "%s/%s", folder, name);
    else
        snprintf(named, sizeof named, "%s", name);
    return host->process->find(host, named, path, sizeof path) != 0 ? strdup(path) : NULL;
}

static int32_t shifter_open(const struct descpipe_host *host, void **self, char *message, uint64_t message_size)
{
    struct shifter *shifter = calloc(1, sizeof *shifter);
    if (shifter == NULL) {
        snprintf(message, message_size, "out of memory");
        return 1;
    }
    shifter->host = host;
    shifter->run = find_program(host, "shifter");
    shifter->images = find_program(host, "shifterimg");
    shifter->login_location = host->config->text(host->settings, "login-location");
    shifter->gpu_module = host->config->text(host->settings, "gpu-module");
    shifter->site_file = host->config->text(host->settings, "site-file");
    shifter->has_env = host->config->boolean(host->settings, "env-option") != 0;
    shifter->by_id = strcmp(host->config->text(host->settings, "name-images-by"), "id") == 0;
    shifter->pull_timeout_ms = (uint64_t)host->config->integer(host->settings, "pull-timeout");
    *self = shifter;
    return 0;
}

static uint32_t shifter_forms(void *self)
{
    (void)self;
    return DESCPIPE_FORM_COMMAND;
}

static const struct descpipe_runtime shifter_operations = {
    .size = sizeof shifter_operations,
    .capabilities = DESCPIPE_RUNTIME_GPUS | DESCPIPE_RUNTIME_READ_ONLY | DESCPIPE_RUNTIME_CALLER_UID |
                    DESCPIPE_RUNTIME_RANKS_OUTSIDE | DESCPIPE_RUNTIME_ISOLATES_PATHS,
    .sources = DESCPIPE_SOURCE_REGISTRY,
    .open = shifter_open,
    .close = shifter_close,
    .forms = shifter_forms,
    .probe = shifter_probe,
    .identify = shifter_identify,
    .prepare = shifter_prepare,
    .launch = shifter_launch,
};

static const char *const name_choices[] = {"id", "name", NULL};

static const struct descpipe_option folder_option = {
    .size = sizeof(struct descpipe_option),
    .type = DESCPIPE_OPTION_PATH,
    .key = "folder",
    .help = "The folder of shifter and shifterimg; by default they are looked for on PATH.",
};
static const struct descpipe_option login_option = {
    .size = sizeof(struct descpipe_option),
    .type = DESCPIPE_OPTION_TEXT,
    .key = "login-location",
    .default_value = "default",
    .help = "What the site's image gateway calls the registry of private images, as `shifterimg login` takes it.",
};
static const struct descpipe_option modules_option = {
    .size = sizeof(struct descpipe_option),
    .type = DESCPIPE_OPTION_LIST,
    .flags = DESCPIPE_OPTION_PER_STAGE,
    .key = "modules",
    .help = "Shifter modules of the site, for example [mpich]; without it the site's default modules.",
};
static const struct descpipe_option gpu_option = {
    .size = sizeof(struct descpipe_option),
    .type = DESCPIPE_OPTION_TEXT,
    .key = "gpu-module",
    .default_value = "gpu",
    .help = "The site's Shifter module that stages with GPUs get.",
};
static const struct descpipe_option site_option = {
    .size = sizeof(struct descpipe_option),
    .type = DESCPIPE_OPTION_PATH,
    .key = "site-file",
    .default_value = SITE_LIMITS_FILE,
    .help =
        "The site's udiRoot.conf: what it forbids is told before a job is. Where it is not there, nothing is known.",
};
static const struct descpipe_option volumes_option = {
    .size = sizeof(struct descpipe_option),
    .type = DESCPIPE_OPTION_LIST,
    .flags = DESCPIPE_OPTION_PER_STAGE,
    .key = "volumes",
    .help = "Volumes in Shifter's own words, for example [\"/scratch/me/cache:/cache:perNodeCache=size=10G\"].",
};
static const struct descpipe_option entry_option = {
    .size = sizeof(struct descpipe_option),
    .type = DESCPIPE_OPTION_BOOLEAN,
    .flags = DESCPIPE_OPTION_PER_STAGE,
    .key = "entry-point",
    .default_value = "false",
    .help = "Run the image's own entry point, with the stage's command as its arguments.",
};
static const struct descpipe_option env_option = {
    .size = sizeof(struct descpipe_option),
    .type = DESCPIPE_OPTION_BOOLEAN,
    .key = "env-option",
    .default_value = "true",
    .help =
        "Whether this Shifter has --env (18.03.1 and newer); without it variables of the image win over the stage's.",
};
static const struct descpipe_option name_option = {
    .size = sizeof(struct descpipe_option),
    .type = DESCPIPE_OPTION_CHOICE,
    .key = "name-images-by",
    .default_value = "id",
    .help =
        "How stages name their image: by the gateway's id, which a moved tag does not change, or as docker:NAME:TAG.",
    .choices = name_choices,
};
static const struct descpipe_option pull_timeout_option = {
    .size = sizeof(struct descpipe_option),
    .type = DESCPIPE_OPTION_DURATION,
    .flags = DESCPIPE_OPTION_RANGED,
    .key = "pull-timeout",
    .default_value = "2h",
    .help = "How long the image gateway may take for one image.",
    .minimum = 1000,
    .maximum = INT64_C(7) * 24 * 3600 * 1000,
};
static const struct descpipe_option *const shifter_options[] = {
    &folder_option,       &login_option, &modules_option, &gpu_option, &volumes_option, &env_option, &name_option,
    &pull_timeout_option, &site_option,  &entry_option,   NULL};

static const struct descpipe_plugin shifter_plugin = {
    .size = sizeof shifter_plugin,
    .abi_major = DESCPIPE_ABI_MAJOR,
    .abi_minor = DESCPIPE_ABI_MINOR,
    .kind = "runtime",
    .name = "shifter",
    .version = DESCPIPE_PLUGIN_VERSION,
    .summary = "containers by Shifter, from images of the site's gateway",
    .author = "the descpipe authors",
    .licence = "BSD-3-Clause",
    .url = "",
    .options = shifter_options,
    .operations = &shifter_operations,
};

const struct descpipe_plugin *descpipe_plugin_v1(void)
{
    return &shifter_plugin;
}
