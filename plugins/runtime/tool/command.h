/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One command of a tool that serves one call: started, stopped when the call is cancelled, and its end told to whoever
 * made it, who ends the call or makes the next one.
 */
#ifndef RUNTIME_TOOL_COMMAND_H
#define RUNTIME_TOOL_COMMAND_H

#include <descpipe/host.h>
#include <descpipe/runtime.h>

#include "registry/failure.h"

#include "tool/run.h"

#include "arguments.h"

struct command {
    const struct descpipe_host *host;
    struct descpipe_call *call;
    struct arguments argv, environment; /* to be filled */
    char *what;                         /* owned; "container 'x' cannot be stopped" */
    const char *directory;              /* or NULL; lives as long as the command */
    uint64_t timeout_ms;                /* 0: COMMAND_TIMEOUT_MS */
    /* Ends the call, or starts another command for it. NULL: a good end is success. */
    void (*done)(struct command *command, const struct tool_end *end);
    void *context; /* of `done` */
    /* Whose command it is and of which container, for `done`; both live as long as the call. May be NULL. */
    const void *runtime;
    const struct descpipe_container *container;
    int streams[3]; /* owned; 0: none */
    bool terminal;
    struct descpipe_process *process;
};

#define COMMAND_TIMEOUT_MS UINT64_C(120000)

/* NULL when memory is short: the call has failed then. */
struct command *command_new(const struct descpipe_host *host, struct descpipe_call *call, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* A word that need not live on. */
void command_add_copy(struct command *command, const char *word);
/* Its streams are those that the exec names. False: the command is gone and the call has failed. */
bool command_take_streams(struct command *command, const struct descpipe_exec *exec);
/* Its standard output alone; what it says on standard error is for messages. */
bool command_take_output(struct command *command, int32_t output_descriptor);
/* The call fails, and the command is gone. */
void command_refuse(struct command *command, const struct failure *failure);
/* Unused: the call is somebody else's again. */
void command_drop(struct command *command);
/* Takes it. */
void command_start(struct command *command);
/* For `done`: fails the call as cancelled, or as "WHAT: what the tool said". */
void command_fail(const struct command *command, const struct tool_end *end, uint32_t kind, const char *hint);
/* For `done` of an exec: how the tool ended is how the command in the container ended. */
void command_answer_ending(struct command *command, const struct tool_end *end);

#endif
