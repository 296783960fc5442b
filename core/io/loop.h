/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The one epoll loop. Everything that waits lives on it; callbacks run one at a time on the thread that
 * runs the loop, and may start or stop anything, themselves included.
 */
#ifndef DESCPIPE_IO_LOOP_H
#define DESCPIPE_IO_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct loop;
/* NULL on failure. Ignores SIGPIPE for the process: a closed pipe is an error of the write, not the end of us. */
struct loop *loop_new(struct error *error);
/* Not from a callback. What is posted and not run yet is dropped, watches and timers end without a call. */
void loop_free(struct loop *loop);
DEFINE_CLEANUP(struct loop *, loop_free);

/* Runs until loop_stop, or until `while_true` (may be NULL) returns false between two rounds. */
void loop_run(struct loop *loop, bool (*while_true)(void *context), void *context);
void loop_stop(struct loop *loop);

enum { LOOP_READABLE = 1, LOOP_WRITABLE = 2 }; /* hang-up and error count as both */
struct loop_watch;
/* NULL with errno when the descriptor is not open or is watched already (EEXIST). A regular file is always ready. */
struct loop_watch *loop_watch(struct loop *loop, int descriptor, unsigned events,
                              void (*ready)(void *context, unsigned events), void *context);
void loop_watch_change(struct loop_watch *watch, unsigned events);
void loop_unwatch(struct loop_watch *watch); /* NULL is fine; does not close the descriptor */

struct loop_timer;
struct loop_timer *loop_timer(struct loop *loop, int64_t delay_ms, void (*fired)(void *context), void *context);
void loop_timer_stop(struct loop_timer *timer); /* NULL is fine; never after it has fired */

/* Runs soon, not now: for answers that must not come before the asking function has returned. */
void loop_post(struct loop *loop, void (*run)(void *context), void *context);

/* The signals are blocked for the process and come through the loop. One watcher per signal: a later call replaces the
 * earlier one, NULL drops what comes. They stay blocked after loop_free. */
void loop_signal(struct loop *loop, int signal, void (*came)(void *context, int signal, int sender_pid), void *context);

/* Where process.c keeps the children of this loop. `release` runs in loop_free. */
struct loop_children {
    void *children;
    void (*release)(void *children);
};
struct loop_children *loop_children(struct loop *loop);

#endif
