/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From one attempt of a stage to the `podman run` that runs it.
 *
 * How it works: the values of the environment reach the client through its own environment (`--env NAME`), so that they
 * stand in no process list. A name that the client obeys itself (PATH, HOME, XDG_* ...) is written out, unless its
 * value comes late, which is refused. Without root the caller's uid is the same inside (--userns keep-id). The
 * container is removed at its end: the client's exit status is the evidence.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "registry/failure.h"
#include "registry/ownership.h"

#include "tool/mount_field.h"
#include "tool/node_image.h"

#include "podman.h"

#define STOP_GRACE_MS                                                                                                  \
    60000 /* after its time limit the host ends a stage; this is only for a client that was killed                     \
           */
#define OPEN_FILES_MOST 1048576
/* What a container is kept by that has no command; it ends at once when it is told to. */
#define DEVELOPER_WAITS "trap 'exit 0' TERM; while :; do sleep 3600 & wait $!; done"
#define PROCESSES_MOST 32768

struct launch {
    const struct podman *podman;
    const struct descpipe_stage *stage;
    const char *image;
    char *handle;   /* of an image that the node gets, taken apart; or NULL */
    bool developer; /* a container that is kept, for a person */
    struct arguments argv, environment, setup, removal;
    struct failure failure;
};

static void add_pair(struct arguments *argv, const char *option, const char *value)
{
    arguments_add(argv, option);
    arguments_add(argv, value);
}

static bool add_mount(struct launch *launch, const struct descpipe_mount *mount)
{
    struct arguments *argv = &launch->argv;
    const struct descpipe_resources *resources = launch->stage->resources;
    bool scratch = (mount->flags & DESCPIPE_MOUNT_SCRATCH) != 0;
    if (strpbrk(mount->target, "\r\n") != NULL || (!scratch && strpbrk(mount->source, "\r\n") != NULL))
        return failure_set(&launch->failure, DESCPIPE_FAILED_UNSUPPORTED, "the path of a mount holds a line break");
    cleanup(memory_free) char *text = NULL;
    size_t length;
    FILE *line = open_memstream(&text, &length);
    if (line == NULL)
        return failure_memory(&launch->failure);
    fprintf(line, "type=%s,", scratch ? "tmpfs" : "bind");
    if (!scratch) {
        mount_field_write(line, "source", mount->source);
        fputc(',', line);
    }
    mount_field_write(line, "target", mount->target);
    if (scratch)
        fputs(",tmpfs-mode=1777,U=true,notmpcopyup", line);
    else if ((mount->flags & DESCPIPE_MOUNT_READ_ONLY) != 0)
        fputs(",readonly", line);
    if (scratch && resources != NULL && resources->scratch > 0)
        fprintf(line, ",tmpfs-size=%" PRIu64, resources->scratch);
    if (fclose(line) != 0)
        return failure_memory(&launch->failure);
    add_pair(argv, "--mount", arguments_format(argv, "%s", text));
    return true;
}

static bool add_mounts(struct launch *launch)
{
    /* U gives it to the stage's user besides, because runc gives it the mode that the image's own /tmp has. */
    add_pair(&launch->argv, "--mount", "type=tmpfs,target=/tmp,tmpfs-mode=1777,U=true,notmpcopyup");
    for (size_t i = 0; launch->stage->mounts != NULL && launch->stage->mounts[i] != NULL; i++)
        if (!add_mount(launch, launch->stage->mounts[i]))
            return false;
    return true;
}

static bool add_environment(struct launch *launch)
{
    const struct descpipe_stage *stage = launch->stage;
    podman_environment(launch->podman, &launch->environment);
    if (launch->developer)
        return true; /* a commit would keep it: each exec brings its own */
    for (const char *const *entry = stage->environment; entry != NULL && *entry != NULL; entry++) {
        size_t name = strcspn(*entry, "=");
        if (podman_needs(*entry) || (*entry)[name] == '\0') {
            add_pair(&launch->argv, "--env", *entry);
            continue;
        }
        add_pair(&launch->argv, "--env", arguments_format(&launch->argv, "%.*s", (int)name, *entry));
        arguments_add(&launch->environment, *entry);
    }
    for (const char *const *name = stage->late_names; name != NULL && *name != NULL; name++) {
        const char *entry = arguments_format(&launch->argv, "%s=", *name);
        if (podman_needs(entry))
            return failure_set(&launch->failure, DESCPIPE_FAILED_UNSUPPORTED,
                               "stage '%s': the value of %s comes late or is secret, and podman needs that name for "
                               "itself",
                               stage->name, *name);
        add_pair(&launch->argv, "--env", *name);
    }
    return true;
}

static void add_label(struct arguments *argv, const char *name, const char *value)
{
    add_pair(argv, "--label", arguments_format(argv, "descpipe.%s=%s", name, value));
}

static void add_names(struct launch *launch)
{
    const struct descpipe_stage *stage = launch->stage;
    add_pair(&launch->argv, "--name", stage->token);
    add_label(&launch->argv, "run", stage->run);
    add_label(&launch->argv, "stage", stage->name);
    if (stage->member != NULL)
        add_label(&launch->argv, "member", stage->member);
    add_label(&launch->argv, "token", stage->token);
}

/* Podman's own defaults are more than a container or a build machine may raise them to, so ours are said. Podman keeps
 * itself to 32768 processes, and no child of its own gets more back. */
static void add_own_limit(struct arguments *argv, const char *name, int which, rlim_t most)
{
    struct rlimit limit;
    if (getrlimit((__rlimit_resource_t)which, &limit) != 0)
        return;
    uintmax_t value = limit.rlim_cur < most ? limit.rlim_cur : most;
    add_pair(argv, "--ulimit", arguments_format(argv, "%s=%ju:%ju", name, value, value));
}

static bool wants_gpus(const struct descpipe_stage *stage)
{
    return stage->resources != NULL && stage->resources->gpus_per_node > 0;
}

static void add_limits(struct launch *launch)
{
    const struct descpipe_resources *resources = launch->stage->resources;
    struct arguments *argv = &launch->argv;
    add_own_limit(argv, "nofile", RLIMIT_NOFILE, OPEN_FILES_MOST);
    add_own_limit(argv, "nproc", RLIMIT_NPROC, PROCESSES_MOST);
    if (resources == NULL)
        return;
    if (resources->time_limit_ms > 0) /* conmon ends the container although nobody is left to say so */
        add_pair(argv, "--timeout",
                 arguments_format(argv, "%" PRIu64, (resources->time_limit_ms + STOP_GRACE_MS) / 1000));
    if (wants_gpus(launch->stage) && !launch->podman->hpc) /* which ones, CUDA_VISIBLE_DEVICES says */
        add_pair(argv, "--device", "nvidia.com/gpu=all");
    if (!launch->podman->limits)
        return;
    uint64_t cpus = (uint64_t)resources->cpus_per_rank * resources->ranks_per_node;
    if (cpus > 0)
        add_pair(argv, "--cpus", arguments_format(argv, "%" PRIu64, cpus));
    if (resources->memory_per_node > 0) {
        const char *memory = arguments_format(argv, "%" PRIu64 "b", resources->memory_per_node);
        add_pair(argv, "--memory", memory);
        add_pair(argv, "--memory-swap", memory);
    }
}

/* What a container's root may still do, as with `native`, and nobody more by a set-user-id program of the image. */
static void add_rights(struct arguments *argv, bool root)
{
    static const char *const kept[] = {"CHOWN",  "DAC_OVERRIDE", "FOWNER",     "FSETID", "KILL", "NET_BIND_SERVICE",
                                       "SETGID", "SETUID",       "SYS_CHROOT", NULL};
    add_pair(argv, "--security-opt", "no-new-privileges");
    add_pair(argv, "--cap-drop", "all");
    for (size_t i = 0; root && kept[i] != NULL; i++)
        add_pair(argv, "--cap-add", kept[i]);
}

static void add_user(struct launch *launch)
{
    const struct descpipe_stage *stage = launch->stage;
    if (geteuid() != 0 && stage->uid != 0) /* root inside is the caller outside without further words */
        add_pair(&launch->argv, "--userns", "keep-id");
    add_pair(&launch->argv, "--user", arguments_format(&launch->argv, "%u:%u", stage->uid, stage->gid));
    add_pair(&launch->argv, "--umask", arguments_format(&launch->argv, "0%03o", stage->umask_bits));
}

/* The image of the handle, with the command that gets it to a node. */
static bool find_image(struct launch *launch)
{
    const char *handle = launch->stage->image_handle, *words[NODE_IMAGE_SETUP_WORDS + 1];
    struct node_image node;
    if (handle == NULL)
        return failure_set(&launch->failure, DESCPIPE_FAILED_REFUSED, "stage '%s': its image was not prepared",
                           launch->stage->name);
    launch->image = handle;
    if (!node_image_is_handle(handle))
        return true;
    launch->handle = strdup(handle);
    if (launch->handle == NULL || !node_image_read(launch->handle, &node))
        return failure_set(&launch->failure, DESCPIPE_FAILED_REFUSED, "'%s' is no image of runtime 'podman'", handle);
    launch->image = node.image;
    node_image_setup(&node, words);
    arguments_add_list(&launch->setup, words);
    podman_begin(launch->podman, &launch->setup);
    return true;
}

static bool write_launch(struct launch *launch)
{
    static const char *const fixed[] = {"--pull", "never", "--http-proxy=false", "--log-driver", "none", NULL};
    static const char *const once[] = {"--rm", NULL}, *const kept[] = {"--detach", NULL};
    static const char *const waits[] = {"/bin/sh", "-c", DEVELOPER_WAITS, NULL};
    /* conmon keeps a container whose client was killed */
    static const char *const removal[] = {"rm", "--force", "--ignore", "--time", "0", NULL};
    static const char *const terminal[] = {"--interactive", "--tty", NULL};
    static const char *const entry_point[] = {"--entrypoint", "[]", NULL}; /* none: the command stands for itself */
    const struct podman *podman = launch->podman;
    const struct descpipe_stage *stage = launch->stage;
    struct arguments *argv = &launch->argv;
    if (!launch->developer && (stage->command == NULL || stage->command[0] == NULL))
        return failure_set(&launch->failure, DESCPIPE_FAILED_REFUSED, "stage '%s' has no command", stage->name);
    if (geteuid() != 0 && stage->uid != geteuid() && !(launch->developer && stage->uid == 0))
        return failure_set(&launch->failure, DESCPIPE_FAILED_UNSUPPORTED,
                           "stage '%s' asks for uid %u, and only root can give it another than the caller's (%u)",
                           stage->name, stage->uid, geteuid());
    podman_begin(podman, argv);
    arguments_add(argv, "--log-level=error"); /* standard error is the stage's */
    podman_add_command(podman, argv, "run", podman->hpc && wants_gpus(stage) ? "--gpu" : NULL);
    arguments_add_list(argv, launch->developer ? kept : once);
    arguments_add_list(argv, fixed);
    if (!launch->developer && (stage->flags & DESCPIPE_STAGE_TERMINAL) != 0)
        arguments_add_list(argv, terminal);
    if (podman->init)
        arguments_add(argv, "--init");
    add_names(launch);
    add_user(launch);
    add_rights(argv, geteuid() == 0 || stage->uid == 0);
    add_pair(argv, "--network", (stage->flags & DESCPIPE_STAGE_NO_NETWORK) != 0 ? "none" : podman->network);
    add_limits(launch);
    if (!find_image(launch) || !add_mounts(launch) || !add_environment(launch))
        return false;
    if (stage->directory != NULL)
        add_pair(argv, "--workdir", stage->directory);
    arguments_add_list(argv, podman->run_words);
    arguments_add_list(argv, entry_point);
    arguments_add(argv, launch->image);
    arguments_add_list(argv, launch->developer ? waits : stage->command);
    podman_begin(podman, &launch->removal);
    arguments_add_list(&launch->removal, removal);
    arguments_add(&launch->removal, stage->token);
    return argv->failed || launch->environment.failed || launch->setup.failed || launch->removal.failed
               ? failure_memory(&launch->failure)
               : true;
}

static void launch_clear(struct launch *launch)
{
    arguments_clear(&launch->argv);
    arguments_clear(&launch->environment);
    arguments_clear(&launch->setup);
    arguments_clear(&launch->removal);
    failure_clear(&launch->failure);
    free(launch->handle);
}

bool podman_write_shell(const struct podman *podman, const struct descpipe_stage *stage, struct arguments *argv,
                        struct arguments *environment, struct failure *failure)
{
    struct launch launch = {.podman = podman, .stage = stage, .developer = true};
    bool written = write_launch(&launch);
    if (!written)
        failure_copy(failure, &launch.failure);
    if (written && launch.setup.count > 0)
        written = failure_set(failure, DESCPIPE_FAILED_UNSUPPORTED,
                              "stage '%s': the image of a developer's container must be on this machine", stage->name);
    if (written) {
        *argv = launch.argv;
        *environment = launch.environment;
        launch.argv = launch.environment = ARGUMENTS_INIT;
    }
    launch_clear(&launch);
    return written;
}

void podman_launch(void *self, struct descpipe_call *call, const struct descpipe_stage *stage)
{
    const struct podman *podman = self;
    const struct descpipe_host *host = podman->host;
    struct launch launch = {.podman = podman, .stage = stage};
    if (podman->tool == NULL) {
        host->call->fail(call, DESCPIPE_FAILED_UNSUPPORTED, PODMAN_TOOL_MESSAGE, PODMAN_TOOL_HINT);
        return;
    }
    if (!write_launch(&launch)) {
        failure_finish(&launch.failure, host, call);
        launch_clear(&launch);
        return;
    }
    const struct descpipe_form form = {.size = sizeof form,
                                       .form = DESCPIPE_FORM_COMMAND,
                                       .argv = launch.argv.words,
                                       .environment = launch.environment.words,
                                       .directory = "/",
                                       .late_prefix = "",
                                       .setup = launch.setup.count > 0 ? launch.setup.words : NULL,
                                       .removal = launch.removal.words};
    host->answer->form(call, &form);
    host->call->succeed(call);
    launch_clear(&launch);
}
