/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a scheduler of this machine says to the host: the open call of `observe`, and what goes through its sink.
 *
 * The host itself starts the stages, so that RUNNING and the end of a started stage are known to it and never come from
 * here. What comes: QUEUED with a reason for a job that waits, and ENDED with the flag NOT_STARTED for a job that will
 * not run, so that each accepted job ends either by the host's `ended` or by one ENDED change.
 */
#ifndef DESCPIPE_SCHEDULER_OBSERVER_H
#define DESCPIPE_SCHEDULER_OBSERVER_H

#include <stdbool.h>

#include <descpipe/plugin.h>

#include "this-machine/heap.h"

/* Of every scheduler of this machine: what a cancelled stage gets from SIGTERM to SIGKILL. */
extern const struct descpipe_option grace_option;

struct observer {
    const struct descpipe_host *host;
    const char *witness; /* the scheduler's name */
    struct descpipe_call *call;
    struct descpipe_sink *sink; /* NULL: nobody listens, and what is told is lost */
};

/* Keeps the call open until the host cancels it. False: there is one already, and this one has failed. */
bool observer_open(struct observer *observer, struct descpipe_call *call, struct descpipe_sink *sink);
void observer_tell_waiting(const struct observer *observer, const struct queued_job *job, const char *reason);
/* `flags`: DESCPIPE_ENDED_ besides NOT_STARTED. */
void observer_tell_not_started(const struct observer *observer, const struct queued_job *job, uint32_t flags,
                               const char *reason);

#endif
