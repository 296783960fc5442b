/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From one attempt of a stage to the `exec` that runs it.
 *
 * How it works: --containall gives a world without the machine's folders, processes and variables; --no-home with
 * --home mounts nothing and only says what HOME is. Variables travel as <PREFIX>ENV_NAME, so that their values stand in
 * no process list and those that come late reach the stage with the same argv. A rank that a launcher starts outside
 * shares processes and memory with the others, and gets what the launcher adds to the environment.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "registry/ownership.h"

#include "tool/cache.h"
#include "tool/environment.h"
#include "tool/mount_field.h"
#include "tool/node_image.h"

#include "singularity.h"

/* What a container's root may still do, as with `native`: enough to read any input and to drop its own rights. */
#define ROOT_CAPABILITIES                                                                                              \
    "CAP_CHOWN,CAP_DAC_OVERRIDE,CAP_FOWNER,CAP_FSETID,CAP_KILL,CAP_NET_BIND_SERVICE,CAP_SETGID,CAP_SETUID,"            \
    "CAP_SYS_CHROOT"

/*
 * TOOL REFERENCE FILE VERIFY: pulls once, for all nodes that see FILE's folder.
 *
 * One process pulls at a time where the file system knows locks; where it does not, two of them do the same work and
 * the later one is kept. Either way what has the final name is whole: it has a name of its own first, and is flushed.
 * Its size stands beside it with its checksum; another size, or with VERIFY another checksum, and it is pulled again.
 * What a killed process left goes after a day.
 */
static const char node_pull[] =
    "set -e; tool=$1 reference=$2 file=$3 verify=$4; umask 077; mkdir -p \"${file%/*}\"; "
    "good() { [ -s \"$file\" ] && read -r size sum <\"$file.sum\" && [ \"$(stat -L -c %s \"$file\")\" = \"$size\" ] && "
    "{ [ \"$verify\" = no ] || [ \"$(sha256sum <\"$file\")\" = \"$sum  -\" ]; }; } 2>/dev/null; "
    "good && exit 0; "
    "exec 9>\"$file.lock\"; flock 9 2>/dev/null || :; "
    "good && exit 0; "
    "find \"${file%/*}\" -name '*.sif.new.*' -mmin +1440 -exec rm -f {} + || :; "
    "new=$(mktemp \"$file.new.XXXXXX\"); trap 'rm -f \"$new\" \"$new.sum\"' EXIT; "
    "\"$tool\" pull --force --disable-cache \"$new\" \"docker://$reference\" 9>&-; "
    "sum=$(sha256sum <\"$new\"); echo \"$(stat -c %s \"$new\") ${sum%% *}\" >\"$new.sum\"; "
    "sync \"$new\" \"$new.sum\"; mv \"$new.sum\" \"$file.sum\"; mv \"$new\" \"$file\"";

struct launch {
    const struct singularity *singularity;
    const struct descpipe_stage *stage;
    const char *image;
    char *handle; /* of an image that the node gets, taken apart; or NULL */
    struct arguments argv, environment, setup;
    struct failure failure;
};

static void add_words(struct arguments *arguments, const char *const *words)
{
    arguments_add_list(arguments, words);
}

static void add_mount_line(struct arguments *argv, const struct descpipe_mount *mount, bool read_only)
{
    cleanup(memory_free) char *text = NULL;
    size_t length;
    FILE *line = open_memstream(&text, &length);
    if (line == NULL) {
        argv->failed = true;
        return;
    }
    fputs("type=bind,", line);
    mount_field_write(line, "source", mount->source);
    fputc(',', line);
    mount_field_write(line, "destination", mount->target);
    if (read_only)
        fputs(",ro", line);
    argv->failed = fclose(line) != 0 || argv->failed;
    arguments_add(argv, "--mount");
    arguments_add(argv, arguments_format(argv, "%s", text != NULL ? text : ""));
}

static bool add_mount(struct launch *launch, const struct descpipe_mount *mount)
{
    struct arguments *argv = &launch->argv;
    bool read_only = (mount->flags & DESCPIPE_MOUNT_READ_ONLY) != 0;
    if ((mount->flags & DESCPIPE_MOUNT_SCRATCH) != 0) {
        if (strpbrk(mount->target, ",\"\r\n") != NULL)
            return failure_set(&launch->failure, DESCPIPE_FAILED_UNSUPPORTED,
                               "scratch at '%s': --scratch has no way to write that path", mount->target);
        arguments_add(argv, "--scratch");
        arguments_add(argv, mount->target);
        return true;
    }
    if (strpbrk(mount->source, "\r\n") != NULL || strpbrk(mount->target, "\r\n") != NULL)
        return failure_set(&launch->failure, DESCPIPE_FAILED_UNSUPPORTED, "the path of a mount holds a line break");
    if (version_has_mount(&launch->singularity->version)) {
        add_mount_line(argv, mount, read_only);
        return true;
    }
    if (strpbrk(mount->source, ":,") != NULL || strpbrk(mount->target, ":,") != NULL) {
        failure_set(&launch->failure, DESCPIPE_FAILED_UNSUPPORTED,
                    "a mount of '%s' at '%s': this program cannot take ':' and ',' in paths", mount->source,
                    mount->target);
        return failure_hint(&launch->failure, "SingularityCE 3.9 and Apptainer 1.0 can");
    }
    arguments_add(argv, "--bind");
    arguments_add(argv, arguments_format(argv, "%s:%s:%s", mount->source, mount->target, read_only ? "ro" : "rw"));
    return true;
}

static bool add_mounts(struct launch *launch)
{
    const struct descpipe_stage *stage = launch->stage;
    const struct descpipe_config_service *config = launch->singularity->host->config;
    for (size_t i = 0; stage->mounts != NULL && stage->mounts[i] != NULL; i++)
        if (!add_mount(launch, stage->mounts[i]))
            return false;
    if (stage->ranks != DESCPIPE_RANKS_OUTSIDE)
        return true;
    bool own = stage->settings != NULL && config->given(stage->settings, "mpi-binds");
    const char *const *folders = config->list(own ? stage->settings : launch->singularity->host->settings, "mpi-binds");
    for (; folders != NULL && *folders != NULL; folders++) {
        const struct descpipe_mount mount = {.size = sizeof mount, .source = *folders, .target = *folders};
        if (!add_mount(launch, &mount))
            return false;
    }
    return true;
}

static bool add_home(struct launch *launch)
{
    const char *home = environment_value(launch->stage->environment, "HOME");
    if (environment_is_late(launch->stage, "HOME") || (home != NULL && (home[0] != '/' || strchr(home, ':') != NULL)))
        return failure_set(&launch->failure, DESCPIPE_FAILED_UNSUPPORTED,
                           "HOME of stage '%s' must be an absolute path without ':', which is known before the start",
                           launch->stage->name);
    arguments_add(&launch->argv, "--no-home"); /* nothing is mounted; the first half below is not used */
    arguments_add(&launch->argv, "--home");
    arguments_add(&launch->argv, arguments_format(&launch->argv, "/tmp:%s", home != NULL ? home : "/tmp"));
    return true;
}

static bool is_evaluated(const char *value)
{
    return strpbrk(value, "$`\\") != NULL;
}

static bool add_environment(struct launch *launch)
{
    const struct singularity *singularity = launch->singularity;
    const char *prefix = singularity_prefix(singularity);
    bool no_eval = version_has_no_eval(&singularity->version);
    singularity_environment(singularity, &launch->environment);
    arguments_add(&launch->environment, arguments_format(&launch->environment, "%s_NO_EVAL=1", prefix));
    for (const char *const *entry = launch->stage->environment; entry != NULL && *entry != NULL; entry++) {
        const char *value = strchr(*entry, '=');
        if (value == NULL || strncmp(*entry, "HOME=", 5) == 0)
            continue;
        if (!no_eval && is_evaluated(value)) {
            failure_set(&launch->failure, DESCPIPE_FAILED_UNSUPPORTED,
                        "%s: %s would let a shell evaluate the value of %.*s", launch->stage->name,
                        singularity->version.text, (int)(value - *entry), *entry);
            return failure_hint(&launch->failure, "Apptainer 1.1 and SingularityCE 3.10 leave values as they are");
        }
        arguments_add(&launch->environment, arguments_format(&launch->environment, "%sENV_%s", prefix, *entry));
    }
    return true;
}

static void add_isolation(struct launch *launch)
{
    static const char *const alone[] = {"--containall", NULL};
    static const char *const rank[] = {"--contain", NULL};
    static const char *const root[] = {"--no-privs", "--add-caps", ROOT_CAPABILITIES, NULL};
    static const char *const no_network[] = {"--net", "--network", "none", NULL};
    const struct descpipe_stage *stage = launch->stage;
    add_words(&launch->argv, stage->ranks == DESCPIPE_RANKS_OUTSIDE ? rank : alone);
    if (stage->umask_bits == 022)
        arguments_add(&launch->argv, "--no-umask"); /* the tool's word for 0022, whatever the caller's is */
    if (geteuid() == 0)
        add_words(&launch->argv, root);
    if ((stage->flags & DESCPIPE_STAGE_NO_NETWORK) != 0)
        add_words(&launch->argv, no_network);
    if (stage->resources != NULL && stage->resources->gpus_per_node > 0) {
        const struct descpipe_host *host = launch->singularity->host;
        bool amd = strcmp(host->config->text(host->settings, "gpu"), "amd") == 0;
        arguments_add(&launch->argv, amd ? "--rocm" : "--nv");
    }
}

/* The image of the handle, with the command that gets it to a node. */
static bool find_image(struct launch *launch)
{
    const char *handle = launch->stage->image_handle;
    const struct singularity *singularity = launch->singularity;
    struct node_image node;
    char key[CACHE_KEY_SIZE];
    if (handle == NULL)
        return failure_set(&launch->failure, DESCPIPE_FAILED_REFUSED, "stage '%s': its image was not prepared",
                           launch->stage->name);
    launch->image = handle;
    if (!node_image_is_handle(handle))
        return true;
    launch->handle = strdup(handle);
    if (launch->handle == NULL || !node_image_read(launch->handle, &node))
        return failure_set(&launch->failure, DESCPIPE_FAILED_REFUSED, "'%s' is no image of runtime 'singularity'",
                           handle);
    if (singularity->cache == NULL)
        return failure_set(&launch->failure, DESCPIPE_FAILED_UNSUPPORTED,
                           "runtime 'singularity' has no folder to keep images in") &&
               failure_hint(&launch->failure, "name one with the option 'cache'");
    if (!cache_key("node", node.source, NULL, key, &launch->failure))
        return false;
    launch->image = arguments_format(&launch->argv, "%s/node/%s.sif", singularity->cache, key);
    const char *const setup[] = {"sh",
                                 "-c",
                                 node_pull,
                                 "descpipe",
                                 singularity->tool,
                                 node.source,
                                 launch->image,
                                 singularity->verify ? "yes" : "no",
                                 NULL};
    arguments_add_list(&launch->setup, setup);
    if (node.how == NODE_IMAGE_PULL_PLAIN)
        arguments_add(&launch->environment,
                      arguments_format(&launch->environment, "%s_NOHTTPS=true", singularity_prefix(singularity)));
    return true;
}

static bool write_launch(struct launch *launch)
{
    const struct descpipe_stage *stage = launch->stage;
    if (stage->uid != geteuid())
        return failure_set(&launch->failure, DESCPIPE_FAILED_UNSUPPORTED,
                           "stage '%s' asks for uid %u, and runtime 'singularity' runs stages as the caller (uid %u)",
                           stage->name, stage->uid, geteuid());
    if (stage->command == NULL || stage->command[0] == NULL)
        return failure_set(&launch->failure, DESCPIPE_FAILED_REFUSED, "stage '%s' has no command", stage->name);
    arguments_add(&launch->argv, launch->singularity->tool);
    arguments_add(&launch->argv, "--silent");
    arguments_add(&launch->argv, "exec");
    add_isolation(launch);
    if (!find_image(launch) || !add_home(launch) || !add_mounts(launch) || !add_environment(launch))
        return false;
    if (stage->directory != NULL) {
        arguments_add(&launch->argv, "--pwd");
        arguments_add(&launch->argv, stage->directory);
    }
    arguments_add(&launch->argv, launch->image);
    add_words(&launch->argv, stage->command);
    return launch->argv.failed || launch->environment.failed || launch->setup.failed ? failure_memory(&launch->failure)
                                                                                     : true;
}

bool singularity_add_instance(const struct singularity *singularity, const struct descpipe_stage *stage,
                              struct arguments *argv, struct failure *failure)
{
    struct launch launch = {.singularity = singularity, .stage = stage};
    bool good = stage->uid == geteuid() || stage->uid == 0;
    if (!good)
        failure_set(failure, DESCPIPE_FAILED_UNSUPPORTED, "a container of uid %u: it is the caller's (%u) or root's",
                    stage->uid, geteuid());
    if (good && stage->uid != geteuid())
        arguments_add(&launch.argv, "--fakeroot");
    if (good) {
        add_isolation(&launch);
        good = add_home(&launch) && add_mounts(&launch);
        if (!good)
            failure_copy(failure, &launch.failure);
    }
    for (size_t i = 0; good && i < launch.argv.count; i++)
        arguments_add(argv, arguments_format(argv, "%s", launch.argv.words[i]));
    argv->failed = argv->failed || launch.argv.failed;
    arguments_clear(&launch.argv);
    failure_clear(&launch.failure);
    return good;
}

static void launch_clear(struct launch *launch)
{
    arguments_clear(&launch->argv);
    arguments_clear(&launch->environment);
    arguments_clear(&launch->setup);
    failure_clear(&launch->failure);
    free(launch->handle);
}

void singularity_launch(void *self, struct descpipe_call *call, const struct descpipe_stage *stage)
{
    const struct singularity *singularity = self;
    const struct descpipe_host *host = singularity->host;
    struct launch launch = {.singularity = singularity, .stage = stage};
    char prefix[32];
    if (singularity->tool == NULL) {
        host->call->fail(call, DESCPIPE_FAILED_UNSUPPORTED, SINGULARITY_TOOL_MESSAGE, SINGULARITY_TOOL_HINT);
        return;
    }
    if (!write_launch(&launch)) {
        failure_finish(&launch.failure, host, call);
        launch_clear(&launch);
        return;
    }
    snprintf(prefix, sizeof prefix, "%sENV_", singularity_prefix(singularity));
    const struct descpipe_form form = {.size = sizeof form,
                                       .form = DESCPIPE_FORM_COMMAND,
                                       .argv = launch.argv.words,
                                       .environment = launch.environment.words,
                                       .directory = "/",
                                       .late_prefix = prefix,
                                       .setup = launch.setup.count > 0 ? launch.setup.words : NULL};
    host->answer->form(call, &form);
    host->call->succeed(call);
    launch_clear(&launch);
}
