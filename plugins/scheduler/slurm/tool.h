/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SLURM's commands, at a polite rate.
 *
 * How it works: a request waits until the token bucket lets it go (acts before questions, else in their order) and
 * until fewer than a handful of commands run. The environment is made here: no variable of the user changes what a
 * command does or prints.
 */
#ifndef DESCPIPE_SLURM_TOOL_H
#define DESCPIPE_SLURM_TOOL_H

#include <stdbool.h>
#include <stdint.h>

#include <descpipe/host.h>

#include "parts/buffer.h"

struct broker;

enum tool_kind { TOOL_ACT, TOOL_QUESTION };

struct tool_answer {
    bool ran;       /* it was started and ended by itself */
    bool never_ran; /* it did nothing at all: not there, or stopped while it waited */
    bool stopped;   /* by us */
    bool truncated;
    int exit_code;        /* -1: ended by a signal, or not started */
    struct buffer output; /* borrowed until `done` returns */
    struct buffer error;  /* likewise */
    int64_t began_ms;     /* slurm_now_ms when it was started */
    int64_t took_ms;
};

struct tool;
struct tools {
    const struct descpipe_host *host;
    struct broker *broker;
    const char *folder; /* where the commands are; NULL: on PATH */
    struct arguments environment;
    struct tool *first, *last; /* waiting */
    struct tool *running;
    unsigned running_count;
    struct descpipe_timer *timer;
    bool closing;
};

struct tool_request {
    enum tool_kind kind;
    double cost;                /* requests that the controller will see */
    struct arguments arguments; /* argv; the first is the command's name; taken over */
    uint64_t timeout_ms;        /* from its start */
    void (*done)(void *context, const struct tool_answer *answer);
    void *context;
};

bool tools_open(struct tools *tools, const struct descpipe_host *host, struct broker *broker, const char *folder);
void tools_close(struct tools *tools); /* what still waits is done, as never_ran */
/* `done` comes exactly once, never before this has returned. NULL: no memory, or closing; then `done` does not come. */
struct tool *tool_start(struct tools *tools, struct tool_request *request);
void tool_stop(struct tool *tool); /* NULL is fine; `done` still comes, later */
/* exit 0, whole, and no word of an error beside it */
bool tool_went_well(const struct tool_answer *answer);

#endif
