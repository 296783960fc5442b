/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A developer's container: `podman run --detach` of a shell that waits, then `exec`, `diff`, `cp`, `commit`, `stop` and
 * `rm`, each one command of the client.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "registry/ownership.h"

#include "tool/command.h"

#include "podman.h"

static const char *name_of(const struct descpipe_container *container)
{
    return container->native_id != NULL ? container->native_id : container->token;
}

/* A command with the client's beginning; NULL: the call has failed. */
static struct command *begin(const struct podman *podman, struct descpipe_call *call,
                             const struct descpipe_container *container, const char *doing)
{
    if (podman->tool == NULL) {
        podman->host->call->fail(call, DESCPIPE_FAILED_UNSUPPORTED, PODMAN_TOOL_MESSAGE, PODMAN_TOOL_HINT);
        return NULL;
    }
    struct command *command =
        command_new(podman->host, call, "container %.100s cannot be %s", name_of(container), doing);
    if (command != NULL) {
        command->runtime = podman;
        command->container = container;
        podman_begin(podman, &command->argv);
        podman_environment(podman, &command->environment);
    }
    return command;
}

static void add_words(struct command *command, const char *const *words)
{
    arguments_add_list(&command->argv, words);
}

static uint32_t kind_of(const struct tool_end *end)
{
    static const char *const words[] = {"no such container", "no container with name", "layer not known",
                                        "does not exist", "could not be found"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strstr(end->errors, words[i]) != NULL)
            return DESCPIPE_FAILED_NOT_FOUND;
    return DESCPIPE_FAILED_REFUSED;
}

static void fail_alike(struct command *command, const struct tool_end *end)
{
    command_fail(command, end, kind_of(end), NULL);
}

static void finish(struct command *command, const struct tool_end *end)
{
    if (end->good)
        command->host->call->succeed(command->call);
    else
        fail_alike(command, end);
}

/* The last line is the id; what was pulled or warned of stands elsewhere. */
static bool read_id(const char *output, char id[72])
{
    size_t length = strcspn(output, "\r\n");
    if (length != 64 || strspn(output, "0123456789abcdef") != 64)
        return false;
    memcpy(id, output, length);
    id[length] = '\0';
    return true;
}

static void started(struct command *command, const struct tool_end *end)
{
    char id[72];
    if (!end->good || !read_id(end->output, id)) {
        command_fail(command, end, DESCPIPE_FAILED_REFUSED, NULL);
        return;
    }
    command->host->answer->native_id(command->call, 0, id);
    command->host->call->succeed(command->call);
}

void podman_shell(void *self, struct descpipe_call *call, const struct descpipe_stage *stage)
{
    const struct podman *podman = self;
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    if (podman->tool == NULL) {
        podman->host->call->fail(call, DESCPIPE_FAILED_UNSUPPORTED, PODMAN_TOOL_MESSAGE, PODMAN_TOOL_HINT);
        return;
    }
    struct command *command = command_new(podman->host, call, "stage '%.100s' cannot start in Podman", stage->name);
    if (command == NULL)
        return;
    command->done = started;
    if (!podman_write_shell(podman, stage, &command->argv, &command->environment, &failure)) {
        command_refuse(command, &failure);
        return;
    }
    command_start(command);
}

/* podman-exec(1), "Exit Codes": 125 is Podman's own, or the command's, whose words went where that one's go. */
#define OWN_FAILURE 125

static void looked_at(struct command *command, const struct tool_end *end)
{
    static const struct tool_end ended = {.started = true, .exit_code = OWN_FAILURE};
    if (!end->good)
        fail_alike(command, end);
    else if (strncmp(end->output, "true", 4) == 0)
        command_answer_ending(command, &ended);
    else
        command_fail(command, &(struct tool_end){.started = true, .words = "it is not running"},
                     DESCPIPE_FAILED_REFUSED, NULL);
}

static void exec_ended(struct command *command, const struct tool_end *end)
{
    if (!end->started || end->exit_code != OWN_FAILURE) {
        command_answer_ending(command, end);
        return;
    }
    struct command *look = begin(command->runtime, command->call, command->container, "entered");
    if (look == NULL)
        return;
    look->done = looked_at;
    add_words(look, (const char *const[]){"container", "inspect", "--format", "{{.State.Running}}", NULL});
    command_add_copy(look, name_of(command->container));
    command_start(look);
}

/* Values stand in no process list, but for the names that the client itself obeys. */
static void add_variable(struct command *command, const char *entry)
{
    command_add_copy(command, "--env");
    size_t name = strcspn(entry, "=");
    if (podman_needs(entry) || entry[name] == '\0') {
        command_add_copy(command, entry);
        return;
    }
    arguments_add(&command->argv, arguments_format(&command->argv, "%.*s", (int)name, entry));
    arguments_add(&command->environment, arguments_format(&command->environment, "%s", entry));
}

void podman_exec(void *self, struct descpipe_call *call, const struct descpipe_exec *exec)
{
    struct command *command = begin(self, call, exec->container, "entered");
    if (command == NULL || !command_take_streams(command, exec))
        return;
    command->done = exec_ended;
    podman_add_command(self, &command->argv, "exec", NULL);
    if (exec->terminal != 0)
        add_words(command, (const char *const[]){"--interactive", "--tty", NULL});
    else if (exec->input_descriptor >= 0)
        command_add_copy(command, "--interactive");
    if (exec->directory != NULL) {
        command_add_copy(command, "--workdir");
        command_add_copy(command, exec->directory);
    }
    for (const char *const *entry = exec->environment; entry != NULL && *entry != NULL; entry++)
        add_variable(command, *entry);
    command_add_copy(command, name_of(exec->container));
    for (const char *const *word = exec->command; word != NULL && *word != NULL; word++)
        command_add_copy(command, *word);
    command_start(command);
}

void podman_stop(void *self, struct descpipe_call *call, const struct descpipe_stop *stop)
{
    struct command *command = begin(self, call, stop->container, "stopped");
    if (command == NULL)
        return;
    uint64_t seconds = stop->grace_ms / 1000 + (stop->grace_ms % 1000 != 0);
    command->timeout_ms = stop->grace_ms + COMMAND_TIMEOUT_MS;
    command->done = finish;
    add_words(command, (const char *const[]){"stop", "--ignore", "--time", NULL});
    arguments_add(&command->argv, arguments_format(&command->argv, "%" PRIu64, seconds));
    command_add_copy(command, name_of(stop->container));
    command_start(command);
}

void podman_release(void *self, struct descpipe_call *call, const struct descpipe_container *container)
{
    struct command *command = begin(self, call, container, "removed");
    if (command == NULL)
        return;
    command->done = finish;
    add_words(command, (const char *const[]){"rm", "--force", "--ignore", "--volumes", "--time", "0", NULL});
    command_add_copy(command, name_of(container));
    command_start(command);
}

static void committed(struct command *command, const struct tool_end *end)
{
    char id[72], digest[80];
    if (!end->good || !read_id(end->output, id)) {
        fail_alike(command, end);
        return;
    }
    snprintf(digest, sizeof digest, "sha256:%s", id);
    const struct descpipe_image_identity identity = {
        .size = sizeof identity, .present = 1, .config_digest = digest, .handle = digest};
    command->host->answer->identity(command->call, &identity);
    command->host->call->succeed(command->call);
}

/* As JSON, which the client takes for a list of words: CMD ["a", "b"] */
static bool add_command(struct command *command, const char *const *words)
{
    cleanup(memory_free) char *text = NULL;
    size_t length;
    FILE *line = open_memstream(&text, &length);
    if (line == NULL)
        return false;
    for (size_t i = 0; words[i] != NULL; i++) {
        fputs(i == 0 ? "CMD [\"" : "\", \"", line);
        for (const char *letter = words[i]; *letter != '\0'; letter++)
            if ((unsigned char)*letter < ' ' || *letter == '"' || *letter == '\\')
                fprintf(line, "\\u%04x", (unsigned)(unsigned char)*letter);
            else
                fputc(*letter, line);
    }
    fputs("\"]", line);
    if (fclose(line) != 0)
        return false;
    /* Whose it was says nothing of what is started from it. */
    add_words(command,
              (const char *const[]){"--change", "LABEL descpipe.run=", "--change", "LABEL descpipe.token=", NULL});
    add_words(command, (const char *const[]){"--change", "ENTRYPOINT []", "--change", NULL});
    command_add_copy(command, text);
    return true;
}

void podman_commit(void *self, struct descpipe_call *call, const struct descpipe_commit *commit)
{
    static const char *const shell[] = {"/bin/sh", NULL};
    const struct podman *podman = self;
    struct command *command = begin(podman, call, commit->container, "committed");
    if (command == NULL)
        return;
    command->done = committed;
    command->timeout_ms = podman->pull_timeout_ms;
    add_words(command, (const char *const[]){"commit", "--quiet", NULL});
    if (!add_command(command, commit->command != NULL && commit->command[0] != NULL ? commit->command : shell))
        command->argv.failed = true;
    command_add_copy(command, name_of(commit->container));
    command_add_copy(command, commit->reference);
    command_start(command);
}

static void listed(struct command *command, const struct tool_end *end)
{
    cleanup(memory_free) char *output = strdup(end->output);
    char *rest = output, *line;
    if (!end->good || output == NULL) {
        fail_alike(command, end);
        return;
    }
    while ((line = strsep(&rest, "\n")) != NULL) /* "A /path", "C /path", "D /path" */
        if (line[0] != '\0')
            command->host->answer->text(command->call, line);
    command->host->call->succeed(command->call);
}

void podman_changes(void *self, struct descpipe_call *call, const struct descpipe_container *container)
{
    struct command *command = begin(self, call, container, "compared with its image");
    if (command == NULL)
        return;
    command->done = listed;
    command_add_copy(command, "diff");
    command_add_copy(command, name_of(container));
    command_start(command);
}

void podman_copy_out(void *self, struct descpipe_call *call, const struct descpipe_copy *copy)
{
    struct command *command = begin(self, call, copy->container, "copied from");
    if (command == NULL || !command_take_output(command, copy->archive_descriptor))
        return;
    command->done = finish;
    command_add_copy(command, "cp");
    arguments_add(&command->argv, arguments_format(&command->argv, "%s:%s", name_of(copy->container), copy->path));
    command_add_copy(command, "-");
    command_start(command);
}
