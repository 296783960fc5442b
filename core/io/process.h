/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Child processes: by argv, never a shell. Only this and spawn.h, which it uses, make any.
 *
 * Two uses. `process_start` runs a stage: output straight to descriptors, a session of its own, may outlive
 * us. `tool_start` runs a tool that ends with us: bounded output comes line by line, with a deadline.
 * Ends are seen through SIGCHLD on the loop. An ended child is first looked at (waitid WNOWAIT) and reported,
 * and reaped only after its `ended` has returned, so that whoever journals the end in `ended` knows: a child is
 * either in the journal or still a zombie.
 */
#ifndef DESCPIPE_IO_PROCESS_H
#define DESCPIPE_IO_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "io/loop.h"

struct process_end {
    int exit_code; /* -1 when a signal ended it */
    int signal;
    int64_t cpu_ms;       /* user + system, from rusage; filled for `reaped`, 0 in `ended` */
    uint64_t peak_memory; /* bytes; likewise. 0: not known, because it was not above our own */
};

struct process_request {
    const char *const *argv;        /* argv[0] has a slash, or is looked up on the PATH of `environment` */
    const char *const *environment; /* exactly this */
    const char *directory;          /* NULL: unchanged */
    int input;                      /* descriptors; -1: /dev/null. Not closed here */
    int output;
    int error;
    bool new_session;
    pid_t *known_as; /* as in io/spawn.h */
    /* ended: before reaping. reaped: after, with the resources used; the struct process is gone after it. */
    void (*ended)(void *context, const struct process_end *end);
    void (*reaped)(void *context, const struct process_end *end);
    void *context;
};

struct process;
/* NULL with the reason when it cannot be executed (not found, not executable, no resources). */
struct process *process_start(struct loop *loop, const struct process_request *request, struct error *error);
pid_t process_pid(const struct process *process);
/* Its process_start_time, mostly without a look into /proc; of one that process_start has just made. */
uint64_t process_started(const struct process *process);
/* To its process group when it has a session of its own, else to it alone. A stage that makes further groups is not
 * reached by this: see process_signal_session. */
void process_signal(struct process *process, int signal);
/* To every process of a session, found in /proc, zombies left out: reaches those that left their group or parent. The
 * count that was signalled; signal 0 only counts. */
size_t process_signal_session(pid_t session, int signal);
/* To one process, if it lives and belongs to this session. */
bool process_signal_member(pid_t pid, pid_t session, int signal);

/* A child that exists already (of process_split) as if process_start had made it. */
struct process *process_adopt(struct loop *loop, pid_t pid, const struct process_request *request);
/* Children nobody here started, which a subreaper gets, are reaped in silence, or told of by this, after reaping. */
void process_on_stranger(struct loop *loop, void (*ended)(void *context, pid_t pid, const struct process_end *end),
                         void *context);

struct tool_end {
    bool started;
    int exit_code; /* -1 when a signal ended it */
    int signal;
    bool timed_out;
    bool truncated;
    const char *message; /* why it did not start, or NULL */
};
struct tool_request {
    const char *const *argv;
    const char *const *environment; /* NULL: PATH HOME USER LANG LC_ALL TMPDIR XDG_RUNTIME_DIR of ours, nothing else */
    const char *directory;
    const void *input; /* copied */
    size_t input_length;
    /* Its standard streams, instead of `input` and `line`; 0 and below: those. Not closed here. */
    int input_descriptor, output_descriptor, error_descriptor;
    bool terminal;         /* it has our standard streams, our session and so our terminal */
    int64_t timeout_ms;    /* 0: 60 s; INT64_MAX: none */
    uint64_t output_limit; /* 0: 16 MiB */
    /* Stream 1 or 2; without the newline, followed by NUL; over 64 KiB in pieces. May be NULL. */
    void (*line)(void *context, int stream, const char *line, size_t length);
    void (*ended)(void *context, const struct tool_end *end);
    void *context;
};
struct tool;
struct tool *tool_start(struct loop *loop, const struct tool_request *request); /* never NULL; `ended` comes later */
/* It gets a session of its own, so no terminal, unless it is to have ours. When a child of it keeps the output open, `ended` comes 1 s after its
 * end. */
void tool_stop(struct tool *tool); /* SIGTERM, SIGKILL 5 s later; `ended` still comes */

/* Looks `name` up on our PATH; owned by the caller, NULL when there is none. */
char *process_find(const char *name);
/* The start time of a process in clock ticks since boot (field 22 of /proc/PID/stat); 0 when it is gone. Together with
 * the pid it names a process for good. */
uint64_t process_start_time(pid_t pid);
/* It has not ended; one that nobody has reaped yet has. */
bool process_lives(pid_t pid, uint64_t start_time);
/* Waits until this process, which need not be a child, has ended, at most until clock_monotonic_ms() is deadline_ms.
 * False: it lives still. */
bool process_await_end(pid_t pid, uint64_t start_time, int64_t deadline_ms);

/* Splits this process in two as fork does, for front → keeper → engine. Only legal before any loop or thread exists.
 * Returns the child's pid, 0 in the child, -1 with the error. The child dies of `death_signal` when its parent thread
 * ends (0: does not). */
pid_t process_split(int death_signal, struct error *error);

#endif
