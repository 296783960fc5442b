/* SPDX-License-Identifier: BSD-3-Clause */
/* One command of a tool that serves one call; command.h tells how. */
#include "tool/command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void command_free(struct command *command)
{
    for (size_t i = 0; i < 3; i++)
        if (command->streams[i] > 0)
            close(command->streams[i]);
    arguments_clear(&command->argv);
    arguments_clear(&command->environment);
    free(command->what);
    free(command);
}

struct command *command_new(const struct descpipe_host *host, struct descpipe_call *call, const char *format, ...)
{
    struct command *command = calloc(1, sizeof *command);
    va_list values;
    va_start(values, format);
    if (command != NULL && vasprintf(&command->what, format, values) < 0) {
        free(command);
        command = NULL;
    }
    va_end(values);
    if (command == NULL) {
        host->call->fail(call, DESCPIPE_FAILED_LATER, "out of memory", NULL);
        return NULL;
    }
    command->host = host;
    command->call = call;
    return command;
}

void command_add_copy(struct command *command, const char *word)
{
    arguments_add(&command->argv, arguments_format(&command->argv, "%s", word));
}

static void fail(const struct command *command, uint32_t kind, const char *words, const char *hint)
{
    char message[2048];
    snprintf(message, sizeof message, "%s: %s", command->what, words);
    command->host->call->fail(command->call, kind, message, hint);
}

void command_fail(const struct command *command, const struct tool_end *end, uint32_t kind, const char *hint)
{
    if (command->host->call->cancelled(command->call))
        fail(command, DESCPIPE_FAILED_CANCELLED, "cancelled", NULL);
    else
        fail(command, end->started ? kind : (uint32_t)DESCPIPE_FAILED_UNSUPPORTED, end->words, hint);
}

/* Copies, above our own three: 0 means none to the process service. */
static bool take_stream(struct command *command, size_t number, int32_t given)
{
    int stream = given >= 0 ? fcntl(given, F_DUPFD_CLOEXEC, 3) : open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (stream >= 0) {
        command->streams[number] = stream;
        return true;
    }
    fail(command, DESCPIPE_FAILED_REFUSED, strerror(errno), NULL);
    command_free(command);
    return false;
}

bool command_take_streams(struct command *command, const struct descpipe_exec *exec)
{
    command->terminal = exec->terminal != 0;
    command->timeout_ms = UINT64_MAX;
    if (command->terminal)
        return true;
    return (exec->input_descriptor < 0 || take_stream(command, 0, exec->input_descriptor)) &&
           take_stream(command, 1, exec->output_descriptor) && take_stream(command, 2, exec->error_descriptor);
}

bool command_take_output(struct command *command, int32_t output_descriptor)
{
    command->timeout_ms = UINT64_MAX;
    return take_stream(command, 1, output_descriptor);
}

void command_drop(struct command *command)
{
    command_free(command);
}

void command_refuse(struct command *command, const struct failure *failure)
{
    failure_finish(failure, command->host, command->call);
    command_free(command);
}

static void ended(void *context, const struct tool_end *end)
{
    struct command *command = context;
    command->process = NULL;
    if (command->done != NULL)
        command->done(command, end);
    else if (end->good)
        command->host->call->succeed(command->call);
    else
        command_fail(command, end, DESCPIPE_FAILED_REFUSED, NULL);
    command_free(command);
}

static void cancel_wished(void *context)
{
    struct command *command = context;
    if (command->process != NULL)
        command->host->process->stop(command->process);
}

void command_start(struct command *command)
{
    static const char *const nothing[] = {NULL};
    const struct tool_request request = {
        .argv = command->argv.words,
        .environment = command->environment.count > 0 ? command->environment.words : nothing,
        .directory = command->directory,
        .input_descriptor = command->streams[0],
        .output_descriptor = command->streams[1],
        .error_descriptor = command->streams[2],
        .terminal = command->terminal,
        .timeout_ms = command->timeout_ms > 0 ? command->timeout_ms : COMMAND_TIMEOUT_MS,
        .done = ended,
        .context = command};
    const struct descpipe_host *host = command->host;
    command->process = command->argv.failed || command->environment.failed ? NULL : tool_run(host, &request);
    if (command->process != NULL) {
        host->call->on_cancel(command->call, cancel_wished, command);
        return;
    }
    const struct tool_end end = {
        .started = true, .exit_code = -1, .output = "", .words = "out of memory", .errors = ""};
    ended(command, &end);
}

void command_answer_ending(struct command *command, const struct tool_end *end)
{
    if (!end->started) {
        command_fail(command, end, DESCPIPE_FAILED_UNSUPPORTED, NULL);
        return;
    }
    bool exited = end->exit_code >= 0;
    const struct descpipe_ending ending = {.size = sizeof ending,
                                           .flags = exited ? DESCPIPE_ENDED_EXITED : DESCPIPE_ENDED_SIGNALLED,
                                           .exit_code = exited ? end->exit_code : 0,
                                           .signal = end->signal,
                                           .witness = "wait"};
    command->host->answer->ending(command->call, &ending);
    command->host->call->succeed(command->call);
}
