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

#include "tool/box.h"
#include "tool/command.h"

#include "singularity.h"

#define OWN_FOLDER "/.singularity.d" /* the tool's, no part of anybody's work */

/* ---- common ---- */

struct boxed {
    struct singularity *singularity;
    struct descpipe_call *call;
    const struct descpipe_stage *stage;   /* shell; lives until the call is finished */
    const struct descpipe_commit *commit; /* likewise */
    char *token, *box;
    char *lines; /* of `changes`, each ended by NUL */
    size_t length;
    struct failure failure;
};

static void boxed_free(struct boxed *boxed)
{
    failure_clear(&boxed->failure);
    free(boxed->token);
    free(boxed->box);
    free(boxed->lines);
    free(boxed);
}

static void boxed_fail(struct boxed *boxed)
{
    failure_finish(&boxed->failure, boxed->singularity->host, boxed->call);
    boxed_free(boxed);
}

/* NULL: the call has failed. */
static struct boxed *boxed_new(struct singularity *singularity, struct descpipe_call *call, const char *token)
{
    const struct descpipe_host *host = singularity->host;
    struct boxed *boxed = calloc(1, sizeof *boxed);
    if (boxed == NULL) {
        host->call->fail(call, DESCPIPE_FAILED_LATER, "out of memory", NULL);
        return NULL;
    }
    *boxed = (struct boxed){.singularity = singularity, .call = call, .token = strdup(token)};
    if (singularity->tool == NULL) {
        failure_set(&boxed->failure, DESCPIPE_FAILED_UNSUPPORTED, SINGULARITY_TOOL_MESSAGE);
        failure_hint(&boxed->failure, SINGULARITY_TOOL_HINT);
    } else if (singularity->cache == NULL) {
        failure_set(&boxed->failure, DESCPIPE_FAILED_UNSUPPORTED,
                    "runtime 'singularity' has no folder to keep containers in");
        failure_hint(&boxed->failure, "name one with the option 'cache'");
    } else if (boxed->token == NULL) {
        failure_memory(&boxed->failure);
    } else {
        boxed->box = box_path(singularity->cache, token, NULL, &boxed->failure);
    }
    if (boxed->box != NULL)
        return boxed;
    boxed_fail(boxed);
    return NULL;
}

static void boxed_work(struct boxed *boxed, void (*work)(void *context), void (*done)(void *context))
{
    const struct descpipe_host *host = boxed->singularity->host;
    host->work->run(host, work, done, boxed);
}

/* A command of the tool for the same call, with `boxed` for its `done`. NULL: the call has failed, `boxed` is gone. */
static struct command *boxed_command(struct boxed *boxed, const char *doing,
                                     void (*done)(struct command *command, const struct tool_end *end))
{
    struct command *command =
        command_new(boxed->singularity->host, boxed->call, "container %.100s cannot be %s", boxed->token, doing);
    if (command == NULL) {
        boxed_free(boxed);
        return NULL;
    }
    command->done = done;
    command->context = boxed;
    arguments_add(&command->argv, boxed->singularity->tool);
    arguments_add(&command->argv, "--silent");
    singularity_environment(boxed->singularity, &command->environment);
    return command;
}

static void add_copy(struct command *command, const char *word)
{
    arguments_add(&command->argv, arguments_format(&command->argv, "%s", word));
}

/* ---- shell ---- */

static void remove_box(void *context)
{
    struct boxed *boxed = context;
    cleanup(failure_clear) struct failure ignored = FAILURE_INIT;
    box_remove(boxed->singularity->cache, boxed->token, &ignored);
}

static void box_is_removed(void *context)
{
    boxed_fail(context);
}

/* The failure is kept while what there is of the container goes. */
static void undo(struct boxed *boxed, const struct tool_end *end, const char *doing)
{
    if (end != NULL)
        failure_set(&boxed->failure, DESCPIPE_FAILED_REFUSED, "container %s cannot be %s: %s", boxed->token, doing,
                    end->words);
    boxed_work(boxed, remove_box, box_is_removed);
}

static void instance_started(struct command *command, const struct tool_end *end)
{
    struct boxed *boxed = command->context;
    if (!end->good) {
        undo(boxed, end, "started");
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
        undo(boxed, NULL, NULL);
        return;
    }
    struct command *command = boxed_command(boxed, "started", instance_started);
    if (command == NULL)
        return;
    arguments_add_list(&command->argv, (const char *const[]){"instance", "start", "--writable", NULL});
    if (!singularity_add_instance(boxed->singularity, boxed->stage, &command->argv, &boxed->failure)) {
        command_drop(command);
        undo(boxed, NULL, NULL);
        return;
    }
    arguments_add(&command->argv, arguments_format(&command->argv, "%s/" BOX_ROOT, boxed->box));
    add_copy(command, boxed->token);
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
        undo(boxed, end, "made");
    else
        boxed_work(boxed, make_targets, targets_are_made);
}

static void make_box(void *context)
{
    struct boxed *boxed = context;
    box_make(boxed->singularity->cache, boxed->token, &boxed->failure);
}

static void box_is_made(void *context)
{
    struct boxed *boxed = context;
    if (boxed->failure.kind != 0) {
        boxed_fail(boxed);
        return;
    }
    struct command *command = boxed_command(boxed, "made", image_is_unpacked);
    if (command == NULL)
        return;
    command->timeout_ms = boxed->singularity->pull_timeout_ms;
    arguments_add_list(&command->argv, (const char *const[]){"build", "--sandbox", NULL});
    arguments_add(&command->argv, arguments_format(&command->argv, "%s/" BOX_ROOT, boxed->box));
    add_copy(command, boxed->stage->image_handle);
    command_start(command);
}

void singularity_shell(void *self, struct descpipe_call *call, const struct descpipe_stage *stage)
{
    struct boxed *boxed = boxed_new(self, call, stage->token);
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

static void exec_ended(struct command *command, const struct tool_end *end)
{
    boxed_free(command->context);
    command_answer_ending(command, end);
}

void singularity_exec(void *self, struct descpipe_call *call, const struct descpipe_exec *exec)
{
    struct singularity *singularity = self;
    struct boxed *boxed = boxed_new(singularity, call, exec->container->token);
    struct command *command = boxed != NULL ? boxed_command(boxed, "entered", exec_ended) : NULL;
    if (command == NULL)
        return;
    if (!command_take_streams(command, exec)) {
        boxed_free(boxed);
        return;
    }
    add_copy(command, "exec");
    if (exec->directory != NULL) {
        add_copy(command, "--pwd");
        add_copy(command, exec->directory);
    }
    const char *prefix = singularity_prefix(singularity);
    arguments_add(&command->environment, arguments_format(&command->environment, "%s_NO_EVAL=1", prefix));
    for (const char *const *entry = exec->environment; entry != NULL && *entry != NULL; entry++)
        if (strncmp(*entry, "HOME=", 5) != 0) /* said when the instance was started */
            arguments_add(&command->environment, arguments_format(&command->environment, "%sENV_%s", prefix, *entry));
    arguments_add(&command->argv, arguments_format(&command->argv, "instance://%s", boxed->token));
    for (const char *const *word = exec->command; word != NULL && *word != NULL; word++)
        add_copy(command, *word);
    command_start(command);
}

static bool is_gone(const struct tool_end *end)
{
    return end->good || strstr(end->errors, "no instance found") != NULL;
}

static void stopped(struct command *command, const struct tool_end *end)
{
    boxed_free(command->context);
    if (is_gone(end))
        command->host->call->succeed(command->call);
    else
        command_fail(command, end, DESCPIPE_FAILED_REFUSED, NULL);
}

static void add_stop(struct command *command, const struct boxed *boxed, uint64_t grace_ms)
{
    uint64_t seconds = grace_ms / 1000 + 1; /* at least one: 0 is the tool's own default */
    command->timeout_ms = grace_ms + COMMAND_TIMEOUT_MS;
    arguments_add_list(&command->argv, (const char *const[]){"instance", "stop", "--timeout", NULL});
    arguments_add(&command->argv, arguments_format(&command->argv, "%" PRIu64, seconds));
    add_copy(command, boxed->token);
}

void singularity_stop(void *self, struct descpipe_call *call, const struct descpipe_stop *stop)
{
    struct boxed *boxed = boxed_new(self, call, stop->container->token);
    struct command *command = boxed != NULL ? boxed_command(boxed, "stopped", stopped) : NULL;
    if (command == NULL)
        return;
    add_stop(command, boxed, stop->grace_ms);
    command_start(command);
}

static void release_box(void *context)
{
    struct boxed *boxed = context;
    box_remove(boxed->singularity->cache, boxed->token, &boxed->failure);
}

static void box_is_released(void *context)
{
    struct boxed *boxed = context;
    if (boxed->failure.kind != 0) {
        boxed_fail(boxed);
        return;
    }
    boxed->singularity->host->call->succeed(boxed->call);
    boxed_free(boxed);
}

static void stopped_for_release(struct command *command, const struct tool_end *end)
{
    struct boxed *boxed = command->context;
    if (is_gone(end)) {
        boxed_work(boxed, release_box, box_is_released);
    } else {
        boxed_free(boxed);
        command_fail(command, end, DESCPIPE_FAILED_REFUSED, NULL);
    }
}

void singularity_release(void *self, struct descpipe_call *call, const struct descpipe_container *container)
{
    struct boxed *boxed = boxed_new(self, call, container->token);
    struct command *command = boxed != NULL ? boxed_command(boxed, "removed", stopped_for_release) : NULL;
    if (command == NULL)
        return;
    add_stop(command, boxed, 0);
    command_start(command);
}

/* ---- what was changed ---- */

static void compare(void *context)
{
    struct boxed *boxed = context;
    FILE *lines = open_memstream(&boxed->lines, &boxed->length);
    if (lines == NULL) {
        failure_memory(&boxed->failure);
        return;
    }
    box_compare(boxed->box, OWN_FOLDER, lines, &boxed->failure);
    if (fclose(lines) != 0 && boxed->failure.kind == 0)
        failure_memory(&boxed->failure);
}

static void compared(void *context)
{
    struct boxed *boxed = context;
    const struct descpipe_host *host = boxed->singularity->host;
    if (boxed->failure.kind != 0) {
        boxed_fail(boxed);
        return;
    }
    for (size_t at = 0; at < boxed->length; at += strlen(boxed->lines + at) + 1)
        host->answer->text(boxed->call, boxed->lines + at);
    host->call->succeed(boxed->call);
    boxed_free(boxed);
}

void singularity_changes(void *self, struct descpipe_call *call, const struct descpipe_container *container)
{
    struct boxed *boxed = boxed_new(self, call, container->token);
    if (boxed != NULL)
        boxed_work(boxed, compare, compared);
}

static void copied(struct command *command, const struct tool_end *end)
{
    boxed_free(command->context);
    if (end->good)
        command->host->call->succeed(command->call);
    else
        command_fail(command, end, DESCPIPE_FAILED_REFUSED, NULL);
}

void singularity_copy_out(void *self, struct descpipe_call *call, const struct descpipe_copy *copy)
{
    struct singularity *singularity = self;
    cleanup(memory_free) char *folder = NULL, *name = NULL;
    struct boxed *boxed = boxed_new(singularity, call, copy->container->token);
    if (boxed == NULL)
        return;
    if (!box_find(boxed->box, copy->path, &folder, &name, &boxed->failure)) {
        boxed_fail(boxed);
        return;
    }
    struct command *command =
        command_new(singularity->host, call, "container %.100s cannot be copied from", boxed->token);
    if (command == NULL || !command_take_output(command, copy->archive_descriptor)) {
        boxed_free(boxed);
        return;
    }
    command->done = copied;
    command->context = boxed;
    singularity_environment(singularity, &command->environment);
    arguments_add_list(&command->argv, (const char *const[]){"tar", "--create", "--file=-", "--directory", NULL});
    add_copy(command, folder);
    add_copy(command, "--");
    add_copy(command, name);
    command_start(command);
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
    struct singularity *singularity = boxed->singularity;
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
    struct command *command = boxed_command(boxed, "made an image", image_is_made);
    if (command == NULL)
        return;
    command->timeout_ms = boxed->singularity->pull_timeout_ms;
    arguments_add_list(&command->argv, (const char *const[]){"build", "--force", NULL});
    arguments_add(&command->argv, arguments_format(&command->argv, "%s.new", boxed->commit->reference + 4));
    arguments_add(&command->argv, arguments_format(&command->argv, "%s/" BOX_ROOT, boxed->box));
    command_start(command);
}

void singularity_commit(void *self, struct descpipe_call *call, const struct descpipe_commit *commit)
{
    struct boxed *boxed = boxed_new(self, call, commit->container->token);
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
