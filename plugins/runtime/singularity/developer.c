/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A developer's container: the image as a writable folder (tool/box.h) and an instance over it.
 *
 *     shell     build --sandbox, mount points and listing, instance start
 *     exec      exec instance://TOKEN
 *     changes, copy_out, commit   of the folder, so also after the instance was stopped
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "registry/ownership.h"

#include "tool/boxed.h"

#include "singularity.h"

#define OWN_FOLDER "/.singularity.d" /* the tool's, no part of anybody's work */

/* ---- common ---- */

static bool is_gone(const struct tool_end *end)
{
    return end->good || strstr(end->errors, "no instance found") != NULL;
}

/* NULL: the call has failed. */
static struct boxed *begin(struct singularity *singularity, struct descpipe_call *call, const char *token)
{
    const struct boxed_request request = {.host = singularity->host,
                                          .call = call,
                                          .name = "singularity",
                                          .runtime = singularity,
                                          .cache = singularity->cache,
                                          .option = "cache",
                                          .token = token};
    if (singularity->tool == NULL) {
        singularity->host->call->fail(call, DESCPIPE_FAILED_UNSUPPORTED, SINGULARITY_TOOL_MESSAGE,
                                      SINGULARITY_TOOL_HINT);
        return NULL;
    }
    struct boxed *boxed = boxed_new(&request);
    if (boxed != NULL) {
        boxed->hidden = OWN_FOLDER;
        boxed->is_gone = is_gone;
    }
    return boxed;
}

/* A command of the tool, as boxed_command. */
static struct command *tool_command(struct boxed *boxed, const char *doing,
                                    void (*done)(struct command *command, const struct tool_end *end))
{
    const struct singularity *singularity = boxed->runtime;
    struct command *command = boxed_command(boxed, doing, done);
    if (command == NULL)
        return NULL;
    arguments_add(&command->argv, singularity->tool);
    arguments_add(&command->argv, "--silent");
    singularity_environment(singularity, &command->environment);
    return command;
}

/* ---- shell ---- */

static void instance_started(struct command *command, const struct tool_end *end)
{
    struct boxed *boxed = command->context;
    if (!end->good) {
        boxed_undo_after(boxed, end, "started");
        return;
    }
    command->host->answer->native_id(command->call, 0, boxed->token);
    command->host->call->succeed(command->call);
    boxed_free(boxed);
}

static void targets_are_made(void *context)
{
    struct boxed *boxed = context;
    if (boxed->failure.kind != 0) {
        boxed_undo(boxed);
        return;
    }
    struct command *command = tool_command(boxed, "started", instance_started);
    if (command == NULL)
        return;
    arguments_add_list(&command->argv, (const char *const[]){"instance", "start", "--writable", NULL});
    if (!singularity_add_instance(boxed->runtime, boxed->stage, &command->argv, &boxed->failure)) {
        command_drop(command);
        boxed_undo(boxed);
        return;
    }
    arguments_add(&command->argv, arguments_format(&command->argv, "%s/" BOX_ROOT, boxed->box));
    command_add_copy(command, boxed->token);
    command_start(command);
}

/* A writable image has no place for what is mounted but what is made in it. */
static void make_targets(void *context)
{
    struct boxed *boxed = context;
    const struct descpipe_stage *stage = boxed->stage;
    bool good = stage->directory == NULL || strcmp(stage->directory, "/") == 0 ||
                box_make_target(boxed->box, stage->directory, false, &boxed->failure);
    for (size_t i = 0; good && stage->mounts != NULL && stage->mounts[i] != NULL; i++)
        good = box_make_target(boxed->box, stage->mounts[i]->target,
                               (stage->mounts[i]->flags & DESCPIPE_MOUNT_FILE) != 0, &boxed->failure);
    if (good)
        box_list(boxed->box, &boxed->failure);
}

static void image_is_unpacked(struct command *command, const struct tool_end *end)
{
    struct boxed *boxed = command->context;
    if (!end->good)
        boxed_undo_after(boxed, end, "made");
    else
        boxed_work(boxed, make_targets, targets_are_made);
}

static void make_box(void *context)
{
    struct boxed *boxed = context;
    box_make(boxed->cache, boxed->token, &boxed->failure);
}

static void box_is_made(void *context)
{
    struct boxed *boxed = context;
    if (boxed->failure.kind != 0) {
        boxed_fail(boxed);
        return;
    }
    struct command *command = tool_command(boxed, "made", image_is_unpacked);
    if (command == NULL)
        return;
    command->timeout_ms = ((const struct singularity *)boxed->runtime)->pull_timeout_ms;
    arguments_add_list(&command->argv, (const char *const[]){"build", "--sandbox", NULL});
    arguments_add(&command->argv, arguments_format(&command->argv, "%s/" BOX_ROOT, boxed->box));
    command_add_copy(command, boxed->stage->image_handle);
    command_start(command);
}

void singularity_shell(void *self, struct descpipe_call *call, const struct descpipe_stage *stage)
{
    struct boxed *boxed = begin(self, call, stage->token);
    if (boxed == NULL)
        return;
    boxed->stage = stage;
    if (stage->image_handle == NULL || stage->image_handle[0] != '/') {
        failure_set(&boxed->failure, DESCPIPE_FAILED_REFUSED, "stage '%s': its image is not on this machine",
                    stage->name);
        boxed_fail(boxed);
        return;
    }
    boxed_work(boxed, make_box, box_is_made);
}

/* ---- exec, stop, release ---- */

void singularity_exec(void *self, struct descpipe_call *call, const struct descpipe_exec *exec)
{
    struct singularity *singularity = self;
    struct boxed *boxed = begin(singularity, call, exec->container->token);
    if (boxed != NULL && !boxed_is_here(boxed)) { /* what the tool says of it would be the command's own words */
        boxed_fail(boxed);
        return;
    }
    struct command *command = boxed != NULL ? tool_command(boxed, "entered", boxed_exec_ended) : NULL;
    if (command == NULL)
        return;
    if (!command_take_streams(command, exec)) {
        boxed_free(boxed);
        return;
    }
    command_add_copy(command, "exec");
    if (exec->directory != NULL) {
        command_add_copy(command, "--pwd");
        command_add_copy(command, exec->directory);
    }
    const char *prefix = singularity_prefix(singularity);
    arguments_add(&command->environment, arguments_format(&command->environment, "%s_NO_EVAL=1", prefix));
    for (const char *const *entry = exec->environment; entry != NULL && *entry != NULL; entry++)
        if (strncmp(*entry, "HOME=", 5) != 0) /* said when the instance was started */
            arguments_add(&command->environment, arguments_format(&command->environment, "%sENV_%s", prefix, *entry));
    arguments_add(&command->argv, arguments_format(&command->argv, "instance://%s", boxed->token));
    for (const char *const *word = exec->command; word != NULL && *word != NULL; word++)
        command_add_copy(command, *word);
    command_start(command);
}

static void add_stop(struct command *command, const struct boxed *boxed, uint64_t grace_ms)
{
    uint64_t seconds = grace_ms / 1000 + 1; /* at least one: 0 is the tool's own default */
    command->timeout_ms = grace_ms + COMMAND_TIMEOUT_MS;
    arguments_add_list(&command->argv, (const char *const[]){"instance", "stop", "--timeout", NULL});
    arguments_add(&command->argv, arguments_format(&command->argv, "%" PRIu64, seconds));
    command_add_copy(command, boxed->token);
}

void singularity_stop(void *self, struct descpipe_call *call, const struct descpipe_stop *stop)
{
    struct boxed *boxed = begin(self, call, stop->container->token);
    struct command *command = boxed != NULL ? tool_command(boxed, "stopped", boxed_stopped) : NULL;
    if (command == NULL)
        return;
    add_stop(command, boxed, stop->grace_ms);
    command_start(command);
}

void singularity_release(void *self, struct descpipe_call *call, const struct descpipe_container *container)
{
    struct boxed *boxed = begin(self, call, container->token);
    struct command *command = boxed != NULL ? tool_command(boxed, "removed", boxed_stopped_for_release) : NULL;
    if (command == NULL)
        return;
    add_stop(command, boxed, 0);
    command_start(command);
}

/* ---- what was changed ---- */

void singularity_changes(void *self, struct descpipe_call *call, const struct descpipe_container *container)
{
    struct boxed *boxed = begin(self, call, container->token);
    if (boxed != NULL)
        boxed_changes(boxed);
}

void singularity_copy_out(void *self, struct descpipe_call *call, const struct descpipe_copy *copy)
{
    struct boxed *boxed = begin(self, call, copy->container->token);
    if (boxed != NULL)
        boxed_copy_out(boxed, copy);
}

/* ---- commit ---- */

static void put_quoted(FILE *script, const char *word)
{
    fputs(" '", script);
    for (; *word != '\0'; word++)
        if (*word == '\'')
            fputs("'\\''", script);
        else
            fputc(*word, script);
    fputc('\'', script);
}

/* What `run` does with the new image. */
static void write_default(void *context)
{
    static const char *const shell[] = {"/bin/sh", NULL};
    struct boxed *boxed = context;
    const char *const *words = boxed->commit->command;
    cleanup(memory_free) char *path = NULL;
    if (asprintf(&path, "%s/" BOX_ROOT OWN_FOLDER "/runscript", boxed->box) < 0) {
        path = NULL;
        failure_memory(&boxed->failure);
        return;
    }
    FILE *script = fopen(path, "we");
    if (script == NULL) {
        failure_system(&boxed->failure, "container %s cannot be made an image", boxed->token);
        if (errno == ENOENT)
            boxed->failure.kind = DESCPIPE_FAILED_NOT_FOUND;
        return;
    }
    fputs("#!/bin/sh\nexec", script);
    for (words = words != NULL && words[0] != NULL ? words : shell; *words != NULL; words++)
        put_quoted(script, *words);
    fputs(" \"$@\"\n", script);
    if (fclose(script) != 0)
        failure_system(&boxed->failure, "cannot write '%s'", path);
}

static void image_is_made(struct command *command, const struct tool_end *end)
{
    struct boxed *boxed = command->context;
    cleanup(memory_free) char *made = NULL;
    const struct descpipe_commit *commit = boxed->commit;
    struct singularity *singularity = boxed->runtime;
    if (!end->good) {
        boxed_free(boxed);
        command_fail(command, end, DESCPIPE_FAILED_REFUSED, NULL);
        return;
    }
    if (asprintf(&made, "%s.new", commit->reference + 4) < 0)
        made = NULL;
    if (made == NULL || rename(made, commit->reference + 4) != 0) {
        failure_system(&boxed->failure, "cannot make '%s'", commit->reference + 4);
        boxed_fail(boxed);
        return;
    }
    /* Its identity is that of the file; the call goes on as one that asks for it. */
    singularity_identify_made(singularity, boxed->call, commit->reference);
    boxed_free(boxed);
}

static void default_is_written(void *context)
{
    struct boxed *boxed = context;
    if (boxed->failure.kind != 0) {
        boxed_fail(boxed);
        return;
    }
    struct command *command = tool_command(boxed, "made an image", image_is_made);
    if (command == NULL)
        return;
    command->timeout_ms = ((const struct singularity *)boxed->runtime)->pull_timeout_ms;
    arguments_add_list(&command->argv, (const char *const[]){"build", "--force", NULL});
    arguments_add(&command->argv, arguments_format(&command->argv, "%s.new", boxed->commit->reference + 4));
    arguments_add(&command->argv, arguments_format(&command->argv, "%s/" BOX_ROOT, boxed->box));
    command_start(command);
}

void singularity_commit(void *self, struct descpipe_call *call, const struct descpipe_commit *commit)
{
    struct boxed *boxed = begin(self, call, commit->container->token);
    if (boxed == NULL)
        return;
    boxed->commit = commit;
    if (strncmp(commit->reference, "sif:/", 5) != 0) {
        failure_set(&boxed->failure, DESCPIPE_FAILED_UNSUPPORTED, "'%s': runtime 'singularity' makes SIF files only",
                    commit->reference);
        failure_hint(&boxed->failure, "name one, as sif:/FOLDER/NAME.sif");
        boxed_fail(boxed);
        return;
    }
    boxed_work(boxed, write_default, default_is_written);
}
