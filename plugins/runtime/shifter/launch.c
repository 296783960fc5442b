/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From one attempt of a stage to the `shifter` command that runs it.
 *
 * - A command that is given is what runs; the image's entry point only with --entrypoint (usage in src/shifter.c,
 *   "Command Selection"), which then gets the command as its arguments (main, there): option 'entry-point'.
 * - The caller's environment goes into the container, and the image's own variables override it ("Environmental
 *   Transfer", same place); --env NAME=VALUE overrides both (18.03.1). So what the stage says goes by --env. What comes
 *   late or is secret never does, since everybody sees an argv: it goes by the environment, where the image could
 * override.
 * - --volume=SOURCE:TARGET[:FLAG...]; ';' separates volumes and ':' their parts (src/VolumeMap.c). Letters other than
 *   letters, digits and "_:.+-/" are dropped from paths without a word (userInputPathFilter in src/utility.c). `ro` and
 *   `perNodeCache` are the flags that a user may give; targets below /etc, /var, /opt/udiImage and /opt itself are
 * refused (validateVolumeMap_userRequest), those below /dev and /proc too (usage). Both are folders
 * (src/shifter_core.c).
 * - A target must exist in the image, or lie directly below /opt, which Shifter makes itself (src/shifter_core.c).
 * - What the site's udiRoot.conf forbids is refused here, where that file can be read (site_limits.h).
 * - Root is refused (src/shifter.c).
 * - In a SLURM job `#SBATCH --image` pins the image at submission and prepares it in the prolog (doc/wlm/slurm.rst).
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "registry/failure.h"
#include "registry/ownership.h"

#include "tool/environment.h"

#include "shifter.h"
#include "site/site_limits.h"

struct launch {
    const struct shifter *shifter;
    const struct descpipe_stage *stage;
    struct site_limits *limits; /* NULL: not known here */
    struct arguments argv, environment, directives;
    struct failure failure;
};

static bool path_is_kept(const char *path)
{
    for (; *path != '\0'; path++)
        if (!isalnum((unsigned char)*path) && strchr("_.+-/", *path) == NULL)
            return false;
    return true;
}

/* Why Shifter would refuse it, or NULL. */
static const char *target_refusal(const char *target)
{
    static const char *const below[] = {"/etc", "/var", "/opt/udiImage", "/dev", "/proc"};
    for (size_t i = 0; i < sizeof below / sizeof below[0]; i++)
        if (strncmp(target, below[i], strlen(below[i])) == 0)
            return "Shifter lets nobody mount below /etc, /var, /opt/udiImage, /dev and /proc";
    if (strcmp(target, "/opt") == 0 || strcmp(target, "/opt/") == 0)
        return "Shifter lets nobody mount at /opt itself";
    return NULL;
}

static bool add_mount(struct launch *launch, const struct descpipe_mount *mount)
{
    const char *stage = launch->stage->name;
    if ((mount->flags & DESCPIPE_MOUNT_SCRATCH) != 0) {
        failure_set(&launch->failure, DESCPIPE_FAILED_UNSUPPORTED, "stage '%s': scratch at '%s' needs a folder", stage,
                    mount->target);
        return failure_hint(&launch->failure, "say it in Shifter's words: option 'volumes', flag perNodeCache");
    }
    if ((mount->flags & DESCPIPE_MOUNT_FILE) != 0) {
        failure_set(&launch->failure, DESCPIPE_FAILED_UNSUPPORTED, "stage '%s': Shifter mounts folders only, not '%s'",
                    stage, mount->source);
        return failure_hint(&launch->failure, "mount the folder that it lies in");
    }
    const char *refusal = target_refusal(mount->target);
    if (refusal != NULL)
        return failure_set(&launch->failure, DESCPIPE_FAILED_UNSUPPORTED, "stage '%s': cannot mount at '%s': %s", stage,
                           mount->target, refusal);
    const char *bad = !path_is_kept(mount->source)   ? mount->source
                      : !path_is_kept(mount->target) ? mount->target
                                                     : NULL;
    if (bad != NULL) {
        failure_set(&launch->failure, DESCPIPE_FAILED_UNSUPPORTED,
                    "stage '%s': Shifter would drop letters of the path '%s'", stage, bad);
        return failure_hint(&launch->failure, "let paths hold only letters, digits and _.+-/");
    }
    arguments_add(&launch->argv, arguments_format(&launch->argv, "--volume=%s:%s%s", mount->source, mount->target,
                                                  (mount->flags & DESCPIPE_MOUNT_READ_ONLY) != 0 ? ":ro" : ""));
    return true;
}

/* A list of the stage's own, else the backend's. */
static const char *const *list_of(const struct launch *launch, const char *key)
{
    const struct descpipe_config_service *config = launch->shifter->host->config;
    const struct descpipe_settings *own = launch->stage->settings;
    return config->list(own != NULL && config->given(own, key) ? own : launch->shifter->host->settings, key);
}

static bool add_site_volume(struct launch *launch, const char *volume)
{
    const char *target = strchr(volume, ':');
    char path[4096];
    snprintf(path, sizeof path, "%.*s", target != NULL ? (int)strcspn(target + 1, ":") : 0,
             target != NULL ? target + 1 : "");
    const char *refusal = path[0] != '/' ? "it is not SOURCE:TARGET[:FLAG]" : target_refusal(path);
    if (refusal != NULL || strchr(volume, ';') != NULL)
        return failure_set(&launch->failure, DESCPIPE_FAILED_UNSUPPORTED, "option 'volumes': '%s': %s", volume,
                           refusal != NULL ? refusal : "one volume each, without ';'");
    if (launch->limits != NULL && !site_limits_allow_volume(launch->limits, volume, &launch->failure))
        return false;
    arguments_add(&launch->argv, arguments_format(&launch->argv, "--volume=%s", volume));
    return true;
}

static bool add_mounts(struct launch *launch)
{
    const struct descpipe_mount *const *mounts = launch->stage->mounts;
    for (; mounts != NULL && *mounts != NULL; mounts++)
        if (!add_mount(launch, *mounts))
            return false;
    const char *const *volumes = list_of(launch, "volumes");
    for (; volumes != NULL && *volumes != NULL; volumes++)
        if (!add_site_volume(launch, *volumes))
            return false;
    return true;
}

/* "a,b": modules that a user names replace the site's defaults (doc/config/udiRoot.conf.rst, defaultModules). */
static bool add_modules(struct launch *launch)
{
    const char *const *modules = list_of(launch, "modules");
    const struct descpipe_resources *resources = launch->stage->resources;
    bool gpu = resources != NULL && resources->gpus_per_node > 0;
    const char *line = gpu ? launch->shifter->gpu_module : "";
    for (; modules != NULL && *modules != NULL; modules++)
        line = arguments_format(&launch->argv, "%s%s%s", line, line[0] != '\0' ? "," : "", *modules);
    if (launch->limits != NULL && !site_limits_allow_modules(launch->limits, line, &launch->failure))
        return false;
    if (line[0] != '\0')
        arguments_add(&launch->argv, arguments_format(&launch->argv, "--module=%s", line));
    return true;
}

static void add_environment(struct launch *launch)
{
    const char *const *entry = launch->stage->environment;
    bool has_path = environment_value(entry, "PATH") != NULL;
    for (; entry != NULL && *entry != NULL; entry++)
        if (launch->shifter->has_env)
            arguments_add(&launch->argv, arguments_format(&launch->argv, "--env=%s", *entry));
        else
            arguments_add(&launch->environment, *entry);
    if (!has_path) /* of images that set none */
        arguments_add(&launch->environment, "PATH=/usr/local/bin:/usr/bin:/bin");
}

static bool wants_entry_point(const struct launch *launch)
{
    const struct descpipe_config_service *config = launch->shifter->host->config;
    const struct descpipe_settings *own = launch->stage->settings;
    bool said = own != NULL && config->given(own, "entry-point");
    return config->boolean(said ? own : launch->shifter->host->settings, "entry-point") != 0;
}

static bool check_stage(struct launch *launch)
{
    const struct descpipe_stage *stage = launch->stage;
    if (stage->image_handle == NULL)
        return failure_set(&launch->failure, DESCPIPE_FAILED_REFUSED, "stage '%s': its image was not prepared",
                           stage->name);
    if (stage->command == NULL || stage->command[0] == NULL)
        return failure_set(&launch->failure, DESCPIPE_FAILED_REFUSED, "stage '%s' has no command", stage->name);
    if (stage->uid == 0)
        return failure_set(&launch->failure, DESCPIPE_FAILED_UNSUPPORTED, "Shifter runs nothing as root");
    if (stage->uid != geteuid())
        return failure_set(&launch->failure, DESCPIPE_FAILED_UNSUPPORTED,
                           "stage '%s' asks for uid %u, and Shifter runs stages as the caller (uid %u)", stage->name,
                           stage->uid, geteuid());
    if ((stage->flags & DESCPIPE_STAGE_NO_NETWORK) != 0)
        return failure_set(&launch->failure, DESCPIPE_FAILED_UNSUPPORTED,
                           "stage '%s' must not reach the network, and Shifter cannot take it away", stage->name);
    return true;
}

static bool write_launch(struct launch *launch)
{
    const struct descpipe_stage *stage = launch->stage;
    if (!check_stage(launch))
        return false;
    launch->limits = site_limits_read(launch->shifter->site_file, &launch->failure);
    if (launch->failure.kind != 0)
        return false;
    const char *image = arguments_format(&launch->argv, "--image=%s", stage->image_handle);
    environment_add_umask(&launch->argv, stage);
    arguments_add(&launch->argv, launch->shifter->run);
    arguments_add(&launch->argv, image);
    if (!add_mounts(launch) || !add_modules(launch))
        return false;
    add_environment(launch);
    if (wants_entry_point(launch))
        arguments_add(&launch->argv, "--entrypoint");
    if (stage->directory != NULL)
        arguments_add(&launch->argv, arguments_format(&launch->argv, "--workdir=%s", stage->directory));
    arguments_add(&launch->argv, "--");
    arguments_add_list(&launch->argv, stage->command);
    arguments_add(&launch->directives, arguments_format(&launch->directives, "slurm:%s", image));
    return launch->argv.failed || launch->environment.failed || launch->directives.failed
               ? failure_memory(&launch->failure)
               : true;
}

void shifter_launch(void *self, struct descpipe_call *call, const struct descpipe_stage *stage)
{
    const struct shifter *shifter = self;
    const struct descpipe_host *host = shifter->host;
    struct launch launch = {.shifter = shifter, .stage = stage};
    static const char *const nothing[] = {NULL};
    if (shifter->run == NULL) {
        host->call->fail(call, DESCPIPE_FAILED_UNSUPPORTED, SHIFTER_TOOL_MESSAGE, SHIFTER_TOOL_HINT);
        return;
    }
    if (!write_launch(&launch)) {
        failure_finish(&launch.failure, host, call);
    } else {
        const struct descpipe_form form = {.size = sizeof form,
                                           .form = DESCPIPE_FORM_COMMAND,
                                           .argv = launch.argv.words,
                                           .environment =
                                               launch.environment.count > 0 ? launch.environment.words : nothing,
                                           .directory = "/",
                                           .late_prefix = "",
                                           .directives = launch.directives.words};
        host->answer->form(call, &form);
        host->call->succeed(call);
    }
    arguments_clear(&launch.argv);
    arguments_clear(&launch.environment);
    arguments_clear(&launch.directives);
    failure_clear(&launch.failure);
    site_limits_free(launch.limits);
}
