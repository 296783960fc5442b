/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From one attempt of a stage to the `ch-run` that runs it.
 *
 * How it works: ch-run becomes the stage's command itself and hands its environment on, so what it gets is the image's
 * variables, the stage's over them, and at the start the late ones; nothing of ours. What it takes apart at ':' is
 * reached through a link without one. Mount points are made in the unpacked image, which ch-run mounts read-only.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "registry/ownership.h"

#include "store/environment.h"
#include "tool/cache.h"
#include "tool/environment.h"

#include "charliecloud.h"
#include "mount_points.h"

#define DEFAULT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct launch {
    const struct charliecloud *charliecloud;
    const struct descpipe_stage *stage;
    char *image_environment; /* "NAME=value" each ended by NUL, or NULL */
    size_t image_environment_length;
    struct arguments argv, environment;
    struct failure failure;
};

/* A path that ch-run does not take apart: itself, or a link to it. */
static const char *without_colon(struct launch *launch, const char *path)
{
    char key[CACHE_KEY_SIZE];
    const char *cache = launch->charliecloud->cache;
    if (strchr(path, ':') == NULL)
        return path;
    if (cache == NULL || !cache_key("link", path, NULL, key, &launch->failure)) {
        failure_set(&launch->failure, DESCPIPE_FAILED_UNSUPPORTED, "ch-run cannot mount '%s': it has a ':'", path);
        return NULL;
    }
    const char *folder = arguments_format(&launch->argv, "%s/links", cache);
    const char *link = arguments_format(&launch->argv, "%s/%s", folder, key);
    if ((mkdir(folder, 0700) == 0 || errno == EEXIST) && (symlink(path, link) == 0 || errno == EEXIST))
        return link;
    failure_system(&launch->failure, "cannot make '%s'", link);
    return NULL;
}

static bool add_mount(struct launch *launch, const struct descpipe_mount *mount)
{
    if ((mount->flags & DESCPIPE_MOUNT_SCRATCH) != 0)
        return failure_set(&launch->failure, DESCPIPE_FAILED_UNSUPPORTED,
                           "scratch at '%s': ch-run has only /tmp for that", mount->target);
    if (strchr(mount->target, ':') != NULL)
        return failure_set(&launch->failure, DESCPIPE_FAILED_UNSUPPORTED, "ch-run cannot mount at '%s': it has a ':'",
                           mount->target);
    const char *source = without_colon(launch, mount->source);
    if (source == NULL || !mount_point_make(launch->stage->image_handle, mount->target,
                                            (mount->flags & DESCPIPE_MOUNT_FILE) != 0, &launch->failure))
        return false;
    arguments_add(&launch->argv, "--bind");
    arguments_add(&launch->argv, arguments_format(&launch->argv, "%s:%s", source, mount->target));
    return true;
}

static bool add_mounts(struct launch *launch)
{
    static const char *const folders[] = {"/dev", "/proc", "/sys", "/tmp", NULL};
    const char *image = launch->stage->image_handle;
    for (size_t i = 0; folders[i] != NULL; i++)
        if (!mount_point_make(image, folders[i], false, &launch->failure))
            return false;
    arguments_add(&launch->argv, "--private-tmp");
    if (!mount_point_exists(image, "/etc/passwd") || !mount_point_exists(image, "/etc/group"))
        arguments_add(&launch->argv, "--no-passwd");
    for (size_t i = 0; launch->stage->mounts != NULL && launch->stage->mounts[i] != NULL; i++)
        if (!add_mount(launch, launch->stage->mounts[i]))
            return false;
    return true;
}

/* ch-image keeps it in the image, as lines; the store of `native` beside it. */
static bool read_image_environment(struct launch *launch)
{
    const char *root = launch->stage->image_handle;
    const char *path = arguments_format(&launch->argv, "%s/ch/environment", root);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        size_t folder = strlen(launch->charliecloud->cache != NULL ? launch->charliecloud->cache : "");
        bool ours = folder > 0 && strncmp(root, launch->charliecloud->cache, folder) == 0;
        if (ours)
            launch->image_environment = environment_read(root, &launch->image_environment_length, &launch->failure);
        return launch->failure.kind == 0;
    }
    launch->image_environment = malloc(ENVIRONMENT_LIMIT + 1);
    if (launch->image_environment != NULL)
        launch->image_environment_length = fread(launch->image_environment, 1, ENVIRONMENT_LIMIT, file);
    fclose(file);
    if (launch->image_environment == NULL)
        return failure_memory(&launch->failure);
    launch->image_environment[launch->image_environment_length] = '\0';
    for (size_t i = 0; i < launch->image_environment_length; i++)
        if (launch->image_environment[i] == '\n')
            launch->image_environment[i] = '\0';
    return true;
}

/* Variables that the dynamic loader obeys would act on ch-run; they never hold secrets, so they may stand in the argv.
 */
static void add_variable(struct launch *launch, const char *entry)
{
    bool loader = strncmp(entry, "LD_", 3) == 0 || strncmp(entry, "GLIBC_TUNABLES=", 15) == 0;
    if (loader)
        arguments_add(&launch->argv, arguments_format(&launch->argv, "--set-env=%s", entry));
    else
        arguments_add(&launch->environment, entry);
}

static bool stage_says(const struct descpipe_stage *stage, const char *entry)
{
    char name[256];
    size_t length = strcspn(entry, "=");
    if (length >= sizeof name)
        return false;
    memcpy(name, entry, length);
    name[length] = '\0';
    return environment_value(stage->environment, name) != NULL || environment_is_late(stage, name);
}

static bool add_environment(struct launch *launch)
{
    const struct descpipe_stage *stage = launch->stage;
    bool has_path = stage_says(stage, "PATH"), has_user = stage_says(stage, "USER");
    if (!read_image_environment(launch))
        return false;
    arguments_add(&launch->argv, "--env-no-expand");
    for (size_t at = 0; at < launch->image_environment_length; at += strlen(launch->image_environment + at) + 1) {
        const char *entry = launch->image_environment + at;
        if (strchr(entry, '=') == NULL || entry[0] == '=' || stage_says(stage, entry))
            continue;
        has_path = has_path || strncmp(entry, "PATH=", 5) == 0;
        has_user = has_user || strncmp(entry, "USER=", 5) == 0;
        add_variable(launch, entry);
    }
    for (size_t i = 0; stage->environment != NULL && stage->environment[i] != NULL; i++)
        add_variable(launch, stage->environment[i]);
    if (!has_path)
        arguments_add(&launch->environment, DEFAULT_PATH);
    if (!has_user) { /* ch-run insists on one; the stage does not see it */
        arguments_add(&launch->environment, "USER=descpipe");
        arguments_add(&launch->argv, "--unset-env=USER");
    }
    return true;
}

static bool check_stage(struct launch *launch)
{
    const struct descpipe_stage *stage = launch->stage;
    if (stage->image_handle == NULL || stage->image_handle[0] != '/')
        return failure_set(&launch->failure, DESCPIPE_FAILED_REFUSED, "stage '%s' has no unpacked image", stage->name);
    if (stage->command == NULL || stage->command[0] == NULL)
        return failure_set(&launch->failure, DESCPIPE_FAILED_REFUSED, "stage '%s' has no command", stage->name);
    if (stage->uid != geteuid())
        return failure_set(&launch->failure, DESCPIPE_FAILED_UNSUPPORTED,
                           "stage '%s' asks for uid %u, and runtime 'charliecloud' runs stages as the caller (uid %u)",
                           stage->name, stage->uid, geteuid());
    if ((stage->flags & DESCPIPE_STAGE_NO_NETWORK) != 0)
        return failure_set(&launch->failure, DESCPIPE_FAILED_UNSUPPORTED,
                           "stage '%s' must not reach the network, and runtime 'charliecloud' cannot take it away",
                           stage->name);
    return true;
}

static bool write_launch(struct launch *launch)
{
    const struct descpipe_stage *stage = launch->stage;
    environment_add_umask(&launch->argv, stage);
    arguments_add(&launch->argv, launch->charliecloud->run);
    if (!check_stage(launch) || !add_mounts(launch) || !add_environment(launch))
        return false;
    arguments_add(&launch->argv,
                  arguments_format(&launch->argv, "--cd=%s", stage->directory != NULL ? stage->directory : "/"));
    arguments_add(&launch->argv, stage->image_handle);
    arguments_add(&launch->argv, "--");
    arguments_add_list(&launch->argv, stage->command);
    return launch->argv.failed || launch->environment.failed ? failure_memory(&launch->failure) : true;
}

static void launch_clear(struct launch *launch)
{
    arguments_clear(&launch->argv);
    arguments_clear(&launch->environment);
    failure_clear(&launch->failure);
    free(launch->image_environment);
}

void charliecloud_launch(void *self, struct descpipe_call *call, const struct descpipe_stage *stage)
{
    const struct charliecloud *charliecloud = self;
    const struct descpipe_host *host = charliecloud->host;
    struct launch launch = {.charliecloud = charliecloud, .stage = stage};
    if (charliecloud->run == NULL) {
        host->call->fail(call, DESCPIPE_FAILED_UNSUPPORTED, "ch-run is not on this machine", CHARLIECLOUD_TOOL_HINT);
        return;
    }
    if (!write_launch(&launch)) {
        failure_finish(&launch.failure, host, call);
    } else {
        const struct descpipe_form form = {.size = sizeof form,
                                           .form = DESCPIPE_FORM_COMMAND,
                                           .argv = launch.argv.words,
                                           .environment = launch.environment.words,
                                           .directory = "/",
                                           .late_prefix = ""};
        host->answer->form(call, &form);
        host->call->succeed(call);
    }
    launch_clear(&launch);
}
