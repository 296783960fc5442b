/* SPDX-License-Identifier: BSD-3-Clause */
/* A command-line tool, run to its end: what it printed, and the line that says why it failed. */
#ifndef RUNTIME_TOOL_RUN_H
#define RUNTIME_TOOL_RUN_H

#include <stdbool.h>

#include <descpipe/host.h>

#define TOOL_OUTPUT_LIMIT ((size_t)4 * 1024 * 1024) /* bytes of standard output that are kept */
#define TOOL_LINE_LIMIT 1024

struct tool_end {
    bool good; /* started and exit status 0 */
    bool started;
    int exit_code;      /* -1: by a signal, or not started */
    int signal;         /* that ended it, or 0 */
    const char *output; /* standard output, never NULL */
    const char *words;  /* one line for a person when it is not good: the last that it said of itself */
    const char *errors; /* its last lines of standard error, for looking into; never NULL */
};

struct tool_request {
    const char *const *argv;
    const char *const *environment; /* NULL: the host's PATH, HOME, USER, LANG, TMPDIR */
    const char *directory;          /* NULL: / */
    const char *input;              /* for its standard input, or NULL: nothing */
    /* Its standard streams, in place of `input` and of what is kept of its output; 0 and below: those. */
    int input_descriptor, output_descriptor, error_descriptor;
    bool terminal;                                           /* it has our standard streams and our terminal */
    uint64_t timeout_ms;                                     /* 0: 60 s; UINT64_MAX: none */
    void (*progress)(void *context, const char *line);       /* of standard error; may be NULL */
    void (*done)(void *context, const struct tool_end *end); /* exactly once, last */
    void *context;
};

/* NULL when memory is short; `done` does not come then. The handle is for host->process->stop, until `done`. */
struct descpipe_process *tool_run(const struct descpipe_host *host, const struct tool_request *request);

#endif
