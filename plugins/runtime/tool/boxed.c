/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls about developers' containers that are folders of ours; boxed.h tells what they share. */
#include "tool/boxed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "registry/ownership.h"

#include "tool/environment.h"

void boxed_free(struct boxed *boxed)
{
    failure_clear(&boxed->failure);
    free(boxed->token);
    free(boxed->box);
    free(boxed->lines);
    free(boxed);
}

void boxed_fail(struct boxed *boxed)
{
    failure_finish(&boxed->failure, boxed->host, boxed->call);
    boxed_free(boxed);
}

void boxed_succeed(struct boxed *boxed)
{
    if (boxed->failure.kind != 0) {
        boxed_fail(boxed);
        return;
    }
    boxed->host->call->succeed(boxed->call);
    boxed_free(boxed);
}

struct boxed *boxed_new(const struct boxed_request *request)
{
    struct boxed *boxed = calloc(1, sizeof *boxed);
    if (boxed == NULL) {
        request->host->call->fail(request->call, DESCPIPE_FAILED_LATER, "out of memory", NULL);
        return NULL;
    }
    *boxed = (struct boxed){.host = request->host,
                            .call = request->call,
                            .runtime = request->runtime,
                            .cache = request->cache,
                            .token = strdup(request->token)};
    if (boxed->cache == NULL) {
        failure_set(&boxed->failure, DESCPIPE_FAILED_UNSUPPORTED, "runtime '%s' has no folder to keep containers in",
                    request->name);
        failure_hint(&boxed->failure, "name one with the option '%s'", request->option);
    } else if (boxed->token == NULL) {
        failure_memory(&boxed->failure);
    } else {
        boxed->box = box_path(boxed->cache, boxed->token, NULL, &boxed->failure);
    }
    if (boxed->box != NULL)
        return boxed;
    boxed_fail(boxed);
    return NULL;
}

bool boxed_is_here(struct boxed *boxed)
{
    struct stat status;
    return stat(boxed->box, &status) == 0 ||
           failure_set(&boxed->failure, DESCPIPE_FAILED_NOT_FOUND, "there is no container '%s'", boxed->token);
}

void boxed_work(struct boxed *boxed, void (*work)(void *context), void (*done)(void *context))
{
    boxed->host->work->run(boxed->host, work, done, boxed);
}

struct command *boxed_command(struct boxed *boxed, const char *doing,
                              void (*done)(struct command *command, const struct tool_end *end))
{
    struct command *command =
        command_new(boxed->host, boxed->call, "container %.100s cannot be %s", boxed->token, doing);
    if (command == NULL) {
        boxed_free(boxed);
        return NULL;
    }
    command->done = done;
    command->context = boxed;
    return command;
}

/* ---- removal ---- */

static void remove_box(void *context)
{
    struct boxed *boxed = context;
    cleanup(failure_clear) struct failure ignored = FAILURE_INIT;
    box_remove(boxed->cache, boxed->token, &ignored);
}

static void box_is_removed(void *context)
{
    boxed_fail(context);
}

void boxed_undo(struct boxed *boxed)
{
    boxed_work(boxed, remove_box, box_is_removed);
}

static void release_box(void *context)
{
    struct boxed *boxed = context;
    box_remove(boxed->cache, boxed->token, &boxed->failure);
}

static void box_is_released(void *context)
{
    boxed_succeed(context);
}

void boxed_release(struct boxed *boxed)
{
    boxed_work(boxed, release_box, box_is_released);
}

void boxed_undo_after(struct boxed *boxed, const struct tool_end *end, const char *doing)
{
    failure_set(&boxed->failure, DESCPIPE_FAILED_REFUSED, "container %s cannot be %s: %s", boxed->token, doing,
                end->words);
    boxed_undo(boxed);
}

/* ---- ends of commands ---- */

void boxed_exec_ended(struct command *command, const struct tool_end *end)
{
    command_answer_ending(command, end);
    boxed_free(command->context);
}

static bool is_gone(const struct boxed *boxed, const struct tool_end *end)
{
    return boxed->is_gone != NULL ? boxed->is_gone(end) : end->good;
}

static void not_stopped(struct command *command, const struct tool_end *end)
{
    command_fail(command, end, DESCPIPE_FAILED_REFUSED, NULL);
    boxed_free(command->context);
}

void boxed_stopped(struct command *command, const struct tool_end *end)
{
    if (is_gone(command->context, end))
        boxed_succeed(command->context);
    else
        not_stopped(command, end);
}

void boxed_stopped_for_release(struct command *command, const struct tool_end *end)
{
    if (is_gone(command->context, end))
        boxed_release(command->context);
    else
        not_stopped(command, end);
}

/* ---- what was changed ---- */

static void compare(void *context)
{
    struct boxed *boxed = context;
    if (!boxed_is_here(boxed))
        return;
    FILE *lines = open_memstream(&boxed->lines, &boxed->length);
    if (lines == NULL) {
        failure_memory(&boxed->failure);
        return;
    }
    box_compare(boxed->box, boxed->hidden, lines, &boxed->failure);
    if (fclose(lines) != 0 && boxed->failure.kind == 0)
        failure_memory(&boxed->failure);
}

static void compared(void *context)
{
    struct boxed *boxed = context;
    for (size_t at = 0; boxed->failure.kind == 0 && at < boxed->length; at += strlen(boxed->lines + at) + 1)
        boxed->host->answer->text(boxed->call, boxed->lines + at);
    boxed_succeed(boxed);
}

void boxed_changes(struct boxed *boxed)
{
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

void boxed_copy_out(struct boxed *boxed, const struct descpipe_copy *copy)
{
    cleanup(memory_free) char *folder = NULL, *name = NULL;
    if (boxed_is_here(boxed) && !box_find(boxed->box, copy->path, &folder, &name, &boxed->failure))
        failure_wrap(&boxed->failure, "container %s cannot be copied from", boxed->token);
    if (boxed->failure.kind != 0) {
        boxed_fail(boxed);
        return;
    }
    struct command *command = boxed_command(boxed, "copied from", copied);
    if (command == NULL)
        return;
    if (!command_take_output(command, copy->archive_descriptor)) {
        boxed_free(boxed);
        return;
    }
    environment_add_basics(&command->environment);
    arguments_add_list(&command->argv, (const char *const[]){"tar", "--create", "--file=-", "--directory", NULL});
    command_add_copy(command, folder);
    command_add_copy(command, "--");
    command_add_copy(command, name);
    command_start(command);
}
