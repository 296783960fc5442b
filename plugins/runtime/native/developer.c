/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A developer's container: a copy of the image's root as a writable folder (tool/box.h), and a first process that keeps
 * the container and starts commands in it for whoever asks (init/box.h).
 *
 *     STORE/developers/TOKEN/root          the image, copied (reflinks where the file system can), for it is shared
 *     STORE/developers/TOKEN/environment   of the image's author, as beside an image of the store
 *     STORE/developers/TOKEN/platform      of the image, for a commit
 *     STORE/developers/TOKEN/socket        of the first process, while it lives
 *
 *     shell     copy, start, listing: what bubblewrap made in the folder for mounts is no change of the developer's
 *     exec      one client of the socket, with the streams of whoever asked
 *     stop      the first process ends all others, and itself
 *     changes, copy_out, commit   of the folder, so also after a stop
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "registry/ownership.h"

#include "tool/boxed.h"
#include "tool/environment.h"

#include "commit.h"
#include "launch.h"
#include "native.h"
#include "store/environment.h"
#include "store/store.h"

#define COPY_TIMEOUT_MS (UINT64_C(2) * 3600 * 1000)

/* NULL: the call has failed. */
static struct boxed *begin(struct native *native, struct descpipe_call *call, const char *token)
{
    const struct boxed_request request = {.host = native->host,
                                          .call = call,
                                          .name = "native",
                                          .runtime = native,
                                          .cache = native->store,
                                          .option = "store",
                                          .token = token};
    if (native->tool != NULL)
        return boxed_new(&request);
    native->host->call->fail(call, DESCPIPE_FAILED_UNSUPPORTED, "bubblewrap (bwrap) is not on this machine",
                             NATIVE_TOOL_HINT);
    return NULL;
}

static struct command *init_command(struct boxed *boxed, const char *doing,
                                    void (*done)(struct command *command, const struct tool_end *end))
{
    const struct native *native = boxed->runtime;
    struct command *command = boxed_command(boxed, doing, done);
    if (command == NULL)
        return NULL;
    arguments_add(&command->argv, native->init);
    command->directory = boxed->box; /* where the socket is; its path may be too long for one */
    return command;
}

/* ---- shell ---- */

static void stopped_after_failure(struct command *command, const struct tool_end *end)
{
    (void)end;
    boxed_undo(command->context);
}

static void is_listed(void *context)
{
    struct boxed *boxed = context;
    if (boxed->failure.kind == 0) {
        boxed->host->answer->native_id(boxed->call, 0, boxed->token);
        boxed_succeed(boxed);
        return;
    }
    struct command *command = init_command(boxed, "stopped", stopped_after_failure);
    if (command == NULL)
        return;
    arguments_add_list(&command->argv, (const char *const[]){"end", "0", NULL});
    command_start(command);
}

static void list(void *context)
{
    struct boxed *boxed = context;
    box_list(boxed->box, &boxed->failure);
}

static void is_started(struct command *command, const struct tool_end *end)
{
    struct boxed *boxed = command->context;
    if (!end->good)
        boxed_undo_after(boxed, end, "started");
    else
        boxed_work(boxed, list, is_listed);
}

static void image_is_copied(struct command *copying, const struct tool_end *end)
{
    struct boxed *boxed = copying->context;
    const struct native *native = boxed->runtime;
    const struct descpipe_stage *stage = boxed->stage;
    if (!end->good) {
        boxed_undo_after(boxed, end, "made");
        return;
    }
    struct command *command = boxed_command(boxed, "started", is_started);
    if (command == NULL)
        return;
    command->directory = boxed->box;
    const struct launch launch = {.tool = native->tool,
                                  .init = native->init,
                                  .accounts_folder = arguments_format(&command->argv, "%s/accounts", native->store),
                                  .network = native_wants_network(native, stage),
                                  .stage = stage,
                                  .developer = true};
    const char *root = arguments_format(&command->argv, "%s/" BOX_ROOT, boxed->box);
    if (launch_write_kept(&launch, root, &command->argv, &boxed->failure)) {
        command_start(command);
        return;
    }
    command_drop(command);
    boxed_undo(boxed);
}

static bool write_beside(const struct boxed *boxed, const char *name, const char *bytes, size_t length,
                         struct failure *failure)
{
    cleanup(memory_free) char *path = NULL;
    if (asprintf(&path, "%s/%s", boxed->box, name) < 0) {
        path = NULL;
        return failure_memory(failure);
    }
    FILE *file = fopen(path, "wxe");
    bool written = file != NULL && fwrite(bytes, 1, length, file) == length;
    written = (file == NULL || fclose(file) == 0) && written;
    return written || failure_system(failure, "cannot write '%s'", path);
}

static void make_box(void *context)
{
    struct boxed *boxed = context;
    struct failure *failure = &boxed->failure;
    const struct descpipe_stage *stage = boxed->stage;
    const char *platform = stage->image != NULL && stage->image->platform != NULL ? stage->image->platform : "";
    size_t length = 0;
    cleanup(store_close) struct store *store = store_open(boxed->cache, failure);
    cleanup(memory_free) char *environment = NULL;
    if (store == NULL || !box_make(boxed->cache, boxed->token, failure))
        return;
    if (native_is_of_store(boxed->runtime, stage->image_handle))
        environment = environment_read(stage->image_handle, &length, failure);
    if (failure->kind == 0 &&
        write_beside(boxed, "environment", environment != NULL ? environment : "", length, failure))
        write_beside(boxed, "platform", platform, strlen(platform), failure);
    cleanup(failure_clear) struct failure ignored = FAILURE_INIT;
    if (failure->kind != 0)
        box_remove(boxed->cache, boxed->token, &ignored);
}

static void box_is_made(void *context)
{
    struct boxed *boxed = context;
    if (boxed->failure.kind != 0) {
        boxed_fail(boxed);
        return;
    }
    struct command *command = boxed_command(boxed, "made", image_is_copied);
    if (command == NULL)
        return;
    command->timeout_ms = COPY_TIMEOUT_MS;
    environment_add_basics(&command->environment);
    arguments_add_list(&command->argv, (const char *const[]){"cp", "--archive", "--reflink=auto", "--", NULL});
    command_add_copy(command, boxed->stage->image_handle);
    arguments_add(&command->argv, arguments_format(&command->argv, "%s/" BOX_ROOT, boxed->box));
    command_start(command);
}

void native_shell(void *self, struct descpipe_call *call, const struct descpipe_stage *stage)
{
    struct boxed *boxed = begin(self, call, stage->token);
    if (boxed == NULL)
        return;
    boxed->stage = stage;
    if (stage->image_handle == NULL || stage->image_handle[0] != '/') {
        failure_set(&boxed->failure, DESCPIPE_FAILED_REFUSED, "stage '%s': its image is not on this machine",
                    stage->name);
    } else if (strcmp(stage->image_handle, "/") == 0) {
        failure_set(&boxed->failure, DESCPIPE_FAILED_UNSUPPORTED,
                    "a developer's container is a copy of its image, and this machine's own root is none");
    }
    if (boxed->failure.kind != 0)
        boxed_fail(boxed);
    else
        boxed_work(boxed, make_box, box_is_made);
}

/* ---- exec ---- */

/* The client's own words would go to the command's standard error: what can be told before is told as a failure. */
static bool check_running(const struct boxed *boxed, struct failure *failure)
{
    struct sockaddr_un place = {.sun_family = AF_UNIX};
    cleanup(descriptor_close) int folder = open(boxed->box, O_PATH | O_DIRECTORY | O_CLOEXEC);
    cleanup(descriptor_close) int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (folder < 0)
        return failure_set(failure, DESCPIPE_FAILED_NOT_FOUND, "there is no container '%s'", boxed->token);
    snprintf(place.sun_path, sizeof place.sun_path, "/proc/self/fd/%d/socket", folder);
    if (server >= 0 && connect(server, (const struct sockaddr *)&place, sizeof place) == 0)
        return true;
    return failure_set(failure, DESCPIPE_FAILED_REFUSED, "container '%s' is not running", boxed->token);
}

static void look_for_it(void *context)
{
    struct boxed *boxed = context;
    cleanup(memory_free) char *root = NULL;
    if (!check_running(boxed, &boxed->failure))
        return;
    if (asprintf(&root, "%s/" BOX_ROOT, boxed->box) < 0) {
        root = NULL;
        failure_memory(&boxed->failure);
        return;
    }
    boxed->lines = environment_read(root, &boxed->length, &boxed->failure);
}

static void is_there(void *context)
{
    struct boxed *boxed = context;
    const struct descpipe_exec *exec = boxed->exec;
    if (boxed->failure.kind != 0) {
        boxed_fail(boxed);
        return;
    }
    struct command *command = init_command(boxed, "entered", boxed_exec_ended);
    if (command == NULL)
        return;
    if (!command_take_streams(command, exec)) {
        boxed_free(boxed);
        return;
    }
    arguments_add(&command->argv, "enter");
    arguments_add(&command->argv, exec->terminal != 0 ? "terminal" : "streams");
    command_add_copy(command, exec->directory != NULL ? exec->directory : "-");
    for (const char *const *word = exec->command; word != NULL && *word != NULL; word++)
        command_add_copy(command, *word);
    launch_merge_environment(boxed->lines, boxed->length, exec->environment, &command->environment);
    command_start(command);
}

void native_exec(void *self, struct descpipe_call *call, const struct descpipe_exec *exec)
{
    struct boxed *boxed = begin(self, call, exec->container->token);
    if (boxed == NULL)
        return;
    boxed->exec = exec;
    boxed_work(boxed, look_for_it, is_there);
}

/* ---- stop, release ---- */

static void stop(struct boxed *boxed, uint64_t grace_ms,
                 void (*done)(struct command *command, const struct tool_end *end))
{
    struct command *command = init_command(boxed, "stopped", done);
    if (command == NULL)
        return;
    command->timeout_ms = grace_ms + COMMAND_TIMEOUT_MS;
    arguments_add(&command->argv, "end");
    arguments_add(&command->argv, arguments_format(&command->argv, "%" PRIu64, grace_ms));
    command_start(command);
}

static bool is_here(const struct boxed *boxed)
{
    struct stat status;
    return stat(boxed->box, &status) == 0;
}

void native_stop(void *self, struct descpipe_call *call, const struct descpipe_stop *request)
{
    struct boxed *boxed = begin(self, call, request->container->token);
    if (boxed == NULL)
        return;
    if (is_here(boxed))
        stop(boxed, request->grace_ms, boxed_stopped);
    else
        boxed_succeed(boxed);
}

void native_release(void *self, struct descpipe_call *call, const struct descpipe_container *container)
{
    struct boxed *boxed = begin(self, call, container->token);
    if (boxed == NULL)
        return;
    if (is_here(boxed))
        stop(boxed, 0, boxed_stopped_for_release);
    else
        boxed_succeed(boxed);
}

/* ---- what was changed ---- */

void native_changes(void *self, struct descpipe_call *call, const struct descpipe_container *container)
{
    struct boxed *boxed = begin(self, call, container->token);
    if (boxed != NULL)
        boxed_changes(boxed);
}

void native_copy_out(void *self, struct descpipe_call *call, const struct descpipe_copy *copy)
{
    struct boxed *boxed = begin(self, call, copy->container->token);
    if (boxed != NULL)
        boxed_copy_out(boxed, copy);
}

/* ---- commit ---- */

struct committing {
    struct boxed *boxed;
    atomic_bool stop;
    struct committed committed;
};

static void cancel_wished(void *context)
{
    struct committing *committing = context;
    atomic_store(&committing->stop, true);
}

static void make_image(void *context)
{
    struct committing *committing = context;
    struct boxed *boxed = committing->boxed;
    const struct commit_request request = {.box = boxed->box,
                                           .path = boxed->commit->reference + strlen(COMMIT_REFERENCE),
                                           .command = boxed->commit->command,
                                           .stop = &committing->stop};
    commit_write(&request, &committing->committed, &boxed->failure);
}

static void image_is_made(void *context)
{
    struct committing *committing = context;
    struct boxed *boxed = committing->boxed;
    const struct committed *committed = &committing->committed;
    const struct descpipe_image_identity identity = {.size = sizeof identity,
                                                     .present = 1,
                                                     .config_digest = committed->config_digest,
                                                     .platform = committed->platform,
                                                     .stored_bytes = committed->bytes,
                                                     .created_at_ms = committed->created_at_ms};
    if (boxed->failure.kind == 0)
        boxed->host->answer->identity(boxed->call, &identity);
    boxed_succeed(boxed);
    free(committing);
}

void native_commit(void *self, struct descpipe_call *call, const struct descpipe_commit *commit)
{
    struct boxed *boxed = begin(self, call, commit->container->token);
    if (boxed == NULL)
        return;
    boxed->commit = commit;
    if (strncmp(commit->reference, COMMIT_REFERENCE "/", strlen(COMMIT_REFERENCE) + 1) != 0) {
        failure_set(&boxed->failure, DESCPIPE_FAILED_UNSUPPORTED, "'%s': runtime 'native' makes archives only",
                    commit->reference);
        failure_hint(&boxed->failure, "name one, as docker-archive:/FOLDER/NAME.tar; every runtime takes it");
        boxed_fail(boxed);
        return;
    }
    struct committing *committing = calloc(1, sizeof *committing);
    if (committing == NULL) {
        failure_memory(&boxed->failure);
        boxed_fail(boxed);
        return;
    }
    committing->boxed = boxed;
    boxed->host->call->on_cancel(call, cancel_wished, committing);
    boxed->host->work->run(boxed->host, make_image, image_is_made, committing);
}
