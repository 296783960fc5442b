/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From one attempt of a stage to the argv that runs it in bubblewrap.
 *
 * How it works: everything but the environment is explicit in the argv. The environment is handed on as it is, because
 * secrets and late values (rank, GPUs, TMPDIR) reach the stage that way and must not show in a process list. The
 * stage is not tied to the life of its parent: it outlives the engine. Pid 1 of its pid namespace is native-init
 * (init/init.c), because bubblewrap's own first process would wait for everything the stage leaves behind; and
 * native-init starts bubblewrap, because only it can end as the stage ended. Ranks that a launcher starts share the
 * machine's processes and have neither: the launcher has its own ways with them. There it only sets the umask.
 */
#include "launch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "registry/ownership.h"

#include "accounts.h"
#include "mounts.h"

#define INIT_TARGET "/dev/descpipe-init"

/* What a container's root may still do: enough to read any input and to drop its own rights, nothing that reaches
 * the machine, its devices or the read-only mounts. */
static const char *const root_capabilities[] = {
    "CAP_CHOWN",  "CAP_DAC_OVERRIDE", "CAP_FOWNER",     "CAP_FSETID", "CAP_KILL", "CAP_NET_BIND_SERVICE",
    "CAP_SETGID", "CAP_SETUID",       "CAP_SYS_CHROOT", NULL};

static bool is_own_root(const struct descpipe_stage *stage)
{
    return strcmp(stage->image_handle, "/") == 0;
}

/* Root inside, whoever the caller is: what a developer may ask for. */
static bool is_mapped_root(const struct launch *launch)
{
    return launch->developer && launch->stage->uid == 0 && geteuid() != 0;
}

static bool shares_processes(const struct descpipe_stage *stage)
{
    return stage->ranks == DESCPIPE_RANKS_OUTSIDE;
}

static bool add_point(struct mounts *mounts, struct view_point point, bool file, struct failure *failure)
{
    return mounts_add(mounts, &(struct mounts_request){.point = point, .file = file}, failure);
}

static bool add_first_process(struct mounts *mounts, const struct launch *launch, struct failure *failure)
{
    if (shares_processes(launch->stage))
        return add_point(mounts, (struct view_point){.kind = VIEW_BIND, .path = "/dev/shm", .source = "/dev/shm"},
                         false, failure);
    return add_point(
        mounts, (struct view_point){.kind = VIEW_BIND, .path = INIT_TARGET, .source = launch->init, .read_only = true},
        true, failure);
}

/* /proc, /dev and /tmp. Ranks of one job see each other's processes and shared memory, as MPI expects. */
static bool add_basics(struct mounts *mounts, const struct launch *launch, struct failure *failure)
{
    const struct descpipe_stage *stage = launch->stage;
    struct view_point processes = {.kind = VIEW_PROCESSES, .path = "/proc"};
    if (shares_processes(stage))
        processes = (struct view_point){.kind = VIEW_BIND, .path = "/proc", .source = "/proc"};
    return add_point(mounts, processes, false, failure) &&
           add_point(mounts, (struct view_point){.kind = VIEW_DEVICES, .path = "/dev"}, false, failure) &&
           add_first_process(mounts, launch, failure) &&
           add_point(mounts, (struct view_point){.kind = VIEW_EMPTY, .path = "/tmp", .mode = 01777}, false, failure) &&
           (is_own_root(stage) ||
            add_point(mounts,
                      (struct view_point){
                          .kind = VIEW_BIND, .path = "/sys", .source = "/sys", .read_only = true, .optional = true},
                      false, failure));
}

static unsigned count_slashes(const char *path)
{
    unsigned count = 0;
    for (; *path != '\0'; path++)
        count += *path == '/' && path[1] != '/' && path[1] != '\0';
    return count;
}

static int compare_targets(const void *one, const void *other)
{
    const struct descpipe_mount *const *left = one, *const *right = other;
    unsigned left_depth = count_slashes((*left)->target), right_depth = count_slashes((*right)->target);
    return left_depth < right_depth ? -1 : left_depth > right_depth;
}

static bool add_stage_mount(struct mounts *mounts, const struct descpipe_stage *stage,
                            const struct descpipe_mount *mount, struct failure *failure)
{
    struct view_point point = {.kind = VIEW_BIND,
                               .path = mount->target,
                               .source = mount->source,
                               .read_only = (mount->flags & DESCPIPE_MOUNT_READ_ONLY) != 0};
    if ((mount->flags & DESCPIPE_MOUNT_SCRATCH) != 0)
        point = (struct view_point){.kind = VIEW_EMPTY,
                                    .path = mount->target,
                                    .mode = 0700,
                                    .bytes = stage->resources != NULL ? stage->resources->scratch : 0};
    return add_point(mounts, point, (mount->flags & DESCPIPE_MOUNT_FILE) != 0, failure);
}

/* Parents before what is mounted inside them, else in the order given. */
static bool add_stage_mounts(struct mounts *mounts, const struct descpipe_stage *stage, struct failure *failure)
{
    size_t count = 0;
    while (stage->mounts != NULL && stage->mounts[count] != NULL)
        count++;
    if (count > VIEW_POINTS_LIMIT)
        return failure_set(failure, DESCPIPE_FAILED_UNSUPPORTED, "a stage has more than %d mounts", VIEW_POINTS_LIMIT);
    cleanup(memory_free) const struct descpipe_mount **sorted = calloc(count + 1, sizeof *sorted);
    if (sorted == NULL)
        return failure_memory(failure);
    for (size_t i = 0; i < count; i++) { /* insertion keeps the order of equals; a stage has few mounts */
        size_t place = i;
        for (; place > 0 && compare_targets(&sorted[place - 1], &stage->mounts[i]) > 0; place--)
            sorted[place] = sorted[place - 1];
        sorted[place] = stage->mounts[i];
    }
    for (size_t i = 0; i < count; i++)
        if (!add_stage_mount(mounts, stage, sorted[i], failure))
            return false;
    return true;
}

/* Where the image itself, and no mount of the stage, shows a file or lacks it; false when something else is there. */
static bool image_file(const struct mounts *mounts, const char *path, struct view_place *place)
{
    cleanup(failure_clear) struct failure ignored = FAILURE_INIT;
    return view_resolve(&mounts->view, path, place, &ignored) && place->shown_by == 0 &&
           (place->exists ? !place->folder : strcmp(place->parent, "/") != 0);
}

/* A file of the machine over the image's, where it has a place for it: an image that resolves names needs the
 * machine's servers. An image without /etc has no use for it. */
static bool add_machine_file(struct mounts *mounts, const char *path, const char *source, struct failure *failure)
{
    struct view_place place;
    if (!image_file(mounts, path, &place))
        return true;
    struct view_point point = {.kind = VIEW_BIND, .path = path, .source = source, .read_only = true, .optional = true};
    return add_point(mounts, point, true, failure);
}

static const char *find_home(const struct descpipe_stage *stage)
{
    for (size_t i = 0; stage->environment != NULL && stage->environment[i] != NULL; i++)
        if (strncmp(stage->environment[i], "HOME=", 5) == 0 && strpbrk(stage->environment[i] + 5, ":\n") == NULL)
            return stage->environment[i] + 5;
    return "/";
}

static bool add_account(struct mounts *mounts, const struct launch *launch, bool user, struct failure *failure)
{
    const char *path = user ? "/etc/passwd" : "/etc/group";
    struct view_place place;
    if (!image_file(mounts, path, &place))
        return true;
    struct accounts_request request = {
        .folder = launch->accounts_folder,
        .file = place.exists ? view_outside(&mounts->view, &mounts->view.points[0], place.path) : NULL,
        .name = "caller",
        .home = user ? find_home(launch->stage) : NULL,
        .uid = geteuid(),
        .gid = getegid()};
    cleanup(memory_free) char *copy = NULL;
    if (!accounts_complete(&request, &copy, failure))
        return false;
    if (copy == NULL)
        return true;
    struct view_point point = {
        .kind = VIEW_BIND, .path = path, .source = arguments_format(mounts->arguments, "%s", copy), .read_only = true};
    return add_point(mounts, point, true, failure);
}

static bool add_machine_files(struct mounts *mounts, const struct launch *launch, struct failure *failure)
{
    if (is_own_root(launch->stage))
        return true;
    if (launch->network && (!add_machine_file(mounts, "/etc/resolv.conf", "/etc/resolv.conf", failure) ||
                            !add_machine_file(mounts, "/etc/hosts", "/etc/hosts", failure)))
        return false;
    if (launch->developer && launch->stage->uid == 0)
        return true; /* the image knows root, and its files are the developer's to change */
    return add_account(mounts, launch, true, failure) && add_account(mounts, launch, false, failure);
}

static void add_namespaces(const struct launch *launch, struct arguments *arguments)
{
    if (!shares_processes(launch->stage)) {
        arguments_add(arguments, "--unshare-pid");
        arguments_add(arguments, "--as-pid-1");
        arguments_add(arguments, "--unshare-ipc");
    }
    arguments_add(arguments, "--unshare-uts");
    if (!launch->network)
        arguments_add(arguments, "--unshare-net");
    if (is_mapped_root(launch))
        arguments_add_list(arguments, (const char *const[]){"--unshare-user", "--uid", "0", "--gid", "0", NULL});
    else if (geteuid() != 0)
        return;
    /* Root makes no user namespace, so its rights are the machine's: without this it could make the image writable. */
    arguments_add(arguments, "--cap-drop");
    arguments_add(arguments, "ALL");
    for (size_t i = 0; root_capabilities[i] != NULL; i++) {
        arguments_add(arguments, "--cap-add");
        arguments_add(arguments, root_capabilities[i]);
    }
}

/* What container engines give a process whose image and stage name none. */
#define DEFAULT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* Variables that the dynamic loader obeys are meant for the stage and would act on bubblewrap. They never hold
 * secrets, so they may stand in the argv. */
static bool is_for_loader(const char *variable)
{
    return strncmp(variable, "LD_", 3) == 0 || strncmp(variable, "GLIBC_TUNABLES=", 15) == 0;
}

static void add_variable(const char *variable, struct arguments *arguments, struct arguments *environment)
{
    const char *value = strchr(variable, '=');
    if (value == NULL || !is_for_loader(variable)) {
        arguments_add(environment, variable);
        return;
    }
    arguments_add(arguments, "--setenv");
    arguments_add(arguments, arguments_format(arguments, "%.*s", (int)(value - variable), variable));
    arguments_add(arguments, value + 1);
}

/* Is there another of the name of "NAME=value"? */
static bool is_among(const char *const *variables, const char *wanted)
{
    size_t length = strcspn(wanted, "=") + 1;
    for (; variables != NULL && *variables != NULL; variables++)
        if (strncmp(*variables, wanted, length) == 0)
            return true;
    return false;
}

/* "NAME=" of a variable among the stage's own. */
static bool stage_says(const struct descpipe_stage *stage, const char *variable)
{
    size_t length = strcspn(variable, "=") + 1;
    if (is_among(stage->environment, variable))
        return true;
    for (size_t i = 0; stage->late_names != NULL && stage->late_names[i] != NULL; i++)
        if (strlen(stage->late_names[i]) + 1 == length && strncmp(stage->late_names[i], variable, length - 1) == 0)
            return true;
    return false;
}

static void add_environment(const struct launch *launch, struct arguments *arguments, struct arguments *environment)
{
    const struct descpipe_stage *stage = launch->stage;
    bool has_path = stage_says(stage, "PATH=");
    const char *image = launch->image_environment;
    for (size_t at = 0; image != NULL && at < launch->image_environment_length; at += strlen(image + at) + 1) {
        if (stage_says(stage, image + at))
            continue;
        has_path = has_path || strncmp(image + at, "PATH=", 5) == 0;
        add_variable(image + at, arguments, environment);
    }
    for (size_t i = 0; stage->environment != NULL && stage->environment[i] != NULL; i++)
        add_variable(stage->environment[i], arguments, environment);
    if (!has_path)
        arguments_add(environment, DEFAULT_PATH);
}

static bool check_stage(const struct launch *launch, struct failure *failure)
{
    const struct descpipe_stage *stage = launch->stage;
    if (stage->image_handle == NULL || stage->image_handle[0] != '/')
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "stage '%s' has no unpacked image", stage->name);
    if (stage->command == NULL || stage->command[0] == NULL)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "stage '%s' has no command", stage->name);
    if (stage->uid != geteuid())
        return failure_set(failure, DESCPIPE_FAILED_UNSUPPORTED,
                           "stage '%s' asks for uid %u, and runtime 'native' runs stages as the caller (uid %u)",
                           stage->name, stage->uid, geteuid());
    return true;
}

/* Everything that is mounted, and the working folder. */
static bool write_world(const struct launch *launch, const char *root, struct arguments *arguments,
                        struct failure *failure)
{
    const struct descpipe_stage *stage = launch->stage;
    const char *directory = stage->directory != NULL ? stage->directory : "/";
    cleanup(mounts_clear) struct mounts mounts = {0};
    if (!mounts_open(&mounts, root, arguments, failure))
        return false;
    mounts.view.points[0].read_only = !launch->developer;
    if (!add_basics(&mounts, launch, failure) || !add_stage_mounts(&mounts, stage, failure) ||
        !add_machine_files(&mounts, launch, failure) ||
        !add_point(&mounts, (struct view_point){.kind = VIEW_FOLDER, .path = directory}, false, failure) ||
        !mounts_write(&mounts, failure))
        return false;
    add_namespaces(launch, arguments);
    arguments_add(arguments, "--chdir");
    arguments_add(arguments, directory);
    return true;
}

bool launch_write(const struct launch *launch, struct arguments *arguments, struct arguments *environment,
                  struct failure *failure)
{
    const struct descpipe_stage *stage = launch->stage;
    if (!check_stage(launch, failure))
        return false;
    arguments_add(arguments, launch->init);
    arguments_add(arguments, shares_processes(stage) ? "become" : "outside");
    arguments_add(arguments, arguments_format(arguments, "%03o", stage->umask_bits));
    arguments_add(arguments, launch->tool);
    if (!write_world(launch, stage->image_handle, arguments, failure))
        return false;
    add_environment(launch, arguments, environment);
    arguments_add(arguments, "--");
    if (!shares_processes(stage)) {
        arguments_add(arguments, INIT_TARGET);
        arguments_add(arguments, "inside");
    }
    arguments_add_list(arguments, stage->command);
    return arguments->failed || environment->failed ? failure_memory(failure) : true;
}

bool launch_write_kept(const struct launch *launch, const char *root, struct arguments *arguments,
                       struct failure *failure)
{
    const struct descpipe_stage *stage = launch->stage;
    if (stage->uid != geteuid() && stage->uid != 0)
        return failure_set(failure, DESCPIPE_FAILED_UNSUPPORTED,
                           "a container of uid %u: it is the caller's (%u) or root's", stage->uid, geteuid());
    arguments_add(arguments, launch->init);
    arguments_add(arguments, "keep");
    arguments_add(arguments, arguments_format(arguments, "%03o", stage->umask_bits));
    arguments_add(arguments, launch->tool);
    if (!write_world(launch, root, arguments, failure))
        return false;
    arguments_add_list(arguments, (const char *const[]){"--", INIT_TARGET, "serve", NULL});
    return arguments->failed ? failure_memory(failure) : true;
}

void launch_merge_environment(const char *image, size_t image_length, const char *const *own,
                              struct arguments *environment)
{
    bool has_path = is_among(own, "PATH=");
    for (size_t at = 0; image != NULL && at < image_length; at += strlen(image + at) + 1) {
        has_path = has_path || strncmp(image + at, "PATH=", 5) == 0;
        if (!is_among(own, image + at))
            arguments_add(environment, arguments_format(environment, "%s", image + at));
    }
    for (; own != NULL && *own != NULL; own++)
        arguments_add(environment, arguments_format(environment, "%s", *own));
    if (!has_path)
        arguments_add(environment, DEFAULT_PATH);
}
