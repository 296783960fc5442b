/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One call about a developer's container that is a folder of ours (tool/box.h): who asked, what for, and what every
 * such runtime does alike: the list of changes, copies out, removal.
 */
#ifndef RUNTIME_TOOL_BOXED_H
#define RUNTIME_TOOL_BOXED_H

#include <descpipe/host.h>
#include <descpipe/runtime.h>

#include "registry/failure.h"

#include "tool/box.h"
#include "tool/command.h"

struct boxed {
    const struct descpipe_host *host;
    struct descpipe_call *call;
    void *runtime;
    const char *cache;                           /* lives as long as the runtime */
    const char *hidden;                          /* no part of anybody's work: left out of the changes; or NULL */
    const struct descpipe_stage *stage;          /* of `shell`; this and the others live until the call is finished */
    const struct descpipe_commit *commit;        /* of `commit` */
    const struct descpipe_exec *exec;            /* of `exec` */
    bool (*is_gone)(const struct tool_end *end); /* of the end of what stops it; NULL: a good one */
    char *token, *box;
    char *lines; /* of `changes`, each ended by NUL */
    size_t length;
    struct failure failure;
};

struct boxed_request {
    const struct descpipe_host *host;
    struct descpipe_call *call;
    const char *name; /* of the runtime, for messages */
    void *runtime;
    const char *cache;  /* NULL: there is no place for one */
    const char *option; /* that names one */
    const char *token;
};

/* NULL: the call has failed. */
struct boxed *boxed_new(const struct boxed_request *request);
void boxed_free(struct boxed *boxed);
/* Both take it. */
void boxed_fail(struct boxed *boxed);
void boxed_succeed(struct boxed *boxed);
/* Is there such a container? False with a failure, which says so. */
bool boxed_is_here(struct boxed *boxed);
/* Work on a helper thread. */
void boxed_work(struct boxed *boxed, void (*work)(void *context), void (*done)(void *context));
/* A command for the same call, with `boxed` for its `context`. NULL: the call has failed, `boxed` is gone. */
struct command *boxed_command(struct boxed *boxed, const char *doing,
                              void (*done)(struct command *command, const struct tool_end *end));

/* What there is of the container goes, then the call fails: with what `boxed` has as failure, or because the command
 * that was to make it `doing` ("started") ended so. */
void boxed_undo_after(struct boxed *boxed, const struct tool_end *end, const char *doing);
/* For `done` of an exec, of what stops a container, and of what stops one that is to be removed. */
void boxed_exec_ended(struct command *command, const struct tool_end *end);
void boxed_stopped(struct command *command, const struct tool_end *end);
void boxed_stopped_for_release(struct command *command, const struct tool_end *end);

/* Each ends the call, with what `boxed` has as failure where there is one. */
void boxed_undo(struct boxed *boxed); /* what there is of the container goes, then the call fails */
void boxed_release(struct boxed *boxed);
void boxed_changes(struct boxed *boxed);
void boxed_copy_out(struct boxed *boxed, const struct descpipe_copy *copy);

#endif
